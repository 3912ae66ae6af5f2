"""Key objects in a token: made, found, listed and destroyed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import policy
from pycryptoutil.crypto.pkcs11.faults import TokenFault
from pycryptoutil.crypto.pkcs11.key import KeyReference

if TYPE_CHECKING:
    import pkcs11

_CURVES: Final[dict[str, tuple[str, type[ec.EllipticCurve]]]] = {
    "EC-P256": ("1.2.840.10045.3.1.7", ec.SECP256R1),
    "EC-P384": ("1.3.132.0.34", ec.SECP384R1),
    "EC-P521": ("1.3.132.0.35", ec.SECP521R1),
}
_ED25519: Final = "1.3.101.112"
_ID_OCTETS: Final = 16
_MAX_LABEL: Final = 64
_MAX_LISTED: Final = 10_000


class MissingKey(TokenFault):
    """The token has no such key, or is not there at all."""


def check_algorithm(algorithm: str) -> None:
    """Raise Fault(BAD_ALGORITHM) for a key that is never made in a token."""
    policy.key_algorithm(algorithm)
    if algorithm.startswith("ML-DSA"):
        text = f"{algorithm} keys cannot be in a token: they are kept in software"
        raise Fault(FaultKind.BAD_ALGORITHM, f"HSM: {text}", text)


def generate(session: pkcs11.Session, token: str, algorithm: str, label: str, *, decrypts: bool) -> KeyReference:
    """Make a sensitive key that cannot be taken out, for signatures, and with ``decrypts`` for RSA decryption."""
    from pkcs11 import Attribute, KeyType, MechanismFlag

    _check_mechanisms(session, algorithm)
    identifier, label = secrets.token_bytes(_ID_OCTETS), label[:_MAX_LABEL]
    uses = MechanismFlag.SIGN | MechanismFlag.VERIFY
    if decrypts and algorithm.startswith("RSA-"):
        uses |= MechanismFlag.DECRYPT | MechanismFlag.ENCRYPT
    given: dict[str, Any] = {
        "id": identifier,
        "label": label,
        "store": True,
        "capabilities": uses,
        "private_template": {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    }
    if algorithm.startswith("RSA-"):
        public, private = session.generate_keypair(KeyType.RSA, int(algorithm.removeprefix("RSA-")), **given)
    else:
        kind, oid = (KeyType.EC_EDWARDS, _ED25519) if algorithm == "Ed25519" else (KeyType.EC, _CURVES[algorithm][0])
        parameters = {Attribute.EC_PARAMS: der.oid(oid)}
        domain = session.create_domain_parameters(kind, parameters, local=True)
        public, private = domain.generate_keypair(**given)
    if private[Attribute.EXTRACTABLE] or not private[Attribute.SENSITIVE]:
        destroy(session, identifier)
        raise TokenFault(f"the token {token!r} makes keys that can be taken out of it")
    return KeyReference(token, identifier, label, algorithm, _spki(algorithm, public))


def find(session: pkcs11.Session, reference: KeyReference) -> pkcs11.PrivateKey:
    """Return the private key's object; MissingKey without one, Fault(INTERNAL) if several have its id."""
    from pkcs11 import Attribute, ObjectClass

    found = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: reference.id}))
    if not found:
        raise MissingKey(f"the token {reference.token!r} has no key {reference.id.hex()} ({reference.label})")
    if len(found) > 1:
        detail = f"HSM: the token {reference.token!r} has {len(found)} keys {reference.id.hex()}"
        raise Fault(FaultKind.INTERNAL, detail)
    key: pkcs11.PrivateKey = found[0]  # type: ignore[assignment]  # by its class
    return key


def destroy(session: pkcs11.Session, identifier: bytes) -> None:
    """Destroy every key object of this id."""
    from pkcs11 import Attribute, ObjectClass

    for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
        for found in list(session.get_objects({Attribute.CLASS: kind, Attribute.ID: identifier})):
            found.destroy()


def listing(session: pkcs11.Session) -> tuple[tuple[str, str, str], ...]:
    """Return (id in hex, label, kind) of every private key."""
    from pkcs11 import Attribute, ObjectClass

    found = []
    for one in list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})):
        kind = one[Attribute.KEY_TYPE]
        found.append((one[Attribute.ID].hex(), one[Attribute.LABEL], getattr(kind, "name", str(kind))))
        if len(found) >= _MAX_LISTED:
            break
    return tuple(sorted(found, key=lambda one: (one[1], one[0])))


def mechanisms(session: pkcs11.Session) -> tuple[str, ...]:
    """Return the names of what the token can do."""
    found = session.token.slot.get_mechanisms()
    return tuple(sorted(getattr(one, "name", hex(int(one))) for one in found))


def _check_mechanisms(session: pkcs11.Session, algorithm: str) -> None:
    from pkcs11 import Mechanism

    if algorithm.startswith("RSA-"):
        needed = {Mechanism.RSA_PKCS_KEY_PAIR_GEN, Mechanism.RSA_PKCS}
    elif algorithm == "Ed25519":
        needed = {Mechanism.EC_EDWARDS_KEY_PAIR_GEN, Mechanism.EDDSA}
    else:
        needed = {Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA}
    if missing := needed - set(session.token.slot.get_mechanisms()):
        text = f"the token has no keys of {algorithm}"
        names = ", ".join(sorted(one.name for one in missing))
        raise Fault(FaultKind.BAD_ALGORITHM, f"HSM: {text}: it lacks {names}", text)


def _spki(algorithm: str, public: pkcs11.PublicKey) -> bytes:
    from pkcs11 import Attribute

    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
    if algorithm.startswith("RSA-"):
        modulus, exponent = public[Attribute.MODULUS], public[Attribute.PUBLIC_EXPONENT]
        numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
        key = numbers.public_key()
    elif algorithm == "Ed25519":
        key = ed25519.Ed25519PublicKey.from_public_bytes(_point(public[Attribute.EC_POINT], 32))
    else:
        curve = _CURVES[algorithm][1]()
        octets = 1 + 2 * ((curve.key_size + 7) // 8)
        key = ec.EllipticCurvePublicKey.from_encoded_point(curve, _point(public[Attribute.EC_POINT], octets))
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    policy.check_public_key(spki)
    return spki


def _point(value: bytes, octets: int) -> bytes:
    """CKA_EC_POINT is an OCTET STRING around the point; some tokens leave it away."""
    return value if len(value) == octets else der.read(value).octets()
