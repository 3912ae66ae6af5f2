"""What a CMC client can do here, from its first request to revocation, by every way of showing who it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pycryptoutil_protocols import algorithms, cms, der, names, x509
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.cmc import client, controls, proofs, server, values
from pycryptoutil_protocols.cmc.messages import FailInfo, Status
from pycryptoutil_protocols.cmc.server import Party, Role, Rules
from pycryptoutil_protocols.crmf.messages import (
    AttributeTypeAndValue,
    Controls,
    PublicationAction,
    PublicationInfo,
    RaVerified,
)
from pycryptoutil_protocols.csr import ChangeSubjectName

from tests.protocols import material
from tests.protocols.cmc.requests import CHALLENGE, SIGNER, crmf, draft, kem_key, pkcs10, unsigned_pkcs10
from tests.support.cmc import NOW, SECRET, USER, SmallCa, dns_names, subject

OTHER = material.signer(number=41)
RSA = material.signer("RSA-2048", "rsa-sha256")


@pytest.fixture
def ca() -> SmallCa:
    return SmallCa()


def enrolment(*encoded: bytes, user: str = USER, secret: bytes = SECRET) -> client.Draft:
    made = draft(*encoded)
    made.prove_identity(user, secret)
    return made


def names_of(certificate: bytes) -> list[str]:
    return [one.value for one in x509.decode_certificate(certificate).sans]


# enrolment


def test_pkcs10_with_an_identity_proof(ca: SmallCa) -> None:
    reply = ca.ask(enrolment(pkcs10()).signed_by_key(SIGNER, at=NOW))
    assert reply.status(1).status is Status.SUCCESS
    issued = reply.certificate_for(SIGNER.public_spki)
    assert names_of(issued) == ["a.example.test"]
    assert ca.ca in reply.certificates
    assert ca.root in reply.certificates
    assert reply.signing_time == NOW


def test_crmf_with_an_identity_proof(ca: SmallCa) -> None:
    made = client.Draft()
    assert made.add_crmf(crmf(7)) == 7
    made.prove_identity(USER, SECRET)
    reply = ca.ask(made.signed_by_key(SIGNER))
    assert reply.status(7).status is Status.SUCCESS
    assert names_of(reply.certificate_for(SIGNER.public_spki)) == ["a.example.test"]


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_hashes_of_an_identity_proof(ca: SmallCa, name: str) -> None:
    made = draft(pkcs10())
    made.prove_identity(USER, SECRET, name)
    assert not ca.ask(made.signed_by_key(SIGNER)).failures


def test_several_requests_in_one_message(ca: SmallCa) -> None:
    good, bad = pkcs10(), pkcs10(OTHER, "b.example.test", broken=True)
    third = pkcs10(RSA, "c.example.test")
    reply = ca.ask(enrolment(good, bad, third).signed_by_key(RSA))
    assert reply.status(1) == reply.status(3)
    assert reply.status(1).status is Status.SUCCESS
    assert reply.status(2).failure is FailInfo.POP_FAILED
    assert len(ca.store.certificates) == 2


@pytest.mark.parametrize(("algorithm", "name"), material.SIGNERS)
def test_every_kind_of_signing_key(ca: SmallCa, algorithm: str, name: str) -> None:
    signer = material.signer(algorithm, name)
    reply = ca.ask(enrolment(pkcs10(signer)).signed_by_key(signer))
    assert x509.decode_certificate(reply.certificate_for(signer.public_spki)).spki == signer.public_spki


def test_authenticated_data_instead_of_a_signature(ca: SmallCa) -> None:
    made = draft(pkcs10())
    made.add(controls.IDENTIFICATION, USER)
    assert not ca.ask(made.authenticated(SECRET, at=NOW)).failures


def test_a_self_signed_certificate_says_no_more_than_its_key(ca: SmallCa) -> None:
    own = x509.decode_certificate(
        material.certificate(material.private_key("EC-P256", 40), "x").public_bytes(material.DER)
    )
    reply = ca.ask(enrolment(pkcs10()).signed_by_certificate(SIGNER, own.der))
    assert reply.status(1).status is Status.SUCCESS


def test_a_key_identifier_of_the_requests_own_choice(ca: SmallCa) -> None:
    wanted = x509.Extension("2.5.29.14", False, der.octet_string(b"my own identifier"))
    request = pkcs10(extensions=(dns_names("a.example.test"), wanted))
    assert not ca.ask(enrolment(request).signed_by_key(SIGNER, identifier=b"my own identifier")).failures


def test_ber_is_read(ca: SmallCa) -> None:
    encoded = enrolment(pkcs10()).signed_by_key(SIGNER)
    _, element = cms.split_content_info(encoded)
    ber = b"\x30\x80" + der.oid("1.2.840.113549.1.7.2") + b"\xa0\x80" + element.encoded + b"\x00\x00\x00\x00"
    assert not ca.ask(ber).failures


def test_simple_request_and_response(ca: SmallCa) -> None:
    party = ca.shared_secret(USER)
    done = server.answer_simple(ca, Rules(), pkcs10(), lambda _: party)
    assert done.simple
    found = cms.decode_certs_only(done.body)
    assert x509.decode_certificate(found[0]).spki == SIGNER.public_spki
    assert found[1:] == (ca.ca, ca.root)


def test_a_simple_request_that_fails_is_answered_in_full(ca: SmallCa) -> None:
    done = server.answer_simple(ca, Rules(), pkcs10(broken=True), lambda _: ca.shared_secret(USER))
    assert not done.simple
    assert client.read(done.body).failures == (FailInfo.POP_FAILED,)


def test_trust_anchors_come_under_the_shared_secret(ca: SmallCa) -> None:
    reply = ca.ask(enrolment(pkcs10()).signed_by_key(SIGNER))
    anchors = reply.anchors(SECRET)
    assert client.trusted_root(reply, anchors) == ca.root
    assert anchors.hashes == (algorithms.digest("sha256", ca.root),)
    with pytest.raises(client.Fault):
        reply.anchors(b"another secret")
    assert ca.ask(enrolment(pkcs10()).signed_by_key(SIGNER), Rules(trust_anchors=False)).anchors(SECRET) is None


def test_the_transport_may_know_who_asks(ca: SmallCa) -> None:
    encoded = draft(pkcs10()).signed_by_key(SIGNER)
    assert ca.ask(encoded).failures == (FailInfo.BAD_IDENTITY,)
    outside = Party(Role.CREDENTIAL, "credential:tls", whole=True)
    assert not ca.ask(encoded, outside=outside).failures


# renewal


def test_renewal_is_signed_by_the_old_certificate(ca: SmallCa) -> None:
    old = ca.give(SIGNER, "a.example.test")
    made = draft(pkcs10(OTHER))
    reply = ca.ask(made.signed_by_certificate(SIGNER, old, at=NOW))
    assert reply.certificate_for(OTHER.public_spki)
    assert reply.anchors(SECRET) is None


def test_the_signers_certificate_may_stay_at_home(ca: SmallCa) -> None:
    old = ca.give(SIGNER, "a.example.test")
    assert not ca.ask(draft(pkcs10(OTHER)).signed_by_certificate(SIGNER, old, included=False)).failures


def test_renewal_is_for_the_same_subject(ca: SmallCa) -> None:
    old = ca.give(SIGNER, "a.example.test")
    for request in (pkcs10(OTHER, "b.example.test"),):
        assert ca.ask(draft(request).signed_by_certificate(SIGNER, old)).failures == (FailInfo.BAD_REQUEST,)
    made = client.Draft()
    made.add_crmf(crmf(1, OTHER, "b.example.test"))
    assert ca.ask(made.signed_by_certificate(SIGNER, old)).failures == (FailInfo.BAD_REQUEST,)


def test_renewal_changes_no_name(ca: SmallCa) -> None:
    old = ca.give(SIGNER, "a.example.test")
    change = ChangeSubjectName(subject("b.example.test"), None)
    attribute = Attribute(controls.CHANGE_SUBJECT_NAME.oid, (controls.CHANGE_SUBJECT_NAME.encode(change),))
    made = draft(pkcs10(OTHER, "a.example.test", attribute))
    assert ca.ask(made.signed_by_certificate(SIGNER, old)).failures == (FailInfo.BAD_REQUEST,)


def test_change_of_name_with_a_credential(ca: SmallCa) -> None:
    change = ChangeSubjectName(subject("b.example.test"), (names.GeneralName.dns("b.example.test"),))
    value = controls.CHANGE_SUBJECT_NAME.encode(change)
    first = enrolment(pkcs10(SIGNER, "a.example.test", Attribute(controls.CHANGE_SUBJECT_NAME.oid, (value,))))
    assert names_of(ca.ask(first.signed_by_key(SIGNER)).certificate_for(SIGNER.public_spki)) == ["b.example.test"]
    second = client.Draft()
    inside = Controls(other=(AttributeTypeAndValue(controls.CHANGE_SUBJECT_NAME.oid, value),))
    second.add_crmf(crmf(1, OTHER, controls=inside))
    second.prove_identity(USER, SECRET)
    assert names_of(ca.ask(second.signed_by_key(OTHER)).certificate_for(OTHER.public_spki)) == ["b.example.test"]


# identity


IDENTITIES = {
    "wrong secret": (USER, b"wrong"),
    "unknown user": ("nobody", SECRET),
    "another user's secret": ("enroll-2", SECRET),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_wrong_identities(ca: SmallCa, name: str) -> None:
    ca.secrets["enroll-2"] = b"another secret"
    user, secret = IDENTITIES[name]
    reply = ca.ask(enrolment(pkcs10(), user=user, secret=secret).signed_by_key(SIGNER))
    assert reply.failures == (FailInfo.BAD_IDENTITY,)
    assert not ca.store.certificates


def test_the_proof_covers_the_requests(ca: SmallCa) -> None:
    made = enrolment(pkcs10())
    made.add_pkcs10(pkcs10(OTHER, "evil.example.test"))
    assert ca.ask(made.signed_by_key(SIGNER)).failures == (FailInfo.BAD_IDENTITY,)


def test_the_proof_covers_the_identity(ca: SmallCa) -> None:
    # section 6.2.3: with an identification, the key is the hash of secret and identity together
    made = draft(pkcs10())
    made.add(controls.IDENTIFICATION, USER)
    sequence = made.data().request_sequence
    made.add(controls.IDENTITY_PROOF_V2, proofs.prove_identity(SECRET, "", sequence))
    assert ca.ask(made.signed_by_key(SIGNER)).failures == (FailInfo.BAD_IDENTITY,)


def test_a_proof_needs_an_identification(ca: SmallCa) -> None:
    made = draft(pkcs10())
    made.add(controls.IDENTITY_PROOF_V2, proofs.prove_identity(SECRET, "", made.data().request_sequence))
    assert ca.ask(made.signed_by_key(SIGNER)).failures == (FailInfo.BAD_IDENTITY,)


def test_older_identity_proof(ca: SmallCa) -> None:
    made = draft(pkcs10())
    made.add(controls.IDENTIFICATION, USER)
    key = proofs._hash("sha1", SECRET + USER.encode())
    witness = proofs.hmac.digest(key, made.data().request_sequence, "sha1")
    made.add(controls.IDENTITY_PROOF, witness)
    encoded = made.signed_by_key(SIGNER)
    assert ca.ask(encoded).failures == (FailInfo.BAD_ALG,)
    assert not ca.ask(encoded, Rules(sha1_proofs=True)).failures


# possession


def test_unsigned_request_of_a_signing_key(ca: SmallCa) -> None:
    reply = ca.ask(enrolment(unsigned_pkcs10(SIGNER.public_spki)).unsigned())
    # a P-256 key may be for key agreement, so it is asked to decrypt
    assert reply.status(1).status is Status.POP_REQUIRED
    ed25519 = material.signer("Ed25519", "ed25519")
    reply = ca.ask(enrolment(unsigned_pkcs10(ed25519.public_spki)).unsigned())
    assert reply.failures == (FailInfo.POP_REQUIRED,)


def _keys() -> dict[str, tuple[object, bytes]]:
    rsa = material.private_key("RSA-2048")
    ec = material.private_key("EC-P256", 42)
    return {
        "ML-KEM-768": kem_key(),
        "RSA-2048": (rsa, material.spki(rsa)),
        "EC-P256": (ec, material.spki(ec)),
    }


@pytest.mark.parametrize("form", ["PKCS#10", "CRMF", "CRMF without POP"])
@pytest.mark.parametrize("name", ["ML-KEM-768", "RSA-2048", "EC-P256"])
def test_keys_that_decrypt_answer_a_challenge(ca: SmallCa, name: str, form: str) -> None:
    key, spki = _keys()[name]
    made = client.Draft()
    if form == "PKCS#10":
        made.add_pkcs10(unsigned_pkcs10(spki))
    else:
        message = crmf(1, spki=spki, pop=CHALLENGE)
        made.add_crmf(message if form == "CRMF" else replace(message, pop=None))
    made.prove_identity(USER, SECRET)
    first = ca.ask(made.unsigned())
    assert first.status(1).status is Status.POP_REQUIRED
    challenge = first.one(controls.ENCRYPTED_POP)
    again = client.Draft()
    number = again.add_request(challenge.request)
    answer = proofs.answer(challenge, cms.unwrap_with(cms.SoftDecryptor(key)), body_part=number)
    again.add(controls.DECRYPTED_POP, answer)
    again.prove_identity(USER, SECRET)
    second = ca.ask(again.unsigned())
    assert second.status(number).status is Status.SUCCESS
    assert second.certificate_for(spki)
    # a repeat, because the answer was lost, gets the same certificate
    assert ca.ask(again.unsigned()).certificate_for(spki) == second.certificate_for(spki)


def test_a_wrong_answer_to_a_challenge(ca: SmallCa) -> None:
    key, spki = kem_key()
    challenge = ca.ask(enrolment(unsigned_pkcs10(spki)).unsigned()).one(controls.ENCRYPTED_POP)
    right = proofs.answer(challenge, cms.unwrap_with(cms.SoftDecryptor(key)), body_part=1)
    for proof in (bytes(32), right.proof[:-1] + bytes((right.proof[-1] ^ 1,))):
        again = client.Draft()
        again.add_request(challenge.request)
        again.add(controls.DECRYPTED_POP, replace(right, proof=proof))
        again.prove_identity(USER, SECRET)
        assert ca.ask(again.unsigned()).failures == (FailInfo.POP_FAILED,)
    assert not ca.store.certificates


def test_an_answer_to_no_challenge(ca: SmallCa) -> None:
    key, spki = kem_key()
    made = draft(unsigned_pkcs10(spki))
    made.add(controls.DECRYPTED_POP, values.DecryptedPop(1, proofs.hmac_identifier("sha256"), bytes(32)))
    made.prove_identity(USER, SECRET)
    assert ca.ask(made.unsigned()).failures == (FailInfo.POP_FAILED,)
    del key


def test_the_challenge_stays_the_same_and_runs_out(ca: SmallCa) -> None:
    key, spki = kem_key()
    unwrap = cms.unwrap_with(cms.SoftDecryptor(key))
    encoded = enrolment(unsigned_pkcs10(spki)).unsigned()
    first, second = (ca.ask(encoded).one(controls.ENCRYPTED_POP) for _ in range(2))
    answers = [proofs.answer(one, unwrap, body_part=1) for one in (first, second)]
    assert answers[0] == answers[1]
    ca.clock = NOW + timedelta(hours=2)
    again = client.Draft()
    again.add_request(first.request)
    again.add(controls.DECRYPTED_POP, answers[0])
    again.prove_identity(USER, SECRET)
    assert ca.ask(again.unsigned()).failures == (FailInfo.POP_FAILED,)


def test_a_client_does_not_believe_a_wrong_challenge(ca: SmallCa) -> None:
    key, spki = kem_key()
    challenge = ca.ask(enrolment(unsigned_pkcs10(spki)).unsigned()).one(controls.ENCRYPTED_POP)
    unwrap = cms.unwrap_with(cms.SoftDecryptor(key))
    with pytest.raises(client.Fault):
        proofs.answer(replace(challenge, witness=bytes(64)), unwrap, body_part=1)
    with pytest.raises(client.Fault):
        proofs.answer(challenge, cms.unwrap_with(cms.SoftDecryptor(kem_key()[0])), body_part=1)


def test_crmf_that_says_ra_verified(ca: SmallCa) -> None:
    made = client.Draft()
    made.add_crmf(crmf(1, pop=RaVerified()))
    made.prove_identity(USER, SECRET)
    assert ca.ask(made.signed_by_key(SIGNER)).failures == (FailInfo.POP_FAILED,)


# linking identity and possession


def linked(secret: bytes, random: bytes | None, *, length: int = 64) -> client.Draft:
    value = bytes(range(length))
    witness = controls.POP_LINK_WITNESS_V2.encode(proofs.link_pop(secret, value))
    made = draft(pkcs10(SIGNER, "a.example.test", Attribute(controls.POP_LINK_WITNESS_V2.oid, (witness,))))
    if random is not None:
        made.add(controls.POP_LINK_RANDOM, random)
    made.prove_identity(USER, SECRET)
    return made


def test_pop_link(ca: SmallCa) -> None:
    right = bytes(range(64))
    assert not ca.ask(linked(SECRET, right).signed_by_key(SIGNER), Rules(require_pop_link=True)).failures
    for made in (
        linked(b"wrong", right),
        linked(SECRET, bytes(64)),
        linked(SECRET, None),
        linked(SECRET, right[:63], length=63),
    ):
        assert ca.ask(made.signed_by_key(SIGNER)).failures == (FailInfo.POP_FAILED,)
    without = enrolment(pkcs10()).signed_by_key(SIGNER)
    assert ca.ask(without, Rules(require_pop_link=True)).failures == (FailInfo.POP_FAILED,)


def test_older_pop_link(ca: SmallCa) -> None:
    random = bytes(range(64))
    witness = proofs.hmac.digest(proofs._hash("sha1", SECRET), random, "sha1")
    made = draft(
        pkcs10(SIGNER, "a.example.test", Attribute(controls.POP_LINK_WITNESS.oid, (der.octet_string(witness),)))
    )
    made.add(controls.POP_LINK_RANDOM, random)
    made.prove_identity(USER, SECRET)
    assert ca.ask(made.signed_by_key(SIGNER)).failures == (FailInfo.BAD_ALG,)
    assert not ca.ask(made.signed_by_key(SIGNER), Rules(sha1_proofs=True)).failures


# waiting


def test_waiting_for_approval(ca: SmallCa) -> None:
    ca.approvals = True
    first = ca.ask(enrolment(pkcs10()).signed_by_key(SIGNER))
    status = first.status(1)
    assert status.status is Status.PENDING
    assert status.pending.time == NOW + timedelta(seconds=60)
    assert first.all(controls.RESPONSE_INFO) == (b"approved by 0 of 1",)
    query = client.Draft()
    number = query.add(controls.QUERY_PENDING, status.pending.token)
    assert ca.ask(query.signed_by_key(SIGNER)).status(number).status is Status.PENDING
    ca.approve("wait-0")
    reply = ca.ask(query.signed_by_key(SIGNER))
    assert reply.status(number).status is Status.SUCCESS
    assert reply.certificate_for(SIGNER.public_spki)
    # the first message again tells the same
    assert ca.ask(enrolment(pkcs10()).signed_by_key(SIGNER)).status(1)


def test_a_refused_request(ca: SmallCa) -> None:
    ca.approvals = True
    token = ca.ask(enrolment(pkcs10()).signed_by_key(SIGNER)).status(1).pending.token
    ca.reject("wait-0")
    query = client.Draft()
    query.add(controls.QUERY_PENDING, token)
    reply = ca.ask(query.signed_by_key(SIGNER))
    assert reply.failures == (FailInfo.BAD_REQUEST,)
    assert reply.statuses[0].text == "not this one"


def test_who_may_ask_about_a_waiting_request(ca: SmallCa) -> None:
    ca.approvals = True
    token = ca.ask(enrolment(pkcs10()).signed_by_key(SIGNER)).status(1).pending.token
    query = client.Draft()
    query.add(controls.QUERY_PENDING, token)
    assert ca.ask(query.unsigned()).failures == (FailInfo.BAD_IDENTITY,)
    assert ca.ask(query.signed_by_key(OTHER)).failures == (FailInfo.BAD_MESSAGE_CHECK,)
    old = ca.give(OTHER, "b.example.test")
    assert ca.ask(query.signed_by_certificate(OTHER, old)).failures == (FailInfo.BAD_IDENTITY,)
    query.prove_identity(USER, SECRET)
    assert not ca.ask(query.unsigned()).failures


def test_an_unknown_token(ca: SmallCa) -> None:
    query = client.Draft()
    query.add(controls.QUERY_PENDING, b"never given")
    query.prove_identity(USER, SECRET)
    assert ca.ask(query.unsigned()).failures == (FailInfo.BAD_REQUEST,)


# confirmation


CONFIRM = Rules(confirm_wait=timedelta(minutes=10))


def accept(certificate: bytes) -> client.Draft:
    facts = x509.decode_certificate(certificate)
    made = client.Draft()
    made.add(controls.CONFIRM_ACCEPTANCE, values.IssuerAndSerial(facts.issuer, facts.serial))
    return made


def test_confirmation(ca: SmallCa) -> None:
    reply = ca.ask(enrolment(pkcs10()).signed_by_key(SIGNER), CONFIRM)
    assert reply.status(1).status is Status.CONFIRM_REQUIRED
    issued = reply.certificate_for(SIGNER.public_spki)
    assert [memo.state for memo in ca.store.memos.values()] == ["confirm"]
    stranger = ca.give(OTHER, "b.example.test")
    assert ca.ask(accept(issued).signed_by_certificate(OTHER, stranger), CONFIRM).failures == (FailInfo.BAD_IDENTITY,)
    assert ca.ask(accept(issued).unsigned(), CONFIRM).failures == (FailInfo.BAD_IDENTITY,)
    assert not ca.ask(accept(issued).signed_by_certificate(SIGNER, issued), CONFIRM).failures
    assert not ca.store.memos
    assert not ca.ask(accept(issued).signed_by_certificate(SIGNER, issued), CONFIRM).failures


def test_rejection(ca: SmallCa) -> None:
    made = enrolment(pkcs10())
    made.add(controls.TRANSACTION_ID, 77)
    made.add(controls.SENDER_NONCE, b"first")
    reply = ca.ask(made.signed_by_key(SIGNER), CONFIRM)
    issued = reply.certificate_for(SIGNER.public_spki)
    no = client.Draft()
    no.add(controls.TRANSACTION_ID, 77)
    no.add(controls.SENDER_NONCE, b"second")
    no.add(controls.RECIPIENT_NONCE, reply.one(controls.SENDER_NONCE))
    status = client.StatusInfo(Status.FAILED, ((1,),), "not wanted", FailInfo.BAD_REQUEST)
    no.add(controls.STATUS_INFO_V2, status)
    ca.ask(no.signed_by_certificate(SIGNER, issued), CONFIRM)
    assert ca.store.revoked == {x509.decode_certificate(issued).serial: 5}


# revocation


def revocation(certificate: bytes, reason: int = 1, **more: object) -> client.Draft:
    facts = x509.decode_certificate(certificate)
    made = client.Draft()
    made.add(controls.REVOKE_REQUEST, values.RevokeRequest(facts.issuer, facts.serial, reason, **more))
    return made


def test_revocation_by_the_holder(ca: SmallCa) -> None:
    own = ca.give(SIGNER, "a.example.test")
    reply = ca.ask(revocation(own).signed_by_certificate(SIGNER, own))
    assert reply.status(1).status is Status.SUCCESS
    assert list(ca.store.revoked.values()) == [1]


def test_revocation_by_another_certificate_of_the_subject(ca: SmallCa) -> None:
    lost, present = ca.give(SIGNER, "a.example.test"), ca.give(OTHER, "a.example.test")
    assert not ca.ask(revocation(lost).signed_by_certificate(OTHER, present)).failures


def test_revocation_by_shared_secret(ca: SmallCa) -> None:
    own = ca.give(SIGNER, "a.example.test", actor=f"credential:{USER}")
    assert ca.ask(revocation(own, shared_secret=b"wrong").unsigned()).failures == (FailInfo.BAD_IDENTITY,)
    assert not ca.ask(revocation(own, shared_secret=SECRET).unsigned()).failures


def test_a_shared_secret_revokes_only_what_it_enrolled(ca: SmallCa) -> None:
    own = ca.give(SIGNER, "a.example.test", actor="certificate:5")
    assert ca.ask(revocation(own, shared_secret=SECRET).unsigned()).failures == (FailInfo.BAD_IDENTITY,)


def test_revocation_by_others(ca: SmallCa) -> None:
    own, other = ca.give(SIGNER, "a.example.test"), ca.give(OTHER, "b.example.test")
    assert ca.ask(revocation(own).signed_by_certificate(OTHER, other)).failures == (FailInfo.BAD_REQUEST,)
    assert ca.ask(revocation(own).unsigned()).failures == (FailInfo.BAD_IDENTITY,)
    assert not ca.store.revoked


def test_an_identity_proof_of_requests_revokes_nothing(ca: SmallCa) -> None:
    """The proof covers reqSequence only: who copies both could put any control beside it."""
    own = ca.give(SIGNER, "a.example.test", actor=f"credential:{USER}")
    made = revocation(own)
    made.prove_identity(USER, SECRET)
    assert ca.ask(made.unsigned()).failures == (FailInfo.BAD_REQUEST,)
    tied = revocation(own)
    tied.add_pkcs10(pkcs10())
    tied.prove_identity(USER, SECRET)
    assert ca.ask(tied.unsigned()).failures == (FailInfo.BAD_REQUEST,)
    assert not ca.ask(tied.signed_by_key(SIGNER)).failures


def test_only_an_ra_releases_a_hold(ca: SmallCa) -> None:
    own = ca.give(SIGNER, "a.example.test")
    assert ca.ask(revocation(own, 8).signed_by_certificate(SIGNER, own)).failures == (FailInfo.BAD_REQUEST,)
    signer, certificate = ca.registration_authority()
    assert not ca.ask(revocation(own, 8).signed_by_certificate(signer, certificate)).failures


def test_revocation_of_what_is_not(ca: SmallCa) -> None:
    own = ca.give(SIGNER, "a.example.test")
    facts = x509.decode_certificate(own)
    for issuer, serial in ((facts.issuer, facts.serial + 1), (subject("another CA"), facts.serial)):
        made = client.Draft()
        made.add(controls.REVOKE_REQUEST, values.RevokeRequest(issuer, serial, 1))
        assert ca.ask(made.signed_by_certificate(SIGNER, own)).failures == (FailInfo.BAD_CERT_ID,)


# asking


def directory(name: bytes) -> names.GeneralName:
    return names.decode_general_name(der.read(der.explicit(4, name)))


def test_get_cert(ca: SmallCa) -> None:
    own, other = ca.give(SIGNER, "a.example.test"), ca.give(OTHER, "b.example.test")
    facts = x509.decode_certificate(other)
    made = client.Draft()
    made.add(controls.GET_CERT, values.GetCert(directory(facts.issuer), facts.serial))
    assert other in ca.ask(made.signed_by_certificate(SIGNER, own)).certificates
    assert ca.ask(made.unsigned()).failures == (FailInfo.BAD_IDENTITY,)
    for name in (names.GeneralName.dns("x.test"), directory(subject("another"))):
        made = client.Draft()
        made.add(controls.GET_CERT, values.GetCert(name, facts.serial))
        assert ca.ask(made.signed_by_certificate(SIGNER, own)).failures == (FailInfo.BAD_CERT_ID,)


def test_get_crl(ca: SmallCa) -> None:
    made = client.Draft()
    made.add(controls.GET_CRL, values.GetCrl(ca.name))
    assert len(ca.ask(made.unsigned()).crls) == 1
    made = client.Draft()
    made.add(controls.GET_CRL, values.GetCrl(subject("another CA")))
    assert ca.ask(made.unsigned()).failures == (FailInfo.BAD_CERT_ID,)


def test_publication(ca: SmallCa) -> None:
    sha256 = algorithms.hash_identifier("sha256")
    made = enrolment(pkcs10())
    first = made.add(controls.PUBLISH_CERT, values.Publication(sha256, (), PublicationInfo(PublicationAction(0))))
    second = made.add(controls.PUBLISH_CERT, values.Publication(sha256, (), PublicationInfo(PublicationAction(1))))
    reply = ca.ask(made.signed_by_key(SIGNER))
    assert reply.status(first).status is Status.SUCCESS
    assert reply.status(second).status is Status.NO_SUPPORT


def test_what_is_merely_told_is_heard(ca: SmallCa) -> None:
    made = enrolment(pkcs10())
    made.add(controls.REG_INFO, b"name?value%")
    made.add(controls.DATA_RETURN, b"give this back")
    reply = ca.ask(made.signed_by_key(SIGNER))
    assert not reply.failures
    assert reply.one(controls.DATA_RETURN) == b"give this back"
