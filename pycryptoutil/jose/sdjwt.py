"""Selective disclosure for JWTs (RFC 9901): issue, present, verify, with key binding.

Claims to be disclosed are named by their paths, tuples of member names and list indices: ``("address", "city")``,
``("nationalities", 0)``. A claim under another one that is disclosable is disclosed recursively.
"""

from __future__ import annotations

import copy
import hashlib
import json
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.jose.jwk import Jwk, JwkPublic, parse_public
from pycryptoutil.jose.jws import JwsSigner, JwsVerifier
from pycryptoutil.jose.jwt import CreationPolicy, ValidationPolicy, media_type
from pycryptoutil.jose.text import b64d, b64e, dumps, invalid, loads, malformed

Path = tuple[str | int, ...]

HASHES: Final = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
MAX_SIZE: Final = 1 << 20
MAX_DISCLOSURES: Final = 1000
MAX_DEPTH: Final = 32
_RESERVED: Final = frozenset({"_sd", "...", "_sd_alg"})
# RFC 9901 section 9.7: what controls validity is never hidden
_NEVER: Final = frozenset({"iss", "aud", "exp", "nbf", "iat", "cnf", "vct", "status"})
_KB_TYP: Final = "kb+jwt"


def _digest(disclosure: str, algorithm: str) -> str:
    return b64e(hashlib.new(HASHES[algorithm], disclosure.encode("ascii")).digest())


def _check_names(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise invalid("the claims are nested too deeply")
    if isinstance(value, dict):
        if _RESERVED & set(value):
            raise invalid("_sd, _sd_alg and ... are not names of claims")
        for one in value.values():
            _check_names(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check_names(one, depth + 1)


def issue(
    signer: JwsSigner,
    claims: Mapping[str, Any],
    disclosable: Collection[Path],
    policy: CreationPolicy,
    now: int,
    *,
    holder: JwkPublic | None = None,
    decoys: int = 0,
    hash_algorithm: str = "sha-256",
) -> str:
    """Return an SD-JWT with all its disclosures.

    ``holder`` is bound by ``cnf``; decoys hide how many claims there are.
    """
    if hash_algorithm not in HASHES or not 0 <= decoys <= MAX_DISCLOSURES:
        raise Fault(FaultKind.BAD_ALGORITHM, f"_sd_alg {hash_algorithm[:40]!r}", "the hash is not supported")
    _check_names(dict(claims))
    payload: dict[str, Any] = copy.deepcopy(policy.claims(claims, now))
    if holder is not None:
        payload["cnf"] = {"jwk": holder.members()}
    # the innermost first, so that outer ones hide digests
    wanted = sorted(set(disclosable), key=lambda one: (-len(one), [str(part) for part in one]))
    if len(wanted) > MAX_DISCLOSURES:
        raise invalid("too many disclosable claims")
    hidden: dict[int, list[str]] = {}  # digests by the object they go into
    disclosures = [_hide(payload, path, hash_algorithm, hidden) for path in wanted]
    _place(payload, hidden, decoys, hash_algorithm)
    if disclosures or decoys:
        payload["_sd_alg"] = hash_algorithm
    return "~".join([signer.sign(dumps(payload)), *disclosures, ""])


def _parent(payload: Any, path: Path) -> Any:
    for part in path[:-1]:
        try:
            payload = payload[part]
        except (KeyError, IndexError, TypeError):
            raise invalid(f"no claim at {path}") from None
    return payload


def _hide(payload: dict[str, Any], path: Path, algorithm: str, hidden: dict[int, list[str]]) -> str:
    if not path or (len(path) == 1 and path[0] in _NEVER):
        raise invalid(f"the claim {path} cannot be hidden")
    parent, last = _parent(payload, path), path[-1]
    salt = secrets.token_urlsafe(16)
    if isinstance(parent, dict) and isinstance(last, str) and last in parent:
        value = parent.pop(last)
        _settle(value, hidden)
        disclosure = b64e(json.dumps([salt, last, value], ensure_ascii=False).encode())
        hidden.setdefault(id(parent), []).append(_digest(disclosure, algorithm))
        return disclosure
    if isinstance(parent, list) and isinstance(last, int) and 0 <= last < len(parent):
        _settle(parent[last], hidden)
        disclosure = b64e(json.dumps([salt, parent[last]], ensure_ascii=False).encode())
        parent[last] = {"...": _digest(disclosure, algorithm)}
        return disclosure
    raise invalid(f"no claim at {path}")


def _settle(value: Any, hidden: dict[int, list[str]]) -> None:
    """Write the digests of what was hidden further inside before this value is hidden itself."""
    for one in _objects(value):
        if id(one) in hidden:
            one["_sd"] = sorted(hidden.pop(id(one)))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _objects(one)


def _place(payload: dict[str, Any], hidden: dict[int, list[str]], decoys: int, algorithm: str) -> None:
    _settle(payload, hidden)
    if decoys:
        size = hashlib.new(HASHES[algorithm]).digest_size
        more = [b64e(secrets.token_bytes(size)) for _ in range(decoys)]
        payload["_sd"] = sorted([*payload.get("_sd", []), *more])


@dataclass(frozen=True, slots=True)
class Parts:
    """An SD-JWT taken apart."""

    jwt: str
    disclosures: tuple[str, ...]
    key_binding: str


def split(text: str) -> Parts:
    """Take the compact form apart (RFC 9901 section 4); Fault(MALFORMED)."""
    if len(text) > MAX_SIZE:
        raise malformed("the SD-JWT is too long")
    jwt, *rest = text.split("~")
    if not rest or len(rest) > MAX_DISCLOSURES + 1 or not all(rest[:-1]):
        raise malformed("not an SD-JWT")
    return Parts(jwt, tuple(rest[:-1]), rest[-1])


@dataclass(frozen=True, slots=True)
class _Disclosure:
    text: str
    name: str | None  # None for an element of a list
    value: Any


def _read(text: str) -> _Disclosure:
    try:
        found = json.loads(b64d(text), object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        raise malformed("a disclosure is not JSON") from None
    if not isinstance(found, list) or len(found) not in (2, 3) or not isinstance(found[0], str):
        raise malformed("a disclosure is not a list of two or three")
    if len(found) == 2:
        return _Disclosure(text, None, found[1])
    name = found[1]
    if not isinstance(name, str) or name in _RESERVED:
        raise malformed("a disclosure has no name, or a reserved one")
    return _Disclosure(text, name, found[2])


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise malformed("JSON: a member occurs twice")
    return found


class _Opener:
    """Replaces digests by what was disclosed (RFC 9901 section 7.1), and remembers where each thing came from."""

    def __init__(self, disclosures: Collection[str], algorithm: str) -> None:
        self.by_digest: dict[str, _Disclosure] = {}
        for text in disclosures:
            digest = _digest(text, algorithm)
            if digest in self.by_digest:
                raise malformed("a disclosure occurs twice")
            self.by_digest[digest] = _read(text)
        self.used: set[str] = set()
        self.seen: set[str] = set()
        self.paths: dict[Path, tuple[str, ...]] = {}  # every disclosed claim with the disclosures on its way

    def _take(self, digest: Any) -> _Disclosure | None:
        if not isinstance(digest, str) or digest in self.seen:
            raise malformed("a digest is not a string, or occurs twice")
        self.seen.add(digest)
        found = self.by_digest.get(digest)
        if found is not None:
            self.used.add(digest)
        return found

    def open(self, value: Any, path: Path = (), chain: tuple[str, ...] = ()) -> Any:
        if len(path) > MAX_DEPTH:
            raise malformed("the claims are nested too deeply")
        if isinstance(value, dict):
            return self._object(value, path, chain)
        if isinstance(value, list):
            return self._list(value, path, chain)
        return value

    def _object(self, value: dict[str, Any], path: Path, chain: tuple[str, ...]) -> dict[str, Any]:
        digests = value.get("_sd", [])
        if not isinstance(digests, list) or "..." in value:
            raise malformed("_sd is not a list, or ... stands outside of a list")
        out = {
            name: self.open(one, (*path, name), chain)
            for name, one in value.items()
            if name != "_sd" and not (name == "_sd_alg" and not path)
        }
        for digest in digests:
            found = self._take(digest)
            if found is None:
                continue
            if found.name is None or found.name in out or found.name in value:
                raise malformed("a disclosure does not fit where its digest stands")
            way = (*chain, found.text)
            self.paths[(*path, found.name)] = way
            out[found.name] = self.open(found.value, (*path, found.name), way)
        return out

    def _list(self, value: list[Any], path: Path, chain: tuple[str, ...]) -> list[Any]:
        out: list[Any] = []
        for position, one in enumerate(value):
            if isinstance(one, dict) and "..." in one:
                if len(one) != 1:
                    raise malformed("a digest in a list has company")
                found = self._take(one["..."])
                if found is None:
                    continue
                if found.name is not None:
                    raise malformed("a disclosure does not fit where its digest stands")
                way = (*chain, found.text)
                self.paths[(*path, position)] = way
                out.append(self.open(found.value, (*path, position), way))
            else:
                out.append(self.open(one, (*path, position), chain))
        return out


def _algorithm(payload: Mapping[str, Any]) -> str:
    algorithm = payload.get("_sd_alg", "sha-256")
    if not isinstance(algorithm, str) or algorithm not in HASHES:
        raise Fault(FaultKind.BAD_ALGORITHM, f"_sd_alg {str(algorithm)[:40]!r}", "the hash is not supported")
    return algorithm


def _payload(jwt: str) -> dict[str, Any]:
    parts = jwt.split(".")
    if len(parts) != 3:
        raise malformed("not an SD-JWT")
    return loads(b64d(parts[1]), "the claims", MAX_SIZE)


def paths(text: str) -> dict[Path, Any]:
    """Return what an SD-JWT lets its holder disclose, with the values. The signature is not checked."""
    parts = split(text)
    payload = _payload(parts.jwt)
    opener = _Opener(parts.disclosures, _algorithm(payload))
    opener.open(payload)
    return {path: _read(way[-1]).value for path, way in opener.paths.items()}


def present(
    text: str,
    disclose: Collection[Path],
    *,
    holder: JwsSigner | None = None,
    audience: str = "",
    nonce: str = "",
    now: int = 0,
) -> str:
    """Return a presentation with these claims and no others; with ``holder``, bound to audience and nonce.

    ``holder`` is a signer of the key in ``cnf``, made with ``header={"typ": "kb+jwt"}``.
    """
    parts = split(text)
    if parts.key_binding:
        raise invalid("a presentation is not presented again")
    payload = _payload(parts.jwt)
    opener = _Opener(parts.disclosures, _algorithm(payload))
    opener.open(payload)
    chosen: dict[str, None] = {}
    for path in disclose:
        way = opener.paths.get(path)
        if way is None:
            raise invalid(f"no disclosable claim at {path}")
        chosen |= dict.fromkeys(way)
    shown = "~".join([parts.jwt, *(one for one in parts.disclosures if one in chosen), ""])
    if holder is None:
        return shown
    if not audience or not nonce or media_type(holder.header.get("typ")) != _KB_TYP:
        raise invalid("key binding needs an audience, a nonce and the typ kb+jwt")
    claims = {"iat": now, "aud": audience, "nonce": nonce, "sd_hash": _digest(shown, _algorithm(payload))}
    return shown + holder.sign(dumps(claims))


@dataclass(frozen=True, slots=True)
class KeyBinding:
    """What a verifier asks of the holder: its own name, its nonce, and how old the proof may be (seconds)."""

    audience: str
    nonce: str
    max_age: int = 300
    algs: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A presentation that is good: the claims with what was disclosed, and the holder's key if it was bound."""

    header: dict[str, Any]
    claims: dict[str, Any]
    disclosed: tuple[Path, ...]
    holder: JwkPublic | None
    key: Jwk


def verify(
    verifier: JwsVerifier,
    text: str,
    policy: ValidationPolicy,
    now: int,
    *,
    key_binding: KeyBinding | None = None,
) -> Disclosed:
    """Verify an SD-JWT or a presentation (RFC 9901 section 7.3); the faults of :func:`pycryptoutil.jose.jwt.validate`.

    With ``key_binding`` a proof by the holder is required; without it, a presentation that has one is refused rather
    than left unchecked. Every disclosure must be used.
    """
    parts = split(text)
    found = verifier.verify(parts.jwt)
    header, payload = found.header, loads(found.payload, "the claims", MAX_SIZE)
    algorithm = _algorithm(payload)
    opener = _Opener(parts.disclosures, algorithm)
    claims = opener.open(payload)
    if len(opener.used) != len(opener.by_digest):
        raise malformed("a disclosure belongs to nothing")
    policy.check(header, claims, now)
    holder = _holder(payload)
    if key_binding is None:
        if parts.key_binding:
            raise invalid("the presentation is bound to a key, and nobody asked for it")
        return Disclosed(header, claims, tuple(opener.paths), holder, found.key)
    if holder is None or not parts.key_binding:
        raise Fault(FaultKind.BAD_POP, "no key binding", "a proof by the holder is missing")
    _check_binding(parts, holder, key_binding, algorithm, now)
    return Disclosed(header, claims, tuple(opener.paths), holder, found.key)


def _holder(payload: Mapping[str, Any]) -> JwkPublic | None:
    cnf = payload.get("cnf")
    if cnf is None:
        return None
    if not isinstance(cnf, dict) or not isinstance(cnf.get("jwk"), dict):
        raise malformed("cnf has no jwk")
    return parse_public(cnf["jwk"])


def _check_binding(parts: Parts, holder: JwkPublic, wanted: KeyBinding, algorithm: str, now: int) -> None:
    try:
        proof = JwsVerifier(holder, algs=wanted.algs).verify(parts.key_binding)
    except Fault as fault:
        raise Fault(FaultKind.BAD_POP, f"key binding: {fault.detail}", "the holder's proof is not valid") from None
    claims = loads(proof.payload, "the key binding")
    shown = "~".join([parts.jwt, *parts.disclosures, ""])
    made = claims.get("iat")
    fresh = isinstance(made, int) and not isinstance(made, bool) and now - wanted.max_age <= made <= now + 60
    good = (
        media_type(proof.header.get("typ")) == _KB_TYP
        and claims.get("aud") == wanted.audience
        and secrets.compare_digest(str(claims.get("nonce", "")).encode(), wanted.nonce.encode())
        and claims.get("sd_hash") == _digest(shown, algorithm)
        and bool(wanted.nonce)
    )
    if not good or not fresh:
        raise Fault(
            FaultKind.BAD_POP, "key binding: typ, aud, nonce, iat or sd_hash", "the holder's proof is not valid"
        )
