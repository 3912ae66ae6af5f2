"""The server against RFC 9483, section by section, as our own client meets it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pycryptoutil_protocols import algorithms, der, oids, x509
from pycryptoutil_protocols.cmp import codec, general, keys, protection
from pycryptoutil_protocols.cmp.client import ra, requests
from pycryptoutil_protocols.cmp.client.enrolment import Enroller, Outgoing
from pycryptoutil_protocols.cmp.client.exchange import Exchange
from pycryptoutil_protocols.cmp.client.identity import Identity, KemIdentity, PasswordIdentity, SignatureIdentity
from pycryptoutil_protocols.cmp.failures import failure_of
from pycryptoutil_protocols.cmp.messages import (
    BodyType,
    CertConfirm,
    CertRepMessage,
    CertRequests,
    CertStatus,
    ErrorMessage,
    General,
    Nested,
    Pkcs10,
    PKIFailureInfo,
    PKIHeader,
    PKIStatus,
    PKIStatusInfo,
    PollRep,
    PollReq,
    RevResponse,
    directory_name,
)
from pycryptoutil_protocols.cmp.server.office import Policy
from pycryptoutil_protocols.cmp.server.transactions import State
from pycryptoutil_protocols.cms.unwrapping import SoftDecryptor
from pycryptoutil_protocols.crmf.messages import RaVerified
from pycryptoutil_protocols.faults import Fault

from tests.protocols import material as plain
from tests.protocols.cmp import material
from tests.protocols.cmp.material import NOW, SECRET, TRUST, StillClock
from tests.protocols.cmp_server_review.counter import REGISTRATION, Counter, MemoryOffice

SUBJECT = plain.name("subject").public_bytes()
NEW = plain.signer("EC-P256", number=40)
CLIENT_KEY = plain.private_key("EC-P256", 41)
CLIENT = material.make_certificate(CLIENT_KEY.public_key(), "client")
PASSWORD = PasswordIdentity(material.REFERENCE, SECRET)
SIGNATURE = SignatureIdentity(plain.KeySigner(CLIENT_KEY), CLIENT, TRUST, (material.CA,))
RA_KEY = plain.private_key("EC-P256", 42)
RA = SignatureIdentity(plain.KeySigner(RA_KEY), material.make_certificate(RA_KEY.public_key(), REGISTRATION), TRUST)
REQUEST = requests.signed(requests.template(SUBJECT, None), NEW)


@pytest.fixture
def counter() -> Counter:
    return Counter()


def exchange(identity: Identity = PASSWORD, clock: StillClock | None = None, **how: Any) -> Exchange:
    return Exchange(identity, clock or StillClock(), **how)


def enroller(kind: BodyType = BodyType.IR, body: Any = REQUEST, identity: Identity = PASSWORD, **how: Any) -> Enroller:
    return Enroller(exchange(identity), kind, body, **how)


def refused(failure: PKIFailureInfo, call: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        call()
    assert failure_of(caught.value) is failure, caught.value.detail
    return caught.value


# -- 3.1, 3.5: headers, both ways


def test_3_1_headers_of_answers(counter: Counter) -> None:
    counter.enrol(enroller())
    nonces = set()
    for sent, got in counter.seen:
        request, answer = codec.decode(sent).header, codec.decode(got).header
        assert answer.pvno == request.pvno
        assert answer.transaction_id == request.transaction_id
        assert answer.recipient_nonce == request.sender_nonce
        assert answer.recipient.der == request.sender.der
        assert answer.message_time == NOW
        assert answer.sender_nonce is not None
        assert len(answer.sender_nonce) >= 16
        nonces |= {request.sender_nonce, answer.sender_nonce}
    assert len(nonces) == 4


def altered(counter: Counter, identity: Identity = PASSWORD, **changes: Any) -> Any:
    """Send a poll-free request whose header is changed, sealed properly; return what the client hears."""
    talk = exchange(identity)
    made = talk.send(BodyType.IR, REQUEST)
    header: PKIHeader = replace(made.header, **changes)
    protector = identity.protector(header.transaction_id or b"")
    sealed = protection.seal(header, made.kind, made.body, protector, identity.certificates)
    return codec.decode(counter.send(sealed.encoded))


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"pvno": 1}, PKIFailureInfo.UNSUPPORTED_VERSION),
        ({"pvno": 4}, PKIFailureInfo.UNSUPPORTED_VERSION),
        ({"transaction_id": None}, PKIFailureInfo.BAD_DATA_FORMAT),
        ({"sender_nonce": None}, PKIFailureInfo.BAD_SENDER_NONCE),
        ({"sender_nonce": bytes(15)}, PKIFailureInfo.BAD_SENDER_NONCE),
        ({"recipient_nonce": bytes(16)}, PKIFailureInfo.BAD_RECIPIENT_NONCE),
        ({"message_time": NOW - timedelta(hours=1)}, PKIFailureInfo.BAD_TIME),
        ({"message_time": NOW + timedelta(hours=1)}, PKIFailureInfo.BAD_TIME),
        ({"recipient": directory_name(plain.name("other").public_bytes())}, PKIFailureInfo.WRONG_AUTHORITY),
        ({"sender_kid": b"other"}, PKIFailureInfo.BAD_MESSAGE_CHECK),
        ({"sender_kid": None}, PKIFailureInfo.BAD_MESSAGE_CHECK),
    ],
)
def test_3_5_headers_of_requests(counter: Counter, changes: dict[str, Any], failure: PKIFailureInfo) -> None:
    body = altered(counter, **changes).body
    assert isinstance(body, ErrorMessage)
    assert body.status.status is PKIStatus.REJECTION
    assert body.status.failures == {failure}
    assert not counter.office.issued


def test_3_5_a_time_may_be_missing_unless_it_is_wanted(counter: Counter) -> None:
    assert altered(counter, message_time=None).kind is BodyType.IP
    strict = Counter(MemoryOffice(policy=Policy(require_time=True)))
    body = altered(strict, message_time=None).body
    assert body.status.failures == {PKIFailureInfo.MISSING_TIME_STAMP}


def test_3_5_the_signer_is_the_sender(counter: Counter) -> None:
    other = directory_name(plain.name("other").public_bytes())
    body = altered(counter, SIGNATURE, sender=other).body
    assert body.status.failures == {PKIFailureInfo.BAD_MESSAGE_CHECK}


# -- 4.1: enrolment


@pytest.mark.parametrize("pbmac1", [False, True])
def test_4_1_1_by_a_secret(counter: Counter, pbmac1: bool) -> None:
    done = counter.enrol(enroller(identity=replace(PASSWORD, pbmac1=pbmac1, iterations=1000)))
    assert done.ca_certificates == (material.CA,)
    (record,) = counter.office.records.values()
    assert record.state is State.DONE
    assert not counter.office.revoked


@pytest.mark.parametrize("kind", [BodyType.IR, BodyType.CR, BodyType.KUR])
def test_4_1_2_by_a_certificate(counter: Counter, kind: BodyType) -> None:
    done = counter.enrol(enroller(kind, identity=SIGNATURE))
    assert done.ca_certificates == ()
    assert x509.decode_certificate(done.certificates[0].certificate).spki == NEW.public_spki


def test_4_1_4_pkcs10(counter: Counter) -> None:
    done = counter.enrol(enroller(BodyType.P10CR, Pkcs10(plain.csr_der(NEW.key))))
    assert done.certificates[0].request_id == -1


def test_4_1_5_implicit_confirmation(counter: Counter) -> None:
    counter.enrol(enroller(implicit=True))
    assert len(counter.seen) == 1


def test_4_1_6_a_key_that_the_ca_makes(counter: Counter) -> None:
    ec = algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.oid(oids.P256))
    for identity, opener in ((PASSWORD, SECRET), (SIGNATURE, SoftDecryptor(CLIENT_KEY))):
        body = requests.generated(requests.template(SUBJECT, None), ec)
        done = counter.enrol(enroller(body=body, identity=identity))
        (one,) = done.certificates
        assert one.private_key is not None
        pkcs8, maker, _ = keys.unwrap(one.private_key, opener)
        keys.check_maker(maker, (material.CA,))
        TRUST.check(maker, (), NOW)
        assert pkcs8


@pytest.mark.parametrize("name", ["RSA-2048", "ML-KEM-768"])
def test_encrypted_certificates(counter: Counter, name: str) -> None:
    key = material.KEM_KEY if name == "ML-KEM-768" else plain.private_key(name)
    body = requests.encrypted(requests.template(SUBJECT, plain.spki(key)))
    done = counter.enrol(enroller(body=body, decryptor=SoftDecryptor(key), implicit=True))
    assert x509.decode_certificate(done.certificates[0].certificate).spki == plain.spki(key)
    assert len(counter.seen) == 2  # implicit confirmation would prove nothing


def test_a_rejected_certificate_is_revoked(counter: Counter) -> None:
    no = PKIStatusInfo(PKIStatus.REJECTION, ("no",), frozenset({PKIFailureInfo.INCORRECT_DATA}))
    done = counter.enrol(enroller(judge=lambda _: no))
    serial = x509.decode_certificate(done.certificates[0].certificate).serial
    assert counter.office.revoked == {serial: "the client rejected it"}


def test_several_in_one_message(counter: Counter) -> None:
    other = requests.signed(requests.template(SUBJECT, None), plain.signer("RSA-2048", "rsa-sha256"), request_id=7)
    twice = requests.signed(requests.template(SUBJECT, None), NEW, request_id=9)
    work = enroller(body=CertRequests((*REQUEST.messages, *other.messages)))
    assert {one.request_id for one in counter.enrol(work).certificates} == {0, 7}
    same = enroller(body=CertRequests((*REQUEST.messages, *twice.messages)))
    refused(PKIFailureInfo.DUPLICATE_CERT_REQ, lambda: counter.enrol(same))


# -- 4.2, 4.3


def test_4_2_revocation(counter: Counter) -> None:
    talk = exchange(SIGNATURE)
    answer = talk.receive(counter.send(talk.send(BodyType.RR, requests.revocation(CLIENT, 1)).encoded))
    assert isinstance(answer.body, RevResponse)
    assert answer.body.status == (PKIStatusInfo(PKIStatus.ACCEPTED),)
    assert x509.decode_certificate(CLIENT).serial in counter.office.revoked


def test_4_3_support_messages(counter: Counter) -> None:
    talk = exchange()
    wanted = General((general.request(general.CA_CERTS), general.request("1.2.3.4")))
    answer = talk.receive(counter.send(talk.send(BodyType.GENM, wanted).encoded))
    assert isinstance(answer.body, General)
    assert general.read_ca_certs(answer.body.infos[0]) == (material.CA,)
    assert general.read_unsupported_oids(answer.body.infos[1]) == ("1.2.3.4",)


# -- 4.4: delayed delivery


@pytest.mark.parametrize("kind", [BodyType.IR, BodyType.P10CR])
def test_4_4_polling(counter: Counter, kind: BodyType) -> None:
    counter.office.approvals = True
    body = REQUEST if kind is BodyType.IR else Pkcs10(plain.csr_der(NEW.key))
    work = enroller(kind, body)
    step = work.receive(counter.send(work.begin().encoded))
    assert isinstance(step, Outgoing)
    later = work.receive(counter.send(step.encoded))
    assert isinstance(later, Outgoing)
    assert later.wait == 7
    (record,) = counter.office.records.values()
    assert record.state is State.WAITING
    counter.office.approved.update(item.enrolment for item in record.memory.items)
    confirm = work.receive(counter.send(later.encoded))
    assert isinstance(confirm, Outgoing)
    assert codec.decode(confirm.encoded).kind is BodyType.CERTCONF
    work.receive(counter.send(confirm.encoded))
    (record,) = counter.office.records.values()
    assert record.state is State.DONE


def test_4_4_some_wait_and_some_do_not(counter: Counter) -> None:
    counter.office.approvals = True
    other = requests.signed(requests.template(SUBJECT, None), plain.signer("RSA-2048", "rsa-sha256"), request_id=7)
    work = enroller(body=CertRequests((*REQUEST.messages, *other.messages)))
    begun = work.begin()
    tid = (codec.decode(begun.encoded).header.transaction_id or b"").hex()
    counter.office.approved.add(f"{tid}:0")
    poll = work.receive(counter.send(begun.encoded))
    assert isinstance(poll, Outgoing)
    assert codec.decode(poll.encoded).body == PollReq((7,))
    later = work.receive(counter.send(poll.encoded))
    counter.office.approved.add(f"{tid}:7")
    assert isinstance(later, Outgoing)
    confirm = work.receive(counter.send(later.encoded))
    assert isinstance(confirm, Outgoing)
    body = codec.decode(confirm.encoded).body
    assert isinstance(body, CertConfirm)
    assert {one.request_id for one in body.statuses} == {0, 7}


def test_4_4_who_gives_up_waits_no_longer(counter: Counter) -> None:
    counter.office.approvals = True
    talk = exchange()
    talk.receive(counter.send(talk.send(BodyType.IR, REQUEST).encoded))
    no = ErrorMessage(PKIStatusInfo(PKIStatus.REJECTION, ("changed my mind",)))
    answer = codec.decode(counter.send(talk.send(BodyType.ERROR, no).encoded))
    assert answer.kind is BodyType.PKICONF
    assert len(counter.office.cancelled) == 1


def test_polling_for_what_does_not_wait(counter: Counter) -> None:
    counter.office.approvals = True
    talk = exchange()
    talk.receive(counter.send(talk.send(BodyType.IR, REQUEST).encoded))
    refused(
        PKIFailureInfo.BAD_REQUEST,
        lambda: talk.receive(counter.send(talk.send(BodyType.POLLREQ, PollReq((3,))).encoded)),
    )
    stranger = exchange()
    refused(
        PKIFailureInfo.BAD_REQUEST,
        lambda: stranger.receive(counter.send(stranger.send(BodyType.POLLREQ, PollReq((0,))).encoded)),
    )


# -- 5.1, 5.2: registration authorities


def test_5_2_2_1_added_protection(counter: Counter) -> None:
    talk = exchange(PASSWORD)
    request = talk.send(BodyType.IR, REQUEST)
    answer = talk.receive(counter.send(ra.add_protection(request, RA, StillClock())))
    assert answer.kind is BodyType.IP
    assert isinstance(answer.body, CertRepMessage)


def test_5_2_2_1_added_protection_gives_no_rights_to_what_is_inside(counter: Counter) -> None:
    talk = exchange(SIGNATURE)
    verified = requests.unproved(requests.template(SUBJECT, NEW.public_spki), RaVerified())
    request = talk.send(BodyType.CR, verified)
    answer = ra.add_protection(request, RA, StillClock())
    body = talk.receive(counter.send(answer)).body
    assert isinstance(body, CertRepMessage)
    assert body.responses[0].status.failures == {PKIFailureInfo.NOT_AUTHORIZED}


def test_5_2_2_2_batches(counter: Counter) -> None:
    talks = [exchange(PASSWORD), exchange(SIGNATURE)]
    originals = [talk.send(BodyType.CR, REQUEST) for talk in talks]
    batch = ra.Batch(exchange(RA), originals)
    answers = batch.receive(counter.send(batch.send()))
    for talk in talks:
        answer = talk.receive(answers[talk.transaction_id].encoded)
        assert isinstance(answer.body, CertRepMessage)
        assert answer.body.responses[0].status.status is PKIStatus.ACCEPTED


def test_5_2_2_only_registration_authorities_nest(counter: Counter) -> None:
    request = exchange(PASSWORD).send(BodyType.IR, REQUEST)
    for identity, failure in (
        (SIGNATURE, PKIFailureInfo.NOT_AUTHORIZED),
        (PASSWORD, PKIFailureInfo.WRONG_INTEGRITY),
    ):
        body = codec.decode(counter.send(ra.add_protection(request, identity, StillClock()))).body
        assert isinstance(body, ErrorMessage)
        assert body.status.failures == {failure}


def test_5_2_3_replaced_protection(counter: Counter) -> None:
    talk = exchange(PASSWORD)
    request = talk.send(BodyType.IR, REQUEST)
    kept = codec.decode(counter.send(ra.replace_protection(request, RA, StillClock(), verified=False)))
    assert isinstance(kept.body, CertRepMessage)
    assert kept.body.responses[0].status.status is PKIStatus.ACCEPTED
    talk = exchange(PASSWORD)
    unproved = requests.unproved(requests.template(SUBJECT, NEW.public_spki), None)
    request = talk.send(BodyType.IR, unproved)
    verified = codec.decode(counter.send(ra.replace_protection(request, RA, StillClock(), verified=True)))
    assert isinstance(verified.body, CertRepMessage)
    assert verified.body.responses[0].status.status is PKIStatus.ACCEPTED


def test_nested_in_nested_in_nested(counter: Counter) -> None:
    talk = exchange(PASSWORD)
    inner = ra.add_protection(talk.send(BodyType.IR, REQUEST), RA, StillClock())
    answer = codec.decode(counter.send(ra.add_protection(codec.decode(inner), RA, StillClock())))
    assert answer.kind is BodyType.IP
    empty = exchange(RA).send(BodyType.NESTED, Nested(()))
    body = codec.decode(counter.send(empty.encoded)).body
    assert isinstance(body, ErrorMessage)
    assert body.status.failures == {PKIFailureInfo.BAD_DATA_FORMAT}


# -- RFC 9810 section 5.1.3.4


def test_kem_based_mac(counter: Counter) -> None:
    identity = KemIdentity(material.make_certificate(material.KEM_KEY.public_key(), "kem", signs=False), TRUST)
    talk = exchange(identity)
    asked = talk.send(BodyType.GENM, General((general.kem_ciphertext_info(),)))
    told = talk.receive(counter.send(asked.encoded))
    assert isinstance(told.body, General)
    info = general.read_kem_ciphertext_info(told.body.infos[0])
    talk.identity = identity.with_secret(material.KEM_KEY.decapsulate(info.ciphertext))
    done = counter.enrol(Enroller(talk, BodyType.CR, REQUEST))
    assert done.certificates
    assert len({codec.decode(sent).header.transaction_id for sent, _ in counter.seen}) == 1


def test_kem_secrets_belong_to_their_transaction(counter: Counter) -> None:
    identity = KemIdentity(
        material.make_certificate(material.KEM_KEY.public_key(), "kem", signs=False), TRUST, secret=bytes(32)
    )
    work = Enroller(exchange(identity), BodyType.CR, REQUEST)
    refused(PKIFailureInfo.BAD_MESSAGE_CHECK, lambda: work.receive(counter.send(work.begin().encoded)))


# -- transactions


def test_a_message_of_another_transaction_kind(counter: Counter) -> None:
    talk = exchange()
    talk.receive(counter.send(talk.send(BodyType.IR, REQUEST).encoded))
    for kind, body in (
        (BodyType.POLLREQ, PollReq((0,))),
        (BodyType.POLLREP, PollRep(())),
        (BodyType.GENM, General(())),
        (BodyType.IR, REQUEST),
    ):
        answer = codec.decode(counter.send(talk.send(kind, body).encoded))
        assert isinstance(answer.body, ErrorMessage), kind
        failures = answer.body.status.failures
        assert failures in (
            {PKIFailureInfo.BAD_REQUEST},
            {PKIFailureInfo.TRANSACTION_ID_IN_USE},
            {PKIFailureInfo.BAD_DATA_FORMAT},
        )
    assert not counter.office.revoked


def test_certconf_twice(counter: Counter) -> None:
    work = enroller()
    counter.enrol(work)
    sent, got = counter.seen[-1]
    assert counter.send(sent) == got  # a repetition
    confirm = codec.decode(sent)
    header = replace(confirm.header, sender_nonce=bytes(16))
    again = protection.seal(header, confirm.kind, confirm.body, PASSWORD.protector(b""))
    body = codec.decode(counter.send(again.encoded)).body
    assert isinstance(body, ErrorMessage)
    assert body.status.failures == {PKIFailureInfo.CERT_CONFIRMED}


def test_certconf_of_nothing_rejects_everything(counter: Counter) -> None:
    talk = exchange()
    talk.receive(counter.send(talk.send(BodyType.IR, REQUEST).encoded))
    answer = talk.receive(counter.send(talk.send(BodyType.CERTCONF, CertConfirm(())).encoded))
    assert answer.kind is BodyType.PKICONF
    assert len(counter.office.revoked) == 1


def test_certconf_with_another_hash(counter: Counter) -> None:
    talk = exchange()
    talk.receive(counter.send(talk.send(BodyType.IR, REQUEST).encoded))
    wrong = CertConfirm((CertStatus(bytes(32), 0),))
    refused(
        PKIFailureInfo.BAD_CERT_ID,
        lambda: talk.receive(counter.send(talk.send(BodyType.CERTCONF, wrong).encoded)),
    )


def test_a_transaction_is_its_owners(counter: Counter) -> None:
    talk = exchange(PASSWORD)
    talk.receive(counter.send(talk.send(BodyType.IR, REQUEST).encoded))
    talk.identity = SIGNATURE
    body = codec.decode(counter.send(talk.send(BodyType.CERTCONF, CertConfirm(())).encoded)).body
    assert isinstance(body, ErrorMessage)
    assert body.status.failures == {PKIFailureInfo.NOT_AUTHORIZED}
    assert not counter.office.revoked


def test_what_is_refused_leaves_nothing_issued(counter: Counter) -> None:
    forged = replace(REQUEST.messages[0].request, encoded=b"", template=requests.template(SUBJECT, plain.spki(RA_KEY)))
    body = CertRequests((replace(REQUEST.messages[0], request=forged),))
    work = enroller(body=body)
    refused(PKIFailureInfo.BAD_POP, lambda: work.receive(counter.send(work.begin().encoded)))
    assert not counter.office.issued


def test_nothing_makes_the_server_fail(counter: Counter) -> None:
    """Every recorded message of OpenSSL, damaged or not, gets a CMP answer."""
    for path in plain.vectors("cmp/openssl30/*.der"):
        encoded = plain.vector(path)
        for sent in (encoded, encoded[:-1], encoded + b"\x00", encoded[: len(encoded) // 2]):
            answer = codec.decode(counter.send(sent))
            assert answer.kind is BodyType.ERROR
