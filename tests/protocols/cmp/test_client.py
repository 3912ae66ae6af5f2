"""The client: whole enrolments, every check on what comes back, and what a registration authority does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pycryptoutil_protocols import algorithms, cms, der, oids
from pycryptoutil_protocols.cmp import codec, confirmation, general, keys, pop, protection
from pycryptoutil_protocols.cmp.client import ra, requests
from pycryptoutil_protocols.cmp.client.enrolment import Enroller, Enrolment, Outgoing
from pycryptoutil_protocols.cmp.client.exchange import Exchange
from pycryptoutil_protocols.cmp.client.identity import KemIdentity, Nobody, PasswordIdentity, SignatureIdentity
from pycryptoutil_protocols.cmp.client.trust import Trust
from pycryptoutil_protocols.cmp.failures import failure_of
from pycryptoutil_protocols.cmp.mac import KemMacParameters
from pycryptoutil_protocols.cmp.messages import (
    BodyType,
    CertConfirm,
    CertifiedKeyPair,
    CertRepMessage,
    CertRequests,
    CertResponse,
    ChallengeResponses,
    Challenges,
    ErrorMessage,
    General,
    Nested,
    Pkcs10,
    PkiConf,
    PKIFailureInfo,
    PKIMessage,
    PKIStatus,
    PKIStatusInfo,
    PollRep,
    PollRepEntry,
    PollReq,
    RevRequest,
    RevResponse,
)
from pycryptoutil_protocols.cmp.protection import MacProtector, SignatureProtector
from pycryptoutil_protocols.cms.unwrapping import SoftDecryptor
from pycryptoutil_protocols.crmf.messages import RaVerified
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName

from tests.protocols import material as plain
from tests.protocols.cmp import material
from tests.protocols.cmp.material import SECRET, TRUST, StillClock
from tests.protocols.cmp.scripted import ACCEPTED, WAITING, ScriptedCa

SUBJECT = plain.name("subject").public_bytes()
SIGNER = plain.signer("EC-P256", number=40)
CLIENT_KEY = plain.private_key("EC-P256", 41)
CLIENT = material.make_certificate(CLIENT_KEY.public_key(), "client")
PASSWORD = PasswordIdentity(material.REFERENCE, SECRET)
SIGNATURE = SignatureIdentity(plain.KeySigner(CLIENT_KEY), CLIENT, TRUST, (material.CA,))
REQUEST = requests.signed(requests.template(SUBJECT, None, (GeneralName.dns("a.example.test"),)), SIGNER)


@pytest.fixture
def ca() -> ScriptedCa:
    return ScriptedCa()


def exchange(identity: Any = PASSWORD, **how: Any) -> Exchange:
    return Exchange(identity, StillClock(), **how)


def enroller(kind: BodyType = BodyType.IR, body: Any = REQUEST, identity: Any = PASSWORD, **how: Any) -> Enroller:
    return Enroller(exchange(identity), kind, body, **how)


def going_on(step: Outgoing | Enrolment) -> bytes:
    assert isinstance(step, Outgoing)
    return step.encoded


def finished(step: Outgoing | Enrolment) -> Enrolment:
    assert isinstance(step, Enrolment)
    return step


def refused(kind: FaultKind | PKIFailureInfo, call: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        call()
    found = failure_of(caught.value) if isinstance(kind, PKIFailureInfo) else caught.value.kind
    assert found is kind, caught.value.detail
    return caught.value


@pytest.mark.parametrize("identity", [PASSWORD, replace(PASSWORD, pbmac1=True, iterations=1000), SIGNATURE])
@pytest.mark.parametrize("kind", [BodyType.IR, BodyType.CR, BodyType.KUR])
def test_enrolment(ca: ScriptedCa, identity: Any, kind: BodyType) -> None:
    work = enroller(kind, identity=identity)
    request = ca.take(work.begin().encoded)
    assert request.kind is kind
    assert request.header.recipient_nonce is None
    assert isinstance(request.body, CertRequests)
    pop.verify_signature(request.body.messages[0])
    certificate = ca.issue(request)
    confirm = ca.take(going_on(work.receive(ca.grant(request, certificate))))
    assert confirm.header.recipient_nonce == bytes(16)
    assert isinstance(confirm.body, CertConfirm)
    confirmation.check(confirm.body.statuses[0], certificate, confirm.header.pvno)
    done = finished(work.receive(ca.answer(confirm, BodyType.PKICONF, PkiConf())))
    assert [one.certificate for one in done.certificates] == [certificate]
    assert done.ca_certificates == (material.CA,)
    assert len({one.header.sender_nonce for one in ca.seen}) == 2
    assert len({one.header.transaction_id for one in ca.seen}) == 1


def test_pkcs10(ca: ScriptedCa) -> None:
    work = enroller(BodyType.P10CR, Pkcs10(plain.csr_der(SIGNER.key)))
    request = ca.take(work.begin().encoded)
    confirm = ca.take(going_on(work.receive(ca.grant(request, ca.issue(request), -1))))
    assert isinstance(confirm.body, CertConfirm)
    assert confirm.body.statuses[0].request_id == -1
    assert finished(work.receive(ca.answer(confirm, BodyType.PKICONF, PkiConf())))


def test_implicit_confirmation(ca: ScriptedCa) -> None:
    work = enroller(implicit=True)
    request = ca.take(work.begin().encoded)
    assert request.header.info(general.IMPLICIT_CONFIRM) is not None
    answer = ca.grant(request, ca.issue(request), infos=(general.implicit_confirm(),))
    assert finished(work.receive(answer)).certificates


def test_implicit_confirmation_that_is_not_granted(ca: ScriptedCa) -> None:
    work = enroller(implicit=True)
    request = ca.take(work.begin().encoded)
    assert going_on(work.receive(ca.grant(request, ca.issue(request))))


def test_a_certificate_that_the_client_rejects(ca: ScriptedCa) -> None:
    no = PKIStatusInfo(PKIStatus.REJECTION, ("not mine",), frozenset({PKIFailureInfo.INCORRECT_DATA}))
    work = enroller(judge=lambda _: no, implicit=True)
    request = ca.take(work.begin().encoded)
    answer = ca.grant(request, ca.issue(request), infos=(general.implicit_confirm(),))
    confirm = ca.take(going_on(work.receive(answer)))
    assert isinstance(confirm.body, CertConfirm)
    assert not confirm.body.statuses[0].accepted
    done = finished(work.receive(ca.answer(confirm, BodyType.PKICONF, PkiConf())))
    assert done.certificates[0].rejected


def test_polling(ca: ScriptedCa) -> None:
    work = enroller()
    request = ca.take(work.begin().encoded)
    waiting = ca.answer(request, BodyType.IP, CertRepMessage((CertResponse(0, WAITING),)))
    poll = ca.take(going_on(work.receive(waiting)))
    assert poll.body == PollReq((0,))
    later = work.receive(ca.answer(poll, BodyType.POLLREP, PollRep((PollRepEntry(0, 42),))))
    assert isinstance(later, Outgoing)
    assert later.wait == 42
    again = ca.take(later.encoded)
    certificate = ca.issue(request)
    granted = CertRepMessage((CertResponse(0, ACCEPTED, CertifiedKeyPair(certificate)),))
    confirm = ca.take(going_on(work.receive(ca.answer(again, BodyType.IP, granted))))
    assert confirm.kind is BodyType.CERTCONF


def test_polling_for_a_whole_answer(ca: ScriptedCa) -> None:
    """RFC 9483 section 4.4: an error message that says waiting stands for an answer that is delayed."""
    work = enroller(BodyType.CR)
    request = ca.take(work.begin().encoded)
    poll = ca.take(going_on(work.receive(ca.answer(request, BodyType.ERROR, ErrorMessage(WAITING)))))
    assert poll.body == PollReq((-1,))


def test_several_at_once(ca: ScriptedCa) -> None:
    other = requests.signed(requests.template(SUBJECT, None), plain.signer("RSA-2048", "rsa-sha256"), request_id=7)
    work = enroller(body=CertRequests((*REQUEST.messages, *other.messages)))
    request = ca.take(work.begin().encoded)
    first, second = ca.issue(request, 0), ca.issue(request, 1)
    both = (CertResponse(7, WAITING), CertResponse(0, ACCEPTED, CertifiedKeyPair(first)))
    poll = ca.take(going_on(work.receive(ca.answer(request, BodyType.IP, CertRepMessage(both)))))
    assert poll.body == PollReq((7,))
    late = CertRepMessage((CertResponse(7, ACCEPTED, CertifiedKeyPair(second)),))
    confirm = ca.take(going_on(work.receive(ca.answer(poll, BodyType.IP, late))))
    assert isinstance(confirm.body, CertConfirm)
    assert {one.request_id for one in confirm.body.statuses} == {0, 7}


def test_a_rejection(ca: ScriptedCa) -> None:
    work = enroller()
    request = ca.take(work.begin().encoded)
    no = PKIStatusInfo(PKIStatus.REJECTION, ("no",), frozenset({PKIFailureInfo.BAD_CERT_TEMPLATE}))
    answer = ca.answer(request, BodyType.IP, CertRepMessage((CertResponse(0, no),)))
    refused(PKIFailureInfo.BAD_CERT_TEMPLATE, lambda: work.receive(answer))


def test_an_error(ca: ScriptedCa) -> None:
    work = enroller()
    request = ca.take(work.begin().encoded)
    no = PKIStatusInfo(PKIStatus.REJECTION, (), frozenset({PKIFailureInfo.WRONG_AUTHORITY}))
    answer = ca.answer(request, BodyType.ERROR, ErrorMessage(no))
    refused(PKIFailureInfo.WRONG_AUTHORITY, lambda: work.receive(answer))


@pytest.mark.parametrize("name", ["RSA-2048", "ML-KEM-768"])
def test_an_encrypted_certificate(ca: ScriptedCa, name: str) -> None:
    key = material.KEM_KEY if name == "ML-KEM-768" else plain.private_key(name)
    body = requests.encrypted(requests.template(SUBJECT, plain.spki(key)))
    work = enroller(body=body, decryptor=SoftDecryptor(key))
    request = ca.take(work.begin().encoded)
    certificate = ca.issue(request, signs=False)
    pair = CertifiedKeyPair(encrypted_certificate=pop.encrypt_certificate(certificate))
    answer = ca.answer(request, BodyType.IP, CertRepMessage((CertResponse(0, ACCEPTED, pair),)))
    confirm = ca.take(going_on(work.receive(answer)))
    assert isinstance(confirm.body, CertConfirm)
    confirmation.check(confirm.body.statuses[0], certificate, 2)
    keyless = enroller(body=body)
    request = ca.take(keyless.begin().encoded)
    answer = ca.answer(request, BodyType.IP, CertRepMessage((CertResponse(0, ACCEPTED, pair),)))
    refused(FaultKind.INVALID, lambda: keyless.receive(answer))


def test_a_challenge(ca: ScriptedCa) -> None:
    key = plain.private_key("RSA-2048")
    body = requests.encrypted(requests.template(SUBJECT, plain.spki(key)), challenge=True)
    work = enroller(body=body, decryptor=SoftDecryptor(key))
    request = ca.take(work.begin().encoded)
    sender = codec.decode(ca.answer(request, BodyType.PKICONF, PkiConf())).header.sender
    asked = pop.challenge(plain.spki(key), sender)
    answer = ca.answer(request, BodyType.POPDECC, Challenges((asked.challenge,)))
    told = ca.take(going_on(work.receive(answer)))
    assert told.body == ChallengeResponses((asked.number,))
    granted = CertRepMessage((CertResponse(0, ACCEPTED, CertifiedKeyPair(ca.issue(request))),))
    assert ca.take(going_on(work.receive(ca.answer(told, BodyType.IP, granted)))).kind is BodyType.CERTCONF
    keyless = enroller(body=body)
    request = ca.take(keyless.begin().encoded)
    answer = ca.answer(request, BodyType.POPDECC, Challenges((asked.challenge,)))
    refused(FaultKind.INVALID, lambda: keyless.receive(answer))


def test_a_key_that_the_ca_makes(ca: ScriptedCa) -> None:
    ec = algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.oid(oids.P256))
    work = enroller(body=requests.generated(requests.template(SUBJECT, None), ec))
    request = ca.take(work.begin().encoded)
    assert isinstance(request.body, CertRequests)
    assert request.body.messages[0].pop is None
    new = plain.private_key("EC-P256", 50)
    maker = material.make_certificate(
        material.SERVER_KEY.public_key(), "KGA", purposes=(keys.KEY_GENERATION_AUTHORITY,)
    )
    sealed = keys.wrap(
        plain.pkcs8(new), cms.Password(SECRET, 1000), plain.KeySigner(material.SERVER_KEY), (maker, material.CA)
    )
    pair = CertifiedKeyPair(material.make_certificate(new.public_key(), "subject"), private_key=sealed)
    work.receive(ca.answer(request, BodyType.IP, CertRepMessage((CertResponse(0, ACCEPTED, pair),))))
    assert keys.unwrap(sealed, SECRET)[0] == plain.pkcs8(new)


def test_kem_identity(ca: ScriptedCa) -> None:
    """RFC 9810 section 5.1.3.4: a key that cannot sign gets a secret first, and MACs with it."""
    identity = KemIdentity(material.make_certificate(material.KEM_KEY.public_key(), "client", signs=False), TRUST)
    talk = exchange(identity)
    asked = ca.take(talk.send(BodyType.GENM, General((general.kem_ciphertext_info(),))).encoded)
    assert asked.protection is None
    secret, ciphertext = material.KEM_KEY.public_key().encapsulate()
    found = general.KemCiphertext(algorithms.algorithm_identifier(oids.ML_KEM_768), ciphertext)
    told = talk.receive(ca.answer(asked, BodyType.GENP, General((general.kem_ciphertext_info(found),))))
    assert isinstance(told.body, General)
    opened = general.read_kem_ciphertext_info(told.body.infos[0])
    shared = SoftDecryptor(material.KEM_KEY).decapsulate(opened.ciphertext)
    assert shared == secret
    talk.identity = identity.with_secret(shared)
    ca.secret = secret
    work = Enroller(talk, BodyType.CR, REQUEST)
    request = ca.take(work.begin().encoded)
    assert isinstance(protection.verify_mac(request, secret), KemMacParameters)
    assert request.header.transaction_id == asked.header.transaction_id
    assert request.header.recipient_nonce == bytes(16)
    assert ca.take(going_on(work.receive(ca.grant(request, ca.issue(request))))).kind is BodyType.CERTCONF


def test_revocation(ca: ScriptedCa) -> None:
    talk = exchange(SIGNATURE)
    request = ca.take(talk.send(BodyType.RR, requests.revocation(CLIENT, 4)).encoded)
    assert isinstance(request.body, RevRequest)
    answer = talk.receive(ca.answer(request, BodyType.RP, RevResponse((ACCEPTED,))))
    assert answer.body == RevResponse((ACCEPTED,))
    assert requests.revocation(CLIENT).details[0].crl_entry == ()


def test_update_control() -> None:
    old = requests.update_of(CLIENT).old_certificate
    assert old is not None
    body = requests.signed(requests.template(SUBJECT, None), SIGNER, controls=requests.update_of(CLIENT))
    assert body.messages[0].request.controls.old_certificate == old


def test_support_message_by_nobody(ca: ScriptedCa) -> None:
    talk = exchange(Nobody(TRUST))
    request = ca.take(talk.send(BodyType.GENM, General((general.request(general.CA_CERTS),))).encoded)
    assert request.protection is None
    answer = talk.receive(ca.answer(request, BodyType.GENP, General((general.ca_certs((material.CA,)),))))
    assert isinstance(answer.body, General)
    assert general.read_ca_certs(answer.body.infos[0]) == (material.CA,)


# -- what is not believed


def poll(identity: Any = PASSWORD, **how: Any) -> tuple[Exchange, PKIMessage]:
    talk = exchange(identity, **how)
    return talk, talk.send(BodyType.POLLREQ, PollReq((0,)))


REPLY = PollRep((PollRepEntry(0, 1),))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"transaction_id": bytes(16)}, FaultKind.INVALID),
        ({"transaction_id": None}, FaultKind.INVALID),
        ({"recipient_nonce": bytes(16)}, PKIFailureInfo.BAD_RECIPIENT_NONCE),
        ({"recipient_nonce": None}, PKIFailureInfo.BAD_RECIPIENT_NONCE),
        ({"pvno": 1}, PKIFailureInfo.UNSUPPORTED_VERSION),
    ],
)
def test_answers_of_another_exchange(ca: ScriptedCa, changes: dict[str, Any], kind: Any) -> None:
    talk, request = poll()
    answer = ca.answer(request, BodyType.POLLREP, REPLY, **changes)
    refused(kind, lambda: talk.receive(answer))


def test_answers_by_another_secret(ca: ScriptedCa) -> None:
    talk, request = poll()
    other = PasswordIdentity(b"x", b"other").protector(b"")
    answer = ca.answer(request, BodyType.POLLREP, REPLY, protector=other)
    refused(PKIFailureInfo.BAD_MESSAGE_CHECK, lambda: talk.receive(answer))


def test_signed_answers_to_macs(ca: ScriptedCa) -> None:
    signing = SignatureProtector(plain.KeySigner(material.SERVER_KEY))
    talk, request = poll()
    answer = ca.answer(request, BodyType.POLLREP, REPLY, protector=signing)
    refused(PKIFailureInfo.WRONG_INTEGRITY, lambda: talk.receive(answer))
    talk, request = poll(replace(PASSWORD, trust=TRUST))
    assert talk.receive(ca.answer(request, BodyType.POLLREP, REPLY, protector=signing))


def test_macs_to_signed_requests(ca: ScriptedCa) -> None:
    talk, request = poll(SIGNATURE)
    by_mac = PASSWORD.protector(b"")
    answer = ca.answer(request, BodyType.POLLREP, REPLY, protector=by_mac)
    refused(PKIFailureInfo.WRONG_INTEGRITY, lambda: talk.receive(answer))


def test_unprotected_answers(ca: ScriptedCa) -> None:
    talk, request = poll()
    no = PKIStatusInfo(PKIStatus.REJECTION, (), frozenset({PKIFailureInfo.BAD_REQUEST}))
    made = codec.decode(ca.answer(request, BodyType.ERROR, ErrorMessage(no)))
    header = replace(made.header, protection_algorithm=b"")
    bare = codec.encode(replace(made, header=header, protection=None)).encoded
    refused(PKIFailureInfo.WRONG_INTEGRITY, lambda: talk.receive(bare))
    tolerant, request = poll(unprotected_errors=True)
    made = codec.decode(ca.answer(request, BodyType.ERROR, ErrorMessage(no)))
    bare = codec.encode(replace(made, header=replace(made.header, protection_algorithm=b""), protection=None)).encoded
    refused(PKIFailureInfo.BAD_REQUEST, lambda: tolerant.receive(bare))
    made = codec.decode(ca.answer(request, BodyType.POLLREP, REPLY))
    bare = codec.encode(replace(made, header=replace(made.header, protection_algorithm=b""), protection=None)).encoded
    refused(PKIFailureInfo.WRONG_INTEGRITY, lambda: tolerant.receive(bare))


@pytest.mark.parametrize("kind", [BodyType.PKICONF, BodyType.POLLREP])
def test_answers_of_another_type(ca: ScriptedCa, kind: BodyType) -> None:
    talk = exchange()
    request = talk.send(BodyType.GENM, General(()))
    body = PkiConf() if kind is BodyType.PKICONF else REPLY
    answer = ca.answer(request, kind, body)
    refused(FaultKind.INVALID, lambda: talk.receive(answer))


def test_certificates_that_were_not_asked_for(ca: ScriptedCa) -> None:
    work = enroller()
    request = ca.take(work.begin().encoded)
    other = material.make_certificate(plain.private_key("EC-P256", 60).public_key(), "subject")
    answer = ca.grant(request, other)
    refused(FaultKind.INVALID, lambda: work.receive(answer))
    work = enroller()
    request = ca.take(work.begin().encoded)
    answer = ca.grant(request, ca.issue(request), 5)
    refused(FaultKind.INVALID, lambda: work.receive(answer))
    work = enroller()
    request = ca.take(work.begin().encoded)
    nothing = ca.answer(request, BodyType.IP, CertRepMessage((CertResponse(0, ACCEPTED),)))
    refused(FaultKind.INVALID, lambda: work.receive(nothing))


def signed_answer(certificate: bytes, *others: bytes, trust: Trust = TRUST, moment: datetime = material.NOW) -> None:
    ca, clock = ScriptedCa(), StillClock(moment)
    talk = Exchange(SignatureIdentity(plain.KeySigner(CLIENT_KEY), CLIENT, trust), clock)
    request = talk.send(BodyType.POLLREQ, PollReq((0,)))
    talk.receive(ca.answer(request, BodyType.POLLREP, REPLY, extra=(certificate, *others)))


MIDDLE_KEY = plain.private_key("EC-P256", 22)
MIDDLE = material.make_certificate(MIDDLE_KEY.public_key(), "middle", ca=True)


def by_middle(**how: Any) -> bytes:
    return material.make_certificate(
        material.SERVER_KEY.public_key(), "CMP test server", issuer="middle", key=MIDDLE_KEY, **how
    )


def test_chains() -> None:
    signed_answer(material.SERVER)
    signed_answer(by_middle(), MIDDLE)
    signed_answer(by_middle(), trust=Trust((material.CA,), untrusted=(MIDDLE,)))
    signed_answer(by_middle(), trust=Trust((MIDDLE,)))
    signed_answer(material.SERVER, trust=Trust((), pinned=(material.SERVER,)))


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: signed_answer(by_middle()),
        lambda: signed_answer(material.SERVER, trust=Trust(())),
        lambda: signed_answer(by_middle(), material.make_certificate(MIDDLE_KEY.public_key(), "middle")),  # no CA
        lambda: signed_answer(
            material.make_certificate(
                material.SERVER_KEY.public_key(), "CMP test server", key=plain.private_key("EC-P256", 70)
            )
        ),
        lambda: signed_answer(
            material.make_certificate(material.SERVER_KEY.public_key(), "CMP test server", signs=False)
        ),
        lambda: signed_answer(material.SERVER, moment=datetime(2031, 1, 1, tzinfo=UTC)),
        lambda: signed_answer(
            material.SERVER, trust=Trust((), pinned=(material.SERVER,)), moment=datetime(2020, 1, 1, tzinfo=UTC)
        ),
        lambda: signed_answer(
            by_middle(),
            material.make_certificate(
                MIDDLE_KEY.public_key(), "middle", ca=True, not_after=material.NOW - timedelta(days=1)
            ),
        ),
    ],
)
def test_signers_that_are_not_trusted(attempt: Any) -> None:
    refused(PKIFailureInfo.SIGNER_NOT_TRUSTED, attempt)


# -- registration authorities


RA = SignatureIdentity(
    plain.KeySigner(MIDDLE_KEY), material.make_certificate(MIDDLE_KEY.public_key(), "registration"), TRUST
)


def test_an_ra_adds_protection() -> None:
    original = exchange(SIGNATURE).send(BodyType.CR, REQUEST)
    outer = codec.decode(ra.add_protection(original, RA, StillClock()))
    assert isinstance(outer.body, Nested)
    assert outer.body.messages[0].encoded == original.encoded
    for name in ("transaction_id", "sender_nonce", "recipient_nonce"):
        assert getattr(outer.header, name) == getattr(original.header, name)
    assert protection.signer_certificate(outer).der == RA.certificate
    protection.verify_signature(outer, plain.spki(MIDDLE_KEY))
    protection.verify_signature(outer.body.messages[0], plain.spki(CLIENT_KEY))


def test_an_ra_replaces_protection() -> None:
    original = exchange(PASSWORD).send(BodyType.IR, REQUEST)
    sent = codec.decode(ra.replace_protection(original, RA, StillClock(), verified=True))
    assert isinstance(sent.body, CertRequests)
    assert sent.body.messages[0].pop == RaVerified()
    assert sent.body.messages[0].request == REQUEST.messages[0].request
    info = sent.header.info(general.ORIG_PKI_MESSAGE)
    assert info is not None
    assert general.read_orig_pki_message(info) == (original.encoded,)
    unchanged = codec.decode(ra.replace_protection(original, RA, StillClock(), verified=False))
    assert isinstance(unchanged.body, CertRequests)
    pop.verify_signature(unchanged.body.messages[0])
    confirm = exchange(PASSWORD).send(BodyType.PKICONF, PkiConf())
    refused(FaultKind.INVALID, lambda: ra.replace_protection(confirm, RA, StillClock(), verified=True))


def test_an_ra_sends_a_batch(ca: ScriptedCa) -> None:
    originals = [exchange(PASSWORD).send(BodyType.IR, REQUEST) for _ in range(3)]
    batch = ra.Batch(exchange(RA), originals)
    request = ca.take(batch.send())
    assert isinstance(request.body, Nested)
    answers = tuple(codec.decode(ca.answer(one, BodyType.POLLREP, REPLY)) for one in request.body.messages)
    found = batch.receive(ca.answer(request, BodyType.NESTED, Nested(answers)))
    assert set(found) == {one.header.transaction_id for one in originals}


def test_macs_are_salted_afresh() -> None:
    first, second = (PASSWORD.protector(b"") for _ in range(2))
    assert isinstance(first, MacProtector)
    assert first.algorithm != second.algorithm
