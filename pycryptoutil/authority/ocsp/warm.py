"""Responses signed before anybody asks: a process that starts does not meet everybody's clients with an empty memory.

The newest certificates come first, since those are in use; the core signs a batch of them at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import store
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.store import Made
from pycryptoutil.authority.model import RevocationState
from pycryptoutil.authority.room import Room
from pycryptoutil.crypto.pkcs11 import TokenFault
from pycryptoutil.storage import SYSTEM_TENANT

Presign: TypeAlias = Callable[[str, Sequence[RevocationState]], int]
"""Given a CA's public id: sign and keep what is answered about these; return how many of them are kept."""

_BATCH: Final = 1000
_EVERYBODYS: Final = frozenset({FaultKind.UNAVAILABLE, FaultKind.SEALED})

_log = logging.getLogger(__name__)


def warm(room: Room, presign: Presign, count: int) -> int:
    """Have the ``count`` newest certificates answered ahead, each tenant's share of them; return how many are."""
    with room.database.read(SYSTEM_TENANT) as reader:
        tenants = store.tenants_with_authorities(reader)
    kept = 0
    for tenant_id in tenants:
        for public_id, states in _newest(room, tenant_id, max(1, count // len(tenants))):
            try:
                kept += presign(public_id, states)
            except Fault as fault:  # one CA's trouble keeps no other's answers from being signed
                if fault.kind in _EVERYBODYS and not isinstance(fault, TokenFault):
                    raise
                _log.warning("no OCSP responses ahead for %s: %s", public_id, fault.detail)
    return kept


def _newest(room: Room, tenant_id: str, count: int) -> Iterator[tuple[str, list[RevocationState]]]:
    """Yield (public id, statuses) in batches; of the newest ``count`` those that have not expired."""
    now = room.clock.now()
    with room.database.read(tenant_id) as reader:
        rows = store.all_authorities(reader)
    public_ids = {row.id: row.public_id for row in rows if row.not_after > now and not row.offline}
    last: Made | None = None
    while count > 0:
        with room.database.read(tenant_id) as reader:
            found = certificates.newest(reader, last, min(count, _BATCH))
        by_authority: dict[str, list[RevocationState]] = {}
        for one in found:
            if one.state.not_after > now and one.authority_id in public_ids:
                by_authority.setdefault(one.authority_id, []).append(one.state)
        for authority_id, states in by_authority.items():
            yield public_ids[authority_id], states
        if len(found) < min(count, _BATCH):
            return
        last, count = found[-1], count - len(found)
