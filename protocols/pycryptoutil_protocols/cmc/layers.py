"""What is around a message: SignedData, with the forms of signing that CMC has, or AuthenticatedData (section 3.2)."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols import algorithms, cms, der, oids
from pycryptoutil_protocols.attributes import Attribute, single_value
from pycryptoutil_protocols.cms.digests import digest
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Signer

from .authenticated import AUTHENTICATED_DATA, Authenticated, decode_authenticated
from .messages import NO_SIGNATURE

NOBODY = der.sequence(der.sequence(), der.integer(0))
"""IssuerAndSerialNumber of a signer that has no name: an empty one, and the serial number 0."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, opened and not verified: exactly one of ``signer`` and ``authenticated`` is there."""

    content_type: str
    content: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    crls: tuple[bytes, ...] = field(default=(), repr=False)
    signer: cms.SignerInfo | None = None
    authenticated: Authenticated | None = None

    @property
    def signing_time(self) -> datetime | None:
        """When the peer says that it signed."""
        attributes = self.signer.signed_attributes if self.signer is not None else ()
        if self.authenticated is not None:
            attributes = self.authenticated.attributes
        value = single_value(attributes, oids.SIGNING_TIME)
        return der.read(value).time() if value is not None else None

    @property
    def unsigned(self) -> bool:
        """Whether the signature is the one that proves nothing (appendix C.1)."""
        if self.signer is None:
            return False
        oid, _ = algorithms.split_algorithm(der.read(self.signer.signature_algorithm))
        return oid == NO_SIGNATURE


def open_layer(encoded: bytes) -> Layer:
    """Open a ContentInfo, in BER or DER; Fault(MALFORMED, TOO_LARGE, UNSUPPORTED, INVALID)."""
    encoded = cms.from_ber(encoded)
    kind, _ = cms.split_content_info(encoded)
    if kind == AUTHENTICATED_DATA:
        found = decode_authenticated(encoded)
        return Layer(found.content_type, found.content, authenticated=found)
    if kind != oids.SIGNED_DATA:
        text = "a SignedData or AuthenticatedData is expected"
        raise Fault(FaultKind.INVALID, f"CMS content type {kind}", text)
    signed = cms.decode_signed_data(encoded)
    if signed.content is None or len(signed.signers) != 1:
        text = "a message has its content inside, and one signer"
        raise Fault(FaultKind.INVALID, f"{len(signed.signers)} signers", text)
    return Layer(signed.content_type, signed.content, signed.certificates, signed.crls, signed.signers[0])


def verify(layer: Layer, spki: bytes) -> None:
    """Raise Fault(BAD_SIGNATURE) unless the layer was signed by this key; BAD_ALGORITHM, WEAK_KEY before."""
    if layer.signer is None:
        raise Fault(FaultKind.BAD_SIGNATURE, "no signature", "the message is not signed")
    cms.verify_signer(layer.signer, layer.content_type, layer.content, spki)


def check_unsigned(layer: Layer) -> None:
    """Check that the digest in a no-signature signature is right: that nothing was garbled, and no more."""
    signer = layer.signer
    if signer is None:
        raise Fault(FaultKind.BAD_SIGNATURE, "no signature", "the message is not signed")
    covered = layer.content
    if signer.signed_attributes_der:
        cms.check_attributes(signer, layer.content_type, layer.content)
        covered = signer.signed_attributes_der
    if not hmac.compare_digest(digest(signer.digest_algorithm, covered), signer.signature):
        raise Fault(FaultKind.BAD_SIGNATURE, "digest in place of a signature differs", "the message was garbled")


def unsigned_layer(content_type: str, content: bytes, attributes: Sequence[Attribute] = ()) -> bytes:
    """DER ContentInfo of a SignedData that nobody signed."""
    covered = cms.signed_attributes(content_type, algorithms.digest("sha256", content), attributes)
    info = der.sequence(
        der.integer(1),
        NOBODY,
        algorithms.hash_identifier("sha256"),
        der.retag(der.context(0), covered),
        algorithms.algorithm_identifier(NO_SIGNATURE, der.null()),
        der.octet_string(algorithms.digest("sha256", covered)),
    )
    body = der.sequence(
        der.integer(3),
        der.set_of((algorithms.hash_identifier("sha256"),)),
        der.sequence(der.oid(content_type), der.explicit(0, der.octet_string(content))),
        der.set_of((info,)),
    )
    return cms.content_info(oids.SIGNED_DATA, body)


def signed_layer(
    content_type: str,
    content: bytes,
    signer: Signer,
    *,
    certificates: Sequence[bytes] = (),
    crls: Sequence[bytes] = (),
    certificate: bytes = b"",
    key_identifier: bytes = b"",
    attributes: Sequence[Attribute] = (),
) -> bytes:
    """DER ContentInfo of a SignedData by a certificate's key, or by a key that only an identifier names."""
    signature = cms.Signature(signer, certificate, attributes, key_identifier=key_identifier)
    return cms.sign(content_type, content, (signature,), certificates=certificates, crls=crls)


def signing_time(moment: datetime) -> Attribute:
    """Return the signingTime attribute."""
    return Attribute(oids.SIGNING_TIME, (der.x509_time(int(moment.timestamp())),))
