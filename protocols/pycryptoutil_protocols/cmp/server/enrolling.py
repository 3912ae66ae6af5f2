"""Certificate requests, and polling for those that wait for approval (RFC 9810 sections 5.3.1 to 5.3.6, 5.3.22)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

from pycryptoutil_protocols import der
from pycryptoutil_protocols.cmp import codec
from pycryptoutil_protocols.cmp.failures import status_info
from pycryptoutil_protocols.cmp.general import IMPLICIT_CONFIRM, confirm_wait_time, implicit_confirm
from pycryptoutil_protocols.cmp.messages import (
    RESPONSE_OF,
    BodyType,
    CertRepMessage,
    CertResponse,
    InfoTypeAndValue,
    PKIFailureInfo,
    PKIStatus,
    PKIStatusInfo,
    PollRep,
    PollRepEntry,
    PollReq,
)
from pycryptoutil_protocols.faults import Fault, FaultKind

from .office import Outcome, OutcomeState
from .refusal import refusal
from .transactions import Item, ItemState, Memory, Record, State, next_state
from .visit import Reply, Visit
from .wishes import Wish

WHOLE = -1  # a certReqId that stands for the whole request (RFC 9483 section 4.4)

_WAITING = PKIStatusInfo(PKIStatus.WAITING)


def prepare(visit: Visit) -> Memory:
    """Read the request and say what will be remembered of it; a Fault for what concerns it as a whole."""
    items = tuple(
        Item(one.request_id, spki_sha256=one.spki_sha256, encrypted=one.encrypted)
        if isinstance(one, Wish)
        else Item(one.request_id, ItemState.REFUSED)
        for one in visit.wishes()
    )
    asked = visit.message.header.info(IMPLICIT_CONFIRM) is not None
    # an encrypted certificate is confirmed by who could decrypt it: that is the proof of possession
    implicit = asked and visit.office.policy.implicit_confirm and not any(item.encrypted for item in items)
    return Memory(int(visit.message.kind), visit.requester.auth.value, visit.digest, implicit=implicit, items=items)


def enrol(visit: Visit, record: Record, *, again: bool) -> Reply:  # noqa: ARG001 - issuance itself repeats nothing
    """Have everything issued that can be issued now."""
    memory = record.memory
    told: list[tuple[int, Outcome]] = []
    for wish in visit.wishes():
        if isinstance(wish, Wish):
            outcome = visit.office.enrol(visit.requester, visit.message, wish)
        else:
            outcome = Outcome.refused(wish.fault)
        memory = _note(memory, wish.request_id, outcome)
        told.append((wish.request_id, outcome))
    if next_state(memory) is State.WAITING:
        request = base64.b64encode(visit.message.encoded).decode("ascii")
        memory = replace(memory, request=request)
    return _reply(visit, memory, told)


def poll(visit: Visit, record: Record) -> Reply:
    """Tell what became of what waits."""
    body = visit.message.body
    if not isinstance(body, PollReq):
        raise der.malformed("pollReq without PollReqContent")
    memory = record.memory
    pending = {item.request_id: item for item in memory.items if item.state is ItemState.PENDING}
    asked = tuple(pending) if WHOLE in body.request_ids and WHOLE not in pending else body.request_ids
    if len(set(asked)) != len(asked) or not set(asked) <= set(pending):
        raise refusal(PKIFailureInfo.BAD_REQUEST, "pollReq asks for a certReqId that does not wait")
    first = Visit(visit.office, codec.decode(base64.b64decode(memory.request)), visit.requester, visit.now)
    wishes = {wish.request_id: wish for wish in first.wishes()}
    told: list[tuple[int, Outcome]] = []
    for request_id in asked:
        wish = wishes[request_id]
        if isinstance(wish, Wish):
            outcome = visit.office.poll(visit.requester, first.message, wish, pending[request_id])
        else:
            outcome = Outcome.refused(wish.fault)
        memory = _note(memory, request_id, outcome)
        told.append((request_id, outcome))
    if all(outcome.state is OutcomeState.PENDING for _, outcome in told):
        entries = tuple(PollRepEntry(request_id, max(outcome.retry_after, 1)) for request_id, outcome in told)
        return Reply(BodyType.POLLREP, PollRep(entries), state=State.WAITING, memory=memory)
    if next_state(memory) is not State.WAITING:
        memory = replace(memory, request="")
    return _reply(visit, memory, told)


def _note(memory: Memory, request_id: int, outcome: Outcome) -> Memory:
    item = memory.item(request_id)
    if item is None:
        raise Fault(FaultKind.INTERNAL, f"certReqId {request_id} is not remembered")
    state = {
        OutcomeState.ISSUED: ItemState.ISSUED,
        OutcomeState.PENDING: ItemState.PENDING,
        OutcomeState.REFUSED: ItemState.REFUSED,
    }[outcome.state]
    changed = replace(
        item,
        state=state,
        enrolment=outcome.enrolment or item.enrolment,
        serial=outcome.serial,
        authority=outcome.authority,
    )
    return memory.with_item(changed)


def _reply(visit: Visit, memory: Memory, told: Sequence[tuple[int, Outcome]]) -> Reply:
    state = next_state(memory)
    kind = RESPONSE_OF[BodyType(memory.kind)]
    issued = [outcome for _, outcome in told if outcome.state is OutcomeState.ISSUED]
    publications = visit.office.ca_publications(visit.requester, kind) if issued else ()
    chain = dict.fromkeys(certificate for outcome in issued for certificate in outcome.chain)
    return Reply(
        kind,
        CertRepMessage(tuple(_response(*one) for one in told), publications),
        infos=_infos(visit, memory, state, issued=bool(issued)),
        certificates=tuple(chain),
        state=state,
        memory=memory,
    )


def _response(request_id: int, outcome: Outcome) -> CertResponse:
    if outcome.state is OutcomeState.PENDING:
        return CertResponse(request_id, _WAITING)
    if outcome.state is OutcomeState.REFUSED:
        fault = outcome.fault or Fault(FaultKind.INTERNAL, "a refusal without a reason")
        return CertResponse(request_id, status_info(fault))
    status = PKIStatus.GRANTED_WITH_MODS if outcome.modified else PKIStatus.ACCEPTED
    return CertResponse(request_id, PKIStatusInfo(status), outcome.key_pair)


def _infos(visit: Visit, memory: Memory, state: State, *, issued: bool) -> tuple[InfoTypeAndValue, ...]:
    if memory.implicit and issued:
        return (implicit_confirm(),)
    if state is State.CONFIRMING:
        until = visit.now + visit.office.policy.confirm_wait
        return (confirm_wait_time(until),)
    return ()
