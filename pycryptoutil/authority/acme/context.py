"""What the parts of ACME work with, and who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pycryptoutil_protocols.acme.jwk import Jwk
from pycryptoutil_protocols.acme.problems import AcmeFault, Problem, ProblemType
from pycryptoutil_protocols.faults import FaultKind

from pycryptoutil.authority.acme.model import AcmeRules, Enroller, Place
from pycryptoutil.authority.acme.store.rows import AccountRow
from pycryptoutil.authority.profile import Profile
from pycryptoutil.authority.room import Room, load_profile

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Core:
    """Shared by every thread of a process."""

    room: Room
    rules: AcmeRules
    enroller: Enroller = field(repr=False)

    @property
    def now(self) -> datetime:
        """UTC, in the seconds that ACME's times have."""
        return self.room.clock.now().replace(microsecond=0)

    def profile(self, place: Place) -> Profile:
        """The directory's profile; Fault(NOT_FOUND)."""
        with self.room.database.read(place.tenant_id) as reader:
            return load_profile(reader, place.profile)


@dataclass(frozen=True, slots=True)
class Caller:
    """An account at work."""

    place: Place
    account: AccountRow
    key: Jwk = field(repr=False)
    request_id: str = ""
    peer: str = ""

    @property
    def actor(self) -> str:
        """How audit events name it."""
        return actor_of(self.account)

    @property
    def url(self) -> str:
        """The account's URL."""
        return account_url(self.place, self.account.id)


def actor_of(account: AccountRow) -> str:
    """How audit events and certificates' requesters name an account."""
    return f"acme:{account.id}"


def account_url(place: Place, account_id: str) -> str:
    """Where an account is, and what CAA's ``accounturi`` names."""
    return place.url("account", account_id)


def limited(text: str, retry_after: timedelta) -> AcmeFault:
    """Return the fault of a rate that was exceeded (RFC 8555 section 6.6)."""
    seconds = int(retry_after.total_seconds())
    return AcmeFault(Problem(ProblemType.RATE_LIMITED, text), FaultKind.RATE_LIMITED, retry_after=seconds)


def account_over(status: str) -> AcmeFault:
    """Return the fault of an account that is not valid any more (RFC 8555 section 7.3.6)."""
    problem = Problem(ProblemType.UNAUTHORIZED, f"the account is {status}", status=401)
    return AcmeFault(problem, FaultKind.FORBIDDEN)


def not_yours() -> AcmeFault:
    """Return the fault of a resource that is another account's, or is not there at all: nobody learns which."""
    return AcmeFault(Problem(ProblemType.UNAUTHORIZED, "this account has no such resource"), FaultKind.FORBIDDEN)
