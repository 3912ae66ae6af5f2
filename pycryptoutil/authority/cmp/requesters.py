"""Who protected a message: an enrolment credential, a certificate issued here, or a registration authority with one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.cmp import protection
from pycryptoutil_protocols.cmp.failures import CmpFault
from pycryptoutil_protocols.cmp.general import KEM_CIPHERTEXT_INFO
from pycryptoutil_protocols.cmp.messages import BodyType, General, PKIFailureInfo, PKIMessage
from pycryptoutil_protocols.cmp.protection import Mechanism
from pycryptoutil_protocols.cmp.server.office import Auth, Requester
from pycryptoutil_protocols.cmp.server.transactions import Record
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.authority.cmp.place import Place
from pycryptoutil.authority.cmp.rules import CmpRules
from pycryptoutil.authority.cmp.shields import MacShield, SignedShield
from pycryptoutil.authority.extensions import key_usage_bits
from pycryptoutil.authority.model import CertificateRecord, Credential
from pycryptoutil.authority.service import CertificateAuthorityService
from pycryptoutil.crypto import policy

CMC_RA: Final = "1.3.6.1.5.5.7.3.28"  # id-kp-cmcRA (RFC 6402 section 2.10)
_CERTIFICATE: Final = "certificate:"
_NOBODY: Final = b"\0" * 32
_DIGITAL_SIGNATURE: Final = 0


@dataclass(frozen=True, slots=True)
class Person:
    """Exactly one of ``credential`` and ``record`` is there. CA and profile are what they may enrol under."""

    tenant_id: str
    authority: str
    profile: str
    credential: Credential | None = None
    secret: bytes = field(default=b"", repr=False)
    record: CertificateRecord | None = None
    is_ra: bool = False

    @property
    def certificate(self) -> Certificate:
        """The protecting certificate."""
        if self.record is None:
            raise Fault(FaultKind.INTERNAL, "a requester without a certificate")
        return decode_certificate(self.record.der)


def person_of(requester: Requester) -> Person:
    """Return what this office knows of a requester."""
    if not isinstance(requester.person, Person):
        raise Fault(FaultKind.INTERNAL, "a requester of another office")
    return requester.person


class Reception:
    """Checks the protection of messages that come by one label."""

    def __init__(self, service: CertificateAuthorityService, rules: CmpRules, place: Place) -> None:
        self._service = service
        self._rules = rules
        self._place = place

    def authenticate(self, message: PKIMessage, record: Record | None) -> Requester:
        """Return who protected the message; CmpFault(BAD_MESSAGE_CHECK, SIGNER_NOT_TRUSTED, NOT_AUTHORIZED …)."""
        match protection.mechanism(message):
            case Mechanism.PASSWORD_BASED_MAC | Mechanism.PBMAC1:
                return self._by_secret(message)
            case Mechanism.SIGNATURE:
                return self._by_signature(message, record)
            case Mechanism.KEM_BASED_MAC:
                return self._by_kem(message, record)
            case Mechanism.NONE if _asks_for_key(message):
                return self._key_owner(message)
            case Mechanism.NONE:
                raise _bad_check("the message is not protected")
            case Mechanism.DH_BASED_MAC:
                raise CmpFault(PKIFailureInfo.BAD_ALG, "DHBasedMac", "this MAC algorithm is not supported")

    # -- by an enrolment credential

    def _by_secret(self, message: PKIMessage) -> Requester:
        credential, secret = self._credential(message)
        parameters = protection.verify_mac(message, secret, self._rules.mac)
        if credential is None:
            raise _bad_check("the protection of the message is not valid")
        self._check_place(credential.tenant_id, credential.authority, credential.profile)
        person = Person(credential.tenant_id, credential.authority, credential.profile, credential, secret)
        subject = decode_certificate(self._place.chain[0]).subject
        shield = MacShield(secret, parameters, message.header.sender_kid, subject)
        return Requester(credential.actor, Auth.MAC, shield, secret=secret, person=person)

    def _credential(self, message: PKIMessage) -> tuple[Credential | None, bytes]:
        """Look up the reference; an unknown one is checked against a secret that nobody has, and takes as long."""
        try:
            username = (message.header.sender_kid or b"").decode("ascii")
            return self._service.credential_secret(self._place.tenant_id, username, "cmp")
        except UnicodeDecodeError:
            return None, _NOBODY
        except Fault as fault:
            if fault.kind is not FaultKind.UNAUTHENTICATED:
                raise
            return None, _NOBODY

    # -- by a certificate

    def _by_signature(self, message: PKIMessage, record: Record | None) -> Requester:
        certificate = self._signer(message, record)
        name = protection.verify_signature(message, certificate.spki)
        policy.check_request_signature(message.header.protection_algorithm, certificate.spki)
        found = self._trusted(certificate.der)
        usage = certificate.extension(oids.KEY_USAGE)
        if usage is not None and _DIGITAL_SIGNATURE not in key_usage_bits(usage.value):
            raise _untrusted(f"{name} by a certificate without digitalSignature")
        return self._of_certificate(found, Auth.SIGNATURE)

    def _signer(self, message: PKIMessage, record: Record | None) -> Certificate:
        """Return the certificate in extraCerts; in a transaction that goes on it may be left out."""
        if record is None or not record.owner.startswith(_CERTIFICATE):
            return protection.signer_certificate(message)
        known = self._service.certificate(self._place.tenant_id, record.owner.removeprefix(_CERTIFICATE))
        return protection.signer_certificate(message, (*message.extra_certificates, known.der))

    def _trusted(self, encoded: bytes) -> CertificateRecord:
        try:
            return self._service.certificate_status_for_client((encoded,))
        except Fault as fault:
            if fault.kind in {FaultKind.UNAUTHENTICATED, FaultKind.EXPIRED}:
                raise _untrusted(fault.detail) from None
            raise

    def _of_certificate(self, found: CertificateRecord, auth: Auth) -> Requester:
        is_ra = self._is_ra(found)
        if is_ra:  # speaks for others, under whichever label of its tenant
            if found.tenant_id != self._place.tenant_id:
                raise _elsewhere()
            person = Person(found.tenant_id, self._place.authority, self._place.profile, record=found, is_ra=True)
        else:
            self._check_place(found.tenant_id, found.authority, found.profile)
            person = Person(found.tenant_id, found.authority, found.profile, record=found)
        return Requester(f"{_CERTIFICATE}{found.serial}", auth, self.signed(person), is_ra=is_ra, person=person)

    def signed(self, person: Person | None = None) -> SignedShield:
        """Return the signature of the CA that the requester belongs to, or of the label's."""
        where = (person.tenant_id, person.authority) if person else (self._place.tenant_id, self._place.authority)
        return SignedShield(self._service.signer(*where, "cmp"))

    def _is_ra(self, found: CertificateRecord) -> bool:
        usage = decode_certificate(found.der).extension(oids.EXTENDED_KEY_USAGE)
        if usage is None or (self._rules.ra_profiles and found.profile not in self._rules.ra_profiles):
            return False
        return any(one.oid() == CMC_RA for one in der.read(usage.value).expect(der.SEQUENCE).children())

    def _check_place(self, tenant_id: str, authority: str, profile: str) -> None:
        """A label that was given must be the one that the requester is for; without one, theirs is taken."""
        place = self._place
        if tenant_id != place.tenant_id:
            raise _elsewhere()
        if place.explicit and (authority, profile) != (place.authority, place.profile):
            raise _elsewhere()

    # -- by a KEM key (RFC 9810 section 5.1.3.4)

    def _by_kem(self, message: PKIMessage, record: Record | None) -> Requester:
        if record is None or not record.memory.secret or not record.owner.startswith(_CERTIFICATE):
            raise _bad_check("there is no shared secret in this transaction: ask for KemCiphertextInfo first")
        protection.verify_mac(message, bytes.fromhex(record.memory.secret), self._rules.mac)
        known = self._service.certificate(self._place.tenant_id, record.owner.removeprefix(_CERTIFICATE))
        return self._of_certificate(self._trusted(known.der), Auth.KEM)

    def _key_owner(self, message: PKIMessage) -> Requester:
        """Whoever asks for a shared secret proves nothing yet: only the owner of the key can use the answer."""
        if not message.extra_certificates:
            raise _bad_check("the certificate of the KEM key is missing in extraCerts")
        found = self._trusted(message.extra_certificates[0])
        return self._of_certificate(found, Auth.KEM)


def _asks_for_key(message: PKIMessage) -> bool:
    body = message.body
    return (
        message.kind is BodyType.GENM
        and isinstance(body, General)
        and [one.oid for one in body.infos] == [KEM_CIPHERTEXT_INFO]
    )


def _bad_check(text: str) -> Fault:
    return CmpFault(PKIFailureInfo.BAD_MESSAGE_CHECK, text, text)


def _untrusted(detail: str) -> Fault:
    return CmpFault(PKIFailureInfo.SIGNER_NOT_TRUSTED, detail, "the signer's certificate is not trusted")


def _elsewhere() -> Fault:
    text = "the credential or certificate is for another profile or CA"
    return CmpFault(PKIFailureInfo.NOT_AUTHORIZED, text, text)
