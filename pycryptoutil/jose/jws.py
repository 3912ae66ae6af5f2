"""JSON Web Signature (RFC 7515, RFC 7797): compact, flattened and general JSON, detached and unencoded payloads.

A key signs and verifies with its own algorithm; a header can only agree. Verification raises.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import ed448
from pycryptoutil.crypto import jose as core
from pycryptoutil.crypto import keys as core_keys
from pycryptoutil.crypto.ed448 import Ed448Key
from pycryptoutil.jose.jwk import Jwk, JwkPrivate, JwkPublic, JwkSecret, JwkSet
from pycryptoutil.jose.text import b64e, dumps, invalid, loads

Keys = Jwk | JwkSet | Iterable[Jwk]
_OWN: Final = frozenset({"alg", "crit", "b64"})
_MAX_HEADER: Final = 16 * 1024


def pinned(key: Jwk, alg: str | None) -> core.JwsAlgorithm:
    """Return the one algorithm that a key signs with; Fault(BAD_ALGORITHM, INVALID) if it has none, or several."""
    chosen = alg or key.usage.alg
    if alg and key.usage.alg and alg != key.usage.alg:
        raise Fault(FaultKind.BAD_ALGORITHM, f"{alg} with a key for {key.usage.alg}", "alg does not go with the key")
    if not chosen:
        possible = core.signature_algorithms(key.algorithm)
        if not possible or key.kty == "RSA":
            raise invalid("the key names no alg, and several are possible: say which")
        return possible[0]
    found = core.jws_algorithm(chosen)
    fitting = core.HMAC_BYTES if isinstance(key, JwkSecret) else core.signature_algorithms(key.algorithm)
    if found not in fitting:
        raise Fault(FaultKind.BAD_ALGORITHM, f"{chosen} with {key.algorithm}", "alg does not go with the key")
    return found


def _permitted(key: Jwk, operation: str) -> None:
    if not key.usage.permits(operation if isinstance(key, JwkSecret) else "verify"):
        raise Fault(FaultKind.POLICY, f"key {key.kid!r} may not {operation}", "the key is not for this operation")


class _Ed448Signer:
    """What the core's JwsSigner does, for the one algorithm that it lacks."""

    def __init__(self, key: Ed448Key, header: bytes) -> None:
        self._key = key
        self._prefix = b64e(header) + "."
        self._encoded = loads(header).get("b64", True) is not False

    def _input(self, payload: bytes) -> bytes:
        return self._prefix.encode() + (b64e(payload).encode() if self._encoded else payload)

    def sign(self, payload: bytes, detached: bool = False) -> str:
        if not self._encoded and not detached and not (payload.isascii() and payload.decode().isprintable()):
            raise invalid("this payload must be detached or encoded")
        signed = self._input(payload)
        if not self._encoded and not detached and b"." in payload:
            raise invalid("this payload must be detached or encoded")
        signature = b64e(self._key.sign(signed))
        return f"{self._prefix}.{signature}" if detached else f"{signed.decode()}.{signature}"

    def sign_many(self, payloads: Sequence[bytes], detached: bool = False) -> list[str | Fault]:
        return [_caught(self.sign, payload, detached) for payload in payloads]

    def part(self, payload: bytes) -> tuple[str, str]:
        return self._prefix[:-1], b64e(self._key.sign(self._input(payload)))


def _caught(call: Any, *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Fault as fault:
        return fault


class JwsSigner:
    """Signs with one key under one protected header, made once for many payloads."""

    def __init__(
        self,
        key: JwkPrivate | JwkSecret,
        *,
        alg: str | None = None,
        header: Mapping[str, Any] | None = None,
        kid: str | None = None,
        encoded: bool = True,
    ) -> None:
        """``header`` are further protected parameters; ``encoded=False`` is RFC 7797's ``"b64": false``."""
        self.alg = pinned(key, alg)
        _permitted(key, "sign")
        if header and _OWN & set(header):
            raise invalid("alg, crit and b64 are not the header's to set")
        name = key.kid if kid is None else kid
        self.header: dict[str, Any] = {"alg": self.alg.value} | ({"kid": name} if name else {}) | dict(header or {})
        if not encoded:
            self.header |= {"b64": False, "crit": ["b64"]}
        self.encoded = encoded
        raw = dumps(self.header)
        self._core: core.JwsSigner | _Ed448Signer
        if isinstance(key.handle, Ed448Key):
            self._core = _Ed448Signer(key.handle, raw)
        else:
            self._core = core.JwsSigner(key.handle, self.alg, raw)

    def sign(self, payload: bytes, *, detached: bool = False) -> str:
        """Return the compact serialisation; detached, without the payload."""
        return self._core.sign(payload, detached)

    def sign_many(self, payloads: Sequence[bytes], *, detached: bool = False) -> list[str | Fault]:
        """Sign each, on every core; a failure stands in its place as the Fault."""
        return list(self._core.sign_many(payloads, detached))

    def part(self, payload: bytes) -> dict[str, Any]:
        """Return protected header and signature as members of a JSON serialisation."""
        protected, signature = self._core.part(payload)
        return {"protected": protected, "signature": signature}


def sign(key: JwkPrivate | JwkSecret, payload: bytes, **options: Any) -> str:
    """Sign once; options are :class:`JwsSigner`'s and ``detached``."""
    detached = options.pop("detached", False)
    return JwsSigner(key, **options).sign(payload, detached=detached)


def sign_many(key: JwkPrivate | JwkSecret, payloads: Sequence[bytes], **options: Any) -> list[str | Fault]:
    """Sign many payloads with one key, on every core."""
    return JwsSigner(key, **options).sign_many(payloads)


def sign_json(
    signers: Sequence[JwsSigner],
    payload: bytes,
    *,
    headers: Sequence[Mapping[str, Any]] = (),
    flattened: bool = False,
    detached: bool = False,
) -> str:
    """Return a JSON serialisation: general, or flattened for one signer. ``headers`` are unprotected, one a signer."""
    if not signers or (flattened and len(signers) != 1):
        raise invalid("a JWS has at least one signature, and one if it is flattened")
    if len({signer.encoded for signer in signers}) != 1:
        raise invalid("b64 must be the same for all signatures")
    if headers and len(headers) != len(signers):
        raise invalid("unprotected headers are given for every signer, or none")
    parts = [signer.part(payload) for signer in signers]
    for part, signer, header in zip(parts, signers, headers or [{}] * len(signers), strict=True):
        if set(header) & set(signer.header):
            raise invalid("a parameter stands in two headers")
        if header:
            part["header"] = dict(header)
    document: dict[str, Any] = {}
    if not detached:
        try:
            document["payload"] = b64e(payload) if signers[0].encoded else payload.decode()
        except UnicodeDecodeError:
            raise invalid("an unencoded payload in JSON is UTF-8") from None
    return dumps(document | (parts[0] if flattened else {"signatures": parts})).decode()


class VerifiedJws(NamedTuple):
    """A payload whose signature is good, under which header and by which key."""

    payload: bytes
    header_json: bytes
    key: Jwk

    @property
    def header(self) -> dict[str, Any]:
        """The header's parameters."""
        found: dict[str, Any] = json.loads(self.header_json)
        return found


@dataclass(frozen=True, slots=True)
class VerifiedJson:
    """A JWS in JSON: the signatures that are good, and why the others are not."""

    payload: bytes
    signatures: tuple[VerifiedJws, ...]
    refused: tuple[Fault, ...]


class JwsVerifier:
    """A ring of keys, parsed once. A secret verifies HMAC only, a public key never does."""

    def __init__(self, keys: Keys, *, algs: Collection[str] | None = None) -> None:
        """``algs`` narrows what is accepted; it is needed for RSA keys and secrets that name no alg."""
        ring = (keys,) if isinstance(keys, JwkPublic | JwkPrivate | JwkSecret) else tuple(keys)
        allowed = None if algs is None else frozenset(core.jws_algorithm(alg) for alg in algs)
        self._keys: list[Jwk] = []
        self._ed448: list[tuple[Jwk, frozenset[str]]] = []
        entries: list[tuple[core_keys.PublicKey | core.SecretKey, str, str | None]] = []
        for key in ring:
            _permitted(key, "verify")
            accepted = _accepted(key, allowed)
            if key.algorithm == "Ed448":
                self._ed448.append((key, frozenset(accepted)))
                continue
            handle = key.handle if isinstance(key, JwkSecret) else core_keys.PublicKey.from_spki(key.public.spki)
            for alg in accepted:
                if alg is core.JwsAlgorithm.ED25519 and core.JwsAlgorithm.EDDSA in accepted:
                    continue  # the core takes both names for one key
                self._keys.append(key)
                entries.append((handle, alg, key.kid or None))
        self._algs = allowed
        # whether only one of the two names of Ed25519 is wanted
        pair = {core.JwsAlgorithm.EDDSA, core.JwsAlgorithm.ED25519}
        self._narrowed = allowed is not None and len(allowed & pair) == 1
        self._core = core.JwsVerifier(entries)

    def _named(self, found: VerifiedJws) -> VerifiedJws:
        if self._narrowed and self._algs is not None and found.header.get("alg") not in self._algs:
            raise Fault(FaultKind.BAD_ALGORITHM, "the other name of Ed25519", "alg is not accepted here")
        return found

    def verify(self, token: str | bytes, payload: bytes | None = None) -> VerifiedJws:
        """Verify a compact JWS; ``payload`` is given if it is detached.

        Fault(BAD_SIGNATURE, BAD_ALGORITHM, MALFORMED).
        """
        if self._ed448:
            inside, parts = core.jws_inspect(_compact(token), payload)
            if _alg(parts[0][0]) in ("EdDSA", "Ed448"):
                other = self._other(parts[0], inside)
                if other is not None:
                    return other
        index, header, inside = self._core.verify(token, payload)
        found = VerifiedJws(inside if payload is None else payload, header, self._keys[index])
        return self._named(found) if self._narrowed else found

    def verify_many(self, tokens: Sequence[str | bytes]) -> list[VerifiedJws | Fault]:
        """Verify each compact JWS, on every core; a failure stands in its place as the Fault."""
        if self._ed448 or self._narrowed:
            return [_caught(self.verify, token) for token in tokens]
        keys = self._keys
        return [
            VerifiedJws(one[2], one[1], keys[one[0]]) if type(one) is tuple else one  # type: ignore[misc]
            for one in self._core.verify_many(tokens)
        ]

    def verify_json(self, text: str | bytes, payload: bytes | None = None, *, require: str = "all") -> VerifiedJson:
        """Verify a JWS in JSON. ``require``: every signature must be good ("all"), or one ("any")."""
        if require not in ("all", "any"):
            raise ValueError(require)
        inside, results = self._core.verify_json(text, payload)
        good: list[VerifiedJws] = []
        refused: list[Fault] = []
        others: list[tuple[bytes, bytes, bytes]] | None = None
        for position, one in enumerate(results):
            if isinstance(one, tuple):
                good.append(self._named(VerifiedJws(inside, one[1], self._keys[one[0]])))
                continue
            if self._ed448 and others is None:
                others = core.jws_inspect(text, payload)[1]
            found = _caught(self._other, others[position], inside) if others else None
            if isinstance(found, VerifiedJws):
                good.append(found)
            else:
                refused.append(found or one)
        if not good or (require == "all" and refused):
            raise refused[0]
        return VerifiedJson(inside, tuple(good), tuple(refused))

    def _other(self, part: tuple[bytes, bytes, bytes], payload: bytes) -> VerifiedJws | None:
        """Verify with the Ed448 keys; None if no key of the ring is meant."""
        raw, signed, signature = part
        header = json.loads(raw)
        refused: Fault | None = None
        for key, algs in self._ed448:
            if header.get("alg") not in algs or (header.get("kid") and key.kid and header["kid"] != key.kid):
                continue
            try:
                ed448.verify(key.public.spki, signed, signature)  # type: ignore[union-attr]
            except Fault as fault:
                refused = fault
            else:
                return VerifiedJws(payload, raw, key)
        if refused is not None and not self._keys:
            raise refused
        return None


def _compact(token: str | bytes) -> str | bytes:
    if token[:1] in ("{", b"{"):
        raise Fault(FaultKind.MALFORMED, "JSON where a compact JWS belongs", "not a compact JWS")
    return token


def _alg(header: bytes) -> Any:
    return json.loads(header).get("alg")


def _accepted(key: Jwk, allowed: frozenset[core.JwsAlgorithm] | None) -> tuple[core.JwsAlgorithm, ...]:
    """Return what one key of a ring verifies: its alg, or what the caller pins among what it could do."""
    hmacs = tuple(map(core.jws_algorithm, core.HMAC_BYTES))
    possible = hmacs if isinstance(key, JwkSecret) else core.signature_algorithms(key.algorithm)
    if not possible:
        raise Fault(FaultKind.BAD_ALGORITHM, f"{key.algorithm} does not sign", "the key does not verify signatures")
    if key.usage.alg:
        possible = (pinned(key, None),)
    elif allowed is None and key.kty in ("RSA", "oct"):
        raise invalid("the key names no alg, and several are possible: say which")
    if allowed is not None:
        possible = tuple(alg for alg in possible if alg in allowed)
    if isinstance(key, JwkSecret):
        possible = tuple(alg for alg in possible if len(key.handle) >= core.HMAC_BYTES[alg])
    if not possible:
        raise Fault(FaultKind.BAD_ALGORITHM, f"key {key.kid!r} has none of the algs", "alg does not go with the key")
    return possible


def verify(keys: Keys, token: str | bytes, payload: bytes | None = None, **options: Any) -> VerifiedJws:
    """Verify one compact JWS."""
    return JwsVerifier(keys, **options).verify(token, payload)


def verify_many(keys: Keys, tokens: Sequence[str | bytes], **options: Any) -> list[VerifiedJws | Fault]:
    """Verify many compact JWSs, on every core."""
    return JwsVerifier(keys, **options).verify_many(tokens)
