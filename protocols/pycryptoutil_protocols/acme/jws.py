"""Requests: flattened JWS as RFC 8555 section 6.2 has it, and the inner ones of key change and external binding."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import jwk as keys
from .jwk import Jwk, decode_base64url, decode_jwk
from .problems import AcmeFault, Problem, ProblemType, malformed, refused

MEDIA_TYPE = "application/jose+json"
MAX_REQUEST = 128 * 1024
_MEMBERS = ("protected", "payload", "signature")
_UNFIT = frozenset({"header", "signatures"})  # section 6.2: no unprotected header, one signature
_REFUSED = frozenset({"crit", "b64"})  # nothing that is critical is understood; section 6.2: no unencoded payload
_MACS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}


@dataclass(frozen=True, slots=True)
class Signed:
    """A decoded JWS; nothing is verified. ``payload`` is its octets: none of them means POST-as-GET."""

    algorithm: str
    kid: str | None
    jwk: Jwk | None
    nonce: str | None
    url: str
    payload: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def is_get(self) -> bool:
        """Tell whether this is a POST-as-GET (section 6.3)."""
        return not self.payload

    def document(self) -> dict[str, Any]:
        """Return the payload as the JSON object that it must be."""
        found = parse_json(self.payload, "the payload")
        if not isinstance(found, dict):
            raise malformed("the payload is not an object")
        return found


def parse_json(data: bytes | str, what: str) -> Any:
    """Parse JSON of which no object repeats a name, at bounded depth."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise malformed(f"{what} is not JSON") from None


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def decode(body: bytes) -> Signed:
    """Decode a request's body; malformed or badPublicKey."""
    return decode_document(parse_json(body, "the request"))


def decode_document(document: Any) -> Signed:
    """Decode a flattened JWS that is parsed already, as the inner ones are."""
    if not isinstance(document, Mapping) or not set(document).issuperset(_MEMBERS) or _UNFIT & set(document):
        raise malformed("not a flattened JWS with protected, payload and signature, and no unprotected header")
    if not all(isinstance(document[name], str) for name in _MEMBERS):
        raise malformed("the members of a JWS are strings")
    header = parse_json(decode_base64url(document["protected"], "protected"), "the protected header")
    if not isinstance(header, dict) or _REFUSED & set(header):
        raise malformed("the protected header is no object, or has critical members")
    algorithm, url = header.get("alg"), header.get("url")
    if not isinstance(algorithm, str) or not isinstance(url, str):
        raise malformed("the protected header lacks alg or url")
    if ("jwk" in header) == ("kid" in header):
        raise malformed("the protected header has either jwk or kid")
    kid, nonce = header.get("kid"), header.get("nonce")
    if (kid is not None and not isinstance(kid, str)) or (nonce is not None and not isinstance(nonce, str)):
        raise malformed("kid and nonce are strings")
    is_mac = algorithm in _MACS
    return Signed(
        algorithm=algorithm,
        kid=kid,
        jwk=decode_jwk(header["jwk"]) if "jwk" in header and not is_mac else None,
        nonce=nonce,
        url=url,
        payload=decode_base64url(document["payload"], "payload"),
        signing_input=f"{document['protected']}.{document['payload']}".encode("ascii"),
        signature=decode_base64url(document["signature"], "signature"),
    )


def check_request(signed: Signed, url: str) -> str:
    """Check an outer request's algorithm and URL, and return its nonce (sections 6.2, 6.4, 6.5)."""
    if signed.algorithm not in keys.SIGNATURES:
        raise AcmeFault(
            Problem(
                ProblemType.BAD_SIGNATURE_ALGORITHM,
                "the signature algorithm is not accepted",
                extra={"algorithms": list(keys.SIGNATURES)},
            )
        )
    if signed.url != url:
        raise refused(ProblemType.UNAUTHORIZED, "the url in the protected header is another", f"{signed.url[:200]!r}")
    if signed.nonce is None:
        raise refused(ProblemType.BAD_NONCE, "the protected header has no nonce")
    return signed.nonce


def verify(signed: Signed, key: Jwk) -> None:
    """Check the signature; unauthorized, or badSignatureAlgorithm."""
    keys.verify(key, signed.algorithm, signed.signing_input, signed.signature)


# the inner ones


def decode_external_binding(document: Any, url: str, account_key: Jwk) -> Signed:
    """Decode an externalAccountBinding (section 7.3.4); its MAC is for :func:`verify_mac`."""
    inner = decode_document(document)
    if inner.algorithm not in _MACS:
        raise malformed("an external account binding is signed by a MAC")
    if inner.kid is None or inner.nonce is not None:
        raise malformed("an external account binding has a kid and no nonce")
    if inner.url != url:
        raise malformed("the external account binding is for another url")
    bound = decode_jwk(inner.document())
    if bound.canonical != account_key.canonical:
        raise malformed("the external account binding is for another key")
    return inner


def verify_mac(signed: Signed, secret: bytes) -> None:
    """Check an external binding's MAC; unauthorized."""
    expected = hmac.new(secret, signed.signing_input, getattr(hashlib, _MACS[signed.algorithm])).digest()
    if not hmac.compare_digest(expected, signed.signature):
        raise refused(ProblemType.UNAUTHORIZED, "the external account binding is not valid")


def decode_key_change(outer: Signed, account_url: str, account_key: Jwk) -> Jwk:
    """Check a key change (section 7.3.5) and return the new key, which has signed the inner JWS."""
    inner = decode_document(outer.document())
    if inner.jwk is None or inner.nonce is not None:
        raise malformed("the inner JWS of a key change has a jwk and no nonce")
    if inner.url != outer.url:
        raise malformed("the inner JWS of a key change has the url of the outer one")
    verify(inner, inner.jwk)
    payload = inner.document()
    if payload.get("account") != account_url:
        raise malformed("the key change is of another account")
    if decode_jwk(payload.get("oldKey")).canonical != account_key.canonical:
        raise malformed("oldKey is not the account's key")
    if inner.jwk.canonical == account_key.canonical:
        raise malformed("the new key is the old one")
    return inner.jwk
