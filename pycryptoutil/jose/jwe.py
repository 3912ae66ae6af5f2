"""JSON Web Encryption (RFC 7516): compact, flattened and general JSON, several recipients, additional data."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import jose as core
from pycryptoutil.crypto import keys as core_keys
from pycryptoutil.crypto.ed448 import Ed448Key
from pycryptoutil.jose.jwk import Jwk, JwkPrivate, JwkPublic, JwkSecret
from pycryptoutil.jose.jws import Keys
from pycryptoutil.jose.text import dumps, invalid

_OWN: Final = frozenset({"alg", "enc", "epk", "ek", "iv", "tag", "p2s", "p2c", "crit", "zip"})
_SECRET_ALGS: Final = (
    core.JweAlgorithm.DIR,
    core.JweAlgorithm.A128KW,
    core.JweAlgorithm.A192KW,
    core.JweAlgorithm.A256KW,
    core.JweAlgorithm.A128GCMKW,
    core.JweAlgorithm.A192GCMKW,
    core.JweAlgorithm.A256GCMKW,
)
Recipient = JwkPublic | JwkPrivate | JwkSecret


def pinned(key: Jwk, alg: str | None) -> core.JweAlgorithm:
    """Return the one algorithm by which a key receives; Fault(BAD_ALGORITHM, INVALID) if it has none, or several."""
    own = key.usage.alg
    if own in core.ENC_NAMES:
        own = core.JweAlgorithm.DIR.value  # a JWK whose alg is an enc is that content's key
    if alg and own and alg != own:
        raise Fault(FaultKind.BAD_ALGORITHM, f"{alg} with a key for {own}", "alg does not go with the key")
    chosen = alg or own
    possible = _SECRET_ALGS if isinstance(key, JwkSecret) else core.encryption_algorithms(key.algorithm)
    if not chosen:
        if not possible or isinstance(key, JwkSecret):
            raise invalid("the key names no alg, and several are possible: say which")
        return possible[0]
    found = core.jwe_algorithm(chosen)
    if found not in possible:
        raise Fault(FaultKind.BAD_ALGORITHM, f"{chosen} with {key.algorithm}", "alg does not go with the key")
    return found


def _permitted(key: Jwk, *operations: str) -> None:
    usage = key.usage
    if not any(usage.permits(operation) for operation in operations):
        raise Fault(FaultKind.POLICY, f"key {key.kid!r} may not {operations[0]}", "the key is not for this operation")


def _public_handle(key: Recipient) -> core_keys.PublicKey | core.SecretKey:
    _permitted(key, "encrypt", "wrapKey", "deriveKey", "deriveBits")
    return key.handle if isinstance(key, JwkSecret) else core_keys.PublicKey.from_spki(key.public.spki)


def _content(key: Jwk, enc: str | None) -> core.ContentEncryption:
    """Return the content encryption: the one asked for, which a direct key may pin."""
    own = key.usage.alg
    if own in core.ENC_NAMES:
        if enc and enc != own:
            raise Fault(FaultKind.BAD_ALGORITHM, f"{enc} with a key for {own}", "enc does not go with the key")
        enc = own
    return core.content_encryption(enc or core.ContentEncryption.A256GCM)


class JweEncrypter:
    """Encrypts to one recipient under one header, made once for many plaintexts."""

    def __init__(
        self,
        key: Recipient,
        *,
        alg: str | None = None,
        enc: str | None = None,
        header: Mapping[str, Any] | None = None,
        kid: str | None = None,
    ) -> None:
        """``header`` are further protected parameters (typ, cty, apu, apv …); enc is A256GCM unless said."""
        self.alg, self.enc = pinned(key, alg), _content(key, enc)
        name = key.kid if kid is None else kid
        self.header = _header(header, {"alg": self.alg.value, "enc": self.enc.value}, name)
        self._core = core.JweEncrypter(_public_handle(key), self.alg, dumps(self.header))

    def encrypt(self, plaintext: bytes) -> str:
        """Return the compact serialisation."""
        return self._core.encrypt(plaintext)

    def encrypt_many(self, plaintexts: Sequence[bytes]) -> list[str | Fault]:
        """Encrypt each, on every core; a failure stands in its place as the Fault."""
        return list(self._core.encrypt_many(plaintexts))


def _header(given: Mapping[str, Any] | None, own: dict[str, Any], kid: str) -> dict[str, Any]:
    if given and _OWN & set(given):
        raise invalid("this parameter is not the header's to set")
    return own | ({"kid": kid} if kid else {}) | dict(given or {})


def encrypt(key: Recipient, plaintext: bytes, **options: Any) -> str:
    """Encrypt once; options are :class:`JweEncrypter`'s."""
    return JweEncrypter(key, **options).encrypt(plaintext)


def encrypt_many(key: Recipient, plaintexts: Sequence[bytes], **options: Any) -> list[str | Fault]:
    """Encrypt many plaintexts to one key, on every core."""
    return JweEncrypter(key, **options).encrypt_many(plaintexts)


def encrypt_json(
    recipients: Sequence[Recipient | tuple[Recipient, str]],
    plaintext: bytes,
    *,
    enc: str | None = None,
    aad: bytes | None = None,
    protected: Mapping[str, Any] | None = None,
    unprotected: Mapping[str, Any] | None = None,
    flattened: bool = False,
) -> str:
    """Encrypt for every recipient (a key, or a key with its alg). General JSON, or flattened for one.

    enc and ``protected`` are authenticated; each recipient's alg and kid stand in its own header, which is not.
    """
    chosen = [one if isinstance(one, tuple) else (one, None) for one in recipients]
    direct = next(
        (key.usage.alg for key, _ in chosen if key.usage.alg in core.ENC_NAMES), core.ContentEncryption.A256GCM
    )
    content = core.content_encryption(enc or direct)
    shared = _header(protected, {"enc": content.value}, "")
    if unprotected and (_OWN & set(unprotected) or set(unprotected) & set(shared)):
        raise invalid("this parameter is not the unprotected header's to set")
    entries = []
    for key, alg in chosen:
        used = pinned(key, alg)
        _content(key, content)
        own = {"alg": used.value} | ({"kid": key.kid} if key.kid else {})
        entries.append((_public_handle(key), used.value, dumps(own)))
    return core.jwe_encrypt_json(entries, dumps(shared), dumps(dict(unprotected or {})), aad, plaintext, flattened)


class DecryptedJwe(NamedTuple):
    """A plaintext, under which header, and which key opened it."""

    plaintext: bytes
    header_json: bytes
    key: Jwk

    @property
    def header(self) -> dict[str, Any]:
        """The header's parameters."""
        found: dict[str, Any] = json.loads(self.header_json)
        return found


@dataclass(frozen=True, slots=True)
class DecryptedJson:
    """The same of a JWE in JSON, with its additional authenticated data and the recipient's place in it."""

    plaintext: bytes
    header: dict[str, Any]
    key: Jwk
    aad: bytes | None
    recipient: int


class JweDecrypter:
    """A ring of keys, parsed once, with the algorithms that are accepted."""

    def __init__(self, keys: Keys, *, algs: Collection[str] | None = None, encs: Collection[str] | None = None) -> None:
        """``algs`` narrows; it is needed for secrets that name none. ``encs`` are all six unless said."""
        ring = (keys,) if isinstance(keys, JwkPublic | JwkPrivate | JwkSecret) else tuple(keys)
        allowed = None if algs is None else frozenset(core.jwe_algorithm(alg) for alg in algs)
        self._keys: list[Jwk] = []
        entries: list[tuple[core_keys.PrivateKey | core.SecretKey, str, str | None]] = []
        for key in ring:
            if isinstance(key, JwkPublic) or isinstance(key.handle, Ed448Key):
                raise invalid("a key of the ring does not decrypt")
            _permitted(key, "decrypt", "unwrapKey", "deriveKey", "deriveBits", "encrypt", "wrapKey")
            for alg in _accepted(key, allowed):
                self._keys.append(key)
                pin = key.usage.alg if key.usage.alg in core.ENC_NAMES else ""
                entries.append((key.handle, pin or alg.value, key.kid or None))
        accepted = core.ContentEncryption if encs is None else [core.content_encryption(enc) for enc in encs]
        self._core = core.JweDecrypter(entries, [enc.value for enc in accepted])

    def decrypt(self, token: str | bytes) -> DecryptedJwe:
        """Decrypt a compact JWE; Fault(BAD_SIGNATURE, BAD_ALGORITHM, MALFORMED)."""
        index, header, plaintext = self._core.decrypt(token)
        return DecryptedJwe(plaintext, header, self._keys[index])

    def decrypt_many(self, tokens: Sequence[str | bytes]) -> list[DecryptedJwe | Fault]:
        """Decrypt each compact JWE, on every core; a failure stands in its place as the Fault."""
        keys = self._keys
        return [
            DecryptedJwe(one[2], one[1], keys[one[0]]) if type(one) is tuple else one  # type: ignore[misc]
            for one in self._core.decrypt_many(tokens)
        ]

    def decrypt_json(self, text: str | bytes, *, aad: bytes | None = None) -> DecryptedJson:
        """Decrypt a JWE in JSON for the first recipient whose key is here.

        ``aad`` is asserted: an object with other additional data, or with none, is refused, and so is one with some
        that the caller did not name. Fault(BAD_SIGNATURE).
        """
        index, recipient, header, plaintext, found = self._core.decrypt_json(text)
        if found != aad:
            raise Fault(FaultKind.BAD_SIGNATURE, "other additional data", "the additional data is not the expected")
        return DecryptedJson(plaintext, json.loads(header), self._keys[index], found, recipient)


def _accepted(key: Jwk, allowed: frozenset[core.JweAlgorithm] | None) -> tuple[core.JweAlgorithm, ...]:
    if key.usage.alg:
        possible: tuple[core.JweAlgorithm, ...] = (pinned(key, None),)
    elif isinstance(key, JwkSecret):
        if allowed is None:
            raise invalid("the key names no alg, and several are possible: say which")
        possible = tuple(alg for alg in _SECRET_ALGS if core.KEY_BYTES.get(alg, len(key.handle)) == len(key.handle))
    else:
        possible = core.encryption_algorithms(key.algorithm)
    if allowed is not None:
        possible = tuple(alg for alg in possible if alg in allowed)
    if not possible:
        raise Fault(FaultKind.BAD_ALGORITHM, f"key {key.kid!r} has none of the algs", "alg does not go with the key")
    return possible


def decrypt(keys: Keys, token: str | bytes, **options: Any) -> DecryptedJwe:
    """Decrypt one compact JWE."""
    return JweDecrypter(keys, **options).decrypt(token)


def decrypt_many(keys: Keys, tokens: Sequence[str | bytes], **options: Any) -> list[DecryptedJwe | Fault]:
    """Decrypt many compact JWEs, on every core."""
    return JweDecrypter(keys, **options).decrypt_many(tokens)
