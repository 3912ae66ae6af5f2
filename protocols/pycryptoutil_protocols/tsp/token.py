"""TimeStampToken: a TSTInfo in SignedData, bound to the signer's certificate by ESSCertIDv2 (RFC 5816, RFC 5035).

There is no signingTime attribute: genTime is the time, and two could contradict each other. The digest of the signed
attributes is that of the signature (RFC 8933), and CMSAlgorithmProtection (RFC 6211) fixes both.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pycryptoutil_protocols import algorithms, cms, der, oids, x509
from pycryptoutil_protocols.attributes import Attribute, single_value
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Signer

from .codec import decode_tst_info, encode_tst_info
from .messages import TstInfo

_SHA256_OCTETS = 32


def sign_token(info: TstInfo, signer: Signer, certificate: bytes, certificates: Sequence[bytes]) -> bytes:
    """DER ContentInfo. ``certificates`` is what to put in, DER: nothing unless the request had certReq."""
    token: bytes = cms.build_signed_data(
        oids.TST_INFO,
        encode_tst_info(info),
        signer,
        certificate,
        certificates=sorted(certificates),  # a SET OF, and some readers insist on its order (X.690 section 11.6)
        attributes=(signing_certificate(certificate), _algorithm_protection(signer.signature_algorithm)),
    )
    return token


@lru_cache(maxsize=64)
def signing_certificate(certificate: bytes) -> Attribute:
    """SigningCertificateV2 with one ESSCertIDv2; its hash is the default, SHA-256 (RFC 5035 section 4)."""
    facts = x509.own_certificate(certificate)
    issuer = der.sequence(der.sequence(der.explicit(4, facts.issuer)), der.integer(facts.serial))
    identifier = der.sequence(der.octet_string(algorithms.digest("sha256", certificate)), issuer)
    return Attribute(oids.SIGNING_CERTIFICATE_V2, (der.sequence(der.sequence(identifier)),))


@lru_cache(maxsize=32)
def _algorithm_protection(name: str) -> Attribute:
    value = der.sequence(
        algorithms.hash_identifier(algorithms.signature_hash(name)),
        der.retag(der.context(1), algorithms.signature_identifier(name)),
    )
    return Attribute(oids.CMS_ALGORITHM_PROTECTION, (value,))


@dataclass(frozen=True, slots=True)
class Token:
    """A token whose signature holds; that ``certificate`` is trusted is for the caller to check."""

    info: TstInfo
    certificate: x509.Certificate
    certificates: tuple[bytes, ...]


def decode_token(token: bytes) -> TstInfo:
    """Return what a token says, unverified."""
    return decode_tst_info(_content(cms.decode_signed_data(token)))


def _content(signed: cms.SignedData) -> bytes:
    if signed.content_type != oids.TST_INFO or signed.content is None:
        raise Fault(FaultKind.INVALID, f"content type {signed.content_type}", "this is no time-stamp")
    return signed.content


def verify_token(token: bytes, *, candidates: Sequence[bytes] = ()) -> Token:
    """Check signature, signer's certificate binding and purpose; Fault(BAD_SIGNATURE, INVALID, NOT_FOUND, …)."""
    signed = cms.decode_signed_data(token)
    content = _content(signed)
    if len(signed.signers) != 1:  # RFC 3161 section 2.4.2
        raise Fault(FaultKind.INVALID, f"{len(signed.signers)} signers", "a time-stamp has one signature")
    (certificate,) = cms.verify_signed_data(signed, candidates=candidates)
    _check_binding(signed.signers[0].signed_attributes, certificate)
    purpose = certificate.extension(oids.EXTENDED_KEY_USAGE)
    if purpose is None or not purpose.critical or purpose.value != der.sequence(der.oid(oids.TIME_STAMPING)):
        text = "the certificate is not for time-stamping only"  # section 2.3
        raise Fault(FaultKind.INVALID, text, text)
    return Token(decode_tst_info(content), certificate, signed.certificates)


def _check_binding(attributes: Sequence[Attribute], certificate: x509.Certificate) -> None:
    value = single_value(attributes, oids.SIGNING_CERTIFICATE_V2)
    if value is None:
        raise Fault(FaultKind.BAD_SIGNATURE, "no signingCertificateV2", "the time-stamp names no certificate")
    first = der.read(value).expect(der.SEQUENCE).reader().take(der.SEQUENCE, "certs").children()[0]
    reader = first.expect(der.SEQUENCE, "ESSCertIDv2").reader()
    algorithm = reader.optional(der.SEQUENCE)
    name = algorithms.decode_hash(algorithm) if algorithm is not None else "sha256"
    digest = reader.take(der.OCTET_STRING, "certHash").octets()
    if name == "sha1" or len(digest) < _SHA256_OCTETS:
        raise Fault(FaultKind.BAD_ALGORITHM, f"ESSCertIDv2 by {name}", "the certificate is named by a weak hash")
    if not hmac.compare_digest(digest, algorithms.digest(name, certificate.der)):
        raise Fault(FaultKind.BAD_SIGNATURE, "signingCertificateV2 differs", "the time-stamp names another certificate")
