"""When no certificate follows a precertificate.

Having signed one is a promise to issue (RFC 6962 section 3.1): whoever finds it in a log may ask for the status of its
serial, and must be told (CA/B BR 4.9.10). So it is kept as the certificate of that serial, and revoked at once.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority import room as rooms
from pycryptoutil.authority import store as tables
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.revoke import Change, write
from pycryptoutil.authority.model import RevocationReason
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.transparency import store
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

REASON: Final = RevocationReason.CESSATION_OF_OPERATION  # nobody has the certificate, and no key is in danger
_ABANDONED_AFTER: Final = timedelta(
    minutes=5
)  # logs have a minute at most; BR 4.9.10 gives 15 until it is answered for
_AT_ONCE: Final = 100


def end(
    uow: UnitOfWork,
    authority_id: str,
    authority: str,
    serial: str,
    der: bytes,
    now: datetime,
    why: str,
    actor: str,
    request_id: str = "",
) -> bool:
    """Have a reserved serial issued with its precertificate, and revoke it; False if it is not reserved any more."""
    if not store.end(uow, authority_id, serial, der, hashlib.sha256(decode_certificate(der).tbs).hexdigest()):
        return False
    row = next(iter(certificates.by_serial(uow, serial, authority_id)))
    now = now.replace(microsecond=0)  # as CRLs have it
    details = {"profile": row.profile, "why": why, "tbs_sha256": row.tbs_sha256}
    target = f"{authority}/{serial}"
    audit.append(uow, AuditEvent("certificate.precertify", actor, target, "failure", details, request_id))
    if not write(
        uow, row, authority, Change(now, REASON, None, REASON.value, "precertificate"), now, actor, request_id
    ):
        raise Fault(FaultKind.CONFLICT, f"serial {serial} was revoked at the same time")
    return True


def end_abandoned(room: Room, tenant_id: str, now: datetime) -> int:
    """End what a process that has died left between the two units of work, in units of bounded work; return how many.

    A process that lives yet and is that slow finds the serial not reserved any more, and issues nothing.
    """
    ended, more = 0, True
    while more:
        with room.database.unit_of_work(tenant_id) as uow:
            names = rooms.names(tables.all_authorities(uow))
            found = store.abandoned(uow, now - _ABANDONED_AFTER, _AT_ONCE)
            for one in found:
                name = names.get(one.authority_id, "")
                ended += end(uow, one.authority_id, name, one.serial, one.der, now, "never completed", "system")
        more = len(found) == _AT_ONCE
    return ended
