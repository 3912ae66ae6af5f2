"""Between the members of a JWK and the DER documents of keys (RFC 7518 section 6, RFC 8037, RFC 9964)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.algorithms import KeyInfo, key_info

from pycryptoutil.crypto import keys, policy
from pycryptoutil.crypto.ed448 import Ed448Key
from pycryptoutil.jose.text import b64e, invalid, malformed, number, octets, string, unsigned

PrivateHandle = keys.PrivateKey | Ed448Key


@dataclass(frozen=True, slots=True)
class _Curve:
    algorithm: str
    oid: str
    size: int


_EC: Final = {
    "P-256": _Curve("EC-P256", oids.P256, 32),
    "P-384": _Curve("EC-P384", oids.P384, 48),
    "P-521": _Curve("EC-P521", oids.P521, 66),
}
_OKP: Final = {
    "Ed25519": _Curve("Ed25519", oids.ED25519, 32),
    "Ed448": _Curve("Ed448", oids.ED448, 57),
    "X25519": _Curve("X25519", oids.X25519, 32),
}
_AKP: Final = {
    "ML-DSA-44": _Curve("ML-DSA-44", oids.ML_DSA_44, 32),
    "ML-DSA-65": _Curve("ML-DSA-65", oids.ML_DSA_65, 32),
    "ML-DSA-87": _Curve("ML-DSA-87", oids.ML_DSA_87, 32),
    "ML-KEM-512": _Curve("ML-KEM-512", oids.ML_KEM_512, 64),
    "ML-KEM-768": _Curve("ML-KEM-768", oids.ML_KEM_768, 64),
    "ML-KEM-1024": _Curve("ML-KEM-1024", oids.ML_KEM_1024, 64),
}
_CURVE_NAMES: Final = {curve.algorithm: name for name, curve in (_EC | _OKP).items()}
_RSA_IDENTIFIER: Final = der.sequence(der.oid(oids.RSA_ENCRYPTION), der.null())
_CRT: Final = ("p", "q", "dp", "dq", "qi")
_LONGEST_RSA: Final = 8192


def kty_of(algorithm: str) -> str:
    """Return the kty of a key of that algorithm."""
    family = algorithm.partition("-")[0]
    return {"RSA": "RSA", "EC": "EC", "ML": "AKP"}.get(family, "OKP")


def _fixed(curve: _Curve, members: Mapping[str, Any], name: str) -> bytes:
    value = octets(members, name)
    if len(value) != curve.size:
        raise malformed(f"{name} has not {curve.size} octets")
    return value


def _lookup(table: Mapping[str, _Curve], members: Mapping[str, Any], name: str) -> _Curve:
    value = string(members, name)
    found = table.get(value.partition("+")[0] if name == "alg" else value)
    if found is None:
        raise policy_refused(f"{name} {value[:40]!r}")
    return found


def policy_refused(detail: str) -> Exception:
    """Return the fault of a key that is not offered."""
    from pycryptoutil_protocols.faults import Fault, FaultKind

    return Fault(FaultKind.BAD_ALGORITHM, f"JWK: {detail}", "the kind of key is not supported")


def _raw_spki(oid: str, key: bytes) -> bytes:
    return der.sequence(der.sequence(der.oid(oid)), der.bit_string(key))


def public_der(members: Mapping[str, Any]) -> bytes:
    """Return the SubjectPublicKeyInfo that a JWK's public members say; Fault(MALFORMED, BAD_ALGORITHM)."""
    match string(members, "kty"):
        case "EC":
            curve = _lookup(_EC, members, "crv")
            point = b"\x04" + _fixed(curve, members, "x") + _fixed(curve, members, "y")
            return der.sequence(der.sequence(der.oid(oids.EC_PUBLIC_KEY), der.oid(curve.oid)), der.bit_string(point))
        case "RSA":
            modulus, exponent = number(members, "n"), number(members, "e")
            if modulus.bit_length() > _LONGEST_RSA:
                raise malformed("the RSA modulus is too long")
            key = der.sequence(der.integer(modulus), der.integer(exponent))
            return der.sequence(_RSA_IDENTIFIER, der.bit_string(key))
        case "OKP":
            curve = _lookup(_OKP, members, "crv")
            return _raw_spki(curve.oid, _fixed(curve, members, "x"))
        case "AKP":
            return _raw_spki(_lookup(_AKP, members, "alg").oid, octets(members, "pub"))
        case other:
            raise policy_refused(f"kty {other[:40]!r}")


def _document(identifier: bytes, content: bytes) -> bytes:
    return der.sequence(der.integer(0), identifier, der.octet_string(content))


def _ec_private(members: Mapping[str, Any]) -> PrivateHandle:
    curve = _lookup(_EC, members, "crv")
    point = b"\x04" + _fixed(curve, members, "x") + _fixed(curve, members, "y")
    scalar = der.octet_string(_fixed(curve, members, "d"))
    inner = der.sequence(der.integer(1), scalar, der.explicit(1, der.bit_string(point)))
    return keys.load_pkcs8(_document(der.sequence(der.oid(oids.EC_PUBLIC_KEY), der.oid(curve.oid)), inner))


def _rsa_private(members: Mapping[str, Any]) -> PrivateHandle:
    if "oth" in members:
        raise policy_refused("RSA with more than two primes")
    modulus, exponent, secret = (number(members, name) for name in ("n", "e", "d"))
    present = [name in members for name in _CRT]
    if max(modulus.bit_length(), exponent.bit_length(), secret.bit_length()) > _LONGEST_RSA:
        raise malformed("the RSA key is too long")
    if all(present):
        rest = [number(members, name) for name in _CRT]
    elif any(present):
        raise malformed("some of p, q, dp, dq, qi are missing")
    else:
        try:
            p, q = rsa.rsa_recover_prime_factors(modulus, exponent, secret)
        except ValueError:
            raise malformed("d does not belong to n and e") from None
        rest = [p, q, rsa.rsa_crt_dmp1(secret, p), rsa.rsa_crt_dmq1(secret, q), rsa.rsa_crt_iqmp(p, q)]
    inner = der.sequence(*map(der.integer, [0, modulus, exponent, secret, *rest]))
    return keys.load_pkcs8(_document(_RSA_IDENTIFIER, inner))


def _okp_private(members: Mapping[str, Any]) -> PrivateHandle:
    curve = _lookup(_OKP, members, "crv")
    seed = _fixed(curve, members, "d")
    if curve.algorithm == "Ed448":
        return Ed448Key.from_seed(seed)
    return keys.load_pkcs8(_document(der.sequence(der.oid(curve.oid)), der.octet_string(seed)))


def _akp_private(members: Mapping[str, Any]) -> PrivateHandle:
    kind = _lookup(_AKP, members, "alg")
    seed = der.implicit(0, _fixed(kind, members, "priv"))
    return keys.load_pkcs8(_document(der.sequence(der.oid(kind.oid)), seed))


_PRIVATE: Final[dict[str, Callable[[Mapping[str, Any]], PrivateHandle]]] = {
    "EC": _ec_private,
    "RSA": _rsa_private,
    "OKP": _okp_private,
    "AKP": _akp_private,
}


def private_handle(members: Mapping[str, Any]) -> PrivateHandle:
    """Return the handle of a private JWK whose halves belong together; Fault(MALFORMED, BAD_ALGORITHM, WEAK_KEY)."""
    load = _PRIVATE.get(string(members, "kty"))
    if load is None:
        raise policy_refused(f"kty {string(members, 'kty')[:40]!r}")
    handle = load(members)
    if handle.public_spki != public_der(members):
        raise malformed("the public and the private half are of different keys")
    return handle


def public_members(spki: bytes, alg: str = "") -> dict[str, str]:
    """Return the required public members of a key; ``alg`` is AKP's where it says more than the key does."""
    info: KeyInfo = key_info(spki)
    match kty_of(info.algorithm):
        case "RSA":
            fields = der.read_sequence(info.key)
            modulus, exponent = fields.any("modulus").integer(), fields.any("publicExponent").integer()
            return {"kty": "RSA", "n": unsigned(modulus), "e": unsigned(exponent)}
        case "EC":
            size = (len(info.key) - 1) // 2
            x, y = info.key[1 : 1 + size], info.key[1 + size :]
            return {"kty": "EC", "crv": _CURVE_NAMES[info.algorithm], "x": b64e(x), "y": b64e(y)}
        case "AKP":
            return {"kty": "AKP", "alg": alg or info.algorithm, "pub": b64e(info.key)}
        case _:
            if info.algorithm not in _CURVE_NAMES:
                raise policy_refused(info.algorithm)
            return {"kty": "OKP", "crv": _CURVE_NAMES[info.algorithm], "x": b64e(info.key)}


def private_members(handle: PrivateHandle) -> dict[str, str]:
    """Return the private members of a key: its secret, in the open. Fault(INVALID) for a key without its seed."""
    if isinstance(handle, Ed448Key):
        return {"d": b64e(handle.export_seed())}
    fields = der.read_sequence(handle.export_pkcs8())
    fields.any("version")
    fields.any("algorithm")
    content = fields.any("privateKey").octets()
    match kty_of(handle.algorithm):
        case "RSA":
            inner = der.read_sequence(content)
            values = [element.integer() for element in inner.rest()]
            return dict(zip(("d", *_CRT), map(unsigned, values[3:9]), strict=True))
        case "EC":
            inner = der.read_sequence(content)
            inner.any("version")
            return {"d": b64e(inner.any("privateKey").octets())}
        case "AKP":
            if content[0] != der.context(0, constructed=False):
                raise invalid("the key was imported without its seed, which its JWK needs")
            return {"priv": b64e(der.read(content).content)}
        case _:
            return {"d": b64e(der.read(content).octets())}


def check_public(spki: bytes) -> str:
    """Return the key's algorithm if the policy lets it be used; Fault(WEAK_KEY, BAD_ALGORITHM, MALFORMED)."""
    return policy.check_public_key(spki).algorithm
