"""JSON Web Tokens (RFC 7519) by policy (RFC 8725): create, validate, nest, look inside.

Time is a parameter in whole Unix seconds. The algorithm is the key's; ``none`` does not exist here.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import jose as core
from pycryptoutil.jose.jwe import JweDecrypter, JweEncrypter
from pycryptoutil.jose.jwk import Jwk
from pycryptoutil.jose.jws import JwsSigner, JwsVerifier
from pycryptoutil.jose.text import b64d, dumps, invalid, loads, malformed

MAX_CLAIMS: Final = 256 * 1024
_LATEST: Final = 253_402_300_799  # 9999-12-31: NumericDates beyond are nonsense


@dataclass(frozen=True, slots=True)
class CreationPolicy:
    """Which registered claims every token carries. Lifetimes are in seconds."""

    issuer: str = ""
    audience: tuple[str, ...] = ()
    lifetime: int = 3600
    not_before: bool = True
    token_id: bool = True

    def claims(self, given: Mapping[str, Any], now: int) -> dict[str, Any]:
        """Return the claims of a token: those given, completed. What the policy sets cannot be given otherwise."""
        made: dict[str, Any] = {"iat": now}
        if self.issuer:
            made["iss"] = self.issuer
        if self.audience:
            made["aud"] = self.audience[0] if len(self.audience) == 1 else list(self.audience)
        if self.lifetime:
            made["exp"] = now + self.lifetime
        if self.not_before:
            made["nbf"] = now
        if self.token_id and "jti" not in given:
            made["jti"] = secrets.token_urlsafe(16)
        for name, value in made.items():
            if name in given and given[name] != value:
                raise Fault(FaultKind.POLICY, f"claim {name!r} is the policy's", f"the claim {name} is set by policy")
        claims = made | dict(given)
        _check_types(claims)
        return claims


@dataclass(frozen=True, slots=True)
class ValidationPolicy:
    """What a token must say. ``skew`` is the tolerance of clocks in seconds; ``max_age`` counts from iat."""

    issuers: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    typ: str = ""
    required: frozenset[str] = frozenset({"exp"})
    skew: int = 60
    max_age: int = 0
    subject: str = ""

    def check(self, header: Mapping[str, Any], claims: Mapping[str, Any], now: int) -> None:
        """Raise Fault(EXPIRED, STALE, INVALID, FORBIDDEN) for the first rule that is broken."""
        _check_types(claims)
        missing = sorted(self.required - set(claims))
        if missing:
            raise invalid(f"claims are missing: {', '.join(missing)}")
        if self.typ and media_type(header.get("typ")) != media_type(self.typ):
            raise invalid("another type of token")
        self._check_times(claims, now)
        if self.issuers and claims.get("iss") not in self.issuers:
            raise Fault(FaultKind.FORBIDDEN, "another issuer", "the issuer is not accepted")
        audience = claims.get("aud", [])
        named = {audience} if isinstance(audience, str) else set(audience)
        # RFC 7519 section 4.1.3: a token for somebody is refused by everybody else
        if named and not named & self.audiences:
            raise Fault(FaultKind.FORBIDDEN, "another audience", "the token is for another audience")
        if self.audiences and not named:
            raise Fault(FaultKind.FORBIDDEN, "no audience", "the token names no audience")
        if self.subject and claims.get("sub") != self.subject:
            raise Fault(FaultKind.FORBIDDEN, "another subject", "the token is about somebody else")

    def _check_times(self, claims: Mapping[str, Any], now: int) -> None:
        if "exp" in claims and now >= claims["exp"] + self.skew:
            raise Fault(FaultKind.EXPIRED, f"exp {claims['exp']} at {now}", "the token has expired")
        if "nbf" in claims and now < claims["nbf"] - self.skew:
            raise Fault(FaultKind.STALE, f"nbf {claims['nbf']} at {now}", "the token is not valid yet")
        if "iat" in claims and now < claims["iat"] - self.skew:
            raise Fault(FaultKind.STALE, f"iat {claims['iat']} at {now}", "the token was issued in the future")
        if self.max_age and now >= claims.get("iat", 0) + self.max_age + self.skew:
            raise Fault(FaultKind.EXPIRED, "older than max_age, or without iat", "the token is too old")


def media_type(value: object) -> str:
    """Return a typ for comparison: ``application/`` is left out (RFC 7515 section 4.1.9), case does not matter."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed("typ is not a string")
    lowered = value.lower()
    return lowered.removeprefix("application/") if lowered.count("/") == 1 else lowered


def _check_types(claims: Mapping[str, Any]) -> None:
    """The registered claims have the types of RFC 7519 section 4.1."""
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
            raise malformed(f"{name} is not a NumericDate")
    for name in ("iss", "sub", "jti"):
        if not isinstance(claims.get(name, ""), str):
            raise malformed(f"{name} is not a string")
    audience = claims.get("aud", "")
    listed = isinstance(audience, list) and audience and all(isinstance(one, str) for one in audience)
    if not isinstance(audience, str) and not listed:
        raise malformed("aud is neither a string nor a list of strings")


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was validated."""

    header: dict[str, Any]
    claims: dict[str, Any]
    key: Jwk


def create(signer: JwsSigner, claims: Mapping[str, Any], policy: CreationPolicy, now: int) -> str:
    """Return a signed token. ``typ`` is the signer's header's to set."""
    return signer.sign(_written(policy.claims(claims, now)))


def create_many(
    signer: JwsSigner, claims: Collection[Mapping[str, Any]], policy: CreationPolicy, now: int
) -> list[str | Fault]:
    """Return a signed token for each, on every core."""
    return signer.sign_many([_written(policy.claims(one, now)) for one in claims])


def _written(claims: Mapping[str, Any]) -> bytes:
    payload = dumps(dict(claims))
    if len(payload) > MAX_CLAIMS:
        raise Fault(FaultKind.TOO_LARGE, f"claims of {len(payload)} octets", "the claims are too long")
    return payload


def validate(verifier: JwsVerifier, token: str | bytes, policy: ValidationPolicy, now: int) -> Token:
    """Verify the signature, then the claims; Fault(BAD_SIGNATURE, BAD_ALGORITHM, MALFORMED, EXPIRED, FORBIDDEN …)."""
    found = verifier.verify(token)
    header = found.header
    claims = loads(found.payload, "the claims", MAX_CLAIMS)
    policy.check(header, claims, now)
    return Token(header, claims, found.key)


def create_nested(
    signer: JwsSigner, encrypter: JweEncrypter, claims: Mapping[str, Any], policy: CreationPolicy, now: int
) -> str:
    """Return a token that is signed, then encrypted (RFC 7519 section 11.2).

    The encrypter's header says ``cty: JWT``.
    """
    if media_type(encrypter.header.get("cty")) != "jwt":
        raise invalid("a nested token's header says cty JWT")
    return encrypter.encrypt(create(signer, claims, policy, now).encode())


def validate_nested(
    decrypter: JweDecrypter, verifier: JwsVerifier, token: str | bytes, policy: ValidationPolicy, now: int
) -> Token:
    """Decrypt, then validate what was inside. A token that is only encrypted is refused: nobody signed it."""
    opened = decrypter.decrypt(token)
    if media_type(opened.header.get("cty")) != "jwt":
        raise invalid("the encrypted content is not a token")
    return validate(verifier, opened.plaintext, policy, now)


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself. Nobody has checked it: for display and for finding a key, never for a decision."""

    header: dict[str, Any]
    claims: dict[str, Any] | None
    encrypted: bool


def introspect(token: str | bytes) -> Unverified:
    """Look inside without a key; Fault(MALFORMED)."""
    text = token.decode("ascii", "replace") if isinstance(token, bytes) else token
    if text.count(".") == 4:
        if len(text) > MAX_CLAIMS * 2:
            raise malformed("the token is too long")
        return Unverified(loads(b64d(text.partition(".")[0]), "the header"), None, True)
    payload, parts = core.jws_inspect(token)
    if len(parts) != 1:
        raise malformed("a token has one signature")
    return Unverified(loads(parts[0][0], "the header"), loads(payload, "the claims", MAX_CLAIMS), False)
