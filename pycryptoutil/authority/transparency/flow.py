"""Issuance in two units of work, with the logs asked between them.

First unit: the serial is reserved, the precertificate audited, signed and stored. Then, outside of any unit, the logs
are asked; when too few answer, the precertificate stands for a certificate that is revoked at once. Second unit: the
timestamps go into the certificate, which has the same serial and all else; it is audited, signed and stored as every
other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from pycryptoutil_protocols.ct import codec
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension, encode_extensions

from pycryptoutil.authority import decisions, issue
from pycryptoutil.authority.credentials import store as credentials
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.room import chain
from pycryptoutil.authority.transparency import ending, logs, store
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent


def precertify(i: Issuance) -> None:
    """Get the timestamps that the profile asks for, outside of any unit of work; Fault(UNAVAILABLE).

    Afterwards the issuance's own writes finish it. A profile that asks for none is left alone.
    """
    wanted = i.profile.ct.logs
    if not wanted:
        return
    plain = i.tbs
    with i.room.database.unit_of_work(i.ca.tenant_id) as uow:
        issue.ask_again(i, uow)
        issue.spend_credential(i, uow)
        issue.reserve_serial(i, uow)
        der = _sign(i, uow)
    try:
        scts = logs.timestamps(
            i.room.settings.ct,
            i.room.clock,
            (der, *chain(i.ca, i.rows)),
            i.key.certificate.spki,
            plain,
            wanted,
        )
        i.extensions = (*i.extensions, codec.sct_list(scts))
        i.tbs = _encode(i, i.extensions)
        decisions.lint_tbs(i)
    except Exception:
        _give_up(i, der)
        raise
    i.writes = _WRITES


def _encode(i: Issuance, extensions: tuple[Extension, ...]) -> bytes:
    return i.key.signer.tbs(
        i.serial,
        int(i.not_before.timestamp()),
        int(i.not_after.timestamp()),
        i.subject.der,
        i.spki,
        encode_extensions(extensions),
    )


def _sign(i: Issuance, uow: UnitOfWork) -> bytes:
    tbs = _encode(i, (*i.extensions, codec.poison()))
    details = {"profile": i.profile.name, "tbs_sha256": hashlib.sha256(tbs).hexdigest()}
    target = f"{i.ca.name}/{i.serial_hex}"
    audit.append(uow, AuditEvent("certificate.precertify", i.requester, target, "success", details, i.request_id))
    der = i.key.signer.sign(tbs)
    store.keep(uow, i.ca.id, i.serial_hex, der, i.now)
    return der


def _give_up(i: Issuance, der: bytes) -> None:
    """Keep the promise by a certificate that is revoked at once, and leave the credential as it was."""
    with i.room.database.unit_of_work(i.ca.tenant_id) as uow:
        now = i.room.clock.now()
        ended = ending.end(
            uow, i.ca.id, i.ca.name, i.serial_hex, der, now, "too few CT logs", i.requester, i.request_id
        )
        if ended and i.order.credential is not None and not i.enrolment:
            credentials.give_back(uow, i.order.credential.id)


def _intend(i: Issuance, uow: UnitOfWork) -> None:
    if not store.set_digest(uow, i.ca.id, i.serial_hex, i.tbs_sha256):
        raise Fault(FaultKind.INTERNAL, f"serial {i.serial_hex} is not reserved any more")


_WRITES: Final[tuple[Callable[[Issuance, UnitOfWork], None], ...]] = (
    issue.ask_again,
    _intend,
    issue.remember_answer,
    issue.audit_intent,
    issue.sign,
    issue.compare,
    issue.keep,
    issue.tell,
)
