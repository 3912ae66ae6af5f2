"""The controls that ask for something (RFC 5272 sections 6.9 to 6.13 and 6.18), one function each."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pycryptoutil_protocols import x509
from pycryptoutil_protocols.cmc import controls, values
from pycryptoutil_protocols.cmc.messages import Control, PendInfo, Status, StatusInfo
from pycryptoutil_protocols.crmf.messages import PublicationAction
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralNameKind

from . import conversation
from .backend import Backend, Holding, Memo, Outcome, OutcomeState, Party, Role, Rules
from .conversation import Conversation
from .identity import marks_of

_CESSATION = 5  # cessationOfOperation: a certificate that its subject does not want
_REMOVE_FROM_CRL = 8


@dataclass(slots=True)
class Findings:
    """What a message has brought about so far."""

    statuses: list[StatusInfo] = field(default_factory=list)
    certificates: list[bytes] = field(default_factory=list, repr=False)
    crls: list[bytes] = field(default_factory=list, repr=False)
    answers: list[tuple[controls.Kind[Any], Any]] = field(default_factory=list, repr=False)
    issued: list[bytes] = field(default_factory=list, repr=False)  # by this message: what trust anchors go with


@dataclass(slots=True)
class Turn:
    """One message being served."""

    backend: Backend
    rules: Rules
    party: Party
    said: Conversation
    found: Findings


def serve(turn: Turn, control: Control) -> None:
    """Do what one control asks for; Fault when that cannot be."""
    handler = _HANDLERS.get(control.oid)
    if handler is not None:
        handler(turn, control)


def _success(turn: Turn, control: Control) -> None:
    turn.found.statuses.append(StatusInfo(Status.SUCCESS, ((control.body_part,),)))


def _require_known(turn: Turn) -> None:
    if not turn.party.known:
        raise Fault(FaultKind.UNAUTHENTICATED, "control from nobody", "authentication is needed")


def get_cert(turn: Turn, control: Control) -> None:
    """Give a certificate out to who is known here."""
    _require_known(turn)
    value = controls.GET_CERT.value(control)
    if value.issuer.kind is not GeneralNameKind.DIRECTORY:
        raise Fault(FaultKind.NOT_FOUND, "issuer by another kind of name", "there is no such certificate")
    name = values.directory_name(value.issuer)
    turn.found.certificates.append(turn.backend.find(name, value.serial).certificate)
    _success(turn, control)


def get_crl(turn: Turn, control: Control) -> None:
    """Give the newest CRL out to everybody: it is public."""
    turn.found.crls.append(turn.backend.crl(controls.GET_CRL.value(control)))
    _success(turn, control)


def revoke(turn: Turn, control: Control) -> None:
    """Revoke for the holder, for who holds another certificate of the subject or knows the secret, for an RA."""
    value = controls.REVOKE_REQUEST.value(control)
    holding = turn.backend.find(value.issuer, value.serial)
    actor = _revoker(turn, value, holding)
    conversation.once(turn.backend, turn.rules, turn.said, turn.party)
    turn.backend.revoke(actor, holding, value.reason, value.invalidity_date)
    _success(turn, control)


def _revoker(turn: Turn, value: values.RevokeRequest, holding: Holding) -> str:
    party = turn.party
    if party.role is Role.RA and party.whole:
        return party.actor
    if value.reason == _REMOVE_FROM_CRL:
        text = "only a registration authority releases a certificate from hold"
        raise Fault(FaultKind.FORBIDDEN, "release by its holder", text)
    if value.shared_secret is not None:
        return _by_shared_secret(turn.backend, value.shared_secret, holding)
    if party.whole and party.role is Role.CREDENTIAL and party.actor == holding.actor:
        return party.actor
    if party.role is Role.CERTIFICATE and turn.backend.same_subject(party, holding):
        return party.actor
    if party.role is Role.KEY and party.spki == x509.decode_certificate(holding.certificate).spki:
        return holding.actor
    if party.known:
        raise Fault(FaultKind.FORBIDDEN, f"{party.actor} revokes for another", "the certificate is of somebody else")
    raise Fault(FaultKind.UNAUTHENTICATED, "revocation by nobody", "authentication is needed")


def _by_shared_secret(backend: Backend, given: bytes, holding: Holding) -> str:
    """The secret is that of the credential which the certificate was enrolled with."""
    kind, _, identity = holding.actor.partition(":")
    wrong = Fault(FaultKind.UNAUTHENTICATED, "wrong secret in revokeRequest", "unknown or wrong shared secret")
    if kind != "credential":
        raise wrong
    party = backend.shared_secret(identity)
    if not hmac.compare_digest(party.secret, given):
        raise wrong
    return party.actor


def query_pending(turn: Turn, control: Control) -> None:
    """Say what became of a request that waits."""
    token = controls.QUERY_PENDING.value(control)
    memo = pending_memo(turn.backend, token)
    if memo is None:
        raise Fault(FaultKind.INVALID, "unknown pendToken", "there is no such pending request")
    if not set(marks_of(turn.party)) & set(memo.data.get("marks", ())):
        raise Fault(FaultKind.UNAUTHENTICATED, "pendToken of another party", "the pending request is of somebody else")
    outcome = turn.backend.outcome(str(memo.data["token"]))
    record(turn, control.body_part, outcome, token)


def pending_memo(backend: Backend, token: bytes) -> Memo | None:
    """Return what is kept of a pending request."""
    return backend.recall("pend-" + hashlib.sha256(token).hexdigest())


def remember_pending(turn: Turn, outcome: Outcome, spki: bytes) -> bytes:
    """Keep whose a pending request is; return the token to ask with. A repeat gets the same one."""
    token = hashlib.sha256(b"cmc pending\0" + outcome.token.encode()).digest()
    identifier = "pend-" + hashlib.sha256(token).hexdigest()
    key = f"key:{hashlib.sha256(spki).hexdigest()}"
    data = {"token": outcome.token, "marks": sorted({*marks_of(turn.party), key}), "spki": spki.hex()}
    if turn.backend.recall(identifier) is None:
        turn.backend.remember(Memo(identifier, identifier, "pending", data), _PENDING_KEPT)
    return token


_PENDING_KEPT = timedelta(days=400)  # approvals run out long before


def record(turn: Turn, body_part: int, outcome: Outcome, token: bytes) -> None:
    """Note what became of a wish."""
    if outcome.state is OutcomeState.PENDING:
        moment = turn.backend.now() + timedelta(seconds=outcome.retry_after)
        info = PendInfo(token, moment.replace(microsecond=0))
        turn.found.statuses.append(StatusInfo(Status.PENDING, ((body_part,),), outcome.text, pending=info))
        if outcome.text:
            turn.found.answers.append((controls.RESPONSE_INFO, outcome.text.encode()))
        turn.said.goes_on = True
        return
    if outcome.state is OutcomeState.REFUSED:
        raise Fault(FaultKind.POLICY, "refused by an approver", outcome.text or "the request was refused")
    turn.found.certificates.append(outcome.certificate)
    turn.found.issued.append(outcome.certificate)
    status = Status.SUCCESS
    if turn.rules.confirm_wait is not None:
        status = Status.CONFIRM_REQUIRED
        _await_confirmation(turn, outcome.certificate, turn.rules.confirm_wait)
    turn.found.statuses.append(StatusInfo(status, ((body_part,),)))


def confirmation_id(issuer: bytes, serial: int) -> str:
    """Return under which name a certificate is kept that is to be confirmed."""
    return "confirm-" + hashlib.sha256(issuer + b"\0" + str(serial).encode()).hexdigest()


def _await_confirmation(turn: Turn, certificate: bytes, wait: timedelta) -> None:
    facts = x509.decode_certificate(certificate)
    identifier = confirmation_id(facts.issuer, facts.serial)
    data = {"issuer": facts.issuer.hex(), "serial": str(facts.serial), "marks": marks_of(turn.party)}
    if turn.backend.recall(identifier) is None:
        turn.backend.remember(Memo(identifier, identifier, "confirm", data), wait)
    unconfirmed = turn.said.notes.setdefault("unconfirmed", [])
    unconfirmed.append(identifier)
    turn.said.goes_on = True


def confirm(turn: Turn, control: Control) -> None:
    """Take note that a certificate is accepted. That of a certificate which need not be confirmed changes nothing."""
    value = controls.CONFIRM_ACCEPTANCE.value(control)
    holding = turn.backend.find(value.issuer, value.serial)
    memo = turn.backend.recall(confirmation_id(value.issuer, value.serial))
    _require_owner(turn, holding, memo)
    if memo is not None:
        turn.backend.forget(memo)
    _success(turn, control)


def _require_owner(turn: Turn, holding: Holding, memo: Memo | None) -> None:
    party = turn.party
    marks = set(memo.data.get("marks", ())) if memo is not None else {holding.actor}
    same_key = bool(party.spki) and party.spki == x509.decode_certificate(holding.certificate).spki
    if not (party.whole or party.role is Role.KEY) or not (same_key or marks & set(marks_of(party))):
        raise Fault(FaultKind.UNAUTHENTICATED, "confirmation by another", "the certificate is of somebody else")


def heard_status(turn: Turn, control: Control) -> None:
    """Hear what the client thinks: a failure means that it does not want what this transaction gave it."""
    kind = controls.STATUS_INFO_V2 if control.oid == controls.STATUS_INFO_V2.oid else controls.STATUS_INFO
    value = kind.value(control)
    memo = turn.said.memo
    if value.status is Status.FAILED and memo is not None and turn.party.whole:
        conversation.once(turn.backend, turn.rules, turn.said, turn.party)
        for identifier in memo.data.get("unconfirmed", ()):
            kept = turn.backend.recall(identifier)
            if kept is not None:
                reject(turn.backend, kept, turn.party.actor or "client")
    _success(turn, control)


def reject(backend: Backend, memo: Memo, actor: str) -> None:
    """Revoke a certificate that its subject did not accept, or not in time."""
    holding = backend.find(bytes.fromhex(memo.data["issuer"]), int(memo.data["serial"]))
    try:
        backend.revoke(actor, holding, _CESSATION, None)
    except Fault as fault:
        if fault.kind is not FaultKind.CONFLICT:  # revoked already is as good
            raise
    backend.forget(memo)


def publish(turn: Turn, control: Control) -> None:
    """Certificates are published by their holders only: what asks for more is not supported."""
    if controls.PUBLISH_CERT.value(control).info.action is PublicationAction.PLEASE_PUBLISH:
        raise Fault(FaultKind.UNSUPPORTED, "publication", "this CA publishes no certificates")
    _success(turn, control)


_HANDLERS: dict[str, Callable[[Turn, Control], None]] = {
    controls.GET_CERT.oid: get_cert,
    controls.GET_CRL.oid: get_crl,
    controls.REVOKE_REQUEST.oid: revoke,
    controls.QUERY_PENDING.oid: query_pending,
    controls.CONFIRM_ACCEPTANCE.oid: confirm,
    controls.STATUS_INFO.oid: heard_status,
    controls.STATUS_INFO_V2.oid: heard_status,
    controls.PUBLISH_CERT.oid: publish,
}
