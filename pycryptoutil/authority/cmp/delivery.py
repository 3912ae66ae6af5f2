"""Handing over what was issued: in the clear, encrypted to its own key, or with a key that was made here.

A certificate is encrypted where possession of its key is proved by decrypting it (RFC 9810 section 5.2.8.3.2). A key
made here goes in EnvelopedData around SignedData (RFC 9483 section 4.1.6), to the requester's password or certificate.

OpenSSL's client, up to 3.5 at least, reads such a key only if it stands bare where RFC 5958 has a package of keys, and
is encrypted to a password by RFC 3211 instead of AES-KW (RFC 9481 section 4.4): so it is sent when not ``by_rfc``.
It asks under CMP version 2, though EnvelopedData needs version 3, which tells it from clients that go by the RFC.
"""

from __future__ import annotations

from datetime import timedelta

from pycryptoutil_protocols import cms, oids
from pycryptoutil_protocols.cmp import keys, pop
from pycryptoutil_protocols.cmp.messages import CertifiedKeyPair, PKIFailureInfo
from pycryptoutil_protocols.cmp.server.wishes import Wish
from pycryptoutil_protocols.crmf.messages import EncryptedKey
from pycryptoutil_protocols.faults import Fault
from pycryptoutil_protocols.names import decode_general_names, decode_name
from pycryptoutil_protocols.x509 import decode_certificate, find_extension

from pycryptoutil.authority.cmp import orders
from pycryptoutil.authority.cmp.requesters import Person
from pycryptoutil.authority.model import IssuedCertificate
from pycryptoutil.authority.service import CertificateAuthorityService
from pycryptoutil.crypto.keys import PrivateKey, encapsulate
from pycryptoutil.crypto.x509 import ski
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

_SECOND = timedelta(seconds=1)


def check_receivable(person: Person, wish: Wish) -> None:
    """Refuse, before anything is issued, what could not be encrypted; CmpFault(BAD_POP, BAD_ALG)."""
    if wish.encrypted:
        _check_decrypts(wish.spki)
    if wish.generate:
        _recipient_of(person)


def _check_decrypts(spki: bytes) -> None:
    try:
        cms.recipient_for_key(spki, key_identifier=ski(spki), encapsulate=encapsulate)
    except Fault as fault:
        text = "this kind of key cannot decrypt: prove possession by a signature"
        raise orders.refuse(PKIFailureInfo.BAD_POP, text) from fault


def _recipient_of(person: Person, *, by_rfc: bool = True) -> cms.Recipient:
    if person.is_ra:
        text = "a key is made for who asks for it: an RA forwards the request as it came (RFC 9483 section 5.2.3)"
        raise orders.refuse(PKIFailureInfo.NOT_AUTHORIZED, text)
    if person.credential is not None:
        return cms.Password(person.secret, pwri_kek=not by_rfc)
    certificate = person.certificate
    try:
        return cms.recipient_for_key(
            certificate.spki,
            issuer_and_serial=certificate.issuer_and_serial,
            key_identifier=certificate.subject_key_identifier,
            encapsulate=encapsulate,
        )
    except Fault as fault:
        text = "the key cannot be encrypted to the certificate that protects the request"
        raise orders.refuse(PKIFailureInfo.BAD_ALG, text) from fault


def key_pair(
    service: CertificateAuthorityService,
    person: Person,
    wish: Wish,
    issued: IssuedCertificate,
    key: PrivateKey | None,
    actor: str,
    request_id: str,
    *,
    by_rfc: bool,
) -> CertifiedKeyPair:
    """Return what goes into the answer."""
    if wish.encrypted:
        sealed = pop.encrypt_certificate(issued.der, encapsulate=encapsulate, key_identifier=ski(wish.spki))
        return CertifiedKeyPair(encrypted_certificate=sealed)
    if key is None:
        return CertifiedKeyPair(issued.der)
    with service.room.database.unit_of_work(person.tenant_id) as uow:
        target = f"{issued.authority}/{issued.serial}"
        details = {"serial": issued.serial, "encrypted": True, "protocol": "cmp"}
        audit.append(uow, AuditEvent("key.export", actor, target, "success", details, request_id))
    return CertifiedKeyPair(issued.der, private_key=_package(service, person, key, by_rfc=by_rfc))


def _package(service: CertificateAuthorityService, person: Person, key: PrivateKey, *, by_rfc: bool) -> EncryptedKey:
    signer = service.signer(person.tenant_id, person.authority, "cmp")
    certificates = (signer.certificate, *signer.chain)
    return keys.wrap(
        key.export_pkcs8(), _recipient_of(person, by_rfc=by_rfc), signer.signer, certificates, package=by_rfc
    )


def modified(wish: Wish, issued: IssuedCertificate) -> bool:
    """Tell whether the certificate has another name, other alternative names or another end than was asked for."""
    certificate = decode_certificate(issued.der)
    subject = wish.template.subject
    if subject is not None and decode_name(subject).comparable() != decode_name(certificate.subject).comparable():
        return True
    names = find_extension(wish.template.extensions, oids.SUBJECT_ALT_NAME)
    if names is not None:
        asked = {one.comparable() for one in decode_general_names(names.value)}
        if asked != {one.comparable() for one in certificate.sans}:
            return True
    return wish.not_after is not None and abs(wish.not_after - certificate.not_after) > _SECOND
