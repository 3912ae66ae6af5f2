"""What jose-ja keeps between requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pycryptoutil.clock import Clock
from pycryptoutil.jose.jwt import CreationPolicy
from pycryptoutil.keyring import KeyringService
from pycryptoutil.service.definition import Resources
from pycryptoutil.services.jose_ja.published.sets import Published
from pycryptoutil.services.jose_ja.settings import JoseJaSettings
from pycryptoutil.services.jose_ja.using.work import Samples

OWNER = "jose-ja"


@dataclass(frozen=True, slots=True)
class State:
    """Shared by every thread of a process."""

    keyring: KeyringService
    published: Published
    settings: JoseJaSettings
    clock: Clock
    samples: Samples
    public_url: str
    default_policy: CreationPolicy

    @property
    def grace(self) -> timedelta:
        """How long a retired key stays published."""
        return timedelta(seconds=self.settings.grace_seconds)


def build(resources: Resources) -> State:
    """Open the keyring of this service."""
    settings: JoseJaSettings = resources.settings
    database, clock = resources.database, resources.clock
    keyring = KeyringService(database, resources.barrier, clock, OWNER, publish_ahead=True)
    url = resources.urls.public.rstrip("/")
    grace = timedelta(seconds=settings.grace_seconds)
    return State(
        keyring,
        Published(keyring, database, clock, resources.default_tenant_id, settings.jwks_max_age_seconds, grace),
        settings,
        clock,
        Samples(settings.audit_every),
        url,
        settings.tokens.policy(url),
    )
