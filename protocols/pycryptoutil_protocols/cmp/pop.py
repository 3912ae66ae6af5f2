"""Proof of possession, both sides (RFC 4211 section 4, RFC 9810 section 5.2.8).

Signatures: ``sign`` and ``verify_signature``. Decryption keys: the certificate comes encrypted
(``encrypt_certificate``, ``decrypt_certificate``) or a challenge is answered (``challenge``, ``answer``).
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass, field

from pycryptoutil_protocols import algorithms, cms, der, names, oids, x509
from pycryptoutil_protocols.crmf import codec as crmf
from pycryptoutil_protocols.crmf import encrypted
from pycryptoutil_protocols.crmf.messages import (
    CertReqMsg,
    CertRequest,
    EncryptedKey,
    PkMac,
    SignaturePop,
    SigningKeyInput,
)
from pycryptoutil_protocols.crmf.values import bounded_integer
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.ports import Decryptor, Signer

from .mac import DEFAULT_LIMITS, MacLimits, PbmParameters, decode_mac
from .messages import Challenge

_RANDOM_OCTETS = 20


def _bad_pop(detail: str, public: str = "the proof of possession is not valid") -> Fault:
    return Fault(FaultKind.BAD_POP, detail, public)


# Signatures


def make_mac(secret: bytes, spki: bytes) -> PkMac:
    """MAC a public key with a shared secret (RFC 4211 section 4.4)."""
    parameters = PbmParameters.fresh()
    return PkMac(parameters.encode(), parameters.compute(secret, spki))


def verify_mac(mac: PkMac, secret: bytes, spki: bytes, limits: MacLimits = DEFAULT_LIMITS) -> None:
    """Check a publicKeyMAC; Fault(BAD_POP, BAD_ALGORITHM)."""
    parameters = decode_mac(mac.algorithm, limits)
    if not isinstance(parameters, PbmParameters):
        raise Fault(FaultKind.BAD_ALGORITHM, "publicKeyMAC is no PasswordBasedMac", "the MAC is not supported")
    if not hmac.compare_digest(parameters.compute(secret, spki), mac.value):
        raise _bad_pop("publicKeyMAC differs")


def sign(
    request: CertRequest, signer: Signer, *, sender: GeneralName | None = None, secret: bytes | None = None
) -> SignaturePop:
    """Prove possession of a signing key.

    Over the request when its template has a subject and the key; otherwise (RFC 4211 section 4.1) over an input that
    names the ``sender``, or that MACs the key with a shared ``secret``.
    """
    algorithm = algorithms.signature_identifier(signer.signature_algorithm)
    template = request.template
    if template.subject is not None and template.spki is not None:
        return SignaturePop(algorithm, signer.sign(crmf.encode_request(request)))
    spki = signer.public_spki
    if secret is not None:
        value = SigningKeyInput(spki, mac=make_mac(secret, spki))
    elif sender is not None:
        value = SigningKeyInput(spki, sender=sender)
    else:
        raise Fault(FaultKind.INVALID, "no subject, no sender, no secret", "nobody is named in the request")
    return SignaturePop(algorithm, signer.sign(crmf.encode_signing_input(value)), value)


def verify_signature(
    message: CertReqMsg,
    *,
    sender: GeneralName | None = None,
    secret: bytes | None = None,
    limits: MacLimits = DEFAULT_LIMITS,
) -> None:
    """Check a signature POP by the key in the template; Fault(BAD_POP), or BAD_ALGORITHM, WEAK_KEY.

    ``sender`` is who an input may name: the sender of a signed message. ``secret`` verifies an input's publicKeyMAC.
    """
    pop, spki = message.pop, message.request.template.spki
    if not isinstance(pop, SignaturePop):
        raise _bad_pop("no signature", "the request is not signed by its key")
    if pop.input is None:
        signed = crmf.encode_request(message.request)
    else:
        _check_input(pop.input, spki, sender, secret, limits)
        spki, signed = pop.input.spki, crmf.encode_signing_input(pop.input)
    if spki is None:
        raise _bad_pop("no public key", "the request has no public key")
    try:
        algorithms.verify(spki, pop.algorithm, signed, pop.signature)
    except Fault as fault:
        if fault.kind is FaultKind.BAD_SIGNATURE:
            raise _bad_pop(fault.detail) from None
        raise


def _check_input(
    value: SigningKeyInput, spki: bytes | None, sender: GeneralName | None, secret: bytes | None, limits: MacLimits
) -> None:
    if spki is not None and value.spki != spki:
        raise _bad_pop("POPOSigningKeyInput has another key than the template")  # RFC 4211 section 4.1
    if value.sender is not None:
        if sender is None or not _same(value.sender, sender):
            raise _bad_pop("POPOSigningKeyInput names somebody else")
    elif value.mac is None or secret is None:
        raise _bad_pop("publicKeyMAC without a shared secret")
    else:
        verify_mac(value.mac, secret, value.spki, limits)


def _same(left: GeneralName, right: GeneralName) -> bool:
    return left.comparable() == right.comparable()


# Encrypted certificates


def encrypt_certificate(
    certificate: bytes, *, encapsulate: cms.Encapsulate | None = None, key_identifier: bytes = b""
) -> EncryptedKey:
    """Encrypt a certificate to its own key: who can read it, has the private key (RFC 9810 section 5.2.8.3.1)."""
    decoded = x509.decode_certificate(certificate)
    identifier = key_identifier or decoded.subject_key_identifier or _identifier(decoded.spki)
    recipient = cms.recipient_for_key(decoded.spki, key_identifier=identifier, encapsulate=encapsulate)
    return encrypted.seal(oids.DATA, certificate, (recipient,))


def _identifier(spki: bytes) -> bytes:
    return algorithms.digest("sha256", algorithms.key_info(spki).key)[:20]  # RFC 7093 section 2 method 1


def decrypt_certificate(key: EncryptedKey, decryptor: Decryptor) -> bytes:
    """Return the certificate that was encrypted to its key; Fault(MALFORMED) when it is of another key."""
    _, content = encrypted.unseal(key, decryptor)
    certificate = x509.decode_certificate(content)
    if certificate.spki != decryptor.public_spki:
        raise Fault(FaultKind.MALFORMED, "certificate of another key", "the certificate is of another key")
    return content


# Challenges


@dataclass(frozen=True, slots=True)
class Asked:
    """A challenge to be sent in popdecc, and the number that must come back in popdecr."""

    challenge: Challenge
    number: int = field(repr=False)


def challenge(spki: bytes, sender: GeneralName, *, encapsulate: cms.Encapsulate | None = None) -> Asked:
    """Encrypt a random number and the challenger's name to a key (RFC 9810 section 5.2.8.3.3)."""
    number = int.from_bytes(os.urandom(_RANDOM_OCTETS), "big")
    recipient = cms.recipient_for_key(spki, key_identifier=_identifier(spki), encapsulate=encapsulate)
    rand = der.sequence(der.integer(number), sender.der)
    sealed = encrypted.seal(oids.DATA, rand, (recipient,))
    witness = algorithms.digest("sha256", der.integer(number))
    return Asked(Challenge(algorithms.hash_identifier("sha256"), witness, b"", sealed.enveloped), number)


def answer(asked: Challenge, decryptor: Decryptor, sender: GeneralName) -> int:
    """Return the number in a challenge, whose name must be that of who sent it; Fault(MALFORMED, BAD_ALGORITHM)."""
    if not asked.encrypted_rand:
        raise Fault(FaultKind.UNSUPPORTED, "challenge without encryptedRand", "encryptedRand is expected")
    _, content = encrypted.unseal(EncryptedKey(enveloped=asked.encrypted_rand), decryptor)
    reader = der.read_sequence(content)
    number = bounded_integer(reader.take(der.INTEGER, "int"), 0, 1 << 8 * 64, "int")
    named = names.decode_general_name(reader.any("sender"))
    reader.end("Rand")
    if not _same(named, sender):
        raise Fault(FaultKind.MALFORMED, "challenge of somebody else", "the challenge names another sender")
    if asked.owf is not None:
        witness = algorithms.digest(algorithms.decode_hash(der.read(asked.owf)), der.integer(number))
        if not hmac.compare_digest(witness, asked.witness):
            raise Fault(FaultKind.MALFORMED, "witness differs", "the challenge is not consistent")
    return number
