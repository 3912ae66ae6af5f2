"""Account keys (RFC 7517, RFC 7518, RFC 8037): read strictly, named by their thumbprints (RFC 7638)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pycryptoutil_protocols import algorithms
from pycryptoutil_protocols.faults import Fault, FaultKind

from .problems import AcmeFault, Problem, ProblemType, malformed, refused

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\Z")
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_MEMBERS = {"EC": ("crv", "x", "y"), "RSA": ("e", "n"), "OKP": ("crv", "x")}
_CURVES: dict[str, tuple[ec.EllipticCurve, int, str]] = {
    "P-256": (ec.SECP256R1(), 32, "ES256"),
    "P-384": (ec.SECP384R1(), 48, "ES384"),
    "P-521": (ec.SECP521R1(), 66, "ES512"),
}
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_ED25519_OCTETS = 32
SIGNATURES = ("ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


def decode_base64url(text: Any, what: str) -> bytes:
    """Decode base64url without padding (RFC 7515 section 2); malformed otherwise."""
    if not isinstance(text, str) or not _BASE64URL.match(text) or len(text) % 4 == 1:
        raise malformed(f"{what} is not base64url")
    try:
        found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise malformed(f"{what} is not base64url") from None
    if encode_base64url(found) != text:  # bits beyond the last octet
        raise malformed(f"{what} is not canonical base64url")
    return found


def encode_base64url(data: bytes) -> str:
    """Encode without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bad_key(detail: str) -> AcmeFault:
    return refused(ProblemType.BAD_PUBLIC_KEY, "the public key is not accepted", detail)


@dataclass(frozen=True, slots=True)
class Jwk:
    """A public key. ``canonical`` is the JSON that RFC 7638 hashes, and enough to make it again."""

    canonical: str
    key: PublicKey

    @property
    def thumbprint(self) -> str:
        """RFC 7638 with SHA-256, in base64url."""
        return encode_base64url(hashlib.sha256(self.canonical.encode()).digest())

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Which signatures it verifies."""
        match self.key:
            case rsa.RSAPublicKey():
                return tuple(name for name in SIGNATURES if name[:2] in {"RS", "PS"})
            case ec.EllipticCurvePublicKey():
                return (next(name for curve, _, name in _CURVES.values() if curve.name == self.key.curve.name),)
            case _:
                return ("EdDSA",)


def decode_jwk(document: Any) -> Jwk:
    """Read a public JWK; badPublicKey for what is no key, or none that is accepted."""
    if not isinstance(document, Mapping):
        raise malformed("jwk is not an object")
    kind = document.get("kty")
    names = _MEMBERS.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise _bad_key("kty")
    if any(name in document for name in _PRIVATE):
        raise _bad_key("a private key")
    if not all(isinstance(document.get(name), str) for name in names):
        raise _bad_key("a member is missing")
    values = {"kty": kind, **{name: document[name] for name in names}}
    key = _key(values)
    made = Jwk(json.dumps(values, sort_keys=True, separators=(",", ":")), key)
    try:
        algorithms.key_info(made.spki)
    except Fault as fault:
        raise _bad_key(fault.detail) from None
    return made


def stored_jwk(canonical: str) -> Jwk:
    """Return the key of a canonical form that :func:`decode_jwk` made."""
    return Jwk(canonical, _key(json.loads(canonical)))


def _key(values: Mapping[str, str]) -> PublicKey:
    try:
        match values["kty"]:
            case "EC":
                return _ec_key(values)
            case "RSA":
                modulus, exponent = (_number(values[name], name) for name in ("n", "e"))
                return rsa.RSAPublicNumbers(exponent, modulus).public_key()
            case _:
                raw = decode_base64url(values["x"], "x")
                if values["crv"] != "Ed25519" or len(raw) != _ED25519_OCTETS:
                    raise _bad_key("OKP other than Ed25519")
                return ed25519.Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise _bad_key(str(error)) from None


def _ec_key(values: Mapping[str, str]) -> ec.EllipticCurvePublicKey:
    known = _CURVES.get(values["crv"])
    if known is None:
        raise _bad_key("EC curve")
    curve, size, _ = known
    x, y = (decode_base64url(values[name], name) for name in ("x", "y"))
    if len(x) != size or len(y) != size:  # RFC 7518 section 6.2.1.2
        raise _bad_key("EC coordinate length")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve).public_key()


def _number(text: str, what: str) -> int:
    octets = decode_base64url(text, what)
    if not octets or octets[0] == 0 or len(octets) > 2048:
        raise _bad_key(f"{what} has leading zeros, or is too long")
    return int.from_bytes(octets, "big")


def check_algorithm(key: Jwk, name: str) -> None:
    """Check that a signature algorithm goes with a key; badSignatureAlgorithm lists those that do (section 6.2)."""
    if name not in key.algorithms:
        raise AcmeFault(
            Problem(
                ProblemType.BAD_SIGNATURE_ALGORITHM,
                "the signature algorithm is not accepted, or does not go with the key",
                extra={"algorithms": list(key.algorithms)},
            )
        )


def verify(key: Jwk, name: str, data: bytes, signature: bytes) -> None:
    """Raise unless ``signature`` is over ``data``."""
    check_algorithm(key, name)
    try:
        match key.key:
            case rsa.RSAPublicKey():
                chosen = _HASHES[name[2:]]
                pss = padding.PSS(padding.MGF1(chosen), chosen.digest_size)
                key.key.verify(signature, data, pss if name[:2] == "PS" else padding.PKCS1v15(), chosen)
            case ec.EllipticCurvePublicKey():
                _, size, _ = next(one for one in _CURVES.values() if one[2] == name)
                if len(signature) != 2 * size:
                    raise InvalidSignature
                r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
                hash_bits = name[2:]
                key.key.verify(encode_dss_signature(r, s), data, ec.ECDSA(_HASHES[hash_bits]))
            case _:
                key.key.verify(signature, data)
    except InvalidSignature:
        raise AcmeFault(
            Problem(ProblemType.UNAUTHORIZED, "the signature is not valid"), FaultKind.BAD_SIGNATURE
        ) from None
