"""Recovering a content key: by a private key that stays where it is, by a symmetric key, or by a password.

``unwrap_with`` takes any :class:`~pycryptoutil_protocols.ports.Decryptor`, such as a key handle of the core.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, mlkem, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.algorithms import decode_hash, hash_algorithm, split_algorithm
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Decryptor

from .enveloped import RecipientInfo, RecipientKind
from .keywrap import (
    CBC_SIZES,
    MAX_ITERATIONS,
    agreed_key,
    bad_algorithm,
    cannot_decrypt,
    encapsulated_key,
    kem_info,
    password_key,
    pwri_unwrap,
    shared_info,
    unwrap_key,
    wrap_size,
)

Unwrap = Callable[[RecipientInfo], bytes]
_PROCESS_SECRET = os.urandom(32)


def unwrap_with(key: Decryptor, *, allow_pkcs1: bool = False, rejection_secret: bytes = _PROCESS_SECRET) -> Unwrap:
    """Return an unwrapping function for key transport, key agreement and ML-KEM recipients.

    PKCS#1 v1.5 only with ``allow_pkcs1``. Wrong padding then gives a key that is random to the peer but always the
    same for one ciphertext, and decryption fails later, as for a right padding around a wrong key: there is no oracle
    (Bleichenbacher; RFC 3218 section 2.3.2). Processes that share a key should share ``rejection_secret``.
    """

    def unwrap(recipient: RecipientInfo) -> bytes:
        match recipient.kind:
            case RecipientKind.KEY_TRANSPORT:
                return _transported(key, recipient, rejection_secret if allow_pkcs1 else b"")
            case RecipientKind.KEY_AGREEMENT:
                return _agreed(key, recipient)
            case RecipientKind.KEY_ENCAPSULATION:
                return _encapsulated(key, recipient)
            case RecipientKind.KEY_ENCRYPTION_KEY | RecipientKind.PASSWORD:
                raise bad_algorithm(f"{recipient.kind.value} recipient for a private key")

    return unwrap


# what is no fault of the ciphertext, so that telling it tells nothing of it
_NOT_THE_MESSAGE: Final = frozenset({FaultKind.BAD_ALGORITHM, FaultKind.UNAVAILABLE})


def _transported(key: Decryptor, recipient: RecipientInfo, rejection_secret: bytes) -> bytes:
    oid, parameters = split_algorithm(der.read(recipient.algorithm))
    if oid == oids.RSAES_OAEP:
        padding = oaep_padding(parameters)
        try:
            return key.rsa_decrypt(padding, recipient.encrypted_key)
        except Fault as fault:
            if fault.kind in _NOT_THE_MESSAGE:
                raise
            raise cannot_decrypt(f"RSA decryption: {fault.detail}") from None
    if oid != oids.RSA_ENCRYPTION or not rejection_secret:
        raise bad_algorithm(f"key transport {oid}")
    size = recipient.content_key_length or 32
    substitute = hmac.digest(rejection_secret, recipient.encrypted_key, hashlib.sha256)[:size]
    try:
        found = key.rsa_decrypt("pkcs1", recipient.encrypted_key)
    except Fault as fault:
        if fault.kind in _NOT_THE_MESSAGE:
            raise
        found = b""
    return found if len(found) == size else substitute


def oaep_padding(parameters: Element | None) -> str:
    """Return the port's name of RSAES-OAEP with these parameters; Fault(BAD_ALGORITHM, MALFORMED).

    ``oaep-sha256`` has MGF1 with the same hash; ``oaep-sha256-mgf1-sha1`` another one.
    """
    reader = (parameters.expect(der.SEQUENCE, "RSAES-OAEP-params") if parameters else der.read(b"\x30\x00")).reader()
    hash_field, mask_field, label = (reader.optional(der.context(number)) for number in range(3))
    reader.end("RSAES-OAEP-params")
    name = decode_hash(hash_field.inner()) if hash_field else "sha1"
    mask = "sha1"
    if mask_field is not None:
        oid, inner = split_algorithm(mask_field.inner())
        if oid != oids.MGF1 or inner is None:
            raise bad_algorithm(f"mask generation {oid}")
        mask = decode_hash(inner)
    if label is not None:
        oid, inner = split_algorithm(label.inner())
        if oid != oids.P_SPECIFIED or inner is None or inner.octets():
            raise bad_algorithm("OAEP label")
    return f"oaep-{name}" if name == mask else f"oaep-{name}-mgf1-{mask}"


def _agreed(key: Decryptor, recipient: RecipientInfo) -> bytes:
    oid, parameters = split_algorithm(der.read(recipient.algorithm))
    if parameters is None:
        raise bad_algorithm(f"key agreement {oid} without key wrap")
    wrap, _ = split_algorithm(parameters)
    size = wrap_size(wrap)
    secret = key.ecdh(_originator(recipient.originator_spki, key.public_spki))
    info = shared_info(parameters.encoded, size, recipient.user_keying_material)
    return unwrap_key(agreed_key(oid, size, info, secret), recipient.encrypted_key)


def _originator(spki: bytes, own: bytes) -> bytes:
    """Return the ephemeral key on our own curve; RFC 5753 lets its parameters be absent, so only the point is taken."""
    reader = der.read_sequence(spki)
    oid, parameters = split_algorithm(reader.take(der.SEQUENCE, "algorithm"))
    point = reader.take(der.BIT_STRING, "publicKey").encoded
    own_algorithm = der.read_sequence(own).take(der.SEQUENCE, "algorithm")
    own_oid, own_curve = split_algorithm(own_algorithm)
    if oid != own_oid:
        raise bad_algorithm(f"originator key {oid}")
    named = parameters is not None and parameters.tag == der.OID
    if named and own_curve is not None and parameters is not None and parameters.encoded != own_curve.encoded:
        raise cannot_decrypt("originator key on another curve")
    return der.sequence(own_algorithm.encoded, point)


def _encapsulated(key: Decryptor, recipient: RecipientInfo) -> bytes:
    kem, _ = split_algorithm(der.read(recipient.encapsulation))
    own, _ = split_algorithm(der.read_sequence(key.public_spki).take(der.SEQUENCE, "algorithm"))
    if kem != own:
        raise bad_algorithm(f"key encapsulation {kem}")
    wrap, _ = split_algorithm(der.read(recipient.algorithm))
    size = wrap_size(wrap)
    if recipient.key_length != size:
        raise bad_algorithm("key length and key wrap differ")
    secret = key.decapsulate(recipient.ciphertext)
    info = kem_info(recipient.algorithm, size, recipient.user_keying_material)
    return unwrap_key(encapsulated_key(recipient.derivation, size, info, secret), recipient.encrypted_key)


def unwrap_kek(kek: bytes) -> Unwrap:
    """Return an unwrapping function for a symmetric key."""

    def unwrap(recipient: RecipientInfo) -> bytes:
        oid, _ = split_algorithm(der.read(recipient.algorithm))
        if recipient.kind is RecipientKind.PASSWORD or wrap_size(oid) != len(kek):
            raise bad_algorithm(f"key wrap {oid}")
        return unwrap_key(kek, recipient.encrypted_key)

    return unwrap


def unwrap_password(password: bytes, *, max_iterations: int = MAX_ITERATIONS) -> Unwrap:
    """Return an unwrapping function for a password: PBKDF2, then PWRI-KEK (RFC 3211) or AES-KW (RFC 9481)."""

    def unwrap(recipient: RecipientInfo) -> bytes:
        if recipient.kind is not RecipientKind.PASSWORD or not recipient.derivation:
            raise bad_algorithm("no password recipient, or one without key derivation")
        oid, parameters = split_algorithm(der.read(recipient.algorithm))
        if oid != oids.PWRI_KEK:
            kek = password_key(recipient.derivation, wrap_size(oid), password, max_iterations)
            return unwrap_key(kek, recipient.encrypted_key)
        cipher, vector = split_algorithm(parameters) if parameters is not None else ("", None)
        if cipher not in CBC_SIZES or vector is None:
            raise bad_algorithm(f"PWRI-KEK with {cipher}")
        kek = password_key(recipient.derivation, CBC_SIZES[cipher], password, max_iterations)
        return pwri_unwrap(kek, vector.octets(), recipient.encrypted_key)

    return unwrap


# keys of pyca/cryptography: for clients and tests


@dataclass(frozen=True, slots=True)
class SoftDecryptor:
    """A private key object of pyca/cryptography as a Decryptor."""

    key: object = field(repr=False)

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        public = self.key.public_key()  # type: ignore[attr-defined]
        encoded: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return encoded

    def rsa_decrypt(self, padding: str, ciphertext: bytes) -> bytes:
        """RSA; also OAEP whose mask generation has another hash."""
        if not isinstance(self.key, rsa.RSAPrivateKey):
            raise bad_algorithm("RSA decryption with another key")
        scheme: rsa_padding.AsymmetricPadding = rsa_padding.PKCS1v15()
        if padding != "pkcs1":
            name, _, mask = padding.removeprefix("oaep-").partition("-mgf1-")
            scheme = rsa_padding.OAEP(rsa_padding.MGF1(hash_algorithm(mask or name)), hash_algorithm(name), None)
        try:
            return self.key.decrypt(ciphertext, scheme)
        except ValueError:
            raise cannot_decrypt("RSA decryption") from None

    def ecdh(self, peer_spki: bytes) -> bytes:
        """ECDH, X25519, X448."""
        try:
            peer = load_der_public_key(peer_spki)
            match self.key, peer:
                case ec.EllipticCurvePrivateKey() as own, ec.EllipticCurvePublicKey():
                    return own.exchange(ec.ECDH(), peer)
                case (x25519.X25519PrivateKey() as own_25519, x25519.X25519PublicKey()):
                    return own_25519.exchange(peer)
                case (x448.X448PrivateKey() as own_448, x448.X448PublicKey()):
                    return own_448.exchange(peer)
        except ValueError:
            raise cannot_decrypt("originator point is not on the curve") from None
        raise bad_algorithm("key agreement with another key")

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """ML-KEM-768 and ML-KEM-1024."""
        if not isinstance(self.key, mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey):
            raise bad_algorithm("decapsulation with another key")
        try:
            return self.key.decapsulate(ciphertext)
        except ValueError:
            raise cannot_decrypt("KEM ciphertext") from None


def unwrap_rsa(key: rsa.RSAPrivateKey, *, allow_pkcs1: bool = False) -> Unwrap:
    """``unwrap_with`` for an RSA key of pyca/cryptography."""
    return unwrap_with(SoftDecryptor(key), allow_pkcs1=allow_pkcs1)


def unwrap_ec(key: ec.EllipticCurvePrivateKey) -> Unwrap:
    """``unwrap_with`` for an elliptic curve key of pyca/cryptography."""
    return unwrap_with(SoftDecryptor(key))
