"""CMP transactions in every order that Hypothesis finds, over two replicas of the CA."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pycryptoutil_protocols.cmp.messages import BodyType, PKIMessage

from tests.e2e.cmp.conftest import PACKAGES
from tests.support.authority import NOW
from tests.support.cmp import (
    Client,
    CmpWorld,
    accepts,
    certificate,
    failures,
    new_key,
    open_cmp,
    rejects,
    serial,
    signed_request,
)
from tests.support.databases import Databases

NAMES = ("a.example.test", "a.example.test")
KEY = new_key()
REPLICAS = st.integers(0, 1)


@dataclass
class Deal:
    """One transaction, as the client knows it, and as the CA ought to."""

    client: Client
    first: PKIMessage
    last: PKIMessage
    answer: PKIMessage
    found: bytes
    implicit: bool
    state: str  # waiting | confirmed | rejected | lost
    until: float
    forgotten_at: float
    sent_at: dict[int, float] = field(default_factory=dict)


class Transactions(RuleBasedStateMachine):
    """The clock moves only by a rule."""

    world: CmpWorld
    deals = Bundle("deals")

    def __init__(self) -> None:
        super().__init__()
        self.credential = self.world.credential()
        self.all: list[Deal] = []

    @property
    def time(self) -> float:
        return self.world.clock.now().timestamp()

    @property
    def policy(self) -> tuple[float, float, float]:
        rules = self.world.rules.policy
        return rules.confirm_wait.total_seconds(), rules.memory.total_seconds(), rules.time_window.total_seconds()

    def stale(self, message: PKIMessage) -> bool:
        assert message.header.message_time is not None
        return self.time - message.header.message_time.timestamp() > self.policy[2]

    @rule(target=deals, replica=REPLICAS, implicit=st.booleans(), kind=st.sampled_from((BodyType.IR, BodyType.CR)))
    def begin(self, replica: int, implicit: bool, kind: BodyType) -> Deal:
        wait, memory, _ = self.policy
        client = Client.by_secret(self.credential, self.world.clock.now())
        message = client.request(signed_request(KEY, *NAMES), kind=kind, implicit=implicit)
        answer = client.hear(self.world.send(message, replica=replica))
        state = "confirmed" if implicit else "waiting"
        gone = self.time + (memory if implicit else wait)
        deal = Deal(client, message, message, answer, certificate(answer), implicit, state, self.time + wait, gone)
        self.all.append(deal)
        return deal

    @rule(deal=deals, replica=REPLICAS)
    def repeat_the_last_message(self, deal: Deal, replica: int) -> None:
        if deal.state == "lost" or self.time >= deal.forgotten_at:
            return
        answer = self.world.send(deal.last, replica=replica)
        if self.stale(deal.last):
            assert failures(answer) == {"BAD_TIME"}
        else:
            assert answer.encoded == deal.answer.encoded

    @rule(deal=deals, replica=REPLICAS)
    def replay_the_first_message(self, deal: Deal, replica: int) -> None:
        if deal.last is deal.first or self.time >= deal.forgotten_at:
            return
        expected = "BAD_TIME" if self.stale(deal.first) else "TRANSACTION_ID_IN_USE"
        assert failures(self.world.send(deal.first, replica=replica)) == {expected}

    @rule(deal=deals, replica=REPLICAS, takes=st.booleans())
    def confirm(self, deal: Deal, replica: int, takes: bool) -> None:
        if self.time >= deal.forgotten_at:
            return
        deal.client.now = self.world.clock.now()
        nonce = deal.client.nonce
        status = accepts(deal.found) if takes else rejects(deal.found)
        message = deal.client.confirm(status)
        answer = self.world.send(message, replica=replica)
        if deal.state == "waiting":
            assert answer.kind is BodyType.PKICONF
            deal.client.hear(answer)
            deal.last, deal.answer = message, answer
            deal.state = "confirmed" if takes else "rejected"
            deal.forgotten_at = self.time + self.policy[1]
        else:
            expected = "CERT_CONFIRMED" if deal.state == "confirmed" else "CERT_REVOKED"
            assert failures(answer) == {expected}
            deal.client.nonce = nonce

    @rule(deal=deals, replica=REPLICAS)
    def confirm_with_a_wrong_nonce(self, deal: Deal, replica: int) -> None:
        if deal.state != "waiting":
            return
        deal.client.now = self.world.clock.now()
        answer = self.world.send(deal.client.confirm(accepts(deal.found), recipient_nonce=bytes(16)), replica=replica)
        assert failures(answer) == {"BAD_RECIPIENT_NONCE"}

    @rule(deal=deals, replica=REPLICAS)
    def begin_again_under_the_same_id(self, deal: Deal, replica: int) -> None:
        if self.time >= deal.forgotten_at:
            return
        now = self.world.clock.now()
        other = Client.by_secret(self.credential, now, tid=deal.client.tid)
        answer = self.world.send(other.request(signed_request(KEY, *NAMES)), replica=replica)
        assert failures(answer) == {"TRANSACTION_ID_IN_USE"}

    @rule(seconds=st.sampled_from((1, 300, 601, 90_000)), replica=REPLICAS)
    def let_time_pass(self, seconds: int, replica: int) -> None:
        self.world.clock.advance(seconds)
        for deal in self.all:
            if deal.state == "waiting" and self.time >= deal.until:
                deal.state = "lost"
                deal.forgotten_at = self.time + self.policy[1]
        self.world.replicas[replica].cmp.expire()
        self.world.replicas[1 - replica].cmp.expire()

    @invariant()
    def every_certificate_is_what_was_agreed(self) -> None:
        for deal in self.all:
            expected = "revoked" if deal.state in ("rejected", "lost") else "valid"
            assert self.world.status(serial(deal.found)) == expected


@pytest.fixture(scope="module")
def machine_world(_sqlite_databases: Databases) -> Iterator[CmpWorld]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield stack.enter_context(open_cmp(_sqlite_databases.fresh(PACKAGES), folder, replicas=2))


def test_transactions_in_every_order(machine_world: CmpWorld) -> None:
    machine_world.clock.instant = NOW

    class Machine(Transactions):
        world = machine_world

    chosen = settings(max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Machine, settings=chosen)
