"""SignedData (RFC 5652 section 5), with and without signers."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from pycryptoutil_protocols import algorithms, der, oids, x509
from pycryptoutil_protocols.attributes import Attribute, decode_attributes, single_value
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Signer
from pycryptoutil_protocols.x509 import Certificate

from .content import MAX_CMS, MAX_DEPTH, content_info, split_content_info

_MAX_CERTIFICATES = 64
_MAX_SIGNERS = 16
_CERTIFICATE = der.SEQUENCE  # the other choices of CertificateSet are tagged, and skipped


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """One signature; the signer is named by ``issuer_and_serial`` (DER) or by ``key_identifier``."""

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


def encode_certs_only(certificates: Sequence[bytes], crls: Sequence[bytes] = (), *, in_order: bool = True) -> bytes:
    """DER ContentInfo of a SignedData with certificates and no signer.

    Sorted as DER's SET OF the CA may come before the leaf, while some readers take the first for the leaf; so the
    order given is kept unless ``in_order`` is false, which strict readers of DER like better.
    """
    certificates = certificates if in_order else sorted(certificates)
    return content_info(
        oids.SIGNED_DATA,
        der.sequence(
            der.integer(1),
            der.set_of(()),
            der.sequence(der.oid(oids.DATA)),
            der.explicit(0, *certificates) if certificates else b"",
            der.explicit(1, *crls) if crls else b"",
            der.set_of(()),
        ),
    )


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
    digest = algorithms.decode_hash(reader.take(der.SEQUENCE, "digestAlgorithm"))
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


def build_signed_data(
    content_type: str,
    content: bytes,
    signer: Signer,
    certificate: bytes,
    *,
    certificates: Sequence[bytes] | None = None,
    attributes: Sequence[Attribute] = (),
    by_key_identifier: bool = False,
    bare: bool = False,
) -> bytes:
    """Sign ``content`` with signed attributes and return a ContentInfo, or the SignedData alone when ``bare``.

    ``certificate`` is the signer's, put in first unless ``certificates`` says what to put in. contentType and
    messageDigest are added to ``attributes``.
    """
    name = signer.signature_algorithm
    digest = algorithms.signature_hash(name)
    signed = [
        Attribute(oids.CONTENT_TYPE, (der.oid(content_type),)),
        Attribute(oids.MESSAGE_DIGEST, (der.octet_string(algorithms.digest(digest, content)),)),
        *attributes,
    ]
    attributes_der = der.set_of(attribute.encode() for attribute in signed)
    facts = x509.decode_certificate(certificate)
    if by_key_identifier and not facts.subject_key_identifier:
        raise Fault(FaultKind.INTERNAL, "the signer's certificate has no key identifier")
    identifier = der.implicit(0, facts.subject_key_identifier) if by_key_identifier else facts.issuer_and_serial
    info = der.sequence(
        der.integer(3 if by_key_identifier else 1),
        identifier,
        algorithms.hash_identifier(digest),
        der.retag(der.context(0), attributes_der),
        algorithms.signature_identifier(name),
        der.octet_string(signer.sign(attributes_der)),
    )
    kept = (certificate,) if certificates is None else certificates
    body = der.sequence(
        der.integer(1 if content_type == oids.DATA and not by_key_identifier else 3),
        der.set_of((algorithms.hash_identifier(digest),)),
        der.sequence(der.oid(content_type), der.explicit(0, der.octet_string(content))),
        der.explicit(0, *kept) if kept else b"",
        der.set_of((info,)),
    )
    return body if bare else content_info(oids.SIGNED_DATA, body)


def verify_signed_data(
    signed: SignedData, *, candidates: Sequence[bytes] = (), content: bytes | None = None
) -> tuple[Certificate, ...]:
    """Check every signature and return the signers' certificates; Fault(BAD_SIGNATURE, NOT_FOUND, BAD_ALGORITHM).

    Signers are looked for in the message and in ``candidates``; that their certificates are trusted, and for this
    purpose, is for the caller to check. ``content`` is what a detached signature is over.
    """
    data = signed.content if content is None else content
    if not signed.signers or data is None:
        raise Fault(FaultKind.BAD_SIGNATURE, "SignedData without signers or content", "the message is not signed")
    known = [x509.decode_certificate(one) for one in (*signed.certificates, *candidates)]
    return tuple(_verify_signer(signer, signed.content_type, data, known) for signer in signed.signers)


def _verify_signer(signer: SignerInfo, content_type: str, data: bytes, known: Sequence[Certificate]) -> Certificate:
    certificate = next((one for one in known if _is_signer(signer, one)), None)
    if certificate is None:
        raise Fault(FaultKind.NOT_FOUND, "the signer's certificate is missing", "the signer's certificate is missing")
    message = data
    if signer.signed_attributes_der:
        _check_attributes(signer, content_type, data)
        message = signer.signed_attributes_der
    elif content_type != oids.DATA:
        raise Fault(FaultKind.BAD_SIGNATURE, "no signed attributes over another type than data", "not validly signed")
    algorithm = _signature_algorithm(signer)
    algorithms.verify(certificate.spki, algorithm, message, signer.signature)
    return certificate


def _signature_algorithm(signer: SignerInfo) -> bytes:
    """Return the whole signature algorithm: RFC 3370 lets rsaEncryption stand for RSA with the digest algorithm."""
    oid, _ = algorithms.split_algorithm(der.read(signer.signature_algorithm))
    if oid == oids.RSA_ENCRYPTION:
        return algorithms.signature_identifier(f"rsa-{signer.digest_algorithm}")
    decoded = algorithms.decode_signature(signer.signature_algorithm).name
    if decoded.startswith(("rsa-", "ecdsa-")) and algorithms.signature_hash(decoded) != signer.digest_algorithm:
        raise Fault(FaultKind.BAD_ALGORITHM, "digest and signature algorithms differ", "the algorithms do not fit")
    return signer.signature_algorithm


def _is_signer(signer: SignerInfo, certificate: Certificate) -> bool:
    if signer.key_identifier:
        return certificate.subject_key_identifier == signer.key_identifier
    return certificate.issuer_and_serial == signer.issuer_and_serial


def _check_attributes(signer: SignerInfo, content_type: str, data: bytes) -> None:
    kind = single_value(signer.signed_attributes, oids.CONTENT_TYPE)
    digest = single_value(signer.signed_attributes, oids.MESSAGE_DIGEST)
    if kind is None or digest is None:
        raise Fault(FaultKind.BAD_SIGNATURE, "contentType or messageDigest attribute is missing", "not validly signed")
    if signer.digest_algorithm == "sha1":
        raise Fault(FaultKind.BAD_ALGORITHM, "SHA-1 message digest", "SHA-1 is not accepted")
    expected = algorithms.digest(signer.digest_algorithm, data)
    if der.read(kind).oid() != content_type or not hmac.compare_digest(der.read(digest).octets(), expected):
        raise Fault(FaultKind.BAD_SIGNATURE, "contentType or messageDigest differs", "the signature is not valid")
