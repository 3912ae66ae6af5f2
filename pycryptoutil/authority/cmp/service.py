"""CMP for every CA of an installation: one answer to one HTTP body, and the end of what nobody finishes."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from pycryptoutil_protocols.cmp.messages import BodyType
from pycryptoutil_protocols.cmp.server import engine
from pycryptoutil_protocols.cmp.server.engine import Answer
from pycryptoutil_protocols.cmp.server.transactions import ENROLLING, Item, ItemState, Record, State
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.cmp import records, revocations
from pycryptoutil.authority.cmp.office import CaOffice
from pycryptoutil.authority.cmp.place import Place
from pycryptoutil.authority.cmp.rules import CmpRules
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.model import CertificateFilter, CertificateStatus
from pycryptoutil.authority.service import CertificateAuthorityService
from pycryptoutil.authority.transactions import Transaction
from pycryptoutil.clock import Clock

_BATCH: Final = 100
_ROUNDS: Final = 20  # at most, before other tasks have their turn
_ACTOR: Final = "system:cmp"
_UNCONFIRMED: Final = "certConf did not come in time"
_EVERYBODYS: Final = frozenset({FaultKind.UNAVAILABLE, FaultKind.SEALED, FaultKind.STORAGE_FULL})

_log = logging.getLogger(__name__)


class CmpService:
    """Shared by all threads of a process; holds nothing but its parts."""

    def __init__(self, service: CertificateAuthorityService, crls: CrlService, rules: CmpRules, clock: Clock) -> None:
        self._service = service
        self._crls = crls
        self._rules = rules
        self._clock = clock

    def answer(self, label: str, body: bytes, allowed: frozenset[BodyType] | None, request_id: str) -> Answer:
        """Answer a PKIMessage that came under a label; Fault(NOT_FOUND) if there is none of this name."""
        place = self._place(label)
        office = CaOffice(self._service, self._crls, self._rules, self._clock, place, request_id)
        return engine.answer(office, body, allowed)

    def _place(self, label: str) -> Place:
        found = self._service.resolve_label(None, label)
        chain = self._service.authority(found.tenant_id, found.authority).chain
        return Place(found.tenant_id, found.authority, found.profile, bool(label), chain)

    # -- upkeep

    def expire(self) -> None:
        """End what has run out: certificates without certConf are revoked, waiting requests withdrawn, ids freed."""
        for _ in range(_ROUNDS):
            found = self._service.transactions.expired(records.PROTOCOL, self._clock.now(), _BATCH)
            ended = [self._try_to_end(transaction) for transaction in found]
            if len(found) < _BATCH or not all(ended):
                return

    def _try_to_end(self, transaction: Transaction) -> bool:
        try:
            self._end(transaction)
        except Fault as fault:  # one that cannot be ended keeps no other from its end
            if fault.kind in _EVERYBODYS:
                raise
            _log.warning("CMP transaction %s: %s", transaction.id[:16], fault.detail)
            return False
        return True

    def _end(self, transaction: Transaction) -> None:
        record = records.read(transaction)
        if record.state is State.DONE:
            self._service.transactions.close(transaction)
            return
        memory = record.memory
        for item in memory.items:
            memory = memory.with_item(self._end_item(transaction, record, item))
        memory = replace(memory, answer="", request="", secret="")
        kept = self._clock.now() + self._rules.policy.memory
        records.save(self._service.transactions, record, State.DONE, memory, kept)

    def _end_item(self, transaction: Transaction, record: Record, item: Item) -> Item:
        tenant_id = transaction.tenant_id
        if item.state is ItemState.PENDING:
            self._cancel(tenant_id, item)
        elif item.state is ItemState.ISSUED and not record.memory.implicit:
            revocations.discard(self._service, tenant_id, item.authority, item.serial, _ACTOR, _UNCONFIRMED)
        elif item.state is ItemState.ASKED and not record.memory.implicit:
            self._discard_untold(transaction, record, item)
        else:
            return item
        return replace(item, state=ItemState.DISCARDED)

    def _cancel(self, tenant_id: str, item: Item) -> None:
        try:
            self._service.cancel_enrolment(tenant_id, item.enrolment, _ACTOR)
        except Fault as fault:
            if fault.kind not in {FaultKind.CONFLICT, FaultKind.NOT_FOUND}:
                raise

    def _discard_untold(self, transaction: Transaction, record: Record, item: Item) -> None:
        """Revoke what was issued by a server that died before it could say so, if no client has asked again."""
        if not item.spki_sha256 or BodyType(record.memory.kind) not in ENROLLING:
            return
        wanted = CertificateFilter(
            status=CertificateStatus.VALID,
            requester=record.owner,
            protocol=records.PROTOCOL,
            spki_sha256=item.spki_sha256,
        )
        for found in self._service.certificates(transaction.tenant_id, wanted, limit=_BATCH).items:
            if found.created_at >= transaction.created_at:
                revocations.discard(
                    self._service, transaction.tenant_id, found.authority, found.serial, _ACTOR, _UNCONFIRMED
                )
