"""Verifying and decrypting with a ring: the versions that an object names are asked for, each with its own answer.

A version that is revoked, disabled or below the ring's minimum is told as that, not as a bad signature. Keys inside of
an object (jwk, jku, x5c, x5u) are never looked at.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.jose import text
from pycryptoutil.jose.jwe import DecryptedJson, DecryptedJwe, JweDecrypter
from pycryptoutil.jose.jwk import Jwk, JwkPublic, JwkSet, parse_public
from pycryptoutil.jose.jws import JwsVerifier, VerifiedJson, VerifiedJws
from pycryptoutil.keyring import KeyringService, Operation, UsableKey
from pycryptoutil.services.jose_ja.engine.bodies import Keys

_MAX_HEADER: Final = 16 * 1024
_MAX_PARTS: Final = 100
T = TypeVar("T")


def kid_of(token: str) -> str:
    """Return the kid of a compact object's header, empty if it has none; Fault(MALFORMED, TOO_LARGE)."""
    return _kid(token.partition(".")[0])


def _kid(protected: object) -> str:
    if not isinstance(protected, str):
        raise text.malformed("protected is not a string")
    if len(protected) > _MAX_HEADER * 4 // 3 + 4:
        raise Fault(FaultKind.TOO_LARGE, "header over 16 KiB", "the header is too long")
    return text.string(text.loads(text.b64d(protected), "the header", _MAX_HEADER), "kid", "")


def kids_of(document: Mapping[str, Any], parts: str) -> set[str]:
    """Return the kids of a JSON serialisation; ``parts`` is where it lists them: signatures, or recipients."""
    listed = document.get(parts, [document])
    if not isinstance(listed, list) or not 0 < len(listed) <= _MAX_PARTS:
        raise text.malformed(f"{parts} is not a list of 1 to {_MAX_PARTS}")
    return {_named(document, one) for one in listed}


def _named(document: Mapping[str, Any], part: object) -> str:
    if not isinstance(part, dict):
        raise text.malformed("a part is not an object")
    for protected in (part.get("protected"), document.get("protected")):
        kid = _kid(protected) if protected else ""
        if kid:
            return kid
    for header in (part.get("header", {}), document.get("unprotected", {})):
        if not isinstance(header, dict):
            raise text.malformed("a header is not an object")
        if "kid" in header:
            return text.string(header, "kid")
    return ""


class _Reading:
    """The versions of a ring that are asked for, and what they make."""

    def __init__(self, keyring: KeyringService, tenant_id: str, ring: str, operation: Operation) -> None:
        self._keyring, self._tenant_id, self._ring, self._operation = keyring, tenant_id, ring, operation
        self._known: dict[str, UsableKey | Fault] = {}

    def _look(self, kids: Iterable[str]) -> None:
        """Ask for what is not known yet. An object without a kid may be of any version."""
        wanted = set(kids)
        if "" in wanted:
            wanted |= {one.kid for one in self._keyring.versions(self._tenant_id, self._ring)}
        wanted -= {"", *self._known}
        if not wanted and self._known:
            return
        found = self._keyring.use_many(self._tenant_id, self._ring, self._operation, wanted)
        for kid, one in found.items():
            if isinstance(one, Exception) and not isinstance(one, Fault):
                raise one
            self._known[kid] = one

    def _usable(self, kids: Iterable[str]) -> list[Jwk]:
        """Return the keys for objects of these kids; the Fault of the first one, if there is none for any of them."""
        kids = set(kids)
        self._look(kids)
        chosen = list(self._known.values()) if "" in kids else [self._known[kid] for kid in kids]
        keys = [one.jwk for one in chosen if isinstance(one, UsableKey)]
        if not keys:
            raise next((one for one in chosen if isinstance(one, Fault)), _nothing())
        return keys

    def _refusal(self, kid: str) -> Fault | None:
        found = self._known.get(kid)
        return found if isinstance(found, Fault) else None

    def count(self, kids: Iterable[str]) -> None:
        """Count uses of versions."""
        for kid, times in Counter(kids).items():
            found = self._known.get(kid)
            if isinstance(found, UsableKey):
                self._keyring.count(found, self._operation, times)

    def _many(self, tokens: Sequence[str], run: Callable[[list[Jwk], list[str]], list[T | Fault]]) -> list[T | Fault]:
        """Do what can be done in one go; the rest has its Fault already."""
        results: dict[int, T | Fault] = {}
        kids: dict[int, str] = {}
        for position, token in enumerate(tokens):
            try:
                kids[position] = kid_of(token)
            except Fault as fault:
                results[position] = fault
        try:
            keys = self._usable(kids.values()) if kids else []
        except Fault as fault:
            results |= {position: self._refusal(kid) or fault for position, kid in kids.items()}
            kids = {}
        for position, kid in kids.items():
            refused = self._refusal(kid)
            if refused is not None:
                results[position] = refused
        left = [position for position in kids if position not in results]
        if left:
            results |= dict(zip(left, run(keys, [tokens[position] for position in left]), strict=True))
        return [results[position] for position in range(len(tokens))]


def _nothing() -> Fault:
    said = "the ring has no key for this"
    return Fault(FaultKind.CONFLICT, said, said)


class Verifying(_Reading):
    """Verifies with a ring's keys, or with public keys that the caller gave."""

    def __init__(self, keyring: KeyringService, tenant_id: str, keys: Keys, algs: list[str] | None) -> None:
        super().__init__(keyring, tenant_id, keys.key or "", Operation.VERIFY)
        self._algs = algs
        self._given = None if keys.key is not None else JwsVerifier(_public(keys), algs=algs)

    def _verifier(self, kids: Iterable[str]) -> JwsVerifier:
        return self._given or JwsVerifier(self._usable(kids), algs=self._algs)

    def of(self, token: str) -> JwsVerifier:
        """Return the verifier for one token; the Fault of the version that it names."""
        return self._verifier([] if self._given else [kid_of(token)])

    def verify(self, token: str, payload: bytes | None = None) -> VerifiedJws:
        """Verify a compact JWS."""
        found = self.of(token).verify(token, payload)
        self.count([found.key.kid])
        return found

    def verify_many(self, tokens: Sequence[str]) -> list[VerifiedJws | Fault]:
        """Verify many, on every core."""
        if self._given is not None:
            return self._given.verify_many(tokens)
        found = self._many(tokens, lambda keys, some: JwsVerifier(keys, algs=self._algs).verify_many(some))
        self.count(one.key.kid for one in found if isinstance(one, VerifiedJws))
        return found

    def verify_json(self, document: Mapping[str, Any], payload: bytes | None, require: str) -> VerifiedJson:
        """Verify a JSON serialisation."""
        verifier = self._verifier([] if self._given else kids_of(document, "signatures"))
        found = verifier.verify_json(text.dumps(document), payload, require=require)
        self.count(one.key.kid for one in found.signatures)
        return found


def _public(keys: Keys) -> list[JwkPublic]:
    if keys.jwk is not None:
        return [parse_public(keys.jwk)]
    found = [one for one in JwkSet.parse(keys.jwks or {}) if isinstance(one, JwkPublic)]
    if not found:
        raise text.invalid("public keys are needed, and these are secrets")
    return found


class Opening(_Reading):
    """Decrypts with a ring's keys."""

    def __init__(
        self, keyring: KeyringService, tenant_id: str, ring: str, algs: list[str] | None, encs: list[str] | None
    ) -> None:
        super().__init__(keyring, tenant_id, ring, Operation.DECRYPT)
        self._algs, self._encs = algs, encs

    def _decrypter(self, keys: Sequence[Jwk]) -> JweDecrypter:
        return JweDecrypter(keys, algs=self._algs, encs=self._encs)

    def decrypt(self, token: str) -> DecryptedJwe:
        """Decrypt a compact JWE."""
        found = self._decrypter(self._usable([kid_of(token)])).decrypt(token)
        self.count([found.key.kid])
        return found

    def decrypt_many(self, tokens: Sequence[str]) -> list[DecryptedJwe | Fault]:
        """Decrypt many, on every core."""
        found = self._many(tokens, lambda keys, some: self._decrypter(keys).decrypt_many(some))
        self.count(one.key.kid for one in found if isinstance(one, DecryptedJwe))
        return found

    def decrypt_json(self, document: Mapping[str, Any], aad: bytes | None) -> DecryptedJson:
        """Decrypt a JSON serialisation, whichever recipient the ring is."""
        usable = self._some(kids_of(document, "recipients"))
        found = self._decrypter(usable).decrypt_json(json.dumps(document), aad=aad)
        self.count([found.key.kid])
        return found

    def _some(self, kids: set[str]) -> list[Jwk]:
        """Return the keys of the recipients that the ring has; others are other people's."""
        own = {one.kid for one in self._keyring.versions(self._tenant_id, self._ring)}
        mine = {kid for kid in kids if kid in own or not kid}
        if not mine:
            said = "the object is for none of the ring's keys"
            raise Fault(FaultKind.INVALID, said, said)
        return self._usable(mine)
