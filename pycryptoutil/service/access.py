"""Everything of "who may enter", put together once for a service."""

from __future__ import annotations

from dataclasses import dataclass

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import Clock
from pycryptoutil.service.attempts import FailedLogins
from pycryptoutil.service.csrf import Csrf
from pycryptoutil.service.hashing import Hasher
from pycryptoutil.service.principals import Authenticator
from pycryptoutil.service.ratelimit import FailureThrottle, RateLimiter, Tell, tell_nobody
from pycryptoutil.service.realms import Realms
from pycryptoutil.service.sessions import Sessions
from pycryptoutil.service.settings import ServiceSettings
from pycryptoutil.service.tenants import Accounts
from pycryptoutil.service.tokens import Tokens
from pycryptoutil.storage import Database


@dataclass(frozen=True, slots=True)
class Access:
    """The parts; the edge asks ``authenticator`` and ``limiter``, the template's own routes the rest."""

    database: Database
    clock: Clock
    barrier: Barrier
    hasher: Hasher
    accounts: Accounts
    realms: Realms
    tokens: Tokens
    sessions: Sessions
    csrf: Csrf
    authenticator: Authenticator
    throttle: FailureThrottle
    limiter: RateLimiter

    @property
    def default_tenant_id(self) -> str:
        """The first tenant's id; empty before the first unsealed start."""
        return self.realms.tenants.default_tenant_id

    @classmethod
    def build(
        cls,
        settings: ServiceSettings,
        database: Database,
        barrier: Barrier,
        clock: Clock,
        default_tenant_id: str,
        tell: Tell = tell_nobody,
    ) -> Access:
        """Wire them. Build anew to take changed settings: nothing here holds what could be lost.

        ``tell`` passes failed logins on to whoever else counts them.
        """
        hasher = Hasher(barrier.pepper)
        realms = Realms(settings.realms, database, hasher, clock, default_tenant_id)
        tokens = Tokens(database, hasher, clock)
        sessions = Sessions(database, hasher, barrier, clock, settings.session)
        csrf = Csrf(barrier, settings.cors.origins)
        throttle = FailureThrottle(settings.rate_limit, clock, tell)
        failures = FailedLogins(database, clock)
        return cls(
            database=database,
            clock=clock,
            barrier=barrier,
            hasher=hasher,
            accounts=Accounts(hasher, clock),
            realms=realms,
            tokens=tokens,
            sessions=sessions,
            csrf=csrf,
            authenticator=Authenticator(database, realms, tokens, sessions, csrf, throttle, failures),
            throttle=throttle,
            limiter=RateLimiter(settings.rate_limit, clock),
        )
