"""Transactions and nonces, and a model of clients that use two replicas in any order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from pycryptoutil_protocols import x509
from pycryptoutil_protocols.cmc import client, controls, values
from pycryptoutil_protocols.cmc.messages import FailInfo, Status
from pycryptoutil_protocols.cmc.server import Rules

from tests.protocols import material
from tests.protocols.cmc.requests import SIGNER, draft, pkcs10
from tests.support.cmc import NOW, SECRET, USER, SmallCa, Store

OTHER = material.signer(number=41)


@pytest.fixture
def ca() -> SmallCa:
    return SmallCa()


def message(
    made: client.Draft, transaction: int | None = 5, nonce: bytes | None = b"one", answer: bytes | None = None
) -> client.Draft:
    if transaction is not None:
        made.add(controls.TRANSACTION_ID, transaction)
    if nonce is not None:
        made.add(controls.SENDER_NONCE, nonce)
    if answer is not None:
        made.add(controls.RECIPIENT_NONCE, answer)
    return made


def enrolment(**more: Any) -> bytes:
    made = message(draft(pkcs10()), **more)
    made.prove_identity(USER, SECRET)
    return made.signed_by_key(SIGNER)


def query(token: bytes, **more: Any) -> bytes:
    made = client.Draft()
    made.add(controls.QUERY_PENDING, token)
    return message(made, **more).signed_by_key(SIGNER)


def test_what_is_sent_comes_back(ca: SmallCa) -> None:
    reply = ca.ask(enrolment())
    assert reply.one(controls.TRANSACTION_ID) == 5
    assert reply.one(controls.RECIPIENT_NONCE) == b"one"
    assert len(reply.one(controls.SENDER_NONCE)) == 16
    assert reply.one(controls.SENDER_NONCE) != ca.ask(enrolment()).one(controls.SENDER_NONCE)
    plain = ca.ask(enrolment(transaction=None, nonce=None))
    assert plain.one(controls.TRANSACTION_ID) is None
    assert plain.one(controls.SENDER_NONCE) is None
    assert not ca.store.memos  # a conversation that is over leaves nothing


def test_a_failure_is_told_with_the_peers_nonce(ca: SmallCa) -> None:
    made = message(draft(pkcs10()))
    made.prove_identity(USER, b"wrong")
    reply = ca.ask(made.signed_by_key(SIGNER))
    assert reply.failures == (FailInfo.BAD_IDENTITY,)
    assert reply.one(controls.RECIPIENT_NONCE) == b"one"
    assert reply.one(controls.TRANSACTION_ID) == 5
    assert not ca.store.memos


def test_a_conversation_goes_on(ca: SmallCa) -> None:
    ca.approvals = True
    first = ca.ask(enrolment())
    token, nonce = first.status(1).pending.token, first.one(controls.SENDER_NONCE)
    second = ca.ask(query(token, nonce=b"two", answer=nonce))
    assert second.status(1).status is Status.PENDING
    ca.approve("wait-0")
    third = ca.ask(query(token, nonce=b"three", answer=second.one(controls.SENDER_NONCE)))
    assert third.certificate_for(SIGNER.public_spki)
    assert not any(name.startswith("tx-") for name in ca.store.memos)


def test_a_wrong_recipient_nonce(ca: SmallCa) -> None:
    ca.approvals = True
    first = ca.ask(enrolment())
    token = first.status(1).pending.token
    for answer in (b"never sent", b""):
        assert ca.ask(query(token, nonce=b"two", answer=answer)).failures == (FailInfo.BAD_REQUEST,)


def test_a_sender_nonce_twice(ca: SmallCa) -> None:
    ca.approvals = True
    first = ca.ask(enrolment())
    token, nonce = first.status(1).pending.token, first.one(controls.SENDER_NONCE)
    assert ca.ask(query(token, nonce=b"one", answer=nonce)).failures == (FailInfo.BAD_REQUEST,)


def test_a_retry_is_answered(ca: SmallCa) -> None:
    ca.approvals = True
    encoded = enrolment()
    assert ca.ask(encoded).status(1).status is Status.PENDING
    assert ca.ask(encoded).status(1).status is Status.PENDING


def test_an_old_message_again_is_no_retry(ca: SmallCa) -> None:
    ca.approvals = True
    encoded = enrolment()
    first = ca.ask(encoded)
    ca.ask(query(first.status(1).pending.token, nonce=b"two", answer=first.one(controls.SENDER_NONCE)))
    assert ca.ask(encoded).failures == (FailInfo.BAD_REQUEST,)


def test_a_transaction_identifier_in_use(ca: SmallCa) -> None:
    ca.approvals = True
    ca.ask(enrolment())
    made = message(draft(pkcs10(OTHER, "b.example.test")), nonce=b"two")
    made.prove_identity(USER, SECRET)
    assert ca.ask(made.signed_by_key(OTHER)).failures == (FailInfo.BAD_REQUEST,)
    stranger = ca.give(OTHER, "c.example.test")
    made = message(draft(pkcs10(OTHER, "c.example.test")), nonce=b"three")
    assert ca.ask(made.signed_by_certificate(OTHER, stranger)).failures == (FailInfo.BAD_REQUEST,)


def test_an_unknown_transaction(ca: SmallCa) -> None:
    assert ca.ask(enrolment(answer=b"from where?")).failures == (FailInfo.BAD_REQUEST,)


def test_transactions_run_out(ca: SmallCa) -> None:
    ca.approvals = True
    first = ca.ask(enrolment())
    ca.clock = NOW + timedelta(hours=2)
    encoded = query(first.status(1).pending.token, nonce=b"two", answer=first.one(controls.SENDER_NONCE))
    assert ca.ask(encoded).failures == (FailInfo.BAD_REQUEST,)


def test_a_revocation_again_is_refused(ca: SmallCa) -> None:
    own = ca.give(SIGNER, "a.example.test")
    facts = x509.decode_certificate(own)
    made = message(client.Draft())
    made.add(controls.REVOKE_REQUEST, values.RevokeRequest(facts.issuer, facts.serial, 6))
    signer, certificate = ca.registration_authority()
    encoded = made.signed_by_certificate(signer, certificate)
    assert not ca.ask(encoded).failures
    ca.store.revoked.clear()  # released since
    assert ca.ask(encoded).failures == (FailInfo.BAD_REQUEST,)
    assert not ca.store.revoked


def test_who_is_not_known_leaves_nothing(ca: SmallCa) -> None:
    own = ca.give(SIGNER, "a.example.test", actor=f"credential:{USER}")
    facts = x509.decode_certificate(own)
    for number in range(5):
        made = message(client.Draft(), transaction=number)
        made.add(controls.REVOKE_REQUEST, values.RevokeRequest(facts.issuer, facts.serial, 1, shared_secret=b"guess"))
        assert ca.ask(made.unsigned()).failures == (FailInfo.BAD_IDENTITY,)
        assert ca.ask(message(draft(pkcs10()), transaction=number).signed_by_key(SIGNER)).failures
    assert not ca.store.memos


class Replicas(RuleBasedStateMachine):
    """Clients enrol, ask again, accept, reject and revoke at either of two replicas of one store."""

    tokens = Bundle("tokens")
    certificates = Bundle("certificates")

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.replicas = [SmallCa(self.store, approvals=True), SmallCa(self.store, approvals=True)]
        self.number = 0
        self.decided: dict[bytes, str] = {}
        self.revoked: set[int] = set()
        self.unconfirmed: set[int] = set()
        self.rules = Rules(confirm_wait=timedelta(minutes=10))

    def ask(self, replica: int, encoded: bytes) -> client.Reply:
        return self.replicas[replica].ask(encoded, self.rules)

    @rule(target=tokens, replica=st.integers(0, 1), again=st.integers(0, 1), repeat=st.booleans())
    def enrol(self, replica: int, again: int, repeat: bool) -> tuple[int, bytes, str]:
        self.number += 1
        waiting = f"wait-{len(self.store.waiting)}"
        made = draft(pkcs10(SIGNER, f"n{self.number}.example.test"))
        made.add(controls.TRANSACTION_ID, self.number)
        made.add(controls.SENDER_NONCE, b"n%d" % self.number)
        made.prove_identity(USER, SECRET)
        encoded = made.signed_by_key(SIGNER)
        status = self.ask(replica, encoded).status(1)
        assert status.status is Status.PENDING
        if repeat:
            assert self.ask(again, encoded).status(1).pending.token == status.pending.token
        self.decided[status.pending.token] = "waits"
        return self.number, status.pending.token, waiting

    @rule(found=tokens, approve=st.booleans())
    def decide(self, found: tuple[int, bytes, str], approve: bool) -> None:
        _, token, waiting = found
        if self.decided[token] != "waits":
            return
        (self.replicas[0].approve if approve else self.replicas[0].reject)(waiting)
        self.decided[token] = "issued" if approve else "refused"

    @rule(target=certificates, found=tokens, replica=st.integers(0, 1))
    def poll(self, found: tuple[int, bytes, str], replica: int) -> bytes:
        _, token, waiting = found
        made = client.Draft()
        number = made.add(controls.QUERY_PENDING, token)
        reply = self.ask(replica, made.signed_by_key(SIGNER))
        status = reply.status(number)
        expected = {"waits": Status.PENDING, "issued": Status.CONFIRM_REQUIRED, "refused": Status.FAILED}
        assert status.status is expected[self.decided[token]]
        if status.status is not Status.CONFIRM_REQUIRED:
            return b""
        issued = self.store.waiting[waiting].certificate
        assert issued in reply.certificates
        # asked for again, and be it revoked since: not confirmed in time it is revoked, which it is then already
        self.unconfirmed.add(x509.decode_certificate(issued).serial)
        return issued

    @rule(certificate=certificates, replica=st.integers(0, 1))
    def accept(self, certificate: bytes, replica: int) -> None:
        if not certificate:
            return
        facts = x509.decode_certificate(certificate)
        made = client.Draft()
        made.add(controls.CONFIRM_ACCEPTANCE, values.IssuerAndSerial(facts.issuer, facts.serial))
        reply = self.ask(replica, made.signed_by_certificate(SIGNER, certificate))
        assert bool(reply.failures) == (facts.serial in self.revoked)  # who is revoked has no voice
        if facts.serial not in self.revoked:
            self.unconfirmed.discard(facts.serial)

    @rule(certificate=certificates, first=st.integers(0, 1), second=st.integers(0, 1))
    def revoke_twice(self, certificate: bytes, first: int, second: int) -> None:
        if not certificate:
            return
        facts = x509.decode_certificate(certificate)
        made = client.Draft()
        made.add(controls.REVOKE_REQUEST, values.RevokeRequest(facts.issuer, facts.serial, 1))
        made.add(controls.SENDER_NONCE, str(facts.serial).encode())
        encoded = made.signed_by_certificate(SIGNER, certificate)
        assert bool(self.ask(first, encoded).failures) == (facts.serial in self.revoked)
        self.revoked.add(facts.serial)
        assert self.ask(second, encoded).failures

    @invariant()
    def nothing_is_lost(self) -> None:
        assert set(self.store.revoked) == self.revoked
        kept = {int(memo.data["serial"]) for memo in self.store.memos.values() if memo.state == "confirm"}
        assert kept == self.unconfirmed


Replicas.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestReplicas = Replicas.TestCase
