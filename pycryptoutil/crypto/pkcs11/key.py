"""A private key in a token, as the handle that everything else works with."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

from pycryptoutil_protocols import algorithms, der
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import keys, policy

if TYPE_CHECKING:
    import pkcs11

T = TypeVar("T")

_CURVE_OCTETS: Final = {"EC-P256": 32, "EC-P384": 48, "EC-P521": 66}
_PADDING_ERRORS: Final = frozenset(
    {"DataInvalid", "DataLenRange", "EncryptedDataInvalid", "EncryptedDataLenRange", "FunctionFailed", "GeneralError"}
)


@dataclass(frozen=True, slots=True)
class KeyReference:
    """Where a key is, and its public half: all that is kept of it outside the token."""

    token: str  # CKA_LABEL of the token
    id: bytes  # CKA_ID of the private and the public key
    label: str  # CKA_LABEL, for people
    algorithm: str
    spki: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return JSON."""
        values = {
            "token": self.token,
            "id": self.id.hex(),
            "label": self.label,
            "algorithm": self.algorithm,
            "spki": b64encode(self.spki).decode(),
        }
        return json.dumps(values, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, encoded: bytes) -> KeyReference:
        """Return what :meth:`encode` was of."""
        values = json.loads(encoded)
        identifier, spki = bytes.fromhex(values["id"]), b64decode(values["spki"])
        return cls(values["token"], identifier, values["label"], values["algorithm"], spki)


class Place(Protocol):
    """What a key needs of its token."""

    def use(self, reference: KeyReference, what: str, operation: Callable[[Any], T], *, steady: bool = False) -> T:
        """Run ``operation`` with the private key's object."""

    def check(self) -> None:
        """Raise TokenFault unless the token is there and open."""


class TokenKey:
    """A :class:`~pycryptoutil.crypto.keys.KeyHandle`. It knows its public half: only its use needs the token."""

    __slots__ = ("_place", "_proven", "reference")

    def __init__(self, place: Place, reference: KeyReference) -> None:
        self._place = place
        self._proven = False
        self.reference = reference

    @property
    def algorithm(self) -> str:
        """What the key is."""
        return self.reference.algorithm

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self.reference.spki

    def check(self) -> None:
        """Raise TokenFault unless the key's token is there and open."""
        self._place.check()

    def sign(self, signature_algorithm: str, data: bytes) -> bytes:
        """Sign ``data``; what is longer than a digest is hashed here. Fault(BAD_ALGORITHM, UNAVAILABLE).

        The first signature is verified: a token may have been given another key under the same id.
        """
        chosen = policy.check_signature(self.algorithm, signature_algorithm)
        whole = chosen is policy.SignatureAlgorithm.ED25519
        signature = self._sign(
            chosen.value, data if whole else algorithms.digest(algorithms.signature_hash(chosen.value), data)
        )
        if not self._proven:
            self._prove(chosen.value, data, signature)
        return signature

    def sign_stream(self, signature_algorithm: str, parts: Iterable[bytes]) -> bytes:
        """Sign the concatenation of ``parts``, which Ed25519 needs in memory at once."""
        chosen = policy.check_signature(self.algorithm, signature_algorithm)
        if chosen is policy.SignatureAlgorithm.ED25519:
            return self.sign(chosen.value, b"".join(parts))
        state = hashlib.new(algorithms.signature_hash(chosen.value))
        for part in parts:
            state.update(part)
        return self._sign(chosen.value, state.digest())

    def rsa_decrypt(self, padding: str, ciphertext: bytes) -> bytes:
        """Decrypt in the token; Fault(BAD_SIGNATURE) for every wrong ciphertext, BAD_ALGORITHM, UNAVAILABLE."""
        if not self.algorithm.startswith("RSA-"):
            raise _bad_algorithm("RSA decryption with another key")
        policy.check_rsa_padding(padding)

        def decrypt(private: Any) -> bytes | None:
            import pkcs11

            if not hasattr(private, "decrypt"):  # what CKA_DECRYPT says
                raise _bad_algorithm("the key in the token is not for decryption")
            mechanism, parameters = _decryption(padding)
            try:
                return bytes(private.decrypt(ciphertext, mechanism=mechanism, mechanism_param=parameters))
            except pkcs11.PKCS11Error as error:
                if type(error).__name__ in _PADDING_ERRORS:
                    return None
                raise

        # the token is looked at after every decryption: one that fails must take no longer than one that does not
        plaintext = self._place.use(self.reference, f"decrypt with {padding}", decrypt, steady=True)
        if plaintext is None:
            raise Fault(FaultKind.BAD_SIGNATURE, "RSA decryption", "the data cannot be decrypted")
        return plaintext

    def ecdh(self, peer_spki: bytes) -> NoReturn:  # noqa: ARG002  the handle's method
        """Refuse: keys in a token are for signatures, and RSA ones for decryption."""
        raise _bad_algorithm("key agreement with a key in a token")

    def decapsulate(self, ciphertext: bytes) -> NoReturn:  # noqa: ARG002
        """Refuse likewise."""
        raise _bad_algorithm("decapsulation with a key in a token")

    def _sign(self, name: str, data: bytes) -> bytes:
        def sign(private: Any) -> bytes:
            if not hasattr(private, "sign"):
                raise _bad_algorithm("the key in the token is not for signatures")
            mechanism, parameters, octets = _signing(name, data)
            return bytes(private.sign(octets, mechanism=mechanism, mechanism_param=parameters))

        signature = self._place.use(self.reference, f"sign with {name}", sign)
        return _ecdsa_der(signature, _CURVE_OCTETS[self.algorithm]) if name.startswith("ecdsa-") else signature

    def _prove(self, name: str, data: bytes, signature: bytes) -> None:
        try:
            keys.verify(self.public_spki, name, data, signature)
        except Fault:
            detail = f"HSM: the key {self.reference.id.hex()} in token {self.reference.token!r} is not the one it was"
            raise Fault(FaultKind.INTERNAL, detail) from None
        self._proven = True

    def __repr__(self) -> str:
        return f"<TokenKey {self.algorithm} {self.reference.id.hex()} in {self.reference.token!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key cannot be copied or pickled")


def _signing(name: str, data: bytes) -> tuple[pkcs11.Mechanism, Any, bytes]:
    """Return mechanism, parameters and what is given to it. Digests go in: every token has these mechanisms."""
    from pkcs11 import MGF, Mechanism

    if name == "ed25519":
        return Mechanism.EDDSA, None, data
    if name.startswith("ecdsa-"):
        return Mechanism.ECDSA, None, data
    digest = algorithms.signature_hash(name)
    if name.startswith("rsa-pss-"):
        mechanism, mask = getattr(Mechanism, digest.upper()), getattr(MGF, digest.upper())
        return Mechanism.RSA_PKCS_PSS, (mechanism, mask, len(data)), data
    info = der.sequence(algorithms.hash_identifier(digest, null=True), der.octet_string(data))  # RFC 8017 section 9.2
    return Mechanism.RSA_PKCS, None, info


def _decryption(padding: str) -> tuple[pkcs11.Mechanism, Any]:
    from pkcs11 import MGF, Mechanism

    if padding == "pkcs1":
        return Mechanism.RSA_PKCS, None
    digest = padding.removeprefix("oaep-").upper()
    mechanism = Mechanism.SHA_1 if digest == "SHA1" else getattr(Mechanism, digest)
    return Mechanism.RSA_PKCS_OAEP, (mechanism, getattr(MGF, digest), None)


def _ecdsa_der(signature: bytes, octets: int) -> bytes:
    """Turn r and s, side by side, into an Ecdsa-Sig-Value (RFC 3279 section 2.2.3)."""
    if len(signature) != 2 * octets:
        raise Fault(FaultKind.INTERNAL, f"HSM: an ECDSA signature of {len(signature)} octets")
    return der.sequence(der.unsigned(signature[:octets]), der.unsigned(signature[octets:]))


def _bad_algorithm(detail: str) -> Fault:
    return Fault(FaultKind.BAD_ALGORITHM, detail, "the key does not support this operation")
