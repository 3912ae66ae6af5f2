"""Signing, MACs, derivation, encapsulation; random octets and keys that are not kept."""

from __future__ import annotations

import secrets
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import jose
from pycryptoutil.crypto import keys
from pycryptoutil.crypto.ed448 import Ed448Key
from pycryptoutil.jose.jwk import JwkPrivate, JwkSecret
from pycryptoutil.jose.text import b64d, dumps, loads, string
from pycryptoutil.keyring import Operation, UsableKey
from pycryptoutil.services.sm_kms.actions.chosen import Chosen
from pycryptoutil.services.sm_kms.common import b64e, octets, recipient
from pycryptoutil.services.sm_kms.operations import models

_HASHES: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_HKDF: Final = {"HKDF-SHA256": "sha256", "HKDF-SHA384": "sha384", "HKDF-SHA512": "sha512"}
_RAW: Final = {
    **{f"RS{size}": f"rsa-sha{size}" for size in (256, 384, 512)},
    **{f"PS{size}": f"rsa-pss-sha{size}" for size in (256, 384, 512)},
    **{f"ES{size}": f"ecdsa-sha{size}" for size in (256, 384, 512)},
    "Ed25519": "ed25519",
    "Ed448": "ed448",
    **{f"ML-DSA-{size}": f"ml-dsa-{size}" for size in (44, 65, 87)},
}
_MAX_HEADER: Final = 22 * 1024


def _private(key: UsableKey) -> JwkPrivate:
    if not isinstance(key.jwk, JwkPrivate):
        raise Fault(FaultKind.INTERNAL, f"version {key.version.version} of {key.key.id} is no private key")
    return key.jwk


def _secret(key: UsableKey) -> JwkSecret:
    if not isinstance(key.jwk, JwkSecret):
        raise Fault(FaultKind.INTERNAL, f"version {key.version.version} of {key.key.id} is no secret")
    return key.jwk


def _scheme(key: UsableKey) -> str:
    return _RAW[key.jwk.algorithm if key.alg == "EdDSA" else key.alg]


def _prehashed(key: UsableKey, digest: bytes) -> str:
    """Return the scheme that signs a digest; Fault(BAD_ALGORITHM, INVALID)."""
    if key.alg[:2] not in ("RS", "PS", "ES"):
        text = f"{key.alg} signs no digest, only what is to be signed"
        raise Fault(FaultKind.BAD_ALGORITHM, text, text, pointer="#/prehashed")
    scheme = _scheme(key)
    size = int(scheme[-3:]) // 8
    if len(digest) != size:
        text = f"a digest for {key.alg} has {size} octets"
        raise Fault(FaultKind.INVALID, f"{text}, not {len(digest)}", text, pointer="#/payload")
    return scheme


def _no_jws() -> Fault:
    text = "a JWS is not of a digest: prehashed goes with raw signatures"
    return Fault(FaultKind.INVALID, text, text, pointer="#/prehashed")


def _raw(key: UsableKey, payload: bytes, prehashed: bool) -> bytes:
    """Return the signature alone."""
    if prehashed:
        scheme, handle = _prehashed(key, payload), _private(key).handle
        if isinstance(handle, Ed448Key):
            raise Fault(FaultKind.INTERNAL, "Ed448 signs no digest")
        return keys.sign_digest(handle, scheme, payload)
    if isinstance(key.jwk, JwkSecret):
        return key.jwk.handle.hmac(_HASHES[key.alg], payload)
    handle = _private(key).handle
    return handle.sign(payload) if isinstance(handle, Ed448Key) else handle.sign(_scheme(key), payload)


def _check_raw(key: UsableKey, payload: bytes, signature: bytes, prehashed: bool) -> None:
    """Raise Fault(BAD_SIGNATURE) unless the signature is over the payload, or over the digest that it is."""
    if prehashed:
        scheme = _prehashed(key, payload)
        keys.verify_digest(_private(key).public.spki, scheme, payload, signature)
    elif isinstance(key.jwk, JwkSecret):
        keys.require_equal(key.jwk.handle.hmac(_HASHES[key.alg], payload), signature)
    else:
        keys.verify(key.jwk.public.spki, _scheme(key), payload, signature)


def sign(chosen: Chosen, item: models.SignItem) -> models.Signature:
    """Sign one payload."""
    key = chosen.get(Operation.SIGN, item.version)
    payload = octets(item.payload, "payload")
    if item.format == "jws":
        if item.prehashed:
            raise _no_jws()
        header = {"typ": item.typ} if item.typ else None
        jwk = key.jwk
        signer = chosen.once(
            ("jws", key.version.version, item.typ),
            lambda: jose.JwsSigner(jwk, header=header),  # type: ignore[arg-type]  # the ring keeps no public keys
        )
        text = signer.sign(payload, detached=item.detached)
    else:
        text = b64e(_raw(key, payload, item.prehashed))
    chosen.used(key, Operation.SIGN)
    return models.Signature(signature=text, version=key.version.version, kid=key.version.kid)


def verify(chosen: Chosen, item: models.VerifyItem) -> models.Verified:
    """Verify one signature with the version that it names, and no other key: what its header embeds is ignored."""
    given = None if item.payload is None else octets(item.payload, "payload")
    if "." in item.signature:
        if item.prehashed:
            raise _no_jws()
        protected, _, rest = item.signature.partition(".")
        kid = string(loads(b64d(protected[:_MAX_HEADER]), "the JWS's header"), "kid", "")
        if not kid and item.version is None:
            text = "the signature names no version: its header has no kid"
            raise Fault(FaultKind.INVALID, text, text)
        key = chosen.get(Operation.VERIFY, item.version, kid)
        verifier = chosen.once(("verify", key.version.version), lambda: jose.JwsVerifier(key.jwk))
        detached = rest.startswith(".")
        if not detached and given is not None:
            text = "the JWS has its payload, and another one was given"
            raise Fault(FaultKind.INVALID, text, text, pointer="#/payload")
        payload = verifier.verify(item.signature, given if detached else None).payload
    else:
        key = chosen.get(Operation.VERIFY, item.version)
        if given is None:
            text = "a raw signature comes with its payload"
            raise Fault(FaultKind.INVALID, text, text, pointer="#/payload")
        payload, signature = given, octets(item.signature, "signature")
        _check_raw(key, payload, signature, item.prehashed)
    chosen.used(key, Operation.VERIFY)
    return models.Verified(payload=b64e(payload), version=key.version.version, kid=key.version.kid)


def mac(chosen: Chosen, item: models.MacItem) -> models.Mac:
    """Authenticate one datum."""
    key = chosen.get(Operation.MAC, item.version)
    value = _secret(key).handle.hmac(_HASHES[key.alg], octets(item.data, "data"))
    chosen.used(key, Operation.MAC)
    return models.Mac(mac=b64e(value), version=key.version.version, kid=key.version.kid)


def verify_mac(chosen: Chosen, item: models.VerifyMacItem) -> models.VerifiedMac:
    """Verify one MAC, in constant time."""
    key = chosen.get(Operation.VERIFY_MAC, item.version)
    value = _secret(key).handle.hmac(_HASHES[key.alg], octets(item.data, "data"))
    try:
        keys.require_equal(value, octets(item.mac, "mac"))
    except Fault as fault:
        if fault.kind is not FaultKind.BAD_SIGNATURE:
            raise
        raise Fault(FaultKind.BAD_SIGNATURE, fault.detail, "the MAC is not of this data and version") from None
    chosen.used(key, Operation.VERIFY_MAC)
    return models.VerifiedMac(version=key.version.version, kid=key.version.kid)


def derive(chosen: Chosen, item: models.DeriveItem) -> models.Secret:
    """Derive a secret by HKDF, from the key or from an agreement with a peer."""
    key = chosen.get(Operation.DERIVE, item.version)
    salt, info = octets(item.salt, "salt"), octets(item.info, "info")
    if key.alg in _HKDF:
        if item.peer is not None or item.hash is not None:
            text = "peer and hash are of keys for ECDH"
            raise Fault(FaultKind.INVALID, text, text, pointer="#/peer")
        made = _secret(key).handle.derive(_HKDF[key.alg], salt, info, item.length).export()
    else:
        handle = _private(key).handle
        if item.peer is None or isinstance(handle, Ed448Key):
            text = "a key for ECDH needs the peer's public key"
            raise Fault(FaultKind.INVALID, text, text, pointer="#/peer")
        peer = recipient(item.peer, "peer")
        made = keys.hkdf(item.hash or "sha256", keys.ecdh(handle, peer.spki), salt, info, item.length)
    chosen.used(key, Operation.DERIVE)
    return models.Secret(secret=b64e(made), version=key.version.version, kid=key.version.kid)


def encapsulate(chosen: Chosen, item: models.EncapsulateItem) -> models.Encapsulated:
    """Make a secret for the key."""
    key = chosen.get(Operation.ENCAPSULATE, item.version)
    ciphertext, secret = keys.encapsulate(_private(key).public.spki)
    chosen.used(key, Operation.ENCAPSULATE)
    number, kid = key.version.version, key.version.kid
    return models.Encapsulated(ciphertext=b64e(ciphertext), secret=b64e(secret), version=number, kid=kid)


def decapsulate(chosen: Chosen, item: models.DecapsulateItem) -> models.Secret:
    """Give a secret back."""
    key = chosen.get(Operation.DECAPSULATE, item.version)
    handle = _private(key).handle
    if isinstance(handle, Ed448Key):
        raise Fault(FaultKind.INTERNAL, "Ed448 does not decapsulate")
    secret = keys.decapsulate(handle, octets(item.ciphertext, "ciphertext"))
    chosen.used(key, Operation.DECAPSULATE)
    return models.Secret(secret=b64e(secret), version=key.version.version, kid=key.version.kid)


def random(_chosen: Chosen, item: models.RandomItem) -> models.Random:
    """Return octets of the system's generator."""
    return models.Random(random=b64e(secrets.token_bytes(item.length)))


def generate(_chosen: Chosen, item: models.GenerateItem) -> models.Generated:
    """Make a key pair or a secret that only the recipient can read."""
    made = jose.generate(item.algorithm, alg=item.alg)
    jwe = jose.encrypt(recipient(item.recipient), dumps(made.export()), header={"cty": "jwk+json"})
    public = made.public.members() if isinstance(made, JwkPrivate) else None
    return models.Generated(jwe=jwe, public_jwk=public, kid=made.kid)
