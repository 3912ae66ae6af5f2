"""Transactions: repetition, replay, other people's, several replicas, a server that dies between two steps."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from pycryptoutil_protocols.cmp import codec
from pycryptoutil_protocols.cmp.messages import BodyType, ErrorMessage, PKIMessage, PKIStatus, PKIStatusInfo
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.model import CertificateFilter
from tests.support.authority import NOW, TENANT
from tests.support.cmp import (
    Client,
    CmpWorld,
    accepts,
    certificate,
    failures,
    new_key,
    serial,
    signed_request,
)

NAMES = ("a.example.test", "a.example.test")


def issued(world: CmpWorld) -> int:
    return len(world.service.certificates(TENANT, CertificateFilter(protocol="cmp"), limit=100).items)


def test_a_repeated_message_gets_the_same_answer(world: CmpWorld) -> None:
    """A client that lost an answer repeats its message, by another replica even: nothing is done twice."""
    client = Client.by_secret(world.credential(), NOW)
    request = client.request(signed_request(new_key(), *NAMES))
    first = client.hear(world.send(request))
    assert world.send(request, replica=1).encoded == first.encoded
    assert issued(world) == 1
    confirmation = client.confirm(accepts(certificate(first)))
    done = client.hear(world.send(confirmation, replica=1))
    assert world.send(confirmation, replica=0).encoded == done.encoded
    assert failures(world.send(request)) == {"TRANSACTION_ID_IN_USE"}  # it is over: that is a replay
    assert world.status(serial(certificate(first))) == "valid"


def test_an_id_stays_taken_for_a_while(world: CmpWorld) -> None:
    client = Client.by_secret(world.credential(), NOW)
    request = client.request(signed_request(new_key(), *NAMES))
    found = certificate(client.hear(world.send(request)))
    client.hear(world.send(client.confirm(accepts(found))))
    world.clock.advance(world.rules.policy.memory.total_seconds() - 1)
    world.replicas[0].cmp.expire()
    again = replace(client, now=world.clock.now(), peer_nonce=None)
    assert failures(world.send(again.request(signed_request(new_key(), *NAMES)))) == {"TRANSACTION_ID_IN_USE"}
    world.clock.advance(2)
    world.replicas[0].cmp.expire()
    again = replace(again, now=world.clock.now(), peer_nonce=None)
    assert not failures(world.send(again.request(signed_request(new_key(), *NAMES))))


def test_a_transaction_keeps_to_its_owner_and_protection(world: CmpWorld) -> None:
    credential = world.credential()
    key = new_key()
    client = Client.by_secret(credential, NOW)
    found = certificate(client.hear(world.send(client.request(signed_request(key, *NAMES)))))
    signing = Client.by_certificate(key, found, NOW, tid=client.tid, peer_nonce=client.peer_nonce)
    assert failures(world.send(signing.confirm(accepts(found)))) == {"NOT_AUTHORIZED"}
    stranger = Client.by_secret(world.credential(), NOW, tid=client.tid, peer_nonce=client.peer_nonce)
    assert failures(world.send(stranger.confirm(accepts(found)))) == {"NOT_AUTHORIZED"}
    client.protector = None
    assert failures(world.send(client.confirm(accepts(found)))) == {"BAD_MESSAGE_CHECK"}
    assert world.status(serial(found)) == "valid"


def test_later_messages_may_leave_the_certificate_out(world: CmpWorld) -> None:
    """RFC 9483 section 3.3: what was in extraCerts once need not come again in the transaction."""
    key = new_key()
    client = Client.by_secret(world.credential(), NOW)
    own = certificate(client.hear(world.send(client.request(signed_request(key, *NAMES), implicit=True))))
    signing = Client.by_certificate(key, own, NOW)
    answer = signing.hear(world.send(signing.request(signed_request(new_key(), *NAMES), kind=BodyType.KUR)))
    signing.chain = ()
    found = certificate(answer)
    assert signing.hear(world.send(signing.confirm(accepts(found)), replica=1)).kind is BodyType.PKICONF


def test_a_client_that_gives_up_has_its_certificate_revoked(world: CmpWorld) -> None:
    client = Client.by_secret(world.credential(), NOW)
    found = certificate(client.hear(world.send(client.request(signed_request(new_key(), *NAMES)))))
    body = ErrorMessage(PKIStatusInfo(PKIStatus.REJECTION, ("no chain",)))
    assert client.hear(world.send(client.message(BodyType.ERROR, body), replica=1)).kind is BodyType.PKICONF
    assert world.status(serial(found)) == "revoked"


def test_open_transactions_are_limited(world: CmpWorld) -> None:
    """Finished ones count for nobody's share."""
    most = world.service.settings.max_open_transactions
    credential = world.credential()
    client = Client.by_secret(credential, NOW)
    memory_of = world.service.transactions
    actor = credential.credential.actor
    for number in range(most - 1):
        until = NOW + world.rules.policy.confirm_wait
        memory_of.open(TENANT, "cmp", f"{number:032x}", actor, "begun", {}, until)
    for _ in range(2):
        found = certificate(client.hear(world.send(client.request(signed_request(new_key(), *NAMES)))))
        assert client.hear(world.send(client.confirm(accepts(found)))).kind is BodyType.PKICONF
        client = client.again()
    assert not failures(world.send(client.request(signed_request(new_key(), *NAMES))))
    client = client.again()
    assert failures(world.send(client.request(signed_request(new_key(), *NAMES)))) == {"SYSTEM_UNAVAIL"}


# -- a server that dies ------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """What ends a process, and no code catches."""


def dies_after(kept: Callable[..., object]) -> Callable[..., object]:
    """Return the same, as a process does it that ends before it can go on."""

    def last_breath(*arguments: object, **named: object) -> object:
        kept(*arguments, **named)
        raise Killed

    return last_breath


@pytest.mark.parametrize("step", ["open", "enrol", "save"])
def test_what_a_dead_server_began_another_one_ends(world: CmpWorld, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client.by_secret(world.credential(max_uses=1), NOW)
    request = client.request(signed_request(new_key(), *NAMES))
    target = type(world.replicas[0].service.transactions) if step != "enrol" else type(world.replicas[0].service)
    with monkeypatch.context() as patch:
        patch.setattr(target, step, dies_after(getattr(target, step)))
        with pytest.raises(Killed):
            world.send(request, replica=0)
    answer = client.hear(world.send(request, replica=1))
    found = certificate(answer)
    assert issued(world) == 1
    assert client.hear(world.send(client.confirm(accepts(found)), replica=1)).kind is BodyType.PKICONF
    assert world.status(serial(found)) == "valid"


@pytest.mark.parametrize("step", ["enrol", "save"])
def test_what_nobody_asks_for_again_is_revoked(world: CmpWorld, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issued, and the answer never sent: after confirmWaitTime the certificate is revoked."""
    client = Client.by_secret(world.credential(), NOW)
    request = client.request(signed_request(new_key(), *NAMES))
    target = type(world.replicas[0].service.transactions) if step != "enrol" else type(world.replicas[0].service)
    with monkeypatch.context() as patch:
        patch.setattr(target, step, dies_after(getattr(target, step)))
        with pytest.raises(Killed):
            world.send(request)
    (record,) = world.service.certificates(TENANT, CertificateFilter(protocol="cmp")).items
    assert record.status.value == "valid"
    world.clock.advance(world.rules.policy.confirm_wait.total_seconds() + 1)
    world.replicas[1].cmp.expire()
    assert world.status(record.serial) == "revoked"


def test_a_revocation_that_was_not_told_is_told(world: CmpWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    client = Client.by_secret(world.credential(), NOW)
    found = certificate(client.hear(world.send(client.request(signed_request(key, *NAMES), implicit=True))))
    client = client.again()
    request = client.revoke(found)
    target = type(world.service)
    with monkeypatch.context() as patch:
        patch.setattr(target, "revoke", dies_after(target.revoke))
        with pytest.raises(Killed):
            world.send(request)
    assert world.status(serial(found)) == "revoked"
    assert not failures(client.hear(world.send(request, replica=1)))


def test_two_replicas_serve_the_same_message_at_once(world: CmpWorld) -> None:
    """Both answer, with the same certificate; what is remembered is what one of them said."""
    client = Client.by_secret(world.credential(max_uses=1), NOW)
    request = client.request(signed_request(new_key(), *NAMES))
    together = threading.Barrier(2)
    answers: list[PKIMessage] = []

    def serve(replica: int) -> None:
        together.wait()
        answers.append(world.send(request, replica=replica))

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert issued(world) == 1
    good = [answer for answer in answers if not failures(answer)]
    assert good
    assert all(failures(answer) == {"SYSTEM_UNAVAIL"} for answer in answers if answer not in good)
    last = world.send(request)
    assert all(answer.encoded == last.encoded for answer in good)
    client.hear(last)
    assert client.hear(world.send(client.confirm(accepts(certificate(last))))).kind is BodyType.PKICONF


def test_a_database_that_is_away_leaves_the_request_to_be_repeated(
    world: CmpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client.by_secret(world.credential(), NOW)
    request = client.request(signed_request(new_key(), *NAMES))

    def away(*_: object, **__: object) -> object:
        raise Fault(FaultKind.UNAVAILABLE, "the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.service), "enrol", away)
        assert failures(world.send(request)) == {"SYSTEM_UNAVAIL"}
    assert certificate(client.hear(world.send(request)))


def test_what_is_remembered_holds_no_secret(world: CmpWorld) -> None:
    credential = world.credential()
    client = Client.by_secret(credential, NOW)
    client.hear(world.send(client.request(signed_request(new_key(), *NAMES))))
    stored = world.service.transactions.get(TENANT, "cmp", client.tid.hex())
    assert stored is not None
    assert credential.password not in str(stored.data)
    assert codec.decode(base64.b64decode(stored.data["answer"])).kind is BodyType.IP
