"""certConf, and a client that gives up (RFC 9810 sections 5.3.18 and 5.3.21)."""

from __future__ import annotations

from dataclasses import replace

from pycryptoutil_protocols import der
from pycryptoutil_protocols.cmp import confirmation
from pycryptoutil_protocols.cmp.failures import CmpFault
from pycryptoutil_protocols.cmp.messages import (
    BodyType,
    CertConfirm,
    CertStatus,
    PkiConf,
    PKIFailureInfo,
)

from .refusal import refusal
from .transactions import Item, ItemState, Memory, Record, next_state
from .visit import Reply, Visit


def confirm(visit: Visit, record: Record) -> Reply:
    """Take note of what the client says of its certificates; those that it rejects are revoked."""
    body = visit.message.body
    if not isinstance(body, CertConfirm):
        raise der.malformed("certConf without CertConfirmContent")
    memory = record.memory
    sent = {item.request_id: item for item in memory.items if item.state is ItemState.ISSUED}
    _check_statuses(body, sent)
    for status in body.statuses:
        if status.accepted:
            _check_hash(visit, status, sent[status.request_id])
    if not body.statuses:
        return _conclude(_discard_all(visit, memory, "the client rejected it"))
    for status in body.statuses:
        item = sent[status.request_id]
        if status.accepted:
            memory = memory.with_item(replace(item, state=ItemState.CONFIRMED))
        else:
            visit.office.discard(visit.requester, item, "the client rejected it")
            memory = memory.with_item(replace(item, state=ItemState.DISCARDED))
    return _conclude(memory)


def give_up(visit: Visit, record: Record) -> Reply:
    """Answer an error message: the transaction ends, and what was issued in it is revoked."""
    memory = _discard_all(visit, record.memory, "the client ended the transaction with an error")
    for item in memory.items:
        if item.state is ItemState.PENDING:
            visit.office.cancel(visit.requester, item)
            memory = memory.with_item(replace(item, state=ItemState.DISCARDED))
    return _conclude(memory)


def _conclude(memory: Memory) -> Reply:
    state = next_state(memory)
    return Reply(BodyType.PKICONF, PkiConf(), state=state, memory=replace(memory, request="", secret=""))


def _discard_all(visit: Visit, memory: Memory, why: str) -> Memory:
    for item in memory.items:
        if item.state is ItemState.ISSUED:
            visit.office.discard(visit.requester, item, why)
            memory = memory.with_item(replace(item, state=ItemState.DISCARDED))
    return memory


def _check_statuses(body: CertConfirm, sent: dict[int, Item]) -> None:
    ids = [status.request_id for status in body.statuses]
    if len(set(ids)) != len(ids) or not set(ids) <= set(sent):
        raise refusal(PKIFailureInfo.BAD_REQUEST, "certConf is of a certReqId that waits for no confirmation")
    for status in body.statuses:
        if status.accepted and status.status is not None and status.status.failures:
            raise refusal(PKIFailureInfo.BAD_REQUEST, "certConf accepts a certificate and gives a failInfo")


def _check_hash(visit: Visit, status: CertStatus, item: Item) -> None:
    """Whoever had to decrypt the certificate proves by its hash that they could."""
    try:
        confirmation.check(status, visit.office.certificate(item), visit.message.header.pvno)
    except CmpFault as fault:
        if item.encrypted and fault.failure is PKIFailureInfo.BAD_CERT_ID:
            raise refusal(PKIFailureInfo.BAD_POP, fault.public, fault.detail) from None
        raise
