"""SCEP transactions in every order that Hypothesis finds, over two replicas of the CA."""

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
from pycryptoutil_protocols.faults import Fault
from pycryptoutil_protocols.scep.client import Answer
from pycryptoutil_protocols.scep.messages import FailInfo, PkiStatus

from pycryptoutil.authority.model import CertificateFilter
from tests.e2e.scep.conftest import PACKAGES
from tests.support.authority import TENANT
from tests.support.databases import Databases
from tests.support.scep import WAITING_PROFILE, Device, ScepWorld, leaf, open_scep

REPLICAS = st.integers(0, 1)
KEYS = st.integers(10, 12)
NEEDED = 2


@dataclass
class Deal:
    """One transaction as its client knows it, and as the CA ought to."""

    device: Device
    transaction: str
    renewal: bool
    csr: bytes
    waits: bool
    enrolment: str = ""
    approvals: set[str] = field(default_factory=set)
    rejected: bool = False
    certificate: bytes = b""

    @property
    def state(self) -> PkiStatus:
        if self.rejected:
            return PkiStatus.FAILURE
        return PkiStatus.PENDING if self.waits and len(self.approvals) < NEEDED else PkiStatus.SUCCESS


class Transactions(RuleBasedStateMachine):
    """Every answer is what the model says, whichever replica gives it."""

    world: ScepWorld
    deals = Bundle("deals")

    def __init__(self) -> None:
        super().__init__()
        self.credentials = {name: self.world.credential(name) for name in ("tls-server", "waiting")}
        self.all: list[Deal] = []
        self.count = 0

    def check(self, deal: Deal, answer: Answer) -> None:
        assert answer.status is deal.state, (deal, answer)
        if deal.state is PkiStatus.SUCCESS:
            (found,) = answer.certificates
            assert deal.certificate in (b"", found), "a transaction has one certificate"
            assert all(one.certificate != found for one in self.all if one is not deal), "and it is its own"
            deal.certificate = found

    def ask(self, deal: Deal, replica: int) -> Answer:
        sent = deal.device.enrol_request(renewal=deal.renewal, csr=deal.csr, transaction=deal.transaction)
        return deal.device.send(sent, replica)

    @rule(target=deals, replica=REPLICAS, key=KEYS, waits=st.booleans())
    def begin(self, replica: int, key: int, waits: bool) -> Deal:
        profile = "waiting" if waits else "tls-server"
        self.count += 1
        device = self.world.device(self.credentials[profile].password, label=profile, number=key)
        return self._begun(Deal(device, f"transaction-{id(self)}-{self.count}", False, device.csr, waits), replica)

    @rule(target=deals, deal=deals, replica=REPLICAS)
    def renew(self, deal: Deal, replica: int) -> Deal:
        if not deal.certificate:
            return deal
        self.count += 1
        holder = deal.device.with_certificate(deal.certificate)
        transaction = f"transaction-{id(self)}-{self.count}"
        return self._begun(Deal(holder, transaction, True, holder.make_csr(""), deal.waits), replica)

    def _begun(self, deal: Deal, replica: int) -> Deal:
        before = {one.id for one in self.world.service.approvals(TENANT, limit=200).items}
        self.check(deal, self.ask(deal, replica))
        if deal.waits:
            after = {one.id for one in self.world.service.approvals(TENANT, limit=200).items}
            (deal.enrolment,) = after - before
        self.all.append(deal)
        return deal

    @rule(deal=deals, replica=REPLICAS)
    def ask_again(self, deal: Deal, replica: int) -> None:
        self.check(deal, self.ask(deal, replica))

    @rule(deal=deals, replica=REPLICAS)
    def poll(self, deal: Deal, replica: int) -> None:
        answer = deal.device.poll(deal.transaction, replica)
        if deal.waits:
            self.check(deal, answer)
        else:  # what was answered at once is not waited for
            assert (answer.status, answer.fail_info) == (PkiStatus.FAILURE, FailInfo.BAD_CERT_ID)

    @rule(deal=deals, replica=REPLICAS, key=KEYS)
    def poll_as_another(self, deal: Deal, replica: int, key: int) -> None:
        stranger = self.world.device("", label=deal.device.label, number=key + 10)
        answer = stranger.poll(deal.transaction, replica)
        expected = FailInfo.BAD_REQUEST if deal.waits else FailInfo.BAD_CERT_ID
        assert (answer.status, answer.fail_info) == (PkiStatus.FAILURE, expected)

    @rule(deal=deals, replica=REPLICAS, approver=st.integers(0, 2))
    def approve(self, deal: Deal, replica: int, approver: int) -> None:
        if not deal.waits:
            return
        actor = f"user:approver-{approver}"
        service = self.world.replicas[replica].service
        if deal.state is PkiStatus.PENDING and actor not in deal.approvals:
            service.approve(TENANT, deal.enrolment, actor, "")
            deal.approvals.add(actor)
        else:
            with contextlib.suppress(Fault):  # said already, or decided already
                service.approve(TENANT, deal.enrolment, actor, "")

    @rule(deal=deals, replica=REPLICAS)
    def reject(self, deal: Deal, replica: int) -> None:
        if not deal.waits:
            return
        service = self.world.replicas[replica].service
        if deal.state is PkiStatus.PENDING:
            service.reject(TENANT, deal.enrolment, "user:rejecter", "no")
            deal.rejected = True
        else:
            with contextlib.suppress(Fault):
                service.reject(TENANT, deal.enrolment, "user:rejecter", "no")

    @invariant()
    def nothing_is_issued_twice(self) -> None:
        issued = sum(one.state is PkiStatus.SUCCESS for one in self.all)
        requesters = {f"credential:{one.username}" for one in self.credentials.values()}
        requesters |= {f"certificate:{leaf_serial(one.certificate)}" for one in self.all if one.certificate}
        found = sum(
            len(self.world.service.certificates(TENANT, CertificateFilter(requester=name), limit=200).items)
            for name in requesters
        )
        assert found == issued


def leaf_serial(certificate: bytes) -> str:
    return f"{leaf(Answer(PkiStatus.SUCCESS, certificates=(certificate,))).serial_number:x}"


@pytest.fixture(params=["sqlite", "postgresql"])
def two_replicas(request: pytest.FixtureRequest) -> Iterator[ScepWorld]:
    databases: Databases = request.getfixturevalue(f"_{request.param}_databases")
    with (
        tempfile.TemporaryDirectory() as folder,
        open_scep(databases.fresh(PACKAGES), Path(folder), replicas=2, max_open_transactions=1000) as world,
    ):
        world.put_profile(WAITING_PROFILE)
        yield world


def test_transactions(two_replicas: ScepWorld) -> None:
    class Machine(Transactions):
        world = two_replicas

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
