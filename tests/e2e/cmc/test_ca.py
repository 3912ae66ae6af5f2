"""CMC at the real CA: its profiles, credentials, approvals, audit and database, whichever replica answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pycryptoutil_protocols import cms, der, names, x509
from pycryptoutil_protocols.cmc import client, controls, proofs, server, values
from pycryptoutil_protocols.cmc.messages import KP_CMC_CA, FailInfo, Status
from pycryptoutil_protocols.crmf.messages import ArchiveOptions, CertTemplate, Controls
from pycryptoutil_protocols.x509 import Certificate, Extension

from pycryptoutil.authority.cmc import Choices
from pycryptoutil.authority.model import CertificateFilter, IssueOrder, NewCredential
from pycryptoutil.crypto.x509 import name_der
from tests.e2e.cmc.conftest import CmcWorld
from tests.protocols import material
from tests.protocols.cmc.requests import crmf, draft, kem_key, pkcs10, unsigned_pkcs10
from tests.support.authority import TENANT
from tests.support.cmc import dns_names

A, B = material.signer(number=40), material.signer(number=41)
RA_PROFILE = """
name: registration-authority
title: Registration authority
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256, RSA]}
subject: {allowed: [CN, O]}
key_usage: {default: [digitalSignature]}
extended_key_usage: [cmcRA]
"""
APPROVED_PROFILE = """
name: approved
title: With an approver
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256]}
subject: {allowed: [CN]}
names: {types: [dns], private: true}
key_usage: {default: [digitalSignature]}
approvals: 1
"""
KEM_PROFILE = """
name: kem
title: Keys that only decrypt
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [RSA, EC-P256, ML-KEM-768]}
subject: {allowed: [CN]}
names: {types: [dns], private: true}
key_usage: {default: [keyEncipherment], ec: [keyAgreement]}
"""


def enrolment(credential: NewCredential, *encoded: bytes) -> client.Draft:
    made = draft(*encoded)
    made.prove_identity(credential.username, credential.password.encode())
    return made


def enrol(world: CmcWorld, signer: material.KeySigner = A, common_name: str = "a.example.test") -> Certificate:
    encoded = enrolment(world.credential(), pkcs10(signer, common_name)).signed_by_key(signer)
    return x509.decode_certificate(world.ask(encoded).certificate_for(signer.public_spki))


def registration_authority(world: CmcWorld) -> tuple[material.KeySigner, bytes]:
    signer = material.signer(number=44)
    world.service.put_profile(TENANT, "registration-authority", RA_PROFILE, "tests")
    order = IssueOrder("issuing", "registration-authority", csr=pkcs10(signer, "ra", extensions=()))
    return signer, world.service.issue(TENANT, order, "user:admin").der


def query(token: bytes) -> client.Draft:
    made = client.Draft()
    made.add(controls.QUERY_PENDING, token)
    return made


def test_enrolment_and_everything_after_it(world: CmcWorld) -> None:
    credential = world.credential(max_uses=1)
    reply = world.ask(enrolment(credential, pkcs10(A)).signed_by_key(A, at=world.clock.now()))
    assert reply.status(1).status is Status.SUCCESS
    issued = x509.decode_certificate(reply.certificate_for(A.public_spki))
    assert [one.value for one in issued.sans] == ["a.example.test"]
    record = world.service.certificate(TENANT, f"{issued.serial:x}")
    assert (record.protocol, record.requester) == ("cmc", credential.credential.actor)
    assert KP_CMC_CA in reply.signer.extended_key_usages
    # a retry at the other replica is answered by the same certificate, though the credential is used up
    again = world.ask(enrolment(credential, pkcs10(A)).signed_by_key(A), replica=1)
    assert again.failures or again.certificate_for(A.public_spki)
    # renewal with a new key, by the old certificate
    renewed = world.ask(draft(pkcs10(B)).signed_by_certificate(A, issued.der), replica=1)
    second = x509.decode_certificate(renewed.certificate_for(B.public_spki))
    # revocation of the old one by the new one, as both are for the same subject
    made = client.Draft()
    made.add(controls.REVOKE_REQUEST, values.RevokeRequest(issued.issuer, issued.serial, 4))
    assert not world.ask(made.signed_by_certificate(B, second.der)).failures
    assert world.status(issued.serial) == "revoked"
    # and what is revoked renews nothing
    assert world.ask(draft(pkcs10(B)).signed_by_certificate(A, issued.der)).failures == (FailInfo.BAD_IDENTITY,)
    crl = client.Draft()
    crl.add(controls.GET_CRL, values.GetCrl(issued.issuer))
    assert der.integer(issued.serial) in world.ask(crl.unsigned()).crls[0]
    cert = client.Draft()
    directory = names.decode_general_name(der.read(der.explicit(4, issued.issuer)))
    cert.add(controls.GET_CERT, values.GetCert(directory, issued.serial))
    assert issued.der in world.ask(cert.signed_by_certificate(B, second.der), replica=1).certificates


def test_a_retry_octet_for_octet(world: CmcWorld) -> None:
    credential = world.credential(max_uses=1)
    encoded = enrolment(credential, pkcs10(A)).signed_by_key(A)
    first, second = world.ask(encoded), world.ask(encoded, replica=1)
    assert first.certificate_for(A.public_spki) == second.certificate_for(A.public_spki)


def test_crmf(world: CmcWorld) -> None:
    credential = world.credential()
    made = client.Draft()
    made.add_crmf(crmf(1, A))
    made.prove_identity(credential.username, credential.password.encode())
    issued = x509.decode_certificate(world.ask(made.signed_by_key(A)).certificate_for(A.public_spki))
    assert [one.value for one in issued.sans] == ["a.example.test"]


def test_simple(shared: CmcWorld) -> None:
    done = shared.ask_simply(pkcs10(A, "s.example.test"), shared.credential())
    assert done.simple
    leaf, issuing, root = cms.decode_certs_only(done.body)
    assert x509.decode_certificate(leaf).spki == A.public_spki
    assert (issuing, root) == shared.service.authority(TENANT, "issuing").chain


def test_what_the_profile_and_the_credential_do_not_allow(shared: CmcWorld) -> None:
    credential = shared.credential()
    cases = {
        "another name": (pkcs10(A, "evil.test"), FailInfo.BAD_REQUEST),
        "an extension": (
            pkcs10(A, extensions=(dns_names("a.example.test"), Extension("1.2.3.4", True, b"\x05\x00"))),
            FailInfo.UNSUPPORTED_EXT,
        ),
    }
    for name, (request, code) in cases.items():
        reply = shared.ask(enrolment(credential, request).signed_by_key(A))
        assert reply.failures == (code,), name
    wrong = shared.ask(enrolment(credential, pkcs10(A)).signed_by_key(A), "tls-client")
    assert wrong.failures == (FailInfo.BAD_REQUEST,)
    narrow = shared.credential(protocols=("est",))
    assert shared.ask(enrolment(narrow, pkcs10(A)).signed_by_key(A)).failures == (FailInfo.BAD_REQUEST,)


def test_trust_anchors(shared: CmcWorld) -> None:
    credential = shared.credential()
    reply = shared.ask(enrolment(credential, pkcs10(A, "t.example.test")).signed_by_key(A))
    anchors = reply.anchors(credential.password.encode())
    assert client.trusted_root(reply, anchors) == shared.service.authority(TENANT, "issuing").chain[-1]


def test_waiting_for_approval(world: CmcWorld) -> None:
    world.service.put_profile(TENANT, "approved", APPROVED_PROFILE, "tests")
    credential = world.credential("approved")
    encoded = enrolment(credential, pkcs10(A)).signed_by_key(A)
    status = world.ask(encoded).status(1)
    assert status.status is Status.PENDING
    again = world.ask(encoded, replica=1).status(1)
    assert again.pending.token == status.pending.token
    asking = query(status.pending.token).signed_by_key(A)
    assert world.ask(asking, replica=1).status(1).status is Status.PENDING
    (waiting,) = (one for one in world.service.approvals(TENANT).items if one.state.value == "pending")
    assert waiting.protocol == "cmc"
    world.service.approve(TENANT, waiting.id, "user:anna")
    reply = world.ask(asking, replica=1)
    assert reply.status(1).status is Status.SUCCESS
    assert reply.certificate_for(A.public_spki)
    assert world.ask(query(status.pending.token).signed_by_key(B)).failures == (FailInfo.BAD_MESSAGE_CHECK,)


def test_a_rejected_request(world: CmcWorld) -> None:
    world.service.put_profile(TENANT, "approved", APPROVED_PROFILE, "tests")
    status = world.ask(enrolment(world.credential("approved"), pkcs10(A)).signed_by_key(A)).status(1)
    (waiting,) = (one for one in world.service.approvals(TENANT).items if one.state.value == "pending")
    world.service.reject(TENANT, waiting.id, "user:anna", "not known here")
    reply = world.ask(query(status.pending.token).signed_by_key(A), replica=1)
    assert reply.failures == (FailInfo.BAD_REQUEST,)


def test_keys_that_decrypt(world: CmcWorld) -> None:
    world.service.put_profile(TENANT, "kem", KEM_PROFILE, "tests")
    credential = world.credential("kem")
    key, spki = kem_key()
    first = world.ask(enrolment(credential, unsigned_pkcs10(spki)).unsigned())
    assert first.status(1).status is Status.POP_REQUIRED
    challenge = first.one(controls.ENCRYPTED_POP)
    made = client.Draft()
    made.add_request(challenge.request)
    unwrap = cms.unwrap_with(cms.SoftDecryptor(key))
    made.add(controls.DECRYPTED_POP, proofs.answer(challenge, unwrap, body_part=1))
    made.prove_identity(credential.username, credential.password.encode())
    reply = world.ask(made.unsigned(), replica=1)  # which has the challenge from the database
    assert reply.certificate_for(spki)
    assert world.ask(made.unsigned()).certificate_for(spki) == reply.certificate_for(spki)


def test_registration_authority(world: CmcWorld) -> None:
    signer, own = registration_authority(world)
    made = draft(pkcs10(A, "any.example.org"))
    reply = world.ask(made.signed_by_certificate(signer, own), "tls-server")
    issued = x509.decode_certificate(reply.certificate_for(A.public_spki))
    record = world.service.certificate(TENANT, f"{issued.serial:x}")
    assert record.requester.startswith("certificate:")
    # it adds to what an end entity asks for
    credential = world.credential()
    outer = client.Draft()
    number = outer.add_message(enrolment(credential, pkcs10(B)).signed_by_key(B))
    until = world.clock.now().replace(microsecond=0) + timedelta(days=10)
    template = CertTemplate(not_after=until, extensions=(dns_names("a.example.test", "b.example.test"),))
    outer.add(controls.MOD_CERT_TEMPLATE, values.ModCertTemplate((number,), (1,), template))
    answer = client.read(world.ask(outer.signed_by_certificate(signer, own), replica=1).inside()[0][1])
    changed = x509.decode_certificate(answer.certificate_for(B.public_spki))
    assert [one.value for one in changed.sans] == ["a.example.test", "b.example.test"]
    assert changed.not_after == until
    # within the credential still
    outer = client.Draft()
    number = outer.add_message(enrolment(credential, pkcs10(B)).signed_by_key(B))
    value = values.AddExtensions(number, (1,), (dns_names("evil.test"),))
    outer.add(controls.ADD_EXTENSIONS, value)
    answer = client.read(world.ask(outer.signed_by_certificate(signer, own)).inside()[0][1])
    assert answer.failures == (FailInfo.BAD_REQUEST,)
    # it revokes what others hold
    made = client.Draft()
    made.add(controls.REVOKE_REQUEST, values.RevokeRequest(issued.issuer, issued.serial, 6))
    assert not world.ask(made.signed_by_certificate(signer, own)).failures
    assert world.status(issued.serial) == "held"
    made = client.Draft()
    made.add(controls.REVOKE_REQUEST, values.RevokeRequest(issued.issuer, issued.serial, 8))
    assert not world.ask(made.signed_by_certificate(signer, own)).failures
    assert world.status(issued.serial) == "valid"
    # and only certificates of the profiles that are chosen make an RA
    world.choices = Choices(ra_profiles=("another",))
    reply = world.ask(draft(pkcs10(A, "x.example.org")).signed_by_certificate(signer, own), "tls-server")
    assert reply.failures


@pytest.fixture
def chosen(shared: CmcWorld) -> Iterator[CmcWorld]:
    yield shared
    shared.choices, shared.rules = Choices(), server.Rules()


def test_key_reuse(chosen: CmcWorld) -> None:
    signer = material.signer("EC-P256", number=51)
    enrol(chosen, signer, "k.example.test")
    chosen.choices = Choices(key_reuse=False)
    reply = chosen.ask(enrolment(chosen.credential(), pkcs10(signer, "k.example.test")).signed_by_key(signer))
    assert reply.failures == (FailInfo.NO_KEY_REUSE,)
    fresh = material.signer("EC-P256", number=52)
    encoded = enrolment(chosen.credential(), pkcs10(fresh, "l.example.test")).signed_by_key(fresh)
    assert chosen.ask(encoded).certificate_for(fresh.public_spki)
    assert chosen.ask(encoded).certificate_for(fresh.public_spki)  # a retry is no reuse


def test_archived_keys(chosen: CmcWorld) -> None:
    chosen.choices = Choices(archive_profiles=("tls-server",))
    credential = chosen.credential()
    secret = credential.password.encode()
    nested = client.Draft()
    nested.add_crmf(crmf(1, A, "v.example.test", controls=Controls(archive=ArchiveOptions(archive_generated=True))))
    nested.prove_identity(credential.username, secret)
    encoded = nested.signed_by_key(A)
    assert chosen.ask(encoded).failures == (FailInfo.MUST_ARCHIVE_KEYS,)
    signer, own = registration_authority(chosen)
    outer = client.Draft()
    number = outer.add_message(encoded)
    outer.add(controls.CONTROL_PROCESSED, ((number, 1),))
    reply = client.read(chosen.ask(outer.signed_by_certificate(signer, own)).inside()[0][1])
    assert reply.certificate_for(A.public_spki)


def test_confirmation(world: CmcWorld) -> None:
    world.rules = server.Rules(confirm_wait=timedelta(minutes=10))
    kept, lost = enrol(world), enrol(world, B, "b.example.test")
    made = client.Draft()
    made.add(controls.CONFIRM_ACCEPTANCE, values.IssuerAndSerial(kept.issuer, kept.serial))
    assert not world.ask(made.signed_by_certificate(A, kept.der), replica=1).failures
    world.sweep()
    assert world.status(lost.serial) == "valid"
    world.clock.advance(660)
    world.sweep()
    world.sweep()
    assert world.status(kept.serial) == "valid"
    assert world.status(lost.serial) == "revoked"


def test_transactions_are_tidied_up(world: CmcWorld) -> None:
    world.service.put_profile(TENANT, "kem", KEM_PROFILE, "tests")
    made = enrolment(world.credential("kem"), unsigned_pkcs10(kem_key()[1]))
    made.add(controls.TRANSACTION_ID, 5)
    made.add(controls.SENDER_NONCE, b"n")
    assert world.ask(made.unsigned()).status(1).status is Status.POP_REQUIRED
    later = world.clock.now() + timedelta(hours=2)
    assert len(world.service.transactions.expired("cmc", later)) == 2  # the transaction and the challenge
    world.clock.advance(7200)
    world.sweep()
    assert not world.service.transactions.expired("cmc", later + timedelta(days=1))


def test_a_revocation_again(world: CmcWorld) -> None:
    signer, own = registration_authority(world)
    issued = enrol(world)
    held = client.Draft()
    held.add(controls.REVOKE_REQUEST, values.RevokeRequest(issued.issuer, issued.serial, 6))
    held.add(controls.SENDER_NONCE, b"once")
    encoded = held.signed_by_certificate(signer, own)
    assert not world.ask(encoded).failures
    free = client.Draft()
    free.add(controls.REVOKE_REQUEST, values.RevokeRequest(issued.issuer, issued.serial, 8))
    assert not world.ask(free.signed_by_certificate(signer, own), replica=1).failures
    assert world.ask(encoded, replica=1).failures == (FailInfo.BAD_REQUEST,)
    assert world.status(issued.serial) == "valid"


def test_revocation_by_the_secret_that_enrolled(world: CmcWorld) -> None:
    credential = world.credential()
    encoded = enrolment(credential, pkcs10(A)).signed_by_key(A)
    issued = x509.decode_certificate(world.ask(encoded).certificate_for(A.public_spki))
    for secret, fine in ((b"wrong", False), (credential.password.encode(), True)):
        made = client.Draft()
        request = values.RevokeRequest(issued.issuer, issued.serial, 1, shared_secret=secret)
        made.add(controls.REVOKE_REQUEST, request)
        reply = world.ask(made.unsigned())
        assert reply.failures == (() if fine else (FailInfo.BAD_IDENTITY,))
    assert world.status(issued.serial) == "revoked"


def test_other_reasons(shared: CmcWorld) -> None:
    issued = enrol(shared, A, "r.example.test")
    for reason in (7, 11, -1):
        made = client.Draft()
        made.add(controls.REVOKE_REQUEST, values.RevokeRequest(issued.issuer, issued.serial, reason))
        assert shared.ask(made.signed_by_certificate(A, issued.der)).failures == (FailInfo.BAD_REQUEST,)


def test_another_tenants_certificate_is_nothing_here(shared: CmcWorld) -> None:
    other = "f" * 32
    shared.service.first_start(other)
    foreign = name_der("CN=Issuing CA,O=elsewhere")
    made = client.Draft()
    made.add(controls.REVOKE_REQUEST, values.RevokeRequest(foreign, 5, 1))
    issued = enrol(shared, A, "o.example.test")
    assert shared.ask(made.signed_by_certificate(A, issued.der)).failures == (FailInfo.BAD_CERT_ID,)


def test_everything_is_audited(shared: CmcWorld) -> None:
    before = len(shared.service.certificates(TENANT, CertificateFilter(protocol="cmc"), limit=200).items)
    enrol(shared, A, "u.example.test")
    after = shared.service.certificates(TENANT, CertificateFilter(protocol="cmc"), limit=200).items
    assert len(after) == before + 1
