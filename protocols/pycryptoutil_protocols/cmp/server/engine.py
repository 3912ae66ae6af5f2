"""One request in, one answer out: decode, check the header, authenticate, find the transaction, serve, protect.

Every failure is answered in CMP's own form. What a message may be is decided by tables: which types begin a
transaction, which may follow in each state (:mod:`.transactions`), and which function serves each (``_SERVICES``).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pycryptoutil_protocols.cmp import codec
from pycryptoutil_protocols.cmp.failures import error_message
from pycryptoutil_protocols.cmp.messages import BodyType, PKIFailureInfo, PKIHeader, PKIMessage
from pycryptoutil_protocols.faults import Fault, FaultKind

from . import confirming, enrolling, header, informing, nesting, revoking
from .office import Office, Requester
from .refusal import refusal
from .transactions import ENROLLING, EXPECTED, INITIAL, ItemState, Memory, Record, State
from .visit import Reply, Visit


@dataclass(frozen=True, slots=True)
class Answer:
    """An encoded answer; ``fault`` is what it tells, if it is an error message."""

    encoded: bytes = field(repr=False)
    fault: Fault | None = None


def answer(office: Office, encoded: bytes, allowed: frozenset[BodyType] | None = None) -> Answer:
    """Answer a request; ``allowed`` are the types that the path it came by is for (RFC 9483 section 6.1)."""
    try:
        message = codec.decode(encoded)
    except Fault as fault:
        return _refuse(office, codec.peek_header(encoded), None, fault)
    if allowed is not None and message.kind in INITIAL and message.kind not in allowed:
        other = refusal(PKIFailureInfo.BAD_REQUEST, "this path is for another operation")
        return _refuse(office, message.header, None, other)
    return serve(office, message)


def serve(office: Office, message: PKIMessage) -> Answer:
    """Answer a decoded message: the one that came, or one that was nested in it."""
    requester: Requester | None = None
    try:
        now = office.now()
        header.check_version(message.header)
        header.check_identifiers(message.header)
        header.check_recipient(message.header, office.names)
        nested = message.kind is BodyType.NESTED  # an envelope: the transactions are those of what is in it
        record = None if nested else office.recall((message.header.transaction_id or b"").hex())
        requester = office.authenticate(message, record)
        header.check_time(message.header, office.policy, now)
        visit = Visit(office, message, requester, now)
        if nested:
            return Answer(nesting.answer(visit, lambda inner: serve(office, inner).encoded))
        return Answer(_transact(visit, record))
    except Fault as fault:
        return _refuse(office, message.header, requester, fault)


def _refuse(office: Office, request: PKIHeader | None, requester: Requester | None, fault: Fault) -> Answer:
    """Return an error message, protected as the request was; by a signature when nobody knows whose it was."""
    reply = header.answer(request, office.now(), header.new_nonce(), ())
    body = error_message(fault)
    try:
        shield = requester.shield if requester is not None else office.shield()
        return Answer(shield.protect(reply, BodyType.ERROR, body, ()), fault)
    except Fault:  # no key can be used now, and that is all the peer gets to know
        protected = codec.encode_protected(reply, BodyType.ERROR, body)
        return Answer(codec.assemble(protected, None), fault)


# -- the transaction ---------------------------------------------------------------------------------------------------


def _transact(visit: Visit, record: Record | None) -> bytes:
    kind = visit.message.kind
    if record is None:
        if kind not in INITIAL:
            raise refusal(PKIFailureInfo.BAD_REQUEST, "there is no such transaction, or it may not begin so")
        if visit.message.header.recipient_nonce is not None:
            raise refusal(PKIFailureInfo.BAD_RECIPIENT_NONCE, "the first message of a transaction has no recipNonce")
        return _begin(visit, None)
    _check_owner(visit, record)
    if hmac.compare_digest(record.memory.digest, visit.digest):
        if record.memory.answer:
            return base64.b64decode(record.memory.answer)
        if record.state is State.BEGUN:
            return _resume(visit, record)
    if kind not in EXPECTED[record.state]:
        raise _misplaced(kind, record)
    _check_nonces(visit, record)
    if record.state is State.KEYED:
        return _begin(visit, record)
    return _follow(visit, record)


def _check_nonces(visit: Visit, record: Record) -> None:
    """The recipNonce is our last senderNonce, and the senderNonce a fresh one (RFC 9810 section 5.1.1)."""
    given = visit.message.header.recipient_nonce
    if given is None or not hmac.compare_digest(given, bytes.fromhex(record.memory.nonce)):
        raise refusal(PKIFailureInfo.BAD_RECIPIENT_NONCE, "recipNonce is not the last senderNonce of this server")
    if _sender_nonce(visit) == record.memory.heard:
        raise refusal(PKIFailureInfo.BAD_SENDER_NONCE, "senderNonce was used before in this transaction")


def _sender_nonce(visit: Visit) -> str:
    return (visit.message.header.sender_nonce or b"").hex()


def _check_owner(visit: Visit, record: Record) -> None:
    if record.owner != visit.requester.actor:
        if visit.message.kind in INITIAL and record.state is not State.KEYED:
            raise refusal(PKIFailureInfo.TRANSACTION_ID_IN_USE, "the transactionID is in use")
        raise refusal(PKIFailureInfo.NOT_AUTHORIZED, "the transaction is somebody else's")
    if record.memory.auth != visit.requester.auth.value:
        raise refusal(PKIFailureInfo.WRONG_INTEGRITY, "the transaction began with another kind of protection")


def _misplaced(kind: BodyType, record: Record) -> Fault:
    if kind in INITIAL:
        return refusal(PKIFailureInfo.TRANSACTION_ID_IN_USE, "the transactionID is in use")
    if kind is BodyType.CERTCONF and record.state is State.DONE:
        states = {item.state for item in record.memory.items}
        if ItemState.DISCARDED in states:
            return refusal(PKIFailureInfo.CERT_REVOKED, "the certificate was revoked")
        if ItemState.CONFIRMED in states or (record.memory.implicit and ItemState.ISSUED in states):
            return refusal(PKIFailureInfo.CERT_CONFIRMED, "the certificate is confirmed already")
    return refusal(PKIFailureInfo.BAD_REQUEST, "this message has no place in the transaction now")


def _begin(visit: Visit, keyed: Record | None) -> bytes:
    """Serve what begins a transaction, or continues one that has only made a key so far."""
    kind = visit.message.kind
    if kind in ENROLLING:
        memory, reply = enrolling.prepare(visit), enrolling.enrol
    elif kind is BodyType.RR:
        memory, reply = _memory(visit), revoking.revoke
    else:
        return _at_once(visit)
    record = _open(visit, State.BEGUN, memory, keyed)
    if record is None:
        return _meet(visit)
    return _settle(visit, record, reply(visit, record, again=False))


def _meet(visit: Visit) -> bytes:
    """Go on with the transaction that another replica opened in this moment: perhaps for the same message."""
    record = visit.office.recall(visit.transaction_id)
    if record is None or not hmac.compare_digest(record.memory.digest, visit.digest):
        raise refusal(PKIFailureInfo.TRANSACTION_ID_IN_USE, "the transactionID is in use")
    return _transact(visit, record)


def _resume(visit: Visit, record: Record) -> bytes:
    """Serve again a request whose server died, or serves it at this moment: what was done then is found and told."""
    again = enrolling.enrol if visit.message.kind in ENROLLING else revoking.revoke
    return _settle(visit, record, again(visit, record, again=True))


def _follow(visit: Visit, record: Record) -> bytes:
    service = {
        BodyType.CERTCONF: confirming.confirm,
        BodyType.POLLREQ: enrolling.poll,
        BodyType.ERROR: confirming.give_up,
    }[visit.message.kind]
    return _settle(visit, record, service(visit, record))


_AT_ONCE: Mapping[BodyType, Callable[[Visit], Reply]] = {
    BodyType.GENM: informing.inform,
    BodyType.KRR: informing.no_recovery,
    BodyType.CCR: informing.no_cross_certificate,
}


def _at_once(visit: Visit) -> bytes:
    """Serve what changes nothing, and so need not be remembered."""
    if visit.message.kind is BodyType.GENM and informing.wants_key(visit.message):
        reply, secret = informing.make_key(visit)
        record = _open(visit, State.KEYED, replace(_memory(visit), secret=secret), None)
        return _settle(visit, record, reply) if record is not None else _meet(visit)
    reply = _AT_ONCE[visit.message.kind](visit)
    return _encode(visit, reply, header.new_nonce())


def _memory(visit: Visit) -> Memory:
    return Memory(int(visit.message.kind), visit.requester.auth.value, visit.digest)


def _open(visit: Visit, state: State, memory: Memory, keyed: Record | None) -> Record | None:
    """Begin the transaction in the database; None if another replica was first."""
    expires = visit.now + visit.office.policy.confirm_wait
    try:
        if keyed is not None:
            return visit.office.save(keyed, state, replace(memory, secret=keyed.memory.secret), expires)
        return visit.office.open(visit.transaction_id, visit.requester.actor, state, memory, expires)
    except Fault as fault:
        if fault.kind is not FaultKind.CONFLICT:
            raise
        return None


def _settle(visit: Visit, record: Record, reply: Reply) -> bytes:
    """Encode the answer, and remember it before it is sent."""
    nonce = header.new_nonce()
    encoded = _encode(visit, reply, nonce)
    memory = replace(
        reply.memory or record.memory,
        digest=visit.digest,
        nonce=nonce.hex(),
        heard=_sender_nonce(visit),
        answer=base64.b64encode(encoded).decode("ascii"),
    )
    policy = visit.office.policy
    state = reply.state or record.state
    waits = {State.WAITING: policy.approval_wait, State.DONE: policy.memory}
    try:
        visit.office.save(record, state, memory, visit.now + waits.get(state, policy.confirm_wait))
    except Fault as fault:
        if fault.kind is not FaultKind.CONFLICT:
            raise
        return _overtaken(visit)
    return encoded


def _overtaken(visit: Visit) -> bytes:
    """Another replica, or thread, has served the same message meanwhile: its answer is the one that counts."""
    record = visit.office.recall(visit.transaction_id)
    if record is not None and record.memory.answer and hmac.compare_digest(record.memory.digest, visit.digest):
        return base64.b64decode(record.memory.answer)
    raise refusal(PKIFailureInfo.SYSTEM_UNAVAIL, "the transaction is being served: try again")


def _encode(visit: Visit, reply: Reply, nonce: bytes) -> bytes:
    made = header.answer(visit.message.header, visit.now, nonce, reply.infos)
    return visit.requester.shield.protect(made, reply.kind, reply.body, reply.certificates)
