"""Shared secrets and proofs of possession (RFC 5272 sections 6.2, 6.3 and 6.7, appendix C.1)."""

from __future__ import annotations

import hashlib
import hmac
import os

from pycryptoutil_protocols import algorithms, cms, csr, der, oids
from pycryptoutil_protocols.crmf import codec as crmf_codec
from pycryptoutil_protocols.crmf.messages import CertReqMsg, SignaturePop
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import NO_SIGNATURE, TaggedRequest
from .values import DecryptedPop, EncryptedPop, MacProof

_HMACS = {
    "1.3.6.1.5.5.8.1.2": "sha1",
    oids.HMAC_SHA1: "sha1",
    oids.HMAC_SHA256: "sha256",
    oids.HMAC_SHA384: "sha384",
    oids.HMAC_SHA512: "sha512",
}
_HMAC_OIDS = {"sha256": oids.HMAC_SHA256, "sha384": oids.HMAC_SHA384, "sha512": oids.HMAC_SHA512}
_HASHES = frozenset({"sha1", "sha256", "sha384", "sha512"})
_POP_KEY = 64  # octets of the value that count (RFC 5272 section 6.7)
_CHALLENGE = 32
MIN_LINK_RANDOM = 64  # octets: 512 bits (RFC 5272 section 6.3.1)
_NULL_NAME = der.sequence()
_SIGNING = frozenset({"RSA", "EC", "EdDSA", "ML-DSA"})
_DECRYPTING = frozenset({"RSA", "EC", "ML-KEM"})


def hmac_identifier(name: str) -> bytes:
    """DER AlgorithmIdentifier of HMAC with a hash."""
    return algorithms.algorithm_identifier(_HMAC_OIDS[name])


def _mac_hash(identifier: bytes, *, sha1: bool) -> str:
    oid, parameters = algorithms.split_algorithm(der.read(identifier))
    name = _HMACS.get(oid, "")
    if parameters is not None:
        parameters.null()
    return _allowed(name, f"MAC {oid}", sha1=sha1)


def _key_hash(identifier: bytes, *, sha1: bool) -> str:
    name = algorithms.decode_hash(der.read(identifier))
    return _allowed(name if name in _HASHES else "", f"hash {name}", sha1=sha1)


def _allowed(name: str, what: str, *, sha1: bool) -> str:
    if not name or (name == "sha1" and not sha1):
        raise Fault(FaultKind.BAD_ALGORITHM, f"{what} in a proof", "the algorithm of a proof is not supported")
    return name


def _hash(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data, usedforsecurity=name != "sha1").digest()


def _witness(key_hash: str, mac_hash: str, secret: bytes, data: bytes) -> bytes:
    return hmac.digest(_hash(key_hash, secret), data, mac_hash)


def key_identifier(spki: bytes) -> bytes:
    """Return the usual identifier of a key (RFC 5280 section 4.2.1.2, method 1)."""
    reader = der.read_sequence(spki)
    reader.take(der.SEQUENCE, "algorithm")
    key = reader.take(der.BIT_STRING, "subjectPublicKey").bits()
    return hashlib.sha1(key, usedforsecurity=False).digest()


# Identity


def prove_identity(secret: bytes, identity: str, request_sequence: bytes, name: str = "sha256") -> MacProof:
    """Return an IdentityProofV2: the key is the hash of the secret and, if one is sent, the identity (6.2.3)."""
    witness = _witness(name, name, secret + identity.encode(), request_sequence)
    return MacProof(algorithms.hash_identifier(name), hmac_identifier(name), witness)


def check_identity(
    proof: MacProof, secret: bytes, identity: str, request_sequence: bytes, *, sha1: bool = False
) -> None:
    """Raise Fault(UNAUTHENTICATED) unless the proof is right; BAD_ALGORITHM for SHA-1 unless it is let pass."""
    key_hash, mac_hash = _key_hash(proof.key_algorithm, sha1=sha1), _mac_hash(proof.mac_algorithm, sha1=sha1)
    _require(_witness(key_hash, mac_hash, secret + identity.encode(), request_sequence), proof.witness)


def check_identity_v1(
    witness: bytes, secret: bytes, identity: str, request_sequence: bytes, *, sha1: bool = False
) -> None:
    """Check the older identityProof, which is HMAC-SHA1 under a SHA-1 of the secret (6.2.2)."""
    _allowed("sha1", "identityProof", sha1=sha1)
    _require(_witness("sha1", "sha1", secret + identity.encode(), request_sequence), witness)


def _require(expected: bytes, given: bytes) -> None:
    if not hmac.compare_digest(expected, given):
        raise Fault(FaultKind.UNAUTHENTICATED, "identity proof differs", "unknown identity or wrong shared secret")


# Linking identity and possession (6.3.1)


def link_pop(secret: bytes, random: bytes, name: str = "sha256") -> MacProof:
    """Return a PopLinkWitnessV2 over popLinkRandom."""
    return MacProof(algorithms.hash_identifier(name), hmac_identifier(name), _witness(name, name, secret, random))


def check_pop_link(proof: MacProof, secret: bytes, random: bytes, *, sha1: bool = False) -> None:
    """Raise Fault(BAD_POP) unless the witness is right."""
    key_hash, mac_hash = _key_hash(proof.key_algorithm, sha1=sha1), _mac_hash(proof.mac_algorithm, sha1=sha1)
    _check_link(_witness(key_hash, mac_hash, secret, random), proof.witness, random)


def check_pop_link_v1(witness: bytes, secret: bytes, random: bytes, *, sha1: bool = False) -> None:
    """Check the older popLinkWitness."""
    _allowed("sha1", "popLinkWitness", sha1=sha1)
    _check_link(_witness("sha1", "sha1", secret, random), witness, random)


def _check_link(expected: bytes, given: bytes, random: bytes) -> None:
    if len(random) < MIN_LINK_RANDOM or not hmac.compare_digest(expected, given):
        raise Fault(FaultKind.BAD_POP, "POP link witness differs", "identity and possession are not linked")


# Possession by signature


def is_unsigned(request: CertificationRequest) -> bool:
    """Whether a PKCS#10 request has the no-signature signature (appendix C.1), which proves nothing."""
    oid, _ = algorithms.split_algorithm(der.read(request.signature_algorithm))
    return oid == NO_SIGNATURE


def check_signature(message: CertReqMsg, spki: bytes) -> None:
    """Check a CRMF signature POP; Fault(BAD_POP), or BAD_ALGORITHM, UNSUPPORTED, INVALID."""
    pop = message.pop
    if not isinstance(pop, SignaturePop):
        raise Fault(FaultKind.BAD_POP, "no signature POP", "possession is not proven")
    template = message.request.template
    if pop.input is None:
        if template.subject is None or template.spki is None:  # RFC 4211 section 4.1
            raise Fault(FaultKind.INVALID, "no poposkInput", "the proof of possession says too little")
        signed = crmf_codec.encode_request(message.request)
    else:
        if pop.input.mac is not None:
            raise Fault(FaultKind.UNSUPPORTED, "publicKeyMAC", "a public key MAC is not supported")
        if pop.input.spki != spki:
            raise Fault(FaultKind.BAD_POP, "another key in poposkInput", "the proof is of another key")
        signed = crmf_codec.encode_signing_input(pop.input)
    try:
        algorithms.verify(spki, pop.algorithm, signed, pop.signature)
    except Fault as fault:
        if fault.kind is FaultKind.BAD_SIGNATURE:
            raise Fault(FaultKind.BAD_POP, fault.detail, "the request's signature is not valid") from None
        raise


def check_pkcs10(request: CertificationRequest) -> None:
    """Check a PKCS#10 request's own signature; Fault(BAD_POP, BAD_ALGORITHM, WEAK_KEY)."""
    csr.verify_csr(request)


# Possession of a key that decrypts (6.7)


def can_sign(spki: bytes) -> bool:
    """Whether a key of this kind makes signatures."""
    return algorithms.key_info(spki).family in _SIGNING


def can_decrypt(spki: bytes) -> bool:
    """Whether a challenge can be encrypted to a key of this kind."""
    info = algorithms.key_info(spki)
    return (info.family in _DECRYPTING and not info.pss_only) or info.algorithm == "X25519"


def new_challenge() -> bytes:
    """Return a POP proof value."""
    return os.urandom(_CHALLENGE)


def challenge(request: TaggedRequest, spki: bytes, value: bytes, key_identifier: bytes = b"") -> EncryptedPop:
    """Encrypt a POP proof value to the key of a request: only its holder can answer."""
    # without a key identifier the recipient is an empty name and the body part identifier
    name = b"" if key_identifier else der.sequence(_NULL_NAME, der.integer(request.body_part))
    recipient = cms.recipient_for_key(spki, issuer_and_serial=name, key_identifier=key_identifier)
    return EncryptedPop(
        request,
        cms.encrypt(oids.DATA, value, (recipient,)),
        hmac_identifier("sha256"),
        algorithms.hash_identifier("sha512"),  # not the hash of the MAC, so that the one is no help for the other
        _hash("sha512", value),
    )


def answer(found: EncryptedPop, unwrap: cms.Unwrap, *, body_part: int) -> DecryptedPop:
    """Answer a challenge, as a client; Fault(BAD_POP) if it cannot be decrypted or its witness is wrong."""
    enveloped = cms.decode_enveloped(found.cms)
    try:
        value = cms.decrypt(enveloped, enveloped.recipients[0], unwrap)
    except Fault:
        raise Fault(FaultKind.BAD_POP, "challenge does not decrypt", "the challenge cannot be decrypted") from None
    name = _key_hash(found.witness_algorithm, sha1=False)
    if not hmac.compare_digest(_hash(name, value), found.witness):
        raise Fault(FaultKind.BAD_POP, "witness differs", "the challenge is not what its witness says")
    mac = _mac_hash(found.pop_algorithm, sha1=False)
    return DecryptedPop(body_part, found.pop_algorithm, _pop(value, found.request.encoded, mac))


def _pop(value: bytes, request: bytes, mac: str) -> bytes:
    return hmac.digest(value[:_POP_KEY], request, mac)


def check_answer(found: DecryptedPop, request: TaggedRequest, value: bytes) -> None:
    """Raise Fault(BAD_POP) unless the answer is right for this request and the value that was sent."""
    mac = _mac_hash(found.algorithm, sha1=False)
    if not hmac.compare_digest(_pop(value, request.encoded, mac), found.proof):
        raise Fault(FaultKind.BAD_POP, "decrypted POP differs", "possession of the key is not proven")
