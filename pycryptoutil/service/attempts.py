"""Failed logins leave a trace in the audit chain: of the tenant whose principal was meant, else the installation's.

Each is an event of its own, as far as a token bucket for its address and one for all of them go; what comes faster is
counted, and the chain's next event says how many were left out. So guessers can fill neither the disk nor the chain.
Whether there is an event depends on nothing that was found out, or the time of an answer would tell who is known. What
was typed as a name is not written down, since it may be a password, nor is the address: the request id leads to the log
line that has it.
"""

from __future__ import annotations

import threading
from collections import Counter

import structlog
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock
from pycryptoutil.service.ratelimit import TokenBuckets, address_group
from pycryptoutil.storage import SYSTEM_TENANT, Database, audit
from pycryptoutil.storage.audit import AuditEvent

ACTION = "login.failure"
UNKNOWN = "unknown"
ADDRESS_PER_SECOND, ADDRESS_BURST = 0.2, 30
PER_SECOND, BURST = 5.0, 200

log = structlog.get_logger()


class Refused(Fault):
    """A wrong secret for somebody who is known. To the peer it is like any other refusal."""

    def __init__(self, fault: Fault, tenant_id: str, principal_id: str) -> None:
        super().__init__(FaultKind.UNAUTHENTICATED, fault.detail, fault.public, challenges=fault.challenges)
        self.tenant_id = tenant_id
        self.principal_id = principal_id


class FailedLogins:
    """Writes them. Any thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._addresses = TokenBuckets(clock, ADDRESS_PER_SECOND, ADDRESS_BURST)
        self._all = TokenBuckets(clock, PER_SECOND, BURST, capacity=1)
        self._left_out: Counter[str] = Counter()
        self._lock = threading.Lock()

    def record(self, by: str, peer: str, request_id: str, fault: Fault) -> None:
        """Append an event, or count it. Never raises: the login is refused in any case."""
        known = isinstance(fault, Refused)
        tenant_id = fault.tenant_id if isinstance(fault, Refused) else SYSTEM_TENANT
        who = fault.principal_id if isinstance(fault, Refused) else UNKNOWN
        too_fast = self._addresses.take(address_group(peer)) or self._all.take("")
        with self._lock:
            if too_fast:
                self._left_out[tenant_id] += 1
                return
            left_out = self._left_out.pop(tenant_id, 0)
        details: dict[str, object] = {"by": by} | ({"left_out": left_out} if left_out else {})
        event = AuditEvent(ACTION, UNKNOWN, who, "failure", details, request_id)
        try:
            with self._database.unit_of_work(tenant_id) as uow:
                audit.append(uow, event)
        except Fault as error:
            with self._lock:
                self._left_out[tenant_id] += left_out + 1
            log.warning("a failed login could not be audited", known=known, request_id=request_id, exc_info=error)
