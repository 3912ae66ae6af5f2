"""Profiles that ask for approval: waiting, pollReq and pollRep, whatever replica answers (RFC 9483 section 4.4)."""

from __future__ import annotations

from pycryptoutil_protocols.cmp import keys as packages
from pycryptoutil_protocols.cmp.messages import (
    BodyType,
    CertRepMessage,
    ErrorMessage,
    PKIMessage,
    PKIStatus,
    PKIStatusInfo,
    PollRep,
)
from pycryptoutil_protocols.crmf.messages import CertReqMsg, CertRequest
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority.model import CertificateFilter, NewCredential
from tests.support.authority import TENANT
from tests.support.cmp import (
    Client,
    CmpWorld,
    accepts,
    certificate,
    failures,
    new_key,
    serial,
    signed_request,
    template,
)

PROFILE = """
name: approved
title: With an approver
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256]}
subject: {allowed: [CN]}
names: {types: [dns], private: true}
key_usage: {default: [digitalSignature]}
approvals: 2
"""
NAMES = ("a.example.test", "a.example.test")


def credential(world: CmpWorld) -> NewCredential:
    world.service.put_profile(TENANT, "approved", PROFILE, "tests")
    return world.credential("approved", "*.example.test")


def waiting(world: CmpWorld) -> list[str]:
    return [one.id for one in world.service.approvals(TENANT).items if one.state.value == "pending"]


def approve(world: CmpWorld, *people: str, number: int = 0) -> None:
    (*_, identifier) = waiting(world)[number:]
    for person in people:
        world.service.approve(TENANT, identifier, person)


def statuses(answer: PKIMessage) -> list[PKIStatus]:
    assert isinstance(answer.body, CertRepMessage), answer.body
    return [one.status.status for one in answer.body.responses]


def issued(world: CmpWorld) -> int:
    return len(world.service.certificates(TENANT, CertificateFilter(protocol="cmp")).items)


def test_a_request_waits_and_is_polled_for(world: CmpWorld) -> None:
    client = Client.by_secret(credential(world), world.clock.now())
    request = client.request(signed_request(new_key(), *NAMES))
    answer = client.hear(world.send(request, replica=0))
    assert statuses(answer) == [PKIStatus.WAITING]
    assert world.send(request, replica=1).encoded == answer.encoded
    assert len(waiting(world)) == 1
    for replica in (1, 0):
        polled = client.hear(world.send(client.poll(), replica=replica))
        assert isinstance(polled.body, PollRep)
        assert polled.body.entries[0].check_after >= 1
    approve(world, "anna")
    assert client.hear(world.send(client.poll(), replica=1)).kind is BodyType.POLLREP
    assert issued(world) == 0
    approve(world, "bert")
    poll = client.poll()
    answer = client.hear(world.send(poll, replica=0))
    assert answer.kind is BodyType.IP
    found = certificate(answer)
    assert world.send(poll, replica=1).encoded == answer.encoded
    assert client.hear(world.send(client.confirm(accepts(found)), replica=1)).kind is BodyType.PKICONF
    assert world.status(serial(found)) == "valid"
    assert issued(world) == 1


def test_a_request_that_is_rejected(world: CmpWorld) -> None:
    client = Client.by_secret(credential(world), world.clock.now())
    client.hear(world.send(client.request(signed_request(new_key(), *NAMES))))
    world.service.reject(TENANT, waiting(world)[0], "anna", "not ours")
    answer = client.hear(world.send(client.poll(), replica=1))
    assert failures(answer) == {"BAD_REQUEST"}
    assert failures(world.send(client.poll())) == {"BAD_REQUEST"}  # it is over
    assert issued(world) == 0


def test_what_can_be_decided_is_decided_at_once(world: CmpWorld) -> None:
    client = Client.by_secret(credential(world), world.clock.now())
    answer = world.send(client.request(signed_request(new_key(), "a.elsewhere.test", "a.elsewhere.test")))
    assert failures(answer) == {"BAD_CERT_TEMPLATE"}
    assert waiting(world) == []


def test_several_requests_that_wait(world: CmpWorld) -> None:
    """The ones that are ready come at once, the others go on waiting."""
    client = Client.by_secret(credential(world), world.clock.now())
    requests = [signed_request(new_key(), f"{n}.example.test", f"{n}.example.test", request_id=n) for n in range(2)]
    assert statuses(client.hear(world.send(client.request(*requests)))) == [PKIStatus.WAITING] * 2
    approve(world, "anna", "bert")
    answer = client.hear(world.send(client.poll(0, 1), replica=1))
    assert sorted(statuses(answer)) == [PKIStatus.ACCEPTED, PKIStatus.WAITING]
    approve(world, "anna", "bert")
    answer = client.hear(world.send(client.poll(-1)))
    assert statuses(answer) == [PKIStatus.ACCEPTED]
    stored = world.service.transactions.get(TENANT, "cmp", client.tid.hex())
    assert stored is not None
    assert stored.state == "confirming"


def test_a_key_that_the_ca_makes_waits_too(world: CmpWorld) -> None:
    made = credential(world)
    client = Client.by_secret(made, world.clock.now(), pvno=3)
    request = CertReqMsg(CertRequest(0, template(None, *NAMES)))
    assert statuses(client.hear(world.send(client.request(request)))) == [PKIStatus.WAITING]
    approve(world, "anna", "bert")
    answer = client.hear(world.send(client.poll(), replica=1))
    assert isinstance(answer.body, CertRepMessage)
    (response,) = answer.body.responses
    assert response.key_pair is not None, response.status
    assert response.key_pair.private_key is not None
    packages.unwrap(response.key_pair.private_key, made.password.encode())
    found = response.key_pair.certificate
    assert decode_certificate(found).sans[0].value == "a.example.test"
    assert client.hear(world.send(client.confirm(accepts(found)))).kind is BodyType.PKICONF


def test_a_client_that_gives_up_waiting(world: CmpWorld) -> None:
    client = Client.by_secret(credential(world), world.clock.now())
    client.hear(world.send(client.request(signed_request(new_key(), *NAMES))))
    body = ErrorMessage(PKIStatusInfo(PKIStatus.REJECTION, ("enough",)))
    assert client.hear(world.send(client.message(BodyType.ERROR, body), replica=1)).kind is BodyType.PKICONF
    assert waiting(world) == []


def test_waiting_ends_some_day(world: CmpWorld) -> None:
    client = Client.by_secret(credential(world), world.clock.now())
    client.hear(world.send(client.request(signed_request(new_key(), *NAMES))))
    world.clock.advance(world.rules.policy.approval_wait.total_seconds() + 1)
    world.replicas[1].cmp.expire()
    assert waiting(world) == []
    client.now = world.clock.now()
    assert failures(world.send(client.poll())) == {"BAD_REQUEST"}


def test_polling_keeps_to_what_waits(world: CmpWorld) -> None:
    client = Client.by_secret(credential(world), world.clock.now())
    client.hear(world.send(client.request(signed_request(new_key(), *NAMES))))
    assert failures(world.send(client.poll(1))) == {"BAD_REQUEST"}
    assert failures(world.send(client.confirm())) == {"BAD_REQUEST"}
