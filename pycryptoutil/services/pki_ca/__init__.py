"""pki-ca: the certificate authority. Each protocol has a folder; this file puts their tables together."""

from __future__ import annotations

from pycryptoutil.authority.crl.publisher import TICK
from pycryptoutil.authority.revocation_status import POLL_INTERVAL
from pycryptoutil.authority.store import SEALED_COLUMNS
from pycryptoutil.service.definition import BackgroundTask, ReadinessCheck, ServiceDefinition
from pycryptoutil.services.pki_ca.acme import routes as acme_routes
from pycryptoutil.services.pki_ca.approvals import routes as approval_routes
from pycryptoutil.services.pki_ca.certificates import routes as certificate_routes
from pycryptoutil.services.pki_ca.cmc import handlers as cmc_handlers
from pycryptoutil.services.pki_ca.cmc import routes as cmc_routes
from pycryptoutil.services.pki_ca.cmp import handlers as cmp_handlers
from pycryptoutil.services.pki_ca.cmp import routes as cmp_routes
from pycryptoutil.services.pki_ca.distribution import routes as distribution_routes
from pycryptoutil.services.pki_ca.est import routes as est_routes
from pycryptoutil.services.pki_ca.lifecycle import routes as lifecycle_routes
from pycryptoutil.services.pki_ca.moving import routes as moving_routes
from pycryptoutil.services.pki_ca.ocsp import routes as ocsp_routes
from pycryptoutil.services.pki_ca.pages import PAGES
from pycryptoutil.services.pki_ca.rest import routes as rest_routes
from pycryptoutil.services.pki_ca.scep import routes as scep_routes
from pycryptoutil.services.pki_ca.settings import PkiCaSettings
from pycryptoutil.services.pki_ca.ssh import routes as ssh_routes
from pycryptoutil.services.pki_ca.state import State, build
from pycryptoutil.services.pki_ca.tsa import routes as tsa_routes
from pycryptoutil.services.pki_ca.webhooks import routes as webhook_routes

SERVICE = ServiceDefinition(
    name="pki-ca",
    product="PKI",
    title="Certificate Authority",
    public_port=8443,
    admin_port=9091,
    plain_port=8444,
    client_policy="request",  # EST clients show the certificate to be renewed; the CA itself judges it
    routes=(
        *rest_routes.ROUTES,
        *certificate_routes.ROUTES,
        *approval_routes.ROUTES,
        *lifecycle_routes.ROUTES,
        *moving_routes.ROUTES,
        *webhook_routes.ROUTES,
        *ssh_routes.ROUTES,
        *est_routes.ROUTES,
        *ocsp_routes.ROUTES,
        *distribution_routes.ROUTES,
        *tsa_routes.ROUTES,
        *acme_routes.ROUTES,
        *scep_routes.ROUTES,
        *cmp_routes.ROUTES,
        *cmc_routes.ROUTES,
    ),
    build=build,
    pages=PAGES,
    settings=PkiCaSettings,
    migrations=("pycryptoutil.authority",),
    sealed_columns=SEALED_COLUMNS,
    background=(
        BackgroundTask("revocation-watch", POLL_INTERVAL, lambda state: state.watch.poll()),
        BackgroundTask("ocsp-refresh", 30.0, lambda state: state.ocsp.refresh()),
        BackgroundTask("ocsp-warm", 5.0, lambda state: state.ocsp.warm()),
        BackgroundTask("ocsp-signers", 300.0, lambda state: state.ocsp.renew(), every_worker=False),
        BackgroundTask("signers", 300.0, lambda state: state.authority.signers.renew(), every_worker=False),
        BackgroundTask("scep", 300.0, lambda state: state.scep and state.scep.expire(), every_worker=False),
        BackgroundTask("crl", TICK, lambda state: state.crl.tick()),
        BackgroundTask("cmp", 5.0, cmp_handlers.expire, every_worker=False),
        BackgroundTask("cmc", 30.0, cmc_handlers.upkeep, every_worker=False),
        BackgroundTask("acme", 2.0, lambda state: state.acme and state.acme.tick()),
        BackgroundTask("acme-tidy", 600.0, lambda state: state.acme and state.acme.tidy(), every_worker=False),
        BackgroundTask("webhooks", 1.0, lambda state: state.events.tick()),
        BackgroundTask("events", 600.0, lambda state: state.events.maintain(), every_worker=False),
        BackgroundTask("upkeep", 600.0, lambda state: state.authority.maintain(), every_worker=False),
    ),
    readiness=(
        ReadinessCheck("authority", lambda state: state.authority.ready()),
        ReadinessCheck("hsm", lambda state: state.authority.room.vault.check()),
    ),
    scopes=rest_routes.SCOPES
    | certificate_routes.SCOPES
    | moving_routes.SCOPES
    | approval_routes.SCOPES
    | webhook_routes.SCOPES,
)

__all__ = ["SERVICE", "State"]
