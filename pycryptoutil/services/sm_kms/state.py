"""What sm-kms keeps between requests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from pycryptoutil.clock import Clock
from pycryptoutil.keyring import KeyringService
from pycryptoutil.service.definition import Resources
from pycryptoutil.services.sm_kms.jobs.service import RewrapJobs
from pycryptoutil.services.sm_kms.settings import SmKmsSettings

OWNER = "sm-kms"


@dataclass(frozen=True, slots=True)
class State:
    """Shared by every thread of a process."""

    keyring: KeyringService
    jobs: RewrapJobs
    settings: SmKmsSettings
    clock: Clock
    any_recovery_key: bool
    uses: Iterator[int] = field(default_factory=lambda: itertools.count(1))


def build(resources: Resources) -> State:
    """Open the keyring."""
    settings: SmKmsSettings = resources.settings
    keyring = KeyringService(resources.database, resources.barrier, resources.clock, OWNER)
    jobs = RewrapJobs(resources.database, resources.barrier, keyring, settings.max_job_objects)
    free = not settings.recovery_keys and resources.profile != "prod"
    return State(keyring, jobs, settings, resources.clock, free)
