"""Requests that wait for people: PENDING, CertPoll, and what polling may not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.scep import client
from pycryptoutil_protocols.scep.messages import FailInfo, MessageType, PkiStatus

from tests.protocols import material
from tests.support.authority import TENANT
from tests.support.scep import WAITING_PROFILE, Device, ScepWorld, leaf, open_scep


def waiting(world: ScepWorld, **more: object) -> Device:
    """A client whose request waits for two people."""
    world.put_profile(WAITING_PROFILE)
    return world.device(world.credential("waiting", **more).password, label="waiting")  # type: ignore[arg-type]


def the_request(world: ScepWorld) -> str:
    (found,) = world.service.approvals(TENANT).items
    return found.id


def refused(answer: client.Answer, info: FailInfo, text: str = "") -> None:
    assert (answer.status, answer.fail_info) == (PkiStatus.FAILURE, info), answer
    assert text in answer.fail_text


def test_waits_and_is_polled_for_by_any_replica(world: ScepWorld) -> None:
    device = waiting(world, max_uses=1)
    assert device.enrol().status is PkiStatus.PENDING
    assert device.enrol().status is PkiStatus.PENDING  # the same again is the same request
    assert device.poll(replica=1).status is PkiStatus.PENDING
    request = the_request(world)
    for number, replica in enumerate(world.replicas):
        assert device.poll(replica=number).status is PkiStatus.PENDING
        replica.service.approve(TENANT, request, f"user:approver-{number}", "fine")
    found = leaf(device.poll(replica=1))
    assert found.public_key() == device.key.public_key()
    assert leaf(device.poll(replica=0)) == found  # an answer may get lost
    assert leaf(device.enrol()) == found  # and a client may begin anew


def test_a_rejection_is_told(world: ScepWorld) -> None:
    device = waiting(world)
    device.enrol()
    world.service.reject(TENANT, the_request(world), "user:approver", "who are you?")
    refused(device.poll(replica=1), FailInfo.BAD_REQUEST)
    refused(device.poll(replica=1), FailInfo.BAD_REQUEST)


def test_renewal_waits_too(world: ScepWorld) -> None:
    device = waiting(world)
    device.enrol()
    first = the_request(world)
    for number in range(2):
        world.service.approve(TENANT, first, f"user:approver-{number}", "")
    old = device.poll()
    holder = device.with_certificate(old.certificates[0])
    assert holder.enrol(renewal=True, csr=device.make_csr("")).status is PkiStatus.PENDING
    second = next(one.id for one in world.service.approvals(TENANT).items if one.id != first)
    for number in range(2):
        world.service.approve(TENANT, second, f"user:approver-{number}", "")
    assert leaf(holder.poll()).serial_number != leaf(old).serial_number


def test_polling_for_what_is_not_there(world: ScepWorld) -> None:
    device = waiting(world)
    refused(device.poll("unknown"), FailInfo.BAD_CERT_ID)
    device.enrol()
    elsewhere = der.sequence(material.name("another ca").public_bytes(), device.subject)
    transaction = client.transaction_id(material.spki(device.key))
    refused(device.send(device.client.request(MessageType.CERT_POLL, elsewhere, transaction)), FailInfo.BAD_CERT_ID)
    stranger = world.device("", label="waiting", number=4)
    refused(stranger.poll(transaction), FailInfo.BAD_REQUEST, "another client")
    world.clock.advance(timedelta(days=15).total_seconds())
    refused(device.poll(), FailInfo.BAD_CERT_ID)


def test_a_transaction_of_another_is_not_taken_over(world: ScepWorld) -> None:
    device = waiting(world)
    transaction = device.enrol_request().transaction_id
    device.enrol()
    other = world.device(world.credential("waiting").password, label="waiting", number=5)
    refused(other.enrol(transaction=transaction), FailInfo.BAD_REQUEST, "in use")
    assert device.poll().status is PkiStatus.PENDING


def test_only_so_many_may_wait(empty: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("few")
    with open_scep(empty, folder, max_open_transactions=2) as world:
        device = waiting(world)
        for number in range(2):
            assert device.enrol(transaction=f"t{number}").status is PkiStatus.PENDING
        with pytest.raises(Fault) as caught:
            device.enrol(transaction="one too many")
        assert caught.value.kind is FaultKind.RATE_LIMITED
        # what has run out makes room
        world.clock.advance(timedelta(days=15).total_seconds())
        world.scep.expire()
        assert world.service.transactions.get(TENANT, "scep", "t0") is None


def test_a_waiting_request_survives_a_restart(empty: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("restart")
    with open_scep(empty, folder) as world:
        device = waiting(world)
        assert device.enrol().status is PkiStatus.PENDING
        request = the_request(world)
    with open_scep(empty, folder) as world:
        device.world = world
        assert device.poll().status is PkiStatus.PENDING
        for number in range(2):
            world.service.approve(TENANT, request, f"user:approver-{number}", "")
        leaf(device.poll())
