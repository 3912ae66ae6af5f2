"""Encrypting and wrapping, and back; data keys; rewrapping."""

from __future__ import annotations

import json
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import jose
from pycryptoutil.crypto import jose as policy
from pycryptoutil.jose.jwk import JwkPublic, JwkSecret
from pycryptoutil.jose.text import b64d, loads, string
from pycryptoutil.keyring import Operation, UsableKey
from pycryptoutil.services.sm_kms.actions.chosen import Chosen
from pycryptoutil.services.sm_kms.common import b64e, octets
from pycryptoutil.services.sm_kms.operations import models

RAW: Final = b"\x01"
_RAW_HEAD: Final = 5
_MAX_HEADER: Final = 22 * 1024  # 16 KiB in base64url
_MAX_TOKEN: Final = 64 * 1024 * 1024
_GCM: Final = frozenset({"A128GCM", "A192GCM", "A256GCM"})
_KW: Final = frozenset({"A128KW", "A192KW", "A256KW"})


def _aad(text: str | None, pointer: str = "aad") -> bytes | None:
    return None if text is None else octets(text, pointer)


def _check_jwe(key: UsableKey) -> None:
    if key.alg in policy.SIV_BYTES:
        text = "keys for AES-SIV make and open no JWE: their ciphertexts have the raw form alone"
        raise Fault(FaultKind.BAD_ALGORITHM, text, text)


def receiver(key: UsableKey) -> JwkSecret | JwkPublic:
    """Return what is encrypted to; Fault(BAD_ALGORITHM) if no JWE is."""
    _check_jwe(key)
    return key.jwk if isinstance(key.jwk, JwkSecret) else key.jwk.public


def _sealed(chosen: Chosen, key: UsableKey, plaintext: bytes, aad: bytes | None, enc: str | None) -> str:
    """Encrypt to a version: compact, or flattened JSON where there is additional data."""
    to = receiver(key)
    own = key.alg if key.alg in policy.ENC_NAMES else None
    if aad is not None:
        return jose.encrypt_json([to], plaintext, enc=enc or own, aad=aad, flattened=True)
    encrypter = chosen.once(("jwe", key.version.version, enc), lambda: jose.JweEncrypter(to, enc=enc or own))
    return encrypter.encrypt(plaintext)


def _kid(header: dict[str, Any]) -> str:
    kid = string(header, "kid", "")
    if not kid:
        text = "the object names no version: its header has no kid"
        raise Fault(FaultKind.INVALID, text, text)
    return kid


def _opened(chosen: Chosen, operation: Operation, token: str, aad: bytes | None) -> tuple[bytes, UsableKey]:
    """Open a JWE or the raw form with the version that it names, if the gate lets it."""
    if token[:1] == "{":
        document = loads(token, "the JWE", _MAX_TOKEN)
        entries = document.get("recipients", [document])
        if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
            raise Fault(FaultKind.MALFORMED, "JWE without recipients", "the JWE has no recipient")
        header = entries[0].get("header", {})
        key = chosen.get(operation, kid=_kid(header if isinstance(header, dict) else {}))
        return _decrypter(chosen, key).decrypt_json(token, aad=aad).plaintext, key
    if "." in token:
        protected = token.partition(".")[0]
        key = chosen.get(operation, kid=_kid(loads(b64d(protected[:_MAX_HEADER]), "the JWE's header")))
        if aad is not None:
            text = "the object has no additional data, and some was asserted"
            raise Fault(FaultKind.BAD_SIGNATURE, text, text)
        return _decrypter(chosen, key).decrypt(token).plaintext, key
    raw = octets(token, "ciphertext")
    if len(raw) <= _RAW_HEAD or raw[:1] != RAW:
        raise Fault(FaultKind.MALFORMED, "neither JWE nor raw", "the ciphertext is neither a JWE nor the raw form")
    head = raw[:_RAW_HEAD]
    key = chosen.get(operation, int.from_bytes(head[1:]))
    handle, bound = _raw_key(key).handle, head + (aad or b"")
    body = raw[_RAW_HEAD:]
    return handle.siv_decrypt(body, bound) if key.alg in policy.SIV_BYTES else handle.decrypt(body, bound), key


def _raw(key: UsableKey, plaintext: bytes, aad: bytes | None) -> str:
    """Encrypt to the raw form, whose head is bound with the additional data."""
    handle, head = _raw_key(key).handle, RAW + key.version.version.to_bytes(4)
    bound = head + (aad or b"")
    siv = key.alg in policy.SIV_BYTES
    return b64e(head + (handle.siv_encrypt(plaintext, bound) if siv else handle.encrypt(plaintext, bound)))


def _decrypter(chosen: Chosen, key: UsableKey) -> jose.JweDecrypter:
    _check_jwe(key)
    return chosen.once(("open", key.version.version), lambda: jose.JweDecrypter(key.jwk))


def _raw_key(key: UsableKey) -> JwkSecret:
    if not isinstance(key.jwk, JwkSecret) or (key.alg not in _GCM and key.alg not in policy.SIV_BYTES):
        text = "the raw form is of keys for AES-GCM and AES-SIV only"
        raise Fault(FaultKind.BAD_ALGORITHM, text, text, pointer="#/format")
    return key.jwk


def encrypt(chosen: Chosen, item: models.EncryptItem) -> models.Ciphertext:
    """Encrypt one plaintext."""
    key = chosen.get(Operation.ENCRYPT, item.version)
    plaintext, aad = octets(item.plaintext, "plaintext"), _aad(item.aad)
    text = _raw(key, plaintext, aad) if item.format == "raw" else _sealed(chosen, key, plaintext, aad, item.enc)
    chosen.used(key, Operation.ENCRYPT)
    return models.Ciphertext(ciphertext=text, version=key.version.version, kid=key.version.kid)


def decrypt(chosen: Chosen, item: models.DecryptItem) -> models.Plaintext:
    """Decrypt one ciphertext; its additional data must be what is asserted."""
    plaintext, key = _opened(chosen, Operation.DECRYPT, item.ciphertext, _aad(item.aad))
    chosen.used(key, Operation.DECRYPT)
    return models.Plaintext(plaintext=b64e(plaintext), version=key.version.version, kid=key.version.kid)


def wrap(chosen: Chosen, item: models.WrapItem) -> models.Wrapped:
    """Wrap a key's octets."""
    key = chosen.get(Operation.WRAP, item.version)
    secret, aad = octets(item.key, "key"), _aad(item.aad)
    if item.format == "raw":
        text = b64e(_wrapper(key, aad).handle.wrap(secret))
    else:
        text = _sealed(chosen, key, secret, aad, None)
    chosen.used(key, Operation.WRAP)
    return models.Wrapped(wrapped=text, version=key.version.version, kid=key.version.kid)


def _wrapper(key: UsableKey, aad: bytes | None) -> JwkSecret:
    if not isinstance(key.jwk, JwkSecret) or key.alg not in _KW:
        text = "the raw form is of keys for AES Key Wrap only"
        raise Fault(FaultKind.BAD_ALGORITHM, text, text, pointer="#/format")
    if aad is not None:
        text = "AES Key Wrap has no additional data"
        raise Fault(FaultKind.INVALID, text, text, pointer="#/aad")
    return key.jwk


def unwrap(chosen: Chosen, item: models.UnwrapItem) -> models.Unwrapped:
    """Unwrap a key's octets."""
    aad = _aad(item.aad)
    if item.version is None:
        secret, key = _opened(chosen, Operation.UNWRAP, item.wrapped, aad)
    else:
        key = chosen.get(Operation.UNWRAP, item.version)
        secret = _wrapper(key, aad).handle.unwrap(octets(item.wrapped, "wrapped"))
    chosen.used(key, Operation.UNWRAP)
    return models.Unwrapped(key=b64e(secret), version=key.version.version, kid=key.version.kid)


def datakey(chosen: Chosen, item: models.DataKeyItem) -> models.DataKey:
    """Make a key for somebody else's encryption, wrapped by this one."""
    operation = chosen.protects
    key = chosen.get(operation, item.version)
    secret = policy.SecretKey.generate(item.bits // 8).export()
    wrapped = _sealed(chosen, key, secret, _aad(item.aad), None)
    chosen.used(key, operation)
    shown = b64e(secret) if item.plaintext else None
    return models.DataKey(wrapped=wrapped, plaintext=shown, version=key.version.version, kid=key.version.kid)


def rewrap(chosen: Chosen, item: models.RewrapItem) -> models.Rewrapped:
    """Put one object under the active version; the plaintext does not leave."""
    aad = _aad(item.aad)
    after = aad if item.new_aad is None else _aad(item.new_aad, "new_aad")
    plaintext, old = _opened(chosen, chosen.reads, item.ciphertext, aad)
    new = chosen.get(chosen.protects)
    number, before = new.version.version, old.version.version
    if number == before and after == aad:
        text, changed = item.ciphertext, False
    else:
        text, changed = _again(chosen, new, item.ciphertext, plaintext, after), True
        chosen.used(new, chosen.protects)
        if number != before:
            chosen.used(old, chosen.reads, rewrapped=True)
    return models.Rewrapped(ciphertext=text, version=number, kid=new.version.kid, from_version=before, changed=changed)


def _again(chosen: Chosen, key: UsableKey, old: str, plaintext: bytes, aad: bytes | None) -> str:
    """Encrypt in the form that it had, with the same content encryption where that can be chosen."""
    if old[:1] != "{" and "." not in old:
        return _raw(key, plaintext, aad)
    protected = string(json.loads(old), "protected", "") if old[:1] == "{" else old.partition(".")[0]
    enc = loads(b64d(protected), "the JWE's header").get("enc")
    return _sealed(chosen, key, plaintext, aad, None if key.alg in policy.ENC_NAMES else enc)
