"""Building SignedData (RFC 5652 section 5): certificates only, one signer, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pycryptoutil_protocols import algorithms, der, oids, x509
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Signer

from .content import content_info


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature to be made.

    The signer is named by ``certificate``: its issuer and serial number, or its key identifier when
    ``by_key_identifier``; without a certificate by ``key_identifier``, or by ``issuer_and_serial`` (DER).
    contentType and messageDigest are added to ``attributes``, unless ``signed_attributes`` is false, which only
    content of type id-data may be. ``digest`` is the hash of the content where the signature algorithm leaves a choice.
    """

    signer: Signer
    certificate: bytes = field(default=b"", repr=False)
    attributes: Sequence[Attribute] = ()
    unsigned_attributes: Sequence[Attribute] = ()
    by_key_identifier: bool = False
    key_identifier: bytes = b""
    issuer_and_serial: bytes = field(default=b"", repr=False)
    digest: str = ""
    signed_attributes: bool = True


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


def sign(
    content_type: str,
    content: bytes,
    signatures: Sequence[Signature],
    *,
    certificates: Sequence[bytes] = (),
    crls: Sequence[bytes] = (),
    detached: bool = False,
    bare: bool = False,
) -> bytes:
    """Sign ``content`` and return a ContentInfo, or the SignedData alone when ``bare``.

    ``certificates`` and ``crls`` are put in as they are, in this order; ``detached`` leaves the content out.
    """
    infos = [_signer_info(one, content_type, content) for one in signatures]
    by_key = any(_by_key(one) for one in signatures)
    digests = {algorithms.hash_identifier(_digest(one)) for one in signatures}
    encapsulated = b"" if detached else der.explicit(0, der.octet_string(content))
    body = der.sequence(
        der.integer(1 if content_type == oids.DATA and not by_key else 3),  # RFC 5652 section 5.1
        der.set_of(digests),
        der.sequence(der.oid(content_type), encapsulated),
        der.explicit(0, *certificates) if certificates else b"",
        der.explicit(1, *crls) if crls else b"",
        der.set_of(infos),
    )
    return body if bare else content_info(oids.SIGNED_DATA, body)


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
    """Sign ``content`` by one signer: ``sign`` for the usual case.

    ``certificate`` is the signer's, put in first unless ``certificates`` says what to put in.
    """
    signature = Signature(signer, certificate, attributes, by_key_identifier=by_key_identifier)
    kept = (certificate,) if certificates is None else certificates
    return sign(content_type, content, (signature,), certificates=kept, bare=bare)


def _digest(signature: Signature) -> str:
    return signature.digest or algorithms.signature_hash(signature.signer.signature_algorithm)


def _by_key(signature: Signature) -> bool:
    return signature.by_key_identifier or bool(signature.key_identifier)


def _identifier(signature: Signature) -> bytes:
    if signature.key_identifier:
        return der.implicit(0, signature.key_identifier)
    if not signature.certificate:
        return signature.issuer_and_serial
    facts = x509.own_certificate(signature.certificate)
    if not signature.by_key_identifier:
        return facts.issuer_and_serial
    if not facts.subject_key_identifier:
        raise Fault(FaultKind.INTERNAL, "the signer's certificate has no key identifier")
    return der.implicit(0, facts.subject_key_identifier)


def _signer_info(signature: Signature, content_type: str, content: bytes) -> bytes:
    digest, name = _digest(signature), signature.signer.signature_algorithm
    identifier = _identifier(signature)
    if not identifier:
        raise Fault(FaultKind.INTERNAL, "a signer without certificate, key identifier, or issuer and serial number")
    message, attributes = content, b""
    if signature.signed_attributes:
        message = signed_attributes(content_type, algorithms.digest(digest, content), signature.attributes)
        attributes = der.retag(der.context(0), message)
    elif content_type != oids.DATA or signature.attributes:
        raise Fault(FaultKind.INTERNAL, "signed attributes are needed")  # RFC 5652 section 5.3
    unsigned = der.set_of(attribute.encode() for attribute in signature.unsigned_attributes)
    return der.sequence(
        der.integer(3 if _by_key(signature) else 1),
        identifier,
        algorithms.hash_identifier(digest),
        attributes,
        algorithms.signature_identifier(name),
        der.octet_string(signature.signer.sign(message)),
        der.retag(der.context(1), unsigned) if signature.unsigned_attributes else b"",
    )


def signed_attributes(content_type: str, digest: bytes, attributes: Sequence[Attribute] = ()) -> bytes:
    """DER SET OF Attribute: contentType, messageDigest and ``attributes``; what a signature is made over."""
    return der.set_of(
        attribute.encode()
        for attribute in (
            Attribute(oids.CONTENT_TYPE, (der.oid(content_type),)),
            Attribute(oids.MESSAGE_DIGEST, (der.octet_string(digest),)),
            *attributes,
        )
    )
