"""The keyring as one object: what services call.

Its parts lie beside this file, each standing on the one before: ``room`` (find, lock, record), ``quorum`` (approvals),
``lifecycle`` (elastic keys), ``ring`` (versions), ``use`` (gate, handles), ``transfer`` (import, export), ``backup``.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.keyring.backup import Backups
from pycryptoutil.keyring.model import KeyStatus
from pycryptoutil.keyring.store import keys as key_store
from pycryptoutil.storage import SYSTEM_TENANT

_log = logging.getLogger(__name__)
_ACTOR: Final = "system"
_POSTPONED: Final = timedelta(hours=1)


class KeyringService(Backups):
    """Every elastic key of one service. Shared by all threads; keeps no state but handles and uncounted uses.

    A method takes the tenant first, then the key's id or name (``reference``). Writes take who does it, and write an
    audit row in their unit of work. "No such key" and "another tenant's key" are the same Fault(NOT_FOUND).
    """

    def maintain(self) -> None:
        """Rotate what is due, destroy what was deleted long enough ago, add counters. For a background task.

        Every replica may run it: what another one has done meanwhile is left alone.
        """
        self._counters.flush()
        if self._barrier.sealed:
            return
        now = self._clock.now()
        with self._database.read(SYSTEM_TENANT) as reader:
            due = key_store.due(reader, self._owner, now)
            expired = key_store.expired(reader, self._owner, now)
        for tenant_id, key_id in due:
            try:
                self._rotate(tenant_id, key_id, _ACTOR, "", now)
            except Fault as fault:  # a key that cannot be rotated does not hold up the others
                _log.warning("rotation of key %s: %s", key_id, fault.detail)
                if fault.kind is FaultKind.CONFLICT:
                    self._postpone(tenant_id, key_id, now)
        for tenant_id, key_id in expired:
            try:
                self._expire(tenant_id, key_id)
            except Fault as fault:
                _log.warning("end of key %s: %s", key_id, fault.detail)

    def _postpone(self, tenant_id: str, key_id: str, due: datetime) -> None:
        """Try again later a rotation that the key's state does not allow, such as for want of room in the ring."""
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._locked(uow, key_id)
            if key.rotates_at is None or key.rotates_at > due:
                return  # another replica has rotated it
            key_store.change(uow, key, rotates_at=due + _POSTPONED)
            self._record(uow, "rotate", _ACTOR, "", key.id, "failure")

    def _expire(self, tenant_id: str, key_id: str) -> None:
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._locked(uow, key_id)
            if key.status is not KeyStatus.DELETED or key.delete_at is None or key.delete_at > self._clock.now():
                return  # restored, or another replica was first
            self._destroyed(uow, key, "the waiting period has ended")
            self._record(uow, "destroy", _ACTOR, "", key.id, reason="the waiting period has ended")
        self._vault.forget(tenant_id, key_id)
