"""One message in, one answer out. ``answer`` reads as the order in which everything happens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from pycryptoutil_protocols import names, x509
from pycryptoutil_protocols.cmc import codec, controls, layers
from pycryptoutil_protocols.cmc.failures import Refusal, status_of
from pycryptoutil_protocols.cmc.messages import (
    PKI_DATA,
    THIS_MESSAGE,
    BodyPartPath,
    FailInfo,
    PkiData,
    RequestKind,
    Status,
    StatusInfo,
    TaggedRequest,
)
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.faults import Fault, FaultKind

from . import conversation, identity, operations, respond, vouching, wishes
from .backend import Backend, Party, Role, Rules
from .operations import Findings, Turn
from .vouching import Vouching

_WHOLE: tuple[BodyPartPath, ...] = ((THIS_MESSAGE,),)
Report = Callable[[Fault], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A PKI Response, ``simple`` or full; ``failed`` says whether any part of the request failed."""

    body: bytes = field(repr=False)
    statuses: tuple[StatusInfo, ...] = ()
    simple: bool = False

    @property
    def failed(self) -> bool:
        """Whether anything was refused."""
        return any(status.status in (Status.FAILED, Status.NO_SUPPORT) for status in self.statuses)


def answer(
    backend: Backend, rules: Rules, encoded: bytes, *, outside: Party | None = None, report: Report | None = None
) -> Answer:
    """Answer a Full PKI Request, whatever it is.

    ``outside`` is who the transport says that it comes from, such as a TLS client. ``report`` is told of every Fault,
    for the log. A Fault leaves only if the answer cannot be signed.
    """
    served = _Service(backend, rules, report or (lambda _fault: None))
    inner = served.message(encoded, Vouching(), outside, 0)
    return Answer(respond.encode(backend, rules, inner), tuple(inner.found.statuses))


def answer_simple(
    backend: Backend,
    rules: Rules,
    encoded: bytes,
    party: Callable[[CertificationRequest], Party],
    *,
    report: Report | None = None,
) -> Answer:
    """Answer a Simple PKI Request, a bare PKCS#10 one (section 3.1): by certificates only when it is granted.

    ``party`` says who it is from, for the request has no controls to say it. What is not granted at once is answered by
    a Full PKI Response (section 4.1).
    """
    served = _Service(backend, rules, report or (lambda _fault: None))
    inner = respond.Inner(Findings())
    try:
        request = codec.pkcs10_request(1, encoded)
        who = party(request.csr) if request.csr is not None else Party(Role.NOBODY)
        turn = Turn(backend, rules, who, inner.talk, inner.found)
        served.request(turn, request, wishes.Asked(who, Vouching()))
    except Fault as fault:
        served.fail(inner.found, fault, ((1,),))
    if len(inner.found.issued) == 1 and rules.confirm_wait is None:
        chain = backend.responder().chain
        return Answer(respond.simple(inner.found.issued[0], chain), tuple(inner.found.statuses), simple=True)
    return Answer(respond.encode(backend, rules, inner), tuple(inner.found.statuses))


def refuse(backend: Backend, rules: Rules, fault: Fault) -> Answer:
    """Return the Full PKI Response to what could not be read as a request at all."""
    found = Findings(statuses=[status_of(fault, _WHOLE)])
    return Answer(respond.encode(backend, rules, respond.Inner(found)), tuple(found.statuses))


@dataclass(frozen=True, slots=True)
class _Service:
    backend: Backend
    rules: Rules
    report: Report

    def message(self, encoded: bytes, said: Vouching, outside: Party | None, depth: int) -> respond.Inner:
        """Serve one message and those inside it."""
        inner = respond.Inner(Findings())
        try:
            self._read(inner, encoded, said, outside, depth)
        except Fault as fault:
            self.fail(inner.found, fault, _WHOLE)
        return inner

    def fail(self, found: Findings, fault: Fault, parts: tuple[BodyPartPath, ...]) -> None:
        """Note a failure."""
        self.report(fault)
        found.statuses.append(status_of(fault, parts))

    def _read(self, inner: respond.Inner, encoded: bytes, said: Vouching, outside: Party | None, depth: int) -> None:
        layer = layers.open_layer(encoded)
        if layer.content_type != PKI_DATA:
            text = "a PKIData is expected"
            raise Fault(FaultKind.INVALID, f"content type {layer.content_type}", text)
        data = codec.decode_data(layer.content)
        inner.talk = conversation.hear(data)
        self._check_controls(data)
        inner.talk.memo = conversation.recall(self.backend, inner.talk.transaction)
        keys = self._keys(data)
        party = identity.authenticate(self.backend, self.rules, layer, data, keys, said.skipped)
        party = _as_said(party, said, outside)
        inner.secret = party.secret
        identity.check_time(layer, self.backend, self.rules)
        digest = hashlib.sha256(layer.content).hexdigest()
        conversation.check(inner.talk, data, party, digest)
        self._serve(inner, data, party, said, depth)
        marks = [f"key:{hashlib.sha256(key).hexdigest()}" for key in keys.of_requests]
        conversation.settle(self.backend, self.rules, inner.talk, party, digest, marks)

    @staticmethod
    def _check_controls(data: PkiData) -> None:
        """Fail the whole message for a control that is not known or not for requests (section 3.2.1.1)."""
        strange = controls.strange(data.controls)
        if strange:
            parts = tuple((control.body_part,) for control in strange)
            text = f"unknown, misplaced or repeated control {strange[0].oid}"
            raise Refusal(FailInfo.BAD_REQUEST, text, text, parts=parts)
        for control in data.controls:
            controls.KINDS[control.oid].value(control)  # all are read before any is obeyed

    def _keys(self, data: PkiData) -> identity.Keys:
        """Return the keys that may have signed: who waits, signs with the key that it waits for."""
        awaited: list[bytes] = []
        for _, token in controls.QUERY_PENDING.all(data.controls):
            memo = operations.pending_memo(self.backend, token)
            if memo is not None:
                awaited.append(bytes.fromhex(memo.data.get("spki", "")))
        return identity.Keys.of(data.requests, [spki for spki in awaited if spki])

    def _serve(self, inner: respond.Inner, data: PkiData, party: Party, said: Vouching, depth: int) -> None:
        said = vouching.read(data, party).joined(said) if _has_ra_controls(data) else said
        if len(data.requests) > self.rules.max_requests:
            text = f"more than {self.rules.max_requests} requests in one message"
            raise Fault(FaultKind.TOO_LARGE, text, text)
        turn = Turn(self.backend, self.rules, party, inner.talk, inner.found)
        answers = tuple(value for _, value in controls.DECRYPTED_POP.all(data.controls))
        random = controls.POP_LINK_RANDOM.one(data.controls)
        asked = wishes.Asked(party, said, random, answers)
        for request in data.requests:
            self._attempt(turn, request.body_part, partial(self.request, turn, request, asked))
        for control in data.controls:
            if control.body_part not in said.skipped:
                self._attempt(turn, control.body_part, partial(operations.serve, turn, control))
        self._contents(inner, data, said, depth)

    def _attempt(self, turn: Turn, body_part: int, act: Callable[[], None]) -> None:
        try:
            act()
        except Fault as fault:
            self.fail(turn.found, fault, ((body_part,),))

    def request(self, turn: Turn, request: TaggedRequest, asked: wishes.Asked) -> None:
        """Serve one request for a certificate."""
        if not turn.party.known:
            raise Fault(FaultKind.UNAUTHENTICATED, "request from nobody", "authentication is needed")
        if turn.party.role is Role.CERTIFICATE:
            _check_renewal(request, turn.party)
        try:
            wish = wishes.decide(self.backend, self.rules, request, asked)
        except wishes.ChallengeNeeded as needed:
            turn.found.answers.append((controls.ENCRYPTED_POP, needed.challenge))
            turn.found.statuses.append(StatusInfo(Status.POP_REQUIRED, ((request.body_part,),)))
            turn.said.goes_on = True
            return
        outcome = self.backend.enrol(turn.party, wish)
        token = b""
        if outcome.token:
            token = operations.remember_pending(turn, outcome, wish.spki)
        operations.record(turn, request.body_part, outcome, token)

    def _contents(self, inner: respond.Inner, data: PkiData, said: Vouching, depth: int) -> None:
        """Serve the messages inside this one. Which of them are asked for, batchRequests may say."""
        batch = controls.BATCH_REQUESTS.one(data.controls)
        known = {content.body_part for content in data.contents}
        if batch is not None and not known.issuperset(batch):
            text = "batchRequests names a body part that is not there"
            raise Fault(FaultKind.INVALID, text, text)
        inner.batch = batch is not None
        for content in data.contents:
            if batch is not None and content.body_part not in batch:
                continue
            if depth + 1 >= self.rules.max_nesting:
                text = "messages are nested too deeply"
                raise Fault(FaultKind.TOO_LARGE, text, text)
            below = self.message(content.content_info, said.below(content.body_part), None, depth + 1)
            inner.inside.append((content.body_part, below))
            failed = [one for one in below.found.statuses if one.status in (Status.FAILED, Status.NO_SUPPORT)]
            inner.found.statuses += [respond.seen_from_above(one, content.body_part) for one in failed]
            if not failed:
                inner.found.statuses.append(StatusInfo(Status.SUCCESS, ((content.body_part,),)))
        if data.others:
            parts = tuple((other.body_part,) for other in data.others)
            inner.found.statuses.append(StatusInfo(Status.NO_SUPPORT, parts, "messages of this type are not supported"))


def _has_ra_controls(data: PkiData) -> bool:
    return any(control.oid in vouching.RA_ONLY for control in data.controls)


def _as_said(party: Party, said: Vouching, outside: Party | None) -> Party:
    """Return who a message that shows no identity of its own is from, as an RA or the transport says."""
    if party.known:
        return party
    if said.ra is not None and said.knows_sender:
        return Party(Role.RA, said.ra.actor, said.ra.certificate, party.spki, whole=False, handle=said.ra.handle)
    if outside is not None:
        return Party(outside.role, outside.actor, outside.certificate, party.spki, outside.secret, True, outside.handle)
    return party


def _check_renewal(request: TaggedRequest, party: Party) -> None:
    """A renewal or rekey is for the subject that the certificate has (section 3.2)."""
    facts = x509.decode_certificate(party.certificate)
    subject = request.csr.subject if request.csr is not None else b""
    if request.kind is RequestKind.CRMF and request.crmf is not None:
        subject = request.crmf.request.template.subject or b""
    empty = b"\x30\x00"
    if subject not in (b"", empty) and not names.same_name(subject, facts.subject):
        text = "the subject must be that of the certificate which signs the request"
        raise Fault(FaultKind.POLICY, "another subject at renewal", text)
