"""Nested messages: what a registration authority adds, and batches (RFC 9483 section 5.2.2)."""

from __future__ import annotations

import os
from dataclasses import replace

from pycryptoutil_protocols.cmp.messages import BodyType, Nested, PKIMessage
from pycryptoutil_protocols.cmp.protection import signer_certificate, verify_mac, verify_signature
from pycryptoutil_protocols.crmf.messages import CertReqMsg, CertRequest, RaVerified

from tests.support.authority import NOW, TENANT
from tests.support.cmp import (
    RA_PROFILE,
    Client,
    CmpWorld,
    accepts,
    certificate,
    failures,
    new_key,
    signed_request,
    template,
)

NAMES = ("a.example.test", "a.example.test")


def authority(world: CmpWorld) -> Client:
    world.service.put_profile(TENANT, "registration-authority", RA_PROFILE, "tests")
    key = new_key()
    client = Client.by_secret(world.credential("registration-authority"), NOW)
    answer = client.hear(world.send(client.request(signed_request(key, "ra1"), implicit=True)))
    return Client.by_certificate(key, certificate(answer), NOW)


def added(ra: Client, inner: PKIMessage) -> PKIMessage:
    """Protection around one message: the ids and nonces are the inner one's."""
    around = replace(ra, tid=inner.header.transaction_id or b"", peer_nonce=inner.header.recipient_nonce)
    return around.message(BodyType.NESTED, Nested((inner,)), sender_nonce=inner.header.sender_nonce)


def test_protection_that_a_registration_authority_adds(both: CmpWorld) -> None:
    """The answer is to the inner message, protected as that was; the whole transaction goes that way."""
    ra = authority(both)
    credential = both.credential()
    client = Client.by_secret(credential, NOW)
    answer = client.hear(both.send(added(ra, client.request(signed_request(new_key(), *NAMES)))))
    verify_mac(answer, credential.password.encode())
    found = certificate(answer)
    done = client.hear(both.send(added(ra, client.confirm(accepts(found))), replica=1))
    assert done.kind is BodyType.PKICONF


def test_a_bad_inner_protection_is_not_mended_by_a_good_one_around(both: CmpWorld) -> None:
    ra = authority(both)
    client = Client.by_secret(both.credential(), NOW)
    client.kid = b"enroll-nobody"
    answer = both.send(added(ra, client.request(signed_request(new_key(), *NAMES))))
    assert failures(answer) == {"BAD_MESSAGE_CHECK"}
    request = CertReqMsg(CertRequest(0, template(new_key().public_spki, *NAMES)), RaVerified())
    client = Client.by_secret(both.credential(), NOW)
    assert failures(both.send(added(ra, client.request(request)))) == {"NOT_AUTHORIZED"}


def test_nonces_around_are_the_inner_ones(both: CmpWorld) -> None:
    ra = authority(both)
    client = Client.by_secret(both.credential(), NOW)
    inner = client.request(signed_request(new_key(), *NAMES))
    around = replace(ra, tid=client.tid).message(BodyType.NESTED, Nested((inner,)))
    assert failures(both.send(around)) == {"BAD_SENDER_NONCE"}


def test_a_batch(both: CmpWorld) -> None:
    """Each message is answered as if it had come alone, in the same order; one bad one spoils no other."""
    ra = authority(both)
    clients = [Client.by_secret(both.credential(), NOW) for _ in range(3)]
    clients[1].kid = b"enroll-nobody"
    messages = tuple(one.request(signed_request(new_key(), *NAMES), implicit=True) for one in clients)
    answer = ra.hear(both.send(ra.message(BodyType.NESTED, Nested(messages))))
    assert answer.kind is BodyType.NESTED
    verify_signature(answer, signer_certificate(answer).spki)
    assert isinstance(answer.body, Nested)
    inner = answer.body.messages
    assert [one.header.transaction_id for one in inner] == [client.tid for client in clients]
    assert [bool(failures(one)) for one in inner] == [False, True, False]
    assert certificate(inner[0]) != certificate(inner[2])


def test_batches_are_bounded_and_their_messages_differ(both: CmpWorld) -> None:
    ra = authority(both)
    credential = both.credential()
    key = new_key()

    def messages(count: int) -> tuple[PKIMessage, ...]:
        clients = [Client.by_secret(credential, NOW) for _ in range(count)]
        return tuple(client.request(signed_request(key, *NAMES), implicit=True) for client in clients)

    many = ra.message(BodyType.NESTED, Nested(messages(both.rules.policy.max_batch + 1)))
    assert failures(both.send(many)) == {"BAD_REQUEST"}
    (one,) = messages(1)
    twice = ra.again().message(BodyType.NESTED, Nested((one, one)))
    assert failures(both.send(twice)) == {"TRANSACTION_ID_IN_USE"}
    nonce = os.urandom(16)
    alike = [Client.by_secret(credential, NOW).request(signed_request(key, *NAMES), sender_nonce=nonce) for _ in "ab"]
    assert failures(both.send(ra.again().message(BodyType.NESTED, Nested(tuple(alike))))) == {"BAD_SENDER_NONCE"}


def test_a_batch_around_added_protection(both: CmpWorld) -> None:
    first, second = authority(both), authority(both)
    client = Client.by_secret(both.credential(), NOW)
    inner = added(first, client.request(signed_request(new_key(), *NAMES), implicit=True))
    answer = second.hear(both.send(second.message(BodyType.NESTED, Nested((inner,)))))
    assert isinstance(answer.body, Nested)
    assert certificate(answer.body.messages[0])
