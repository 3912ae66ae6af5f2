"""What outlives a process: jobs, orders that wait for approval, nonces; and a model of orders over two replicas."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import IssueOrder
from pycryptoutil.authority.acme.model import Reach
from pycryptoutil.authority.acme.store import orders as store
from pycryptoutil.authority.enrolment import Enrolment, EnrolmentState
from pycryptoutil.authority.model import CertificateFilter
from pycryptoutil.storage import UnitOfWork
from tests.support.acme import AcmeClient, FakeFetcher, Internet, Reply
from tests.support.authority import TENANT, csr
from tests.support.databases import Databases
from tests.unit.acme.conftest import PACKAGES, RULES, MakeReplica, Replica, build


def challenge_of(client: AcmeClient, order: Reply) -> dict[str, Any]:
    return client.challenge(client.authorizations(order)[0], "http-01")


def at(client: AcmeClient, replica: Replica) -> AcmeClient:
    """The same account at another replica."""
    other = AcmeClient(replica.send, client.directory_url, client.key)
    other.kid = client.kid
    return other


def test_any_replica_goes_on(make_replica: MakeReplica) -> None:
    first, second = make_replica(), make_replica()
    client = first.account()
    there = at(client, second)
    nonce = client.nonce()
    assert there.post(client.kid, nonce=nonce).status == 200, "a nonce of the other replica"
    assert client.post(client.kid, nonce=nonce).problem == "badNonce", "and both know that it is used up"
    order = client.order("a.example.com")
    challenge = challenge_of(there, order)
    first.internet.put_http(client, "a.example.com", challenge)
    assert there.post(challenge["url"], {}).json["status"] == "processing"
    first.settle()
    done = there.finalize(order, csr("a.example.com"))
    assert client.post(done.json["certificate"]).status == 200


def test_a_validation_is_taken_over_from_a_dead_process(make_replica: MakeReplica) -> None:
    first, second = make_replica(), make_replica()
    client = first.account()
    order = client.order("a.example.com")
    challenge = challenge_of(client, order)
    first.internet.put_http(client, "a.example.com", challenge)
    client.post(challenge["url"], {})
    identifier = challenge["url"].rpartition("/")[2]
    now = first.world.clock.now()
    from datetime import timedelta

    with first.world.database.unit_of_work(TENANT) as uow:
        assert store.claim(uow, identifier, now, now + timedelta(seconds=40))
        assert not store.claim(uow, identifier, now, now + timedelta(seconds=40)), "nobody else gets it meanwhile"
    assert second.service.work() == 0
    second.world.clock.advance(41)
    assert second.service.work() == 1
    assert client.post(order.headers["location"]).json["status"] == "ready"


class Office:
    """Approves when it is told to; stands for the CA's own enrolment."""

    def __init__(self, replica: Replica) -> None:
        self._service = replica.world.service
        self.waiting: dict[str, tuple[str, IssueOrder, str]] = {}
        self.answers: dict[str, Enrolment] = {}
        self.fault: Fault | None = None

    def enrol(self, tenant_id: str, order: IssueOrder, actor: str, request_id: str = "") -> Enrolment:
        if self.fault is not None:
            raise self.fault
        identifier = f"e{len(self.waiting)}"
        self.waiting[identifier] = (tenant_id, order, actor)
        return Enrolment(identifier, tenant_id, EnrolmentState.PENDING, retry_after=60, needed=1)

    def enrolment(self, tenant_id: str, enrolment_id: str) -> Enrolment:
        pending = Enrolment(enrolment_id, tenant_id, EnrolmentState.PENDING, retry_after=60, needed=1)
        return self.answers.get(enrolment_id, pending)

    def cancel_enrolment(self, *_: str, **_more: str) -> None:
        raise NotImplementedError

    def revoke(self, *_: Any, **_more: Any) -> None:
        raise NotImplementedError

    def withdraw_enrolments(self, _uow: UnitOfWork, _actor: str, _request_id: str = "") -> int:
        raise NotImplementedError

    def approve(self, identifier: str) -> None:
        tenant_id, order, actor = self.waiting[identifier]
        issued = self._service.issue(tenant_id, order, actor)
        self.answers[identifier] = Enrolment(identifier, tenant_id, EnrolmentState.ISSUED, issued)

    def reject(self, identifier: str) -> None:
        self.answers[identifier] = Enrolment(identifier, TENANT, EnrolmentState.REJECTED, reason="not for you")


@pytest.fixture
def office(one: Replica) -> Office:
    made = Office(one)
    one.service.core = replace(one.service.core, enroller=made)
    return made


def test_an_order_waits_for_its_approval(one: Replica, office: Office) -> None:
    client = one.account()
    order = one.validated(client, "a.example.com")
    waiting = client.finalize(order, csr("a.example.com"))
    assert waiting.json["status"] == "processing"
    assert waiting.headers["retry-after"] == "60"
    assert client.finalize(order, csr("a.example.com")).problem == "orderNotReady"
    office.approve("e0")
    done = client.post(order.headers["location"])
    assert done.json["status"] == "valid"
    assert client.post(done.json["certificate"]).status == 200


def test_an_order_that_nobody_approves(one: Replica, office: Office) -> None:
    client = one.account()
    order = one.validated(client, "a.example.com")
    client.finalize(order, csr("a.example.com"))
    office.reject("e0")
    over = client.post(order.headers["location"]).json
    assert over["status"] == "invalid"
    assert over["error"]["detail"] == "not for you"


@pytest.mark.parametrize(
    ("kind", "problem", "status"),
    [
        (FaultKind.POLICY, "badCSR", 400),
        (FaultKind.FORBIDDEN, "unauthorized", 403),
        (FaultKind.UNAVAILABLE, "serverInternal", 503),
        (FaultKind.RATE_LIMITED, "rateLimited", 429),
    ],
)
def test_an_order_that_the_ca_refuses_is_ready_again(
    one: Replica, office: Office, kind: FaultKind, problem: str, status: int
) -> None:
    client = one.account()
    order = one.validated(client, "a.example.com")
    office.fault = Fault(kind, "detail nobody may see", "public", retry_after=7)
    reply = client.finalize(order, csr("a.example.com"))
    assert (reply.status, reply.problem) == (status, problem)
    assert b"nobody" not in reply.body
    assert client.post(order.headers["location"]).json["status"] == "ready"
    office.fault = None
    assert client.finalize(order, csr("a.example.com")).json["status"] == "processing"


def test_an_order_whose_process_died_is_brought_on(one: Replica) -> None:
    """Between the CSR's storing and the certificate's: the next tick finds it, and there is one certificate."""
    client = one.account()
    order = one.validated(client, "a.example.com")
    identifier = order.headers["location"].rpartition("/")[2]
    with one.world.database.unit_of_work(TENANT) as uow:
        values = {"status": "processing", "csr": csr("a.example.com"), "changed_at": one.world.clock.now()}
        assert store.change_order(uow, identifier, ("ready",), values)
    assert client.post(order.headers["location"]).json["status"] == "processing"
    one.world.clock.advance(31)
    jobs: list[Any] = []
    one.service._jobs.submit = jobs.append  # type: ignore[method-assign]
    one.service.tick()
    assert len(jobs) == 1
    jobs[0]()
    jobs[0]()
    assert client.post(order.headers["location"]).json["status"] == "valid"
    issued = one.world.service.certificates(TENANT, CertificateFilter(protocol="acme")).items
    assert len(issued) == 1


def test_validators_that_do_not_agree(make_sqlite: MakeReplica) -> None:
    """A name server that lies to one of two resolvers gets nobody a certificate."""
    replica = make_sqlite(attempts=1, reach=Reach(agree=2))
    other = Internet()
    replica.service._validator._fetchers = (FakeFetcher(replica.internet), FakeFetcher(other))  # type: ignore[assignment]
    client = replica.account()
    order = replica.validated(client, "a.example.com")
    assert order.json["status"] == "invalid"
    again = client.order("b.example.com")
    challenge = challenge_of(client, again)
    for internet in (replica.internet, other):
        internet.put_http(client, "b.example.com", challenge)
    client.post(challenge["url"], {})
    replica.settle()
    assert client.post(again.headers["location"]).json["status"] == "ready"


def test_old_nonces_are_forgotten(one: Replica) -> None:
    client = one.account()
    with one.world.database.read(TENANT) as reader:
        assert reader.execute("SELECT count(*) FROM acme_nonces").scalar_one() > 0
    one.world.clock.advance(7200)
    one.service.tidy()
    with one.world.database.read(TENANT) as reader:
        assert reader.execute("SELECT count(*) FROM acme_nonces").scalar_one() == 0
    assert client.post(client.kid).status == 200


# --- a model of orders over two replicas


class Orders(RuleBasedStateMachine):
    """Whatever order things happen in, and wherever: a certificate comes of proved names alone, once for each order."""

    url = ""
    folder = Path()

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.internet = Internet()
        self.states: dict[str, str] = {}
        self.good: set[str] = set()

    orders = Bundle("orders")
    which = st.integers(0, 1)

    @initialize()
    def begin(self) -> None:
        rules = replace(RULES, attempts=1)
        self.replicas = [build(self.stack, self.url, self.folder, self.internet, rules, number) for number in range(2)]
        client = self.replicas[0].account()
        self.clients = [client, at(client, self.replicas[1])]
        self.number = 0

    @rule(target=orders, where=which, known=st.booleans())
    def order(self, where: int, known: bool) -> Any:
        self.number += 1
        name = min(self.good) if known and self.good else f"n{self.number}-{id(self)}.example.com"
        made = self.clients[where].order(name)
        assert made.status == 201
        assert made.json["status"] == ("ready" if name in self.good else "pending")
        self.states[made.headers["location"]] = made.json["status"]
        return made, name

    @rule(one=orders, where=which, honest=st.booleans())
    def prove(self, one: Any, where: int, honest: bool) -> None:
        made, name = one
        client = self.clients[where]
        challenge = client.challenge(client.authorizations(made)[0], "http-01") if self.pending(made) else None
        if challenge is None or challenge["status"] != "pending":
            return
        if honest:
            self.internet.put_http(client, name, challenge)
        client.post(challenge["url"], {})
        self.replicas[1 - where].service.work()
        state = "ready" if honest else "invalid"
        if honest:
            self.good.add(name)
        self.states[made.headers["location"]] = state

    def pending(self, made: Reply) -> bool:
        return self.states[made.headers["location"]] == "pending"

    @rule(one=orders, where=which)
    def finalize(self, one: Any, where: int) -> None:
        made, name = one
        reply = self.clients[where].finalize(made, csr(name))
        if self.states[made.headers["location"]] == "ready":
            assert reply.json["status"] == "valid", reply.body
            self.states[made.headers["location"]] = "valid"
        else:
            assert reply.problem == "orderNotReady"

    @rule(one=consumes(orders), where=which)
    def give_up(self, one: Any, where: int) -> None:
        made, name = one
        (url,) = made.json["authorizations"]
        before = self.clients[where].post(url).json["status"]
        assert self.clients[where].post(url, {"status": "deactivated"}).status == 200
        if before in {"valid", "pending"}:
            self.good.discard(name)
            for location, state in self.states.items():
                seen = self.clients[where].post(location).json
                if state in {"pending", "ready"} and url in seen["authorizations"]:
                    self.states[location] = "invalid"

    @invariant()
    def both_replicas_say_the_same(self) -> None:
        for location, state in getattr(self, "states", {}).items():
            assert [client.post(location).json["status"] for client in self.clients] == [state, state]

    def teardown(self) -> None:
        self.stack.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_orders_over_two_replicas(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    databases: Databases = request.getfixturevalue(f"_{kind}_databases")

    from hypothesis.stateful import run_state_machine_as_test

    examples = settings(
        max_examples=6, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    with databases.dropping():

        class Machine(Orders):
            url = databases.fresh(PACKAGES)
            folder = tmp_path

        run_state_machine_as_test(Machine, settings=examples)


def test_the_tick_finds_what_is_due(replica: Replica) -> None:
    client = replica.account()
    jobs: list[Any] = []
    replica.service._jobs.submit = jobs.append  # type: ignore[method-assign]
    replica.service.tick()
    assert jobs == []
    challenge = challenge_of(client, client.order("a.example.com"))
    client.post(challenge["url"], {})
    jobs.clear()
    replica.service.tick()
    assert len(jobs) == 1
    jobs[0]()
    assert replica.internet.asked == ["http a.example.com"]
    replica.service.tick()
    assert len(jobs) == 1, "not before its time"
    replica.world.barrier.seal()
    replica.world.clock.advance(60)
    replica.service.tick()
    assert len(jobs) == 1
