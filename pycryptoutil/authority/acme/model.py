"""What ACME goes by, and what its resources look like from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pycryptoutil_protocols.acme.messages import ChallengeType

from pycryptoutil.authority.enrolment import Enrolment
from pycryptoutil.authority.model import IssueOrder, RevocationReason
from pycryptoutil.authority.outreach import Network
from pycryptoutil.storage import UnitOfWork


class Enroller(Protocol):
    """How certificates are asked for, whichever protocol it is."""

    def enrol(self, tenant_id: str, order: IssueOrder, actor: str, request_id: str = "") -> Enrolment:
        """Issue, or keep the order until it is approved."""

    def enrolment(self, tenant_id: str, enrolment_id: str) -> Enrolment:
        """Return what became of one that waits."""

    def cancel_enrolment(
        self, tenant_id: str, enrolment_id: str, actor: str, request_id: str = "", reason: str = ""
    ) -> None:
        """Withdraw one that waits; Fault(CONFLICT) if it was decided."""

    def revoke(
        self,
        tenant_id: str,
        serial: str,
        reason: RevocationReason,
        invalidity_date: datetime | None,
        actor: str,
        request_id: str = "",
        authority: str = "",
    ) -> object:
        """Revoke a certificate; Fault(CONFLICT) if it is already."""

    def withdraw_enrolments(self, uow: UnitOfWork, actor: str, request_id: str = "") -> int:
        """Withdraw all that an actor has waiting, in this unit of work."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far validation reaches. ``resolvers``: ``address#port`` each; none: the machine's own.

    ``agree``: from how many resolvers' views a challenge must succeed. ``test_loopback``: names under ``.test`` mean
    loopback where no resolver is configured, for development.
    """

    resolvers: tuple[str, ...] = ()
    agree: int = 1
    allow: tuple[Network, ...] = ()
    test_loopback: bool = False
    http_ports: tuple[int, ...] = (80,)
    https_port: int = 443
    tls_ports: tuple[int, ...] = (443,)
    timeout: float = 10.0  # seconds, of one attempt over all


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates per hour, but for the last; 0: no limit."""

    accounts_per_address: int = 60
    orders_per_account: int = 600
    authorizations_per_account: int = 600  # by newAuthz, and not used by an order
    failures_per_name: int = 10
    validations_at_once: int = 50  # of one account, so that nobody keeps every validator busy


@dataclass(frozen=True, slots=True)
class AutoRenewalRules:
    """RFC 8739: ``minimum`` lifetime of each certificate, ``maximum`` of the whole."""

    minimum: timedelta = timedelta(hours=12)
    maximum: timedelta = timedelta(days=365)
    allow_get: bool = True


@dataclass(frozen=True, slots=True)
class AcmeRules:
    """What every ACME directory of an installation goes by."""

    external_account_required: bool = True
    terms_of_service: str = ""
    website: str = ""
    caa_identities: tuple[str, ...] = ()
    challenges: frozenset[ChallengeType] = frozenset(
        {ChallengeType.HTTP_01, ChallengeType.DNS_01, ChallengeType.TLS_ALPN_01}
    )
    reach: Reach = Reach()
    limits: Limits = Limits()
    auto_renewal: AutoRenewalRules | None = None
    order_lifetime: timedelta = timedelta(days=7)
    authorization_lifetime: timedelta = timedelta(days=30)
    caa_recheck: timedelta = timedelta(hours=7)  # of a check, so that an answer comes before it counts no more
    caa_valid: timedelta = timedelta(hours=8)  # CA/B BR 3.2.2.8
    attempts: int = 3
    retry_after: timedelta = timedelta(seconds=5)  # doubled with each attempt
    validators: int = 8
    attestation_roots: tuple[bytes, ...] = ()
    renewal_poll: timedelta = timedelta(hours=6)
    kept: timedelta = timedelta(days=90)  # orders that came to nothing, for those who ask why


@dataclass(frozen=True, slots=True)
class Place:
    """One directory: whose certificates it gives. ``base`` is its URL without a slash at the end."""

    tenant_id: str
    authority: str
    profile: str
    base: str

    @property
    def scope(self) -> str:
        """What its accounts are kept under: the same key may have one at every label."""
        return f"{self.authority}:{self.profile}"

    def url(self, *parts: str) -> str:
        """Return the URL of a resource."""
        return "/".join((self.base, *parts))
