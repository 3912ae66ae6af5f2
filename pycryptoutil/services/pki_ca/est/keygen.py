"""The private key that serverkeygen makes, on its way to the client (RFC 7030 section 4.4).

Encrypted by a symmetric key, the identifier is the enrolment credential's user name and the key is
HKDF-SHA256(password, no salt, info "est serverkeygen", 32 octets): both sides have it, and it is never sent.
Encrypted to a key pair, the identifier is the subject key identifier of a certificate issued here to the same client.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols import cms
from pycryptoutil_protocols.est import serverkeygen
from pycryptoutil_protocols.est.serverkeygen import Protection
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority import CertificateAuthorityService, IssueOrder
from pycryptoutil.authority.model import CertificateFilter, CertificateRecord, CertificateStatus
from pycryptoutil.clock import Clock
from pycryptoutil.crypto.keys import hkdf
from pycryptoutil.crypto.signer import KeySigner
from pycryptoutil.services.pki_ca.est.caller import Caller

KDF_INFO: Final = b"est serverkeygen"
_SIGNER_PROFILE: Final = "document-signing"
_SIGNER_SUBJECT: Final = "CN=EST key generation"
_SIGNER_LIFE: Final = timedelta(days=7)
_SIGNER_RENEWED: Final = timedelta(days=2)
_LOOKED_THROUGH: Final = 200
_NO_KEY: Final = "no key of that identifier is known for this client"


@dataclass(frozen=True, slots=True)
class PackageSigner:
    """Signs key packages. Its key lives in this process only."""

    signer: KeySigner = field(repr=False)
    certificate: bytes = field(repr=False)
    until: datetime


class KeyProtector:
    """Encrypts generated keys to the clients that ask for it."""

    def __init__(self, service: CertificateAuthorityService, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._signers: dict[tuple[str, str], PackageSigner] = {}

    def protect(self, caller: Caller, wanted: Protection, pkcs8: bytes) -> bytes:
        """Return the CMS of RFC 7030 section 4.4.2; Fault(FORBIDDEN) when the client has no such key."""
        recipient = self.recipient(caller, wanted)
        signer = self._signer(caller)
        return serverkeygen.protect(pkcs8, recipient, signer.signer, signer.certificate, cipher=wanted.cipher)

    def recipient(self, caller: Caller, wanted: Protection) -> cms.Recipient:
        """Find what to encrypt to, before anything is issued."""
        if wanted.symmetric_key_identifier:
            return self._symmetric(caller, wanted.symmetric_key_identifier)
        record = self._certificate_of(caller, wanted.asymmetric_key_identifier)
        certificate = decode_certificate(record.der)
        return cms.recipient_for_key(
            certificate.spki,
            issuer_and_serial=certificate.issuer_and_serial,
            key_identifier=certificate.subject_key_identifier,
        )

    def _symmetric(self, caller: Caller, identifier: bytes) -> cms.Recipient:
        if caller.credential is None or identifier != caller.credential.username.encode():
            raise Fault(FaultKind.FORBIDDEN, "DecryptKeyIdentifier is not the credential's user name", _NO_KEY)
        return cms.KeyEncryptionKey(hkdf("sha256", caller.secret.encode(), b"", KDF_INFO, 32), identifier)

    def _certificate_of(self, caller: Caller, identifier: bytes) -> CertificateRecord:
        if caller.certificate is not None and _has_identifier(caller.certificate, identifier):
            return caller.certificate
        wanted = CertificateFilter(status=CertificateStatus.VALID, requester=caller.actor)
        page = self._service.certificates(caller.tenant_id, wanted, limit=_LOOKED_THROUGH)
        found = next((record for record in page.items if _has_identifier(record, identifier)), None)
        if found is None:
            raise Fault(FaultKind.FORBIDDEN, "AsymmetricDecryptKeyIdentifier names no certificate", _NO_KEY)
        return found

    def _signer(self, caller: Caller) -> PackageSigner:
        place = (caller.tenant_id, caller.authority)
        with self._lock:
            found = self._signers.get(place)
            if found is None or found.until <= self._clock.now():
                found = self._signers[place] = self._make_signer(*place)
        return found

    def _make_signer(self, tenant_id: str, authority: str) -> PackageSigner:
        now = self._clock.now()
        order = IssueOrder(
            authority=authority,
            profile=_SIGNER_PROFILE,
            subject=_SIGNER_SUBJECT,
            not_after=now + _SIGNER_LIFE,
            protocol="est",
        )
        issued, key = self._service.generate_and_issue(tenant_id, order, "system", key_algorithm="EC-P256")
        return PackageSigner(KeySigner(key), issued.der, issued.not_after - _SIGNER_RENEWED)


def _has_identifier(record: CertificateRecord, identifier: bytes) -> bool:
    return decode_certificate(record.der).subject_key_identifier == identifier
