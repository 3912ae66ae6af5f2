"""Facts of certificates and lists of extensions (RFC 5280), as plain data with the signed bytes kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from . import algorithms, der, names, oids
from .der import Element
from .faults import Fault, FaultKind
from .ports import Signer

MAX_CERTIFICATE = 128 * 1024  # an SLH-DSA signature has up to 50 kB
_MAX_EXTENSIONS = 64


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension; ``value`` is the content of extnValue."""

    oid: str
    critical: bool
    value: bytes

    def encode(self) -> bytes:
        """DER Extension."""
        critical = der.boolean(True) if self.critical else b""  # DEFAULT FALSE is left out
        return der.sequence(der.oid(self.oid), critical, der.octet_string(self.value))


def decode_extensions(element: Element) -> tuple[Extension, ...]:
    """Decode Extensions in order; a repeated one is Fault(INVALID)."""
    found: dict[str, Extension] = {}
    for child in element.expect(der.SEQUENCE, "Extensions").children():
        reader = child.expect(der.SEQUENCE, "Extension").reader()
        oid = reader.take(der.OID, "extnID").oid()
        flag = reader.optional(der.BOOLEAN)
        value = reader.take(der.OCTET_STRING, "extnValue").octets()
        reader.end("Extension")
        if oid in found:
            raise Fault(FaultKind.INVALID, f"extension {oid} twice", "an extension is repeated")
        found[oid] = Extension(oid, flag.boolean() if flag else False, value)
        if len(found) > _MAX_EXTENSIONS:
            raise Fault(FaultKind.TOO_LARGE, "too many extensions", "too many extensions")
    return tuple(found.values())


def encode_extensions(extensions: Sequence[Extension]) -> bytes:
    """DER SEQUENCE OF Extension."""
    return der.sequence(*(extension.encode() for extension in extensions))


def find_extension(extensions: Sequence[Extension], oid: str) -> Extension | None:
    """Return the extension of a type, or None."""
    return next((extension for extension in extensions if extension.oid == oid), None)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says; nothing of it is verified."""

    der: bytes
    tbs: bytes
    serial: int
    issuer: bytes
    subject: bytes
    not_before: datetime
    not_after: datetime
    spki: bytes
    extensions: tuple[Extension, ...]
    signature_algorithm: bytes
    signature: bytes

    def extension(self, oid: str) -> Extension | None:
        """Return the extension of a type, or None."""
        return find_extension(self.extensions, oid)

    @property
    def sans(self) -> tuple[names.GeneralName, ...]:
        """Subject alternative names in order."""
        found = self.extension(oids.SUBJECT_ALT_NAME)
        return names.decode_general_names(found.value) if found else ()

    @property
    def subject_key_identifier(self) -> bytes:
        """The identifier in the certificate; empty when it has none."""
        found = self.extension(oids.SUBJECT_KEY_IDENTIFIER)
        return der.read(found.value).octets() if found else b""

    @property
    def extended_key_usages(self) -> tuple[str, ...]:
        """What the certificate is for; empty when it does not say."""
        found = self.extension(oids.EXTENDED_KEY_USAGE)
        return tuple(child.oid() for child in der.read(found.value).children()) if found else ()

    @property
    def issuer_and_serial(self) -> bytes:
        """DER IssuerAndSerialNumber (RFC 5652 section 10.2.4)."""
        return der.sequence(self.issuer, der.integer(self.serial))


def decode_certificate(encoded: bytes) -> Certificate:
    """Decode a certificate; Fault(MALFORMED, TOO_LARGE, INVALID)."""
    reader = der.read_sequence(encoded, MAX_CERTIFICATE)
    tbs = reader.take(der.SEQUENCE, "tbsCertificate")
    algorithm = reader.take(der.SEQUENCE, "signatureAlgorithm")
    signature = reader.take(der.BIT_STRING, "signatureValue").bits()
    reader.end("Certificate")
    return _certificate(encoded, tbs, algorithm.encoded, signature)


def decode_tbs(encoded: bytes) -> Certificate:
    """Decode a TBSCertificate that nobody has signed yet: as a certificate, whose ``der`` and signature are empty."""
    tbs = der.read(encoded, MAX_CERTIFICATE).expect(der.SEQUENCE, "TBSCertificate")
    return _certificate(b"", tbs, None, b"")


def _certificate(encoded: bytes, tbs: Element, outside: bytes | None, signature: bytes) -> Certificate:
    inner = tbs.reader()
    inner.optional(der.context(0))  # version
    serial = inner.take(der.INTEGER, "serialNumber").integer()
    algorithm = inner.take(der.SEQUENCE, "signature").encoded
    if outside is not None and algorithm != outside:
        raise der.malformed("signature algorithms of a certificate differ")  # RFC 5280 section 4.1.1.2
    issuer = inner.take(der.SEQUENCE, "issuer").encoded
    validity = inner.take(der.SEQUENCE, "validity").reader()
    not_before, not_after = validity.any("notBefore").time(), validity.any("notAfter").time()
    validity.end("validity")
    subject = inner.take(der.SEQUENCE, "subject").encoded
    spki = inner.take(der.SEQUENCE, "subjectPublicKeyInfo").encoded
    inner.optional(der.context(1, constructed=False))
    inner.optional(der.context(2, constructed=False))
    wrapper = inner.optional(der.context(3))
    inner.end("tbsCertificate")
    extensions: tuple[Extension, ...] = ()
    if wrapper is not None:
        content = wrapper.reader()
        extensions = decode_extensions(content.any("extensions"))
        content.end("extensions")
    return Certificate(
        der=encoded,
        tbs=tbs.encoded,
        serial=serial,
        issuer=issuer,
        subject=subject,
        not_before=not_before,
        not_after=not_after,
        spki=spki,
        extensions=extensions,
        signature_algorithm=algorithm,
        signature=signature,
    )


@lru_cache(maxsize=128)
def own_certificate(encoded: bytes) -> Certificate:
    """Decode a certificate of ours, which is the same again and again; not for what comes from outside."""
    return decode_certificate(encoded)


def build_tbs(
    signature_algorithm: str,
    issuer: bytes,
    serial: bytes,
    not_before: int,
    not_after: int,
    subject: bytes,
    spki: bytes,
    extensions: bytes,
) -> bytes:
    """DER TBSCertificate v3: the slow twin of the core's ``CertificateSigner.tbs``, with the same arguments.

    ``serial`` is a big-endian magnitude, times are Unix seconds, ``extensions`` is DER SEQUENCE OF Extension.
    """
    return der.sequence(
        der.explicit(0, der.integer(2)),
        der.unsigned(serial),
        algorithms.signature_identifier(signature_algorithm),
        issuer,
        der.sequence(der.x509_time(not_before), der.x509_time(not_after)),
        subject,
        spki,
        der.explicit(3, extensions),
    )


def sign_tbs(tbs: bytes, signer: Signer) -> bytes:
    """DER Certificate over exactly these octets."""
    algorithm = algorithms.signature_identifier(signer.signature_algorithm)
    return der.sequence(tbs, algorithm, der.bit_string(signer.sign(tbs)))
