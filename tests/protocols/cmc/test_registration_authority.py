"""Messages in messages: what a registration authority may say of those it hands on, and what others may not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pycryptoutil_protocols import x509
from pycryptoutil_protocols.cmc import client, controls, values
from pycryptoutil_protocols.cmc.messages import FailInfo, Status
from pycryptoutil_protocols.cmc.server import Rules
from pycryptoutil_protocols.crmf.messages import ArchiveOptions, CertTemplate, Controls, RaVerified
from pycryptoutil_protocols.names import decode_name
from pycryptoutil_protocols.x509 import Extension

from tests.protocols import material
from tests.protocols.cmc.requests import SIGNER, crmf, draft, kem_key, pkcs10, unsigned_pkcs10
from tests.support.cmc import NOW, SECRET, USER, SmallCa, dns_names, subject

OTHER = material.signer(number=41)
MUST_STAPLE = Extension("1.3.6.1.5.5.7.1.24", False, bytes.fromhex("3003020105"))


@pytest.fixture
def ca() -> SmallCa:
    return SmallCa()


def enrolment(request: bytes, signer: material.KeySigner = SIGNER) -> bytes:
    """What an end entity sends: it shows a shared secret."""
    made = draft(request)
    made.prove_identity(USER, SECRET)
    return made.signed_by_key(signer)


def signed(ca: SmallCa, made: client.Draft) -> bytes:
    signer, certificate = ca.registration_authority()
    return made.signed_by_certificate(signer, certificate, at=NOW)


def inner(reply: client.Reply, index: int = 0) -> client.Reply:
    return client.read(reply.inside()[index][1])


def test_an_ra_asks_for_itself(ca: SmallCa) -> None:
    reply = ca.ask(signed(ca, draft(pkcs10(), pkcs10(OTHER, "b.example.test"))))
    assert reply.status(1).status is Status.SUCCESS
    assert reply.certificate_for(OTHER.public_spki)


def test_an_ra_hands_a_message_on(ca: SmallCa) -> None:
    made = client.Draft()
    number = made.add_message(enrolment(pkcs10()))
    reply = ca.ask(signed(ca, made))
    assert reply.status(number).status is Status.SUCCESS
    answer = inner(reply)
    assert answer.certificate_for(SIGNER.public_spki)
    assert answer.anchors(SECRET) is not None
    assert ca.store.wishes[0].self_proven


def test_batch(ca: SmallCa) -> None:
    made = client.Draft()
    numbers = [
        made.add_message(enrolment(pkcs10())),
        made.add_message(enrolment(pkcs10(OTHER, "b.example.test", broken=True), OTHER)),
        made.add_message(enrolment(pkcs10(material.signer(number=43), "c.example.test"), material.signer(number=43))),
    ]
    made.add(controls.BATCH_REQUESTS, (numbers[0], numbers[1]))
    reply = ca.ask(signed(ca, made))
    assert reply.one(controls.BATCH_RESPONSES) == tuple(number for number, _ in reply.inside())
    assert len(reply.inside()) == 2  # the third was not asked for
    assert reply.status(numbers[0]).status is Status.SUCCESS
    assert reply.status(numbers[1], 1).failure is FailInfo.POP_FAILED
    assert inner(reply, 1).failures == (FailInfo.POP_FAILED,)


def test_batch_of_nothing(ca: SmallCa) -> None:
    made = client.Draft()
    made.add(controls.BATCH_REQUESTS, (99,))
    assert ca.ask(signed(ca, made)).failures == (FailInfo.BAD_REQUEST,)


def test_add_extensions(ca: SmallCa) -> None:
    made = client.Draft()
    number = made.add_message(enrolment(pkcs10()))
    made.add(controls.ADD_EXTENSIONS, values.AddExtensions(number, (1,), (MUST_STAPLE,)))
    assert inner(ca.ask(signed(ca, made))).certificate_for(SIGNER.public_spki)
    assert {one.oid for one in ca.store.wishes[0].extensions} == {dns_names("x").oid, MUST_STAPLE.oid}


def test_add_extensions_replaces_what_the_request_has(ca: SmallCa) -> None:
    made = draft(pkcs10())
    made.add(controls.ADD_EXTENSIONS, values.AddExtensions(0, (1,), (dns_names("other.example.test"),)))
    issued = ca.ask(signed(ca, made)).certificate_for(SIGNER.public_spki)
    assert [one.value for one in x509.decode_certificate(issued).sans] == ["other.example.test"]


@pytest.mark.parametrize("replace", [True, False])
def test_mod_cert_template(ca: SmallCa, replace: bool) -> None:
    template = CertTemplate(subject=subject("changed"), not_after=NOW + timedelta(days=7), extensions=(MUST_STAPLE,))
    made = client.Draft()
    number = made.add_message(enrolment(pkcs10()))
    made.add(controls.MOD_CERT_TEMPLATE, values.ModCertTemplate((number,), (1,), template, replace))
    ca.ask(signed(ca, made))
    wish = ca.store.wishes[0]
    # without replace the request's own subject stays, and only what it does not say is added
    assert decode_name(wish.subject).common_names == (("changed",) if replace else ("a.example.test",))
    assert wish.not_after == NOW + timedelta(days=7)
    assert wish.self_proven


def test_a_template_cannot_change_the_key(ca: SmallCa) -> None:
    made = draft(pkcs10())
    template = CertTemplate(spki=OTHER.public_spki)
    made.add(controls.MOD_CERT_TEMPLATE, values.ModCertTemplate((0,), (1,), template))
    assert ca.ask(signed(ca, made)).failures == (FailInfo.BAD_REQUEST,)
    made = draft(pkcs10())
    made.add(controls.MOD_CERT_TEMPLATE, values.ModCertTemplate((0,), (1,), CertTemplate(serial=5)))
    assert ca.ask(signed(ca, made)).failures == (FailInfo.BAD_REQUEST,)


def test_an_ra_has_seen_possession(ca: SmallCa) -> None:
    _, spki = kem_key()
    made = draft(unsigned_pkcs10(spki))
    made.add(controls.RA_POP_WITNESS, values.RaPopWitness(0, (1,)))
    assert ca.ask(signed(ca, made)).certificate_for(spki)
    nested = draft(unsigned_pkcs10(spki, "b.example.test"))
    nested.prove_identity(USER, SECRET)
    outer = client.Draft()
    number = outer.add_message(nested.unsigned())
    outer.add(controls.RA_POP_WITNESS, values.RaPopWitness(number, (1,)))
    assert inner(ca.ask(signed(ca, outer))).certificate_for(spki)


def test_ra_verified(ca: SmallCa) -> None:
    made = client.Draft()
    made.add_crmf(crmf(1, pop=RaVerified()))
    assert not ca.ask(signed(ca, made)).failures
    nested = client.Draft()
    nested.add_crmf(crmf(1, pop=RaVerified()))
    nested.prove_identity(USER, SECRET)
    outer = client.Draft()
    outer.add_message(nested.signed_by_key(SIGNER))
    assert inner(ca.ask(signed(ca, outer))).failures == (FailInfo.POP_FAILED,)


def nested_stranger(secret: bytes = b"of the RA's own") -> client.Draft:
    """A message whose identity proof only the RA can judge."""
    made = draft(pkcs10())
    made.prove_identity("somebody at the RA", secret)
    return made


def proof_of(made: client.Draft) -> int:
    """Return the body part of a draft's identity proof."""
    return next(one.body_part for one in made.data().controls if one.oid == controls.IDENTITY_PROOF_V2.oid)


def test_an_ra_knows_the_identity(ca: SmallCa) -> None:
    nested = nested_stranger()
    proof = proof_of(nested)
    outer = client.Draft()
    number = outer.add_message(nested.signed_by_key(SIGNER))
    assert inner(ca.ask(signed(ca, outer))).failures == (FailInfo.BAD_IDENTITY,)
    outer.add(controls.RA_IDENTITY_WITNESS, (number, proof))
    reply = ca.ask(signed(ca, outer))
    assert inner(reply).certificate_for(SIGNER.public_spki)
    _, actor = next(value for value in ca.store.certificates.values() if b"a.example.test" in value[0])
    assert actor.startswith("certificate:")  # the RA answers for it


def test_processed_controls_are_not_processed_again(ca: SmallCa) -> None:
    nested = draft(pkcs10())
    own = ca.give(OTHER, "b.example.test")
    facts = x509.decode_certificate(own)
    control = nested.add(controls.REVOKE_REQUEST, values.RevokeRequest(facts.issuer, facts.serial, 1))
    nested.prove_identity(USER, SECRET)
    outer = client.Draft()
    number = outer.add_message(nested.signed_by_key(SIGNER))
    outer.add(controls.CONTROL_PROCESSED, ((number, control),))
    assert not ca.ask(signed(ca, outer)).failures
    assert not ca.store.revoked


def test_archived_keys(ca: SmallCa) -> None:
    nested = client.Draft()
    nested.add_crmf(crmf(1, controls=Controls(archive=ArchiveOptions(archive_generated=True))))
    nested.prove_identity(USER, SECRET)
    outer = client.Draft()
    number = outer.add_message(nested.signed_by_key(SIGNER))
    ca.ask(signed(ca, outer))
    assert not ca.store.wishes[-1].archived
    ca.store.repeats.clear()
    outer.add(controls.CONTROL_PROCESSED, ((number, 1),))
    ca.ask(signed(ca, outer))
    assert ca.store.wishes[-1].archived


def ra_controls() -> dict[str, tuple[controls.Kind, object]]:
    return {
        "addExtensions": (controls.ADD_EXTENSIONS, values.AddExtensions(0, (1,), (MUST_STAPLE,))),
        "modCertTemplate": (
            controls.MOD_CERT_TEMPLATE,
            values.ModCertTemplate((0,), (1,), CertTemplate(subject=subject("evil"))),
        ),
        "lraPOPWitness": (controls.RA_POP_WITNESS, values.RaPopWitness(0, (1,))),
        "raIdentityWitness": (controls.RA_IDENTITY_WITNESS, (1,)),
        "controlProcessed": (controls.CONTROL_PROCESSED, ((1,),)),
        "batchRequests": (controls.BATCH_REQUESTS, (1,)),
    }


@pytest.mark.parametrize("who", ["credential", "certificate", "nobody"])
@pytest.mark.parametrize("name", ra_controls())
def test_nobody_else_may_say_that(ca: SmallCa, name: str, who: str) -> None:
    kind, value = ra_controls()[name]
    made = draft(pkcs10())
    control = made.add(kind, value)
    if who == "credential":
        made.prove_identity(USER, SECRET)
        encoded = made.signed_by_key(SIGNER)
    elif who == "certificate":
        encoded = made.signed_by_certificate(OTHER, ca.give(OTHER, "a.example.test"))
    else:
        encoded = made.signed_by_key(SIGNER)
    reply = ca.ask(encoded)
    assert reply.failures == (FailInfo.BAD_REQUEST,)
    assert reply.statuses[0].parts == ((control,),)
    assert not ca.store.wishes


@pytest.mark.parametrize("name", ["addExtensions", "modCertTemplate", "lraPOPWitness", "raIdentityWitness"])
def test_a_message_inside_borrows_nothing_of_the_ra(ca: SmallCa, name: str) -> None:
    """An end entity cannot say an RA's words in a message that an RA hands on, even with its identity vouched for."""
    kind, value = ra_controls()[name]
    nested = nested_stranger()
    proof = proof_of(nested)
    nested.add(kind, value)
    outer = client.Draft()
    number = outer.add_message(nested.signed_by_key(SIGNER))
    outer.add(controls.RA_IDENTITY_WITNESS, (number, proof))
    assert inner(ca.ask(signed(ca, outer))).failures == (FailInfo.BAD_REQUEST,)
    assert not ca.store.wishes


def test_a_message_inside_cannot_revoke_in_the_ras_name(ca: SmallCa) -> None:
    own = ca.give(OTHER, "b.example.test")
    facts = x509.decode_certificate(own)
    nested = nested_stranger()
    nested.add(controls.REVOKE_REQUEST, values.RevokeRequest(facts.issuer, facts.serial, 1))
    outer = client.Draft()
    number = outer.add_message(nested.signed_by_key(SIGNER))
    outer.add(controls.RA_IDENTITY_WITNESS, (number, proof_of(nested)))
    assert inner(ca.ask(signed(ca, outer))).failures == (FailInfo.BAD_REQUEST,)
    assert not ca.store.revoked


@pytest.mark.parametrize("name", ra_controls())
def test_references_to_nothing(ca: SmallCa, name: str) -> None:
    wrong: dict[str, object] = {
        "addExtensions": values.AddExtensions(0, (99,), ()),
        "modCertTemplate": values.ModCertTemplate((99,), (1,), CertTemplate()),
        "lraPOPWitness": values.RaPopWitness(99, ()),
        "raIdentityWitness": (99, 1),
        "controlProcessed": ((99,),),
        "batchRequests": (99,),
    }
    made = draft(pkcs10())
    made.add(ra_controls()[name][0], wrong[name])
    assert ca.ask(signed(ca, made)).failures == (FailInfo.BAD_REQUEST,)


def test_an_ra_of_an_ra(ca: SmallCa) -> None:
    middle = client.Draft()
    number = middle.add_message(enrolment(pkcs10()))
    middle.add(controls.ADD_EXTENSIONS, values.AddExtensions(number, (1,), (MUST_STAPLE,)))
    outer = client.Draft()
    top = outer.add_message(signed(ca, middle))
    template = CertTemplate(not_after=NOW + timedelta(days=3))
    outer.add(controls.MOD_CERT_TEMPLATE, values.ModCertTemplate((top, number), (1,), template))
    reply = ca.ask(signed(ca, outer))
    assert inner(inner(reply)).certificate_for(SIGNER.public_spki)
    wish = ca.store.wishes[0]
    assert MUST_STAPLE in wish.extensions
    assert wish.not_after == NOW + timedelta(days=3)


def test_nesting_ends(ca: SmallCa) -> None:
    encoded = enrolment(pkcs10())
    for _ in range(3):
        made = client.Draft()
        made.add_message(encoded)
        encoded = signed(ca, made)
    reply = ca.ask(encoded)
    assert FailInfo.BAD_REQUEST in inner(inner(reply)).failures
    assert not ca.store.wishes
    assert ca.ask(encoded, Rules(max_nesting=4)).status(1).status is Status.SUCCESS


def test_a_message_inside_anybodys_message_stands_for_itself(ca: SmallCa) -> None:
    outer = client.Draft()
    outer.add_message(enrolment(pkcs10()))
    assert inner(ca.ask(outer.unsigned())).certificate_for(SIGNER.public_spki)
