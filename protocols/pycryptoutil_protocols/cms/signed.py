"""Reading SignedData (RFC 5652 section 5), with and without signers, and verifying it.

Every signature algorithm of the core is verified: RSA with PKCS#1 v1.5 and RSASSA-PSS (RFC 4056), ECDSA (RFC 5753),
Ed25519 and Ed448 (RFC 8419), ML-DSA (RFC 9882).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from pycryptoutil_protocols import algorithms, der, oids, x509
from pycryptoutil_protocols.attributes import Attribute, decode_attributes, single_value
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Certificate

from . import digests, legacy_rsa
from .content import MAX_CMS, MAX_DEPTH, names_certificate, split_content_info

_MAX_CERTIFICATES = 64
_MAX_SIGNERS = 16
_CERTIFICATE = der.SEQUENCE  # the other choices of CertificateSet are tagged, and skipped


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """One signature; the signer is named by ``issuer_and_serial`` (DER) or by ``key_identifier``.

    ``digest_algorithm`` is a name, or an object identifier that has no name here.
    """

    issuer_and_serial: bytes
    key_identifier: bytes
    digest_algorithm: str
    signed_attributes: tuple[Attribute, ...]
    signed_attributes_der: bytes = field(repr=False)  # as SET OF: what is signed; empty without them
    signature_algorithm: bytes
    signature: bytes = field(repr=False)
    unsigned_attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class SignedData:
    """A decoded SignedData; ``content`` is the content octets, None when they are elsewhere or there are none."""

    content_type: str
    content: bytes | None = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    crls: tuple[bytes, ...] = field(repr=False)
    signers: tuple[SignerInfo, ...]


def decode_certs_only(encoded: bytes) -> tuple[bytes, ...]:
    """Return the certificates of a SignedData in order, whether or not it is signed."""
    return decode_signed_data(encoded).certificates


def decode_signed_data(encoded: bytes, *, bare: bool = False) -> SignedData:
    """Decode a SignedData; ``bare`` for one without ContentInfo around it, as inside EnvelopedData."""
    if bare:
        element = der.read(encoded, MAX_CMS, MAX_DEPTH)
    else:
        _, element = split_content_info(encoded, oids.SIGNED_DATA)
    reader = element.expect(der.SEQUENCE, "SignedData").reader()
    if reader.take(der.INTEGER, "version").integer() not in (1, 3, 4, 5):
        raise Fault(FaultKind.UNSUPPORTED, "SignedData version", "this version of SignedData is not supported")
    reader.take(der.SET, "digestAlgorithms")
    inner = reader.take(der.SEQUENCE, "encapContentInfo").reader()
    content_type = inner.take(der.OID, "eContentType").oid()
    wrapper = inner.optional(der.context(0))
    inner.end("encapContentInfo")
    certificates, crls = reader.optional(der.context(0)), reader.optional(der.context(1))
    signers = reader.take(der.SET, "signerInfos").children()
    reader.end("SignedData")
    found = tuple(one.encoded for one in certificates.children() if one.tag == _CERTIFICATE) if certificates else ()
    if len(found) > _MAX_CERTIFICATES or len(signers) > _MAX_SIGNERS:
        raise Fault(FaultKind.TOO_LARGE, "too many certificates or signers", "too many certificates or signers")
    return SignedData(
        content_type=content_type,
        content=wrapper.inner().octets() if wrapper is not None else None,
        certificates=found,
        crls=tuple(one.encoded for one in crls.children() if one.tag == der.SEQUENCE) if crls else (),
        signers=tuple(map(_decode_signer, signers)),
    )


def _decode_signer(element: Element) -> SignerInfo:
    reader = element.expect(der.SEQUENCE, "SignerInfo").reader()
    version = reader.take(der.INTEGER, "version").integer()
    identifier = reader.any("sid")
    by_key = identifier.tag == der.context(0, constructed=False)
    if version != (3 if by_key else 1) or not (by_key or identifier.tag == der.SEQUENCE):
        raise der.malformed("SignerInfo version and sid")
    digest = digests.decode_digest(reader.take(der.SEQUENCE, "digestAlgorithm"))
    attributes = reader.optional(der.context(0))
    algorithm = reader.take(der.SEQUENCE, "signatureAlgorithm").encoded
    signature = reader.take(der.OCTET_STRING, "signature").octets()
    unsigned = reader.optional(der.context(1))
    reader.end("SignerInfo")
    return SignerInfo(
        issuer_and_serial=b"" if by_key else identifier.encoded,
        key_identifier=identifier.content if by_key else b"",
        digest_algorithm=digest,
        signed_attributes=decode_attributes(attributes.children() if attributes is not None else ()),
        signed_attributes_der=der.retag(der.SET, attributes.encoded) if attributes is not None else b"",
        signature_algorithm=algorithm,
        signature=signature,
        unsigned_attributes=decode_attributes(unsigned.children() if unsigned is not None else ()),
    )


def verify_signed_data(
    signed: SignedData, *, candidates: Sequence[bytes] = (), content: bytes | None = None, legacy: bool = False
) -> tuple[Certificate, ...]:
    """Check every signature and return the signers' certificates; Fault(BAD_SIGNATURE, NOT_FOUND, BAD_ALGORITHM).

    Signers are looked for in the message and in ``candidates``; that their certificates are trusted, and for this
    purpose, is for the caller to check. ``content`` is what a detached signature is over. ``legacy`` believes RSA with
    SHA-1 and MD5 too: only for a peer that is known to have nothing else.
    """
    data = signed.content if content is None else content
    if not signed.signers or data is None:
        raise Fault(FaultKind.BAD_SIGNATURE, "SignedData without signers or content", "the message is not signed")
    known = [x509.decode_certificate(one) for one in (*signed.certificates, *candidates)]
    return tuple(_verify_among(signer, signed.content_type, data, known, legacy) for signer in signed.signers)


def _verify_among(
    signer: SignerInfo, content_type: str, data: bytes, known: Sequence[Certificate], legacy: bool
) -> Certificate:
    certificate = next((one for one in known if is_signer(signer, one)), None)
    if certificate is None:
        raise Fault(FaultKind.NOT_FOUND, "the signer's certificate is missing", "the signer's certificate is missing")
    verify_signer(signer, content_type, data, certificate.spki, legacy=legacy)
    return certificate


def is_signer(signer: SignerInfo, certificate: Certificate) -> bool:
    """Whether a signature names this certificate; some write the issuer's name in other string types."""
    if signer.key_identifier:
        return certificate.subject_key_identifier == signer.key_identifier
    return names_certificate(signer.issuer_and_serial, certificate)


def verify_signer(signer: SignerInfo, content_type: str, data: bytes, spki: bytes, *, legacy: bool = False) -> None:
    """Check one signature over ``data`` by this key; Fault(BAD_SIGNATURE, BAD_ALGORITHM, WEAK_KEY)."""
    message = data
    if signer.signed_attributes_der:
        check_attributes(signer, content_type, data, legacy=legacy)
        message = signer.signed_attributes_der
    elif content_type != oids.DATA:
        raise Fault(FaultKind.BAD_SIGNATURE, "no signed attributes over another type than data", "not validly signed")
    try:
        _verify(signer, message, spki, legacy)
    except Fault as fault:
        again = _sorted_attributes(signer.signed_attributes_der)
        if fault.kind is not FaultKind.BAD_SIGNATURE or again == message or not signer.signed_attributes_der:
            raise
        # sent as BER, signed as DER (RFC 5652 section 5.4): it is the same set
        _verify(signer, again, spki, legacy)


def _sorted_attributes(encoded: bytes) -> bytes:
    return der.set_of(child.encoded for child in der.read(encoded, MAX_CMS).children()) if encoded else b""


def _verify(signer: SignerInfo, message: bytes, spki: bytes, legacy: bool) -> None:
    old = legacy_rsa.digest_of(signer.signature_algorithm, signer.digest_algorithm)
    if old:
        if not legacy or old != signer.digest_algorithm:
            raise Fault(FaultKind.BAD_ALGORITHM, f"signature with {old}", "the signature algorithm is not accepted")
        legacy_rsa.verify(spki, old, message, signer.signature)
        return
    algorithms.verify(spki, _signature_algorithm(signer), message, signer.signature)


def _signature_algorithm(signer: SignerInfo) -> bytes:
    """Return the whole signature algorithm: RFC 3370 lets rsaEncryption stand for RSA with the digest algorithm."""
    oid, _ = algorithms.split_algorithm(der.read(signer.signature_algorithm))
    if oid == oids.RSA_ENCRYPTION:
        return algorithms.signature_identifier(f"rsa-{signer.digest_algorithm}")
    digests.check_digest(signer.digest_algorithm, algorithms.decode_signature(signer.signature_algorithm).name)
    return signer.signature_algorithm


def check_attributes(signer: SignerInfo, content_type: str, data: bytes, *, legacy: bool = False) -> None:
    """Check that the signed attributes name this content's type and digest; Fault(BAD_SIGNATURE, BAD_ALGORITHM)."""
    kind = single_value(signer.signed_attributes, oids.CONTENT_TYPE)
    digest = single_value(signer.signed_attributes, oids.MESSAGE_DIGEST)
    if kind is None or digest is None:
        raise Fault(FaultKind.BAD_SIGNATURE, "contentType or messageDigest attribute is missing", "not validly signed")
    expected = digests.digest(signer.digest_algorithm, data, legacy=legacy)
    if der.read(kind).oid() != content_type or not hmac.compare_digest(der.read(digest).octets(), expected):
        raise Fault(FaultKind.BAD_SIGNATURE, "contentType or messageDigest differs", "the signature is not valid")
