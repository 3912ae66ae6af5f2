"""Nested messages: protection added by a registration authority, and batches (RFC 9483 section 5.2.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pycryptoutil_protocols import der
from pycryptoutil_protocols.cmp import codec
from pycryptoutil_protocols.cmp.messages import BodyType, Nested, PKIFailureInfo, PKIMessage

from . import header
from .office import Auth
from .refusal import refusal
from .visit import Visit

Serve = Callable[[PKIMessage], bytes]


def answer(visit: Visit, serve: Serve) -> bytes:
    """Answer what is inside, each message as if it had come alone; a batch is answered by a batch."""
    body = visit.message.body
    if not isinstance(body, Nested):
        raise der.malformed("nested without messages")
    if visit.requester.auth is Auth.MAC:
        raise refusal(PKIFailureInfo.WRONG_INTEGRITY, "a nested message is signed")
    if not visit.requester.is_ra:
        raise refusal(PKIFailureInfo.NOT_AUTHORIZED, "only a registration authority may send nested messages")
    if len(body.messages) == 1 and body.messages[0].header.transaction_id == visit.message.header.transaction_id:
        return serve(_added_protection(visit, body.messages[0]))
    _check_batch(visit, body.messages)
    inner = tuple(codec.decode(serve(one)) for one in body.messages)
    made = header.answer(visit.message.header, visit.now, header.new_nonce(), ())
    return visit.requester.shield.protect(made, BodyType.NESTED, Nested(inner), ())


def _added_protection(visit: Visit, inner: PKIMessage) -> PKIMessage:
    """RFC 9483 section 5.2.2.1: the header around it has the same nonces."""
    outer = visit.message.header
    if inner.header.sender_nonce != outer.sender_nonce:
        raise refusal(PKIFailureInfo.BAD_SENDER_NONCE, "senderNonce of the nested message is not that of the inner one")
    return inner


def _check_batch(visit: Visit, messages: Sequence[PKIMessage]) -> None:
    """RFC 9483 section 5.2.2.2: every message has its own transactionID and senderNonce, as has the batch."""
    if len(messages) > visit.office.policy.max_batch:
        most = visit.office.policy.max_batch
        raise refusal(PKIFailureInfo.BAD_REQUEST, f"at most {most} messages can be nested in one")
    everything = (visit.message, *messages)
    ids = [one.header.transaction_id for one in everything]
    if len(set(ids)) != len(ids):
        raise refusal(PKIFailureInfo.TRANSACTION_ID_IN_USE, "two messages of the batch have the same transactionID")
    nonces = [one.header.sender_nonce for one in everything]
    if len(set(nonces)) != len(nonces):
        raise refusal(PKIFailureInfo.BAD_SENDER_NONCE, "two messages of the batch have the same senderNonce")
