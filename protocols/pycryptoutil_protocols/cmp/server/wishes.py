"""What certificate requests ask for, and whether they prove possession of their keys (RFC 4211, RFC 9810 5.2.8).

A CertTemplate becomes a PKCS#10-shaped request, unsigned, so that whoever issues reads every protocol's wishes alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.cmp import pop
from pycryptoutil_protocols.cmp.messages import BodyType, CertRequests, Pkcs10, PKIFailureInfo, PKIMessage
from pycryptoutil_protocols.crmf import codec as crmf
from pycryptoutil_protocols.crmf.messages import (
    CertId,
    CertReqMsg,
    CertTemplate,
    PrivateKeyPop,
    RaVerified,
    SignaturePop,
    SubsequentMessage,
)
from pycryptoutil_protocols.csr import decode_csr
from pycryptoutil_protocols.faults import Fault
from pycryptoutil_protocols.x509 import encode_extensions

from .refusal import refusal

MAX_WISHES = 16
P10CR_ID = -1  # RFC 9810 section 5.3.22 and RFC 9483 section 4.1.4
_V3 = 2
_NO_NAME = der.sequence()
_UNSIGNED = algorithms.algorithm_identifier("1.3.6.1.5.5.7.6.2")  # id-alg-noSignature (RFC 5272 section 6.1)
_GENERATED = {
    oids.RSA_ENCRYPTION: "RSA",
    oids.ED25519: "Ed25519",
    oids.ML_DSA_44: "ML-DSA-44",
    oids.ML_DSA_65: "ML-DSA-65",
    oids.ML_DSA_87: "ML-DSA-87",
    oids.ML_KEM_512: "ML-KEM-512",
    oids.ML_KEM_768: "ML-KEM-768",
    oids.ML_KEM_1024: "ML-KEM-1024",
}
_CURVES = {oids.P256: "EC-P256", oids.P384: "EC-P384", oids.P521: "EC-P521"}


@dataclass(frozen=True, slots=True)
class Wish:
    """One certificate to make.

    ``csr`` gives names and extensions; it is signed only where ``signed``. ``spki`` is empty when the CA makes the key,
    of the kind ``key_algorithm`` (empty: whichever). ``encrypted``: possession is proved by decrypting the certificate.
    """

    request_id: int
    csr: bytes = field(repr=False)
    spki: bytes = field(default=b"", repr=False)
    signed: bool = False
    generate: bool = False
    key_algorithm: str = ""
    encrypted: bool = False
    template: CertTemplate = field(default_factory=CertTemplate)
    not_before: datetime | None = None
    not_after: datetime | None = None
    old: CertId | None = None

    @property
    def spki_sha256(self) -> str:
        """The key's digest; empty when there is no key yet."""
        return hashlib.sha256(self.spki).hexdigest() if self.spki else ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A request of the message that cannot be granted."""

    request_id: int
    fault: Fault


def read_wishes(message: PKIMessage, *, trusted_ra: bool, secret: bytes) -> tuple[Wish | Refused, ...]:
    """Return what a message asks for, request by request; a Fault for what concerns the whole message.

    ``secret`` is what the requester shares with the CA, empty for none: a publicKeyMAC may prove it once more.
    """
    if isinstance(message.body, Pkcs10):
        csr = message.body.request
        return (_attempt(P10CR_ID, lambda: _from_pkcs10(csr)),)
    if not isinstance(message.body, CertRequests):
        raise refusal(PKIFailureInfo.BAD_REQUEST, "the message asks for no certificate")
    requests = message.body.messages
    _check_whole(requests)
    seen: set[tuple[bytes | None, bytes]] = set()
    wishes: list[Wish | Refused] = []
    for one in requests:
        template = one.request.template
        what = (template.spki, crmf.encode_template(template))
        if what in seen:
            twice = refusal(PKIFailureInfo.DUPLICATE_CERT_REQ, "the same certificate is asked for twice")
            wishes.append(Refused(one.request.request_id, twice))
            continue
        seen.add(what)
        wishes.append(_read(message, one, trusted_ra=trusted_ra, secret=secret))
    return tuple(wishes)


def _check_whole(requests: Sequence[CertReqMsg]) -> None:
    if len(requests) > MAX_WISHES:
        raise refusal(PKIFailureInfo.BAD_REQUEST, f"at most {MAX_WISHES} certificates can be asked for at once")
    ids = [one.request.request_id for one in requests]
    if len(set(ids)) != len(ids) or min(ids) < 0:
        raise refusal(PKIFailureInfo.BAD_REQUEST, "certReqId must be 0 or more, and differ within a message")


def _attempt(request_id: int, work: Callable[[], Wish]) -> Wish | Refused:
    try:
        return work()
    except Fault as fault:
        return Refused(request_id, fault)


def _read(message: PKIMessage, one: CertReqMsg, *, trusted_ra: bool, secret: bytes) -> Wish | Refused:
    def work() -> Wish:
        template = one.request.template
        _check_template(template)
        _check_controls(one, message.kind)
        key_algorithm = generated_algorithm(template)
        generate = key_algorithm is not None
        encrypted = _check_possession(message, one, generate=generate, trusted_ra=trusted_ra, secret=secret)
        spki = b"" if generate or template.spki is None else template.spki
        return Wish(
            request_id=one.request.request_id,
            csr=unsigned_request(template),
            spki=spki,
            generate=generate,
            key_algorithm=key_algorithm or "",
            encrypted=encrypted,
            template=template,
            not_before=template.not_before,
            not_after=template.not_after,
            old=one.request.controls.old_certificate,
        )

    return _attempt(one.request.request_id, work)


def _from_pkcs10(request: bytes) -> Wish:
    csr = decode_csr(request)
    template = CertTemplate(subject=csr.subject, spki=csr.spki, extensions=csr.extensions)
    return Wish(P10CR_ID, csr=request, spki=csr.spki, signed=True, template=template)


def _check_template(template: CertTemplate) -> None:
    """RFC 4211 section 5: what only the CA may say is left out."""
    forbidden = (
        template.serial is not None,
        template.signing_algorithm is not None,
        template.issuer_unique_id is not None,
        template.subject_unique_id is not None,
        template.version not in (None, _V3),
    )
    if any(forbidden):
        text = "the template has a field that only the CA decides, or another version than 3"
        raise refusal(PKIFailureInfo.BAD_CERT_TEMPLATE, text)


def _check_controls(one: CertReqMsg, kind: BodyType) -> None:
    controls = one.request.controls
    if controls.archive is not None and controls.archive.archive_generated is not False:
        raise refusal(PKIFailureInfo.BAD_REQUEST, "private keys are not archived here")
    if controls.old_certificate is not None and kind is not BodyType.KUR:
        raise refusal(PKIFailureInfo.BAD_REQUEST, "oldCertID belongs to a key update request")


def generated_algorithm(template: CertTemplate) -> str | None:
    """Return which key the CA is asked to make, empty for whichever; None when the request brings its own.

    RFC 9483 section 4.1.6: no publicKey, or one whose BIT STRING is empty.
    """
    if template.spki is None:
        return ""
    reader = der.read_sequence(template.spki)
    oid, parameters = algorithms.split_algorithm(reader.any())
    if reader.take(der.BIT_STRING).bits():
        return None
    if oid == oids.EC_PUBLIC_KEY and parameters is not None and parameters.tag == der.OID:
        name = _CURVES.get(parameters.oid())
    else:
        name = _GENERATED.get(oid)
    if name is None:
        raise refusal(PKIFailureInfo.BAD_ALG, "a key of this kind is not made here")
    return name


# Proof of possession


def _check_possession(message: PKIMessage, one: CertReqMsg, *, generate: bool, trusted_ra: bool, secret: bytes) -> bool:
    """Return whether the proof is still to come, by decrypting the certificate; Fault(BAD_POP, …)."""
    match one.pop:
        case None if generate:
            return False
        case RaVerified() if generate and trusted_ra:
            return False
        case None:
            raise _unproved("the request proves no possession of its key")
        case _ if generate:
            raise _unproved("possession cannot be proved of a key that is still to be made")
        case RaVerified():
            if not trusted_ra:
                raise refusal(PKIFailureInfo.NOT_AUTHORIZED, "raVerified is for registration authorities")
            return False
        case SignaturePop():
            pop.verify_signature(one, sender=message.header.sender, secret=secret or None)
            return False
        case PrivateKeyPop(subsequent=SubsequentMessage.ENCR_CERT):
            return True
        case PrivateKeyPop(subsequent=SubsequentMessage.CHALLENGE_RESP):
            raise _unproved("challenges are not made here: ask for the encrypted certificate (encrCert)")
        case _:
            raise _unproved("a private key cannot be sent to this CA: ask for the encrypted certificate (encrCert)")


def _unproved(text: str) -> Fault:
    return refusal(PKIFailureInfo.BAD_POP, text)


# A request in the form of PKCS#10


def unsigned_request(template: CertTemplate) -> bytes:
    """DER of a CertificationRequest with a template's subject, key and extensions, and no signature."""
    attributes = b""
    if template.extensions:
        attributes = Attribute(oids.EXTENSION_REQUEST, (encode_extensions(template.extensions),)).encode()
    spki = template.spki or der.sequence(_UNSIGNED, der.bit_string(b""))
    info = der.sequence(
        der.integer(0),
        template.subject if template.subject is not None else _NO_NAME,
        spki,
        der.explicit(0, attributes),
    )
    return der.sequence(info, _UNSIGNED, der.bit_string(b""))
