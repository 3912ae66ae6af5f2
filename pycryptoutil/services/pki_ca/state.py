"""What pki-ca keeps between requests: the CA, its OCSP responder and its CRL publisher, wired together."""

from __future__ import annotations

from dataclasses import dataclass

from pycryptoutil.authority import CertificateAuthorityService, DistributionUrls
from pycryptoutil.authority.acme import AcmeService
from pycryptoutil.authority.cmp import CmpService
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.events import EventService
from pycryptoutil.authority.ocsp import OcspService
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.authority.scep import ScepService
from pycryptoutil.authority.ssh import SshService
from pycryptoutil.authority.timestamp import TimestampService
from pycryptoutil.clock import Clock
from pycryptoutil.crypto.pkcs11 import TokenFault
from pycryptoutil.errors import StartupError
from pycryptoutil.service.definition import Resources
from pycryptoutil.services.pki_ca.est.keygen import KeyProtector
from pycryptoutil.services.pki_ca.settings import PkiCaSettings


@dataclass(frozen=True, slots=True)
class State:
    """Shared by every thread of a process."""

    authority: CertificateAuthorityService
    ocsp: OcspService
    crl: CrlService
    watch: RevocationWatch
    clock: Clock
    settings: PkiCaSettings
    key_protector: KeyProtector
    ssh: SshService
    tsa: TimestampService | None  # None: not offered
    acme: AcmeService | None  # None: not offered
    scep: ScepService | None
    cmp: CmpService | None
    events: EventService


def build(resources: Resources) -> State:
    """Open the CA, making root and issuing CA where there are none. The barrier is open by now."""
    settings: PkiCaSettings = resources.settings
    database, barrier, clock = resources.database, resources.barrier, resources.clock
    urls = DistributionUrls((settings.distribution_url or resources.urls.plain).rstrip("/"))
    authority = CertificateAuthorityService(
        database, barrier, clock, urls, settings, resources.instance, resources.default_tenant_id
    )
    try:
        authority.first_start(resources.default_tenant_id)
    except TokenFault as fault:
        raise StartupError(fault.detail) from None
    watch = RevocationWatch(database, clock)
    protector = KeyProtector(authority, clock)
    room = authority.room
    crls = CrlService(room, watch)
    return State(
        authority,
        OcspService(room, watch),
        crls,
        watch,
        clock,
        settings,
        protector,
        SshService(room),
        TimestampService(room, authority.signers, settings.tsa.rules()) if settings.tsa.enabled else None,
        AcmeService(room, authority, settings.acme.rules(resources.profile)) if settings.acme.enabled else None,
        ScepService(authority, crls, settings.scep.rules(), clock) if settings.scep.enabled else None,
        CmpService(authority, crls, settings.cmp.rules(), clock) if settings.cmp.enabled else None,
        EventService(room, settings.webhooks.rules(resources.profile)),
    )
