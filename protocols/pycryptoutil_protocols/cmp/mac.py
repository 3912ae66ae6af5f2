"""MAC algorithms of CMP and CRMF: PasswordBasedMac, PBMAC1, KemBasedMac (RFC 9481 section 6.1, RFC 9810 section 5.1.3).

A ``*Parameters`` value is one algorithm with its salt and counts; ``encode`` gives its AlgorithmIdentifier and
``compute`` the MAC. ``decode_mac`` reads an AlgorithmIdentifier from outside, and refuses what would be too weak or too
much work. Hashes are those of RFC 9481. HMAC-SHA1 is verified, because OpenSSL's client sends it unless told
otherwise and SP 800-131A still allows it, but never made: an answer to it bears HMAC-SHA256.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.crmf.values import bounded_integer
from pycryptoutil_protocols.der import Element, Reader
from pycryptoutil_protocols.faults import Fault, FaultKind

PASSWORD_BASED_MAC = "1.2.840.113533.7.66.13"  # noqa: S105 - a name
DH_BASED_MAC = "1.2.840.113533.7.66.30"
KEM_BASED_MAC = "1.2.840.113533.7.66.16"
PBMAC1 = "1.2.840.113549.1.5.14"
PBKDF2 = "1.2.840.113549.1.5.12"
MAC_ALGORITHMS = frozenset({PASSWORD_BASED_MAC, DH_BASED_MAC, KEM_BASED_MAC, PBMAC1})

_HMACS = {
    "1.3.6.1.5.5.8.1.2": "sha1",  # hMAC-SHA1 of RFC 4210
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
    "2.16.840.1.101.3.4.2.14": "sha3_256",
    "2.16.840.1.101.3.4.2.15": "sha3_384",
    "2.16.840.1.101.3.4.2.16": "sha3_512",
}
_HMAC_OIDS = {name: oid for oid, name in _HMACS.items() if name != "sha1"}
_OWFS = {
    oids.SHA224: "sha224",
    oids.SHA256: "sha256",
    oids.SHA384: "sha384",
    oids.SHA512: "sha512",
    oids.SHA3_256: "sha3_256",
    oids.SHA3_384: "sha3_384",
    oids.SHA3_512: "sha3_512",
}
_OWF_OIDS = {name: oid for oid, name in _OWFS.items()}
_KDF_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_HKDFS = {
    f"1.2.840.113549.1.9.16.3.{number}": name for number, name in ((28, "sha256"), (29, "sha384"), (30, "sha512"))
}
_HKDF_OIDS = {name: oid for oid, name in _HKDFS.items()}
_KDF3 = "1.3.133.16.840.9.44.1.2"
_MIN_SALT, _MAX_SALT = 8, 128
_MIN_KEY, _MAX_KEY = 16, 64
_MAX_INTEGER = 2**64


def _bad(detail: str) -> Fault:
    return Fault(FaultKind.BAD_ALGORITHM, detail, "the MAC algorithm is not supported")


@dataclass(frozen=True, slots=True)
class MacLimits:
    """How much work a peer may ask for before its MAC is known to be right, and how little is too weak."""

    min_iterations: int = 100  # RFC 4211 section 4.4 for PasswordBasedMac
    max_iterations: int = 100_000
    min_pbkdf2_iterations: int = 1000  # SP 800-132
    max_pbkdf2_iterations: int = 600_000


DEFAULT_LIMITS = MacLimits()


def _hmac_name(element: Element) -> str:
    oid, parameters = algorithms.split_algorithm(element)
    if parameters is not None:
        parameters.null()
    name = _HMACS.get(oid)
    if name is None:
        raise _bad(f"MAC {oid}")
    return name


def _hmac_identifier(name: str) -> bytes:
    if name not in _HMAC_OIDS:
        raise _bad(f"HMAC with {name} is not made")
    return algorithms.algorithm_identifier(_HMAC_OIDS[name], der.null())


def _hmac(name: str, key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, name)


def _made(name: str) -> str:
    return "sha256" if name == "sha1" else name


@dataclass(frozen=True, slots=True)
class PbmParameters:
    """PasswordBasedMac: ``owf`` and ``mac`` are names of hashes."""

    salt: bytes
    iterations: int = 500
    owf: str = "sha256"
    mac: str = "sha256"

    @classmethod
    def fresh(cls, iterations: int = 500) -> PbmParameters:
        """Return parameters with a new salt."""
        return cls(os.urandom(16), iterations)

    def answering(self) -> PbmParameters:
        """Return what protects the answer: the peer's choice with a new salt, and never SHA-1."""
        return replace(self, salt=os.urandom(16), mac=_made(self.mac))

    def encode(self) -> bytes:
        """DER AlgorithmIdentifier."""
        parameters = der.sequence(
            der.octet_string(self.salt),
            algorithms.algorithm_identifier(_OWF_OIDS[self.owf], der.null()),
            der.integer(self.iterations),
            _hmac_identifier(self.mac),
        )
        return algorithms.algorithm_identifier(PASSWORD_BASED_MAC, parameters)

    def compute(self, secret: bytes, data: bytes) -> bytes:
        """Return the MAC (RFC 4211 section 4.4); the whole output of the owf is the key, as everybody does it."""
        key = secret + self.salt
        for _ in range(self.iterations):
            key = hashlib.new(self.owf, key).digest()
        return _hmac(self.mac, key, data)


@dataclass(frozen=True, slots=True)
class Pbmac1Parameters:
    """PBMAC1 with PBKDF2 (RFC 8018, RFC 9481 section 6.1.2)."""

    salt: bytes
    iterations: int = 10_000
    key_length: int = 32
    prf: str = "sha256"
    mac: str = "sha256"

    @classmethod
    def fresh(cls, iterations: int = 10_000) -> Pbmac1Parameters:
        """Return parameters with a new salt."""
        return cls(os.urandom(16), iterations)

    def answering(self) -> Pbmac1Parameters:
        """Return what protects the answer: the peer's choice with a new salt, and never SHA-1."""
        return replace(self, salt=os.urandom(16), mac=_made(self.mac), prf=_made(self.prf))

    def encode(self) -> bytes:
        """DER AlgorithmIdentifier."""
        derivation = der.sequence(
            der.octet_string(self.salt),
            der.integer(self.iterations),
            der.integer(self.key_length),
            _hmac_identifier(self.prf),
        )
        kdf = algorithms.algorithm_identifier(PBKDF2, derivation)
        return algorithms.algorithm_identifier(PBMAC1, der.sequence(kdf, _hmac_identifier(self.mac)))

    def compute(self, secret: bytes, data: bytes) -> bytes:
        """Return the MAC."""
        key = hashlib.pbkdf2_hmac(self.prf, secret, self.salt, self.iterations, self.key_length)
        return _hmac(self.mac, key, data)


@dataclass(frozen=True, slots=True)
class KemMacParameters:
    """KemBasedMac (RFC 9810 section 5.1.3.4); the secret is the shared secret of the KEM.

    ``kdf`` is ``hkdf`` or ``kdf3``. The key is bound to ``transaction_id``, which the message's header has.
    """

    transaction_id: bytes
    kdf: str = "hkdf"
    kdf_hash: str = "sha256"
    length: int = 32
    mac: str = "sha256"
    context: bytes | None = None

    def answering(self) -> KemMacParameters:
        """Return what protects the answer."""
        return replace(self, mac=_made(self.mac))

    def encode(self) -> bytes:
        """DER AlgorithmIdentifier."""
        if self.kdf == "hkdf":
            kdf = algorithms.algorithm_identifier(_HKDF_OIDS[self.kdf_hash])
        else:
            kdf = algorithms.algorithm_identifier(_KDF3, algorithms.hash_identifier(self.kdf_hash))
        context = der.explicit(0, der.octet_string(self.context)) if self.context is not None else b""
        parameters = der.sequence(kdf, context, der.integer(self.length), _hmac_identifier(self.mac))
        return algorithms.algorithm_identifier(KEM_BASED_MAC, parameters)

    def other_info(self) -> bytes:
        """DER KemOtherInfo, the context of the key derivation."""
        context = der.explicit(0, der.octet_string(self.context)) if self.context is not None else b""
        return der.sequence(der.sequence(der.utf8_string("CMP-KEM")), der.octet_string(self.transaction_id), context)

    def compute(self, secret: bytes, data: bytes) -> bytes:
        """Return the MAC."""
        chosen, info = _KDF_HASHES[self.kdf_hash], self.other_info()
        if self.kdf == "hkdf":
            key = HKDF(chosen, self.length, None, info).derive(secret)
        else:
            key = ConcatKDFHash(chosen, self.length, info).derive(secret)  # KDF3: Hash(counter, secret, info)
        return _hmac(self.mac, key, data)


MacParameters = PbmParameters | Pbmac1Parameters | KemMacParameters


def decode_mac(
    algorithm: bytes | Element, limits: MacLimits = DEFAULT_LIMITS, transaction_id: bytes = b""
) -> MacParameters:
    """Decode a MAC's AlgorithmIdentifier; Fault(BAD_ALGORITHM) for unknown ones, weak ones and too much work."""
    element = algorithm if isinstance(algorithm, Element) else der.read(algorithm)
    oid, parameters = algorithms.split_algorithm(element)
    reader_of: dict[str, Callable[[Reader], MacParameters]] = {
        PASSWORD_BASED_MAC: lambda reader: _decode_pbm(reader, limits),
        PBMAC1: lambda reader: _decode_pbmac1(reader, limits),
        KEM_BASED_MAC: lambda reader: _decode_kem(reader, transaction_id),
    }
    if oid not in reader_of or parameters is None:
        raise _bad(f"MAC algorithm {oid}")  # DHBasedMac too: static Diffie-Hellman keys have no certificates here
    reader = parameters.expect(der.SEQUENCE, "MAC parameters").reader()
    found = reader_of[oid](reader)
    reader.end("MAC parameters")
    return found


def _salt(element: Element) -> bytes:
    salt = element.expect(der.OCTET_STRING, "salt").octets()
    if not _MIN_SALT <= len(salt) <= _MAX_SALT:
        raise _bad(f"salt of {len(salt)} octets")
    return salt


def _iterations(element: Element, least: int, most: int) -> int:
    count = bounded_integer(element.expect(der.INTEGER, "iterationCount"), 0, _MAX_INTEGER, "iterationCount")
    if not least <= count <= most:
        raise Fault(
            FaultKind.BAD_ALGORITHM, f"{count} iterations", f"the iteration count must be between {least} and {most}"
        )
    return count


def _decode_pbm(reader: Reader, limits: MacLimits) -> PbmParameters:
    salt = _salt(reader.any("salt"))
    owf, owf_parameters = algorithms.split_algorithm(reader.any("owf"))
    if owf_parameters is not None:
        owf_parameters.null()
    if owf not in _OWFS:
        raise _bad(f"one-way function {owf}")
    iterations = _iterations(reader.any("iterationCount"), limits.min_iterations, limits.max_iterations)
    return PbmParameters(salt, iterations, _OWFS[owf], _hmac_name(reader.any("mac")))


def _decode_pbmac1(reader: Reader, limits: MacLimits) -> Pbmac1Parameters:
    kdf, parameters = algorithms.split_algorithm(reader.any("keyDerivationFunc"))
    mac = _hmac_name(reader.any("messageAuthScheme"))
    if kdf != PBKDF2 or parameters is None:
        raise _bad(f"key derivation {kdf}")
    inner = parameters.expect(der.SEQUENCE, "PBKDF2-params").reader()
    salt = _salt(inner.any("salt"))
    count = _iterations(inner.any("iterationCount"), limits.min_pbkdf2_iterations, limits.max_pbkdf2_iterations)
    length = inner.optional(der.INTEGER)
    prf = inner.optional(der.SEQUENCE)
    inner.end("PBKDF2-params")
    size = bounded_integer(length, 0, _MAX_INTEGER, "keyLength") if length else hashlib.new(mac).digest_size
    if not _MIN_KEY <= size <= _MAX_KEY:
        raise _bad(f"MAC key of {size} octets")
    return Pbmac1Parameters(salt, count, size, _hmac_name(prf) if prf else "sha1", mac)


def _decode_kem(reader: Reader, transaction_id: bytes) -> KemMacParameters:
    oid, parameters = algorithms.split_algorithm(reader.any("kdf"))
    context = reader.optional(der.context(0))
    size = bounded_integer(reader.take(der.INTEGER, "len"), 0, _MAX_INTEGER, "len")
    mac = _hmac_name(reader.any("mac"))
    if not _MIN_KEY <= size <= _MAX_KEY:
        raise _bad(f"MAC key of {size} octets")
    if oid in _HKDFS and parameters is None:
        kdf, kdf_hash = "hkdf", _HKDFS[oid]
    elif oid == _KDF3 and parameters is not None:
        kdf, kdf_hash = "kdf3", algorithms.decode_hash(parameters)
    else:
        raise _bad(f"key derivation {oid}")
    if kdf_hash not in _KDF_HASHES:
        raise _bad(f"key derivation with {kdf_hash}")
    octets = context.inner().octets() if context else None
    return KemMacParameters(transaction_id, kdf, kdf_hash, size, mac, octets)
