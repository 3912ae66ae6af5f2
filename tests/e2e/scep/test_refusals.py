"""Bad input to a running CA: each failInfo in a signed CertRep, and what is no message at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from pycryptoutil_protocols import cms
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.scep import client, codec
from pycryptoutil_protocols.scep.client import Sent
from pycryptoutil_protocols.scep.messages import FailInfo, MessageType, PkiStatus

from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.scep import ScepRules, ScepService
from pycryptoutil.http.message import Headers, Listener, Request
from pycryptoutil.services.pki_ca.scep import handlers
from tests.protocols import material, scep_material, test_scep_refusals
from tests.support.authority import NOW
from tests.support.scep import ScepWorld, leaf


@pytest.fixture
def as_ours(shared: ScepWorld, monkeypatch: pytest.MonkeyPatch) -> ScepWorld:
    """Let the forgeries of the protocol tests be addressed to this CA, and to its time."""
    responder = shared.server().responder

    def recipient(number: int = 7) -> cms.KeyTransport:
        key = responder.spki if number == 7 else material.spki(material.private_key("RSA-2048", number))
        name = responder.issuer_and_serial if number == 7 else b"\x30\x08\x30\x00\x02\x04\x7f\x01\x02\x03"
        return cms.KeyTransport(key, name, pkcs1=True)

    monkeypatch.setattr(test_scep_refusals, "recipient", recipient)
    monkeypatch.setattr(test_scep_refusals, "NOW", NOW)
    return shared


def answer_to(world: ScepWorld, encoded: bytes) -> client.Answer:
    message = codec.decode_message(encoded)
    body = world.scep.answer("tls-server", encoded, "test")
    sent = Sent(encoded, message.transaction_id, message.sender_nonce)
    if not message.sender_nonce:  # there is nothing to echo
        found = codec.decode_message(body)
        assert found.status is not None
        return client.Answer(found.status, found.fail_info, found.fail_text)
    return client.read_answer(body, sent, world.server("tls-server").certificates)


ROWS = [row for row in test_scep_refusals.REFUSED if not row[0].startswith("signed ")]


@pytest.mark.parametrize(("make", "info"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every_refusal_is_a_signed_cert_rep(as_ours: ScepWorld, make: Callable[[], bytes], info: FailInfo) -> None:
    answer = answer_to(as_ours, make())
    assert (answer.status, answer.fail_info) == (PkiStatus.FAILURE, info)
    assert answer.fail_text


@pytest.mark.parametrize("days", [-2, 2])
def test_stale_signing_time(as_ours: ScepWorld, days: int) -> None:
    crls = CrlService(as_ours.service.room)
    strict = ScepService(as_ours.service, crls, ScepRules(clock_skew=timedelta(days=1)), as_ours.clock)
    encoded = test_scep_refusals.message(attributes=(test_scep_refusals.signing_time(days * 86400),))
    message = codec.decode_message(encoded)
    body = strict.answer("tls-server", encoded, "test")
    sent = Sent(encoded, message.transaction_id, message.sender_nonce)
    answer = client.read_answer(body, sent, as_ours.server().certificates)
    assert answer.fail_info is FailInfo.BAD_TIME


NOTHING = test_scep_refusals.NO_MESSAGE


@pytest.mark.parametrize(("make", "kind"), [row[1:] for row in NOTHING], ids=[row[0] for row in NOTHING])
def test_what_is_no_message_raises(as_ours: ScepWorld, make: Callable[[], bytes], kind: FaultKind) -> None:
    with pytest.raises(Fault) as caught:
        as_ours.scep.answer("tls-server", make(), "test")
    assert caught.value.kind is kind


def test_a_sealed_ca_and_its_return(world: ScepWorld) -> None:
    device = world.device(world.credential().password)
    sent = device.enrol_request()
    world.replicas[1].barrier.seal()
    with pytest.raises(Fault) as caught:
        device.send(sent, 1)
    assert caught.value.kind is FaultKind.SEALED
    leaf(device.send(sent, 0))  # another replica is not


def test_an_answer_is_bound_to_its_request(shared: ScepWorld) -> None:
    """A replayed answer has another nonce, and a forged one another signer."""
    device = shared.device(shared.credential().password)
    first, second = device.enrol_request(), device.enrol_request()
    body = shared.scep.answer("tls-server", first.encoded, "test")
    with pytest.raises(Fault) as caught:
        device.read(body, second)
    assert caught.value.kind is FaultKind.REPLAYED
    stranger = scep_material.responder()
    with pytest.raises(Fault) as caught:
        client.read_answer(
            codec.encode_message(
                codec.Header(MessageType.CERT_REP, first.transaction_id, bytes(16), first.nonce, PkiStatus.PENDING),
                b"",
                stranger,
                scep_material.ra_certificate(),
            ),
            first,
            shared.server().certificates,
        )
    assert caught.value.kind is FaultKind.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.UNAVAILABLE, 503),
        (FaultKind.SEALED, 503),
        (FaultKind.BUSY, 503),
        (FaultKind.INTERNAL, 503),
        (FaultKind.STORAGE_FULL, 507),
        (FaultKind.RATE_LIMITED, 429),
    ],
)
def test_a_server_in_trouble_says_come_again(
    shared: ScepWorld, monkeypatch: pytest.MonkeyPatch, kind: FaultKind, status: int
) -> None:
    """Nothing is signed about what the client did; nothing of what is wrong is told."""

    def broken(*_: object) -> None:
        raise Fault(kind, "the disk of 10.0.0.7 is gone", "try again later", retry_after=7)

    device = shared.device(shared.credential().password)
    sent = device.enrol_request()
    with monkeypatch.context() as patched:
        patched.setattr(shared.service, "enrol", broken, raising=False)
        with pytest.raises(Fault) as caught:
            device.send(sent)
    assert caught.value.kind is kind
    request = Request("POST", "/scep", "/scep", {}, Headers(), b"", Listener.PLAIN, "127.0.0.1", "the-request")
    answer = handlers.faults(caught.value, request)
    assert (answer.status, dict(answer.headers)["retry-after"]) == (status, "7")
    assert isinstance(answer.body, bytes)
    assert b"10.0.0.7" not in answer.body
    leaf(device.send(sent))  # and then it goes on
