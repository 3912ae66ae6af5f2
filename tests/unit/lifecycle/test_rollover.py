"""A CA's change of keys: what is published when, who issues, and whether strangers can follow the links."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp as ocsp_client
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import (
    AuthorityOrder,
    AuthorityStatus,
    CredentialOrder,
    IssueOrder,
    NamePatterns,
    RevocationReason,
)
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.lifecycle import rollover
from pycryptoutil.authority.lifecycle.rollover import Rollover, RolloverOrder
from pycryptoutil.authority.lifecycle.store import RolloverState
from pycryptoutil.authority.ocsp import OcspService
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.authority.ssh import SshService
from pycryptoutil.crypto.x509 import pem as armour
from pycryptoutil.storage import audit
from tests.support.authority import TENANT, World, csr
from tests.support.programs import need, run

WHO = "user:tester"


def prepare(world: World, name: str = "issuing", **order: object) -> Rollover:
    return rollover.prepare(world.service.room, TENANT, name, RolloverOrder(**order), WHO)  # type: ignore[arg-type]


def activate(world: World, name: str = "issuing") -> Rollover:
    done = rollover.activate(world.service.room, TENANT, name, WHO)
    world.service.signers.forget()
    return done


def issue(world: World, name: str = "a.example.com", authority: str = "", **order: object) -> bytes:
    made = IssueOrder(csr=csr(name), authority=authority, **order)  # type: ignore[arg-type]
    return world.service.issue(TENANT, made, WHO).der


def openssl(folder: Path, leaf: bytes, anchor: bytes, between: tuple[bytes, ...], code: int = 0) -> str:
    """Let OpenSSL build the path."""
    need("openssl")
    for name, certificates in (("leaf", (leaf,)), ("anchor", (anchor,)), ("between", between)):
        (folder / f"{name}.pem").write_bytes("".join(map(armour, certificates)).encode())
    command = ("openssl", "verify", "-x509_strict", "-no_check_time", "-CAfile", folder / "anchor.pem")
    extra = ("-untrusted", folder / "between.pem") if between else ()
    return run(*command, *extra, folder / "leaf.pem", code=code).text


def test_a_prepared_key_is_published_and_does_not_issue(world: World) -> None:
    before = world.service.authority(TENANT, "issuing")
    made = prepare(world)
    assert (made.state, made.new.name, made.new.status) == (
        RolloverState.PREPARED,
        "issuing-2",
        AuthorityStatus.PREPARED,
    )
    assert made.new.subject == made.old.subject
    assert made.new.spki_sha256 != made.old.spki_sha256
    shown = world.service.published(TENANT, "issuing")
    assert shown[:2] == before.chain
    assert set(shown[2:]) == {made.new.certificate, made.update.new_with_old, made.update.old_with_new}
    assert set(world.service.public_bundle("issuing")) == set(shown)
    with pytest.raises(Fault) as caught:
        issue(world, authority="issuing-2")
    assert caught.value.kind is FaultKind.CONFLICT
    for status in (AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED):
        with pytest.raises(Fault, match="prepared"):
            world.service.set_authority_status(TENANT, "issuing-2", status, WHO)
    assert x509.load_der_x509_certificate(issue(world)).issuer.rfc4514_string() == before.subject
    with pytest.raises(Fault, match="prepared already"):
        prepare(world)


def test_an_activated_key_takes_name_and_credentials(world: World) -> None:
    world.service.credential_add(TENANT, CredentialOrder("tls-server", names=NamePatterns(dns=("*.example.com",))), WHO)
    ssh = SshService(world.service.room)
    hosts = ssh.authority_key(TENANT, "issuing", "ssh-host")
    first = issue(world)
    made = prepare(world, key_algorithm="EC-P384")
    world.clock.advance(60)
    done = activate(world)
    assert (done.old.name, done.old.status) == ("issuing-1", AuthorityStatus.SUPERSEDED)
    assert (done.new.name, done.new.status) == ("issuing", AuthorityStatus.ACTIVE)
    now = world.service.authority(TENANT)  # the default
    assert (now.id, now.key_algorithm, now.generation) == (made.new.id, "EC-P384", 2)
    assert world.service.resolve_label(TENANT, "issuing").authority == "issuing"
    (credential,) = world.service.credential_list(TENANT)
    order = IssueOrder(csr=csr("b.example.com"), profile="tls-server", credential=credential, protocol="est")
    second = world.service.issue(TENANT, order, credential.actor)
    x509.load_der_x509_certificate(second.der).verify_directly_issued_by(
        x509.load_der_x509_certificate(done.new.certificate)
    )
    assert ssh.authority_key(TENANT, "issuing", "ssh-host").split()[:2] == hosts.split()[:2]
    with pytest.raises(Fault):
        issue(world, authority="issuing-1")
    # what the old key issued is still the CA's
    record = world.service.certificate_status_for_client((first,))
    assert record.authority == "issuing"
    assert record.authority_id == done.old.id
    assert world.service.certificate(TENANT, record.serial, "issuing").der == first
    with pytest.raises(Fault):
        world.service.certificate(TENANT, f"{x509.load_der_x509_certificate(second.der).serial_number:x}", "issuing-1")
    renewal = IssueOrder(csr=csr("a.example.com"), profile=record.profile, previous_certificate=first, protocol="est")
    world.service.issue(TENANT, renewal, WHO)
    revoked = world.service.revoke(TENANT, record.serial, RevocationReason.SUPERSEDED, None, WHO, "", "issuing")
    assert revoked.authority_id == done.old.id


def test_the_old_key_goes_on_answering_for_what_it_issued(world: World) -> None:
    need("openssl")
    leaf = issue(world)
    done = prepare(world)
    activate(world)
    room = world.service.room
    watch = RevocationWatch(world.database, world.clock)
    crls, ocsp = CrlService(room, watch), OcspService(room, watch)
    old = world.service.authority(TENANT, "issuing-1")
    assert old.crl_url.endswith("/crl/issuing.crl")  # as its certificates say
    serial = x509.load_der_x509_certificate(leaf).serial_number
    world.service.revoke(TENANT, f"{serial:x}", RevocationReason.KEY_COMPROMISE, None, WHO)
    watch.poll()
    crls.tick()
    for public_id, key, listed in (("issuing", done.old, True), (done.new.public_id, done.new, False)):
        crl = x509.load_der_x509_crl(crls.current(public_id).der)
        certificate = x509.load_der_x509_certificate(key.certificate)
        assert crl.is_signature_valid(certificate.public_key())  # type: ignore[arg-type]
        assert (crl.get_revoked_certificate_by_serial_number(serial) is not None) is listed
    builder = ocsp_client.OCSPRequestBuilder()
    asked = builder.add_certificate(
        x509.load_der_x509_certificate(leaf), x509.load_der_x509_certificate(done.old.certificate), hashes.SHA256()
    ).build()
    encoded = asked.public_bytes(serialization.Encoding.DER)
    answer = ocsp_client.load_der_ocsp_response(ocsp.respond("issuing", encoded).der)
    assert answer.certificate_status is ocsp_client.OCSPCertStatus.REVOKED
    ocsp.renew()


def test_openssl_follows_the_links_of_an_issuing_ca(world: World, tmp_path: Path) -> None:
    old_leaf = issue(world)
    made = prepare(world)
    activate(world)
    new_leaf = issue(world, "b.example.com")
    root = world.service.authority(TENANT, "root").certificate
    old, new, links = made.old.certificate, made.new.certificate, made.update
    openssl(tmp_path, old_leaf, root, (old,))
    openssl(tmp_path, new_leaf, root, (new,))
    # who has only the old CA's key gets to the new leaf, and the other way round
    openssl(tmp_path, new_leaf, root, (links.new_with_old, old))
    openssl(tmp_path, old_leaf, root, (links.old_with_new, new))
    openssl(tmp_path, new_leaf, root, (old,), code=2)


def test_openssl_follows_the_links_of_a_root(world: World, tmp_path: Path) -> None:
    old_leaf = issue(world)
    issuing = world.service.authority(TENANT, "issuing").certificate
    world.clock.advance(365 * 86400)
    made = prepare(world, "root", key_algorithm="RSA-3072")
    assert made.update == world.service.root_update(TENANT, "issuing")
    assert made.update == world.service.root_update(TENANT, "issuing", made.old.certificate)
    assert world.service.root_update(TENANT, "issuing", made.new.certificate) is None
    with pytest.raises(Fault) as caught:
        world.service.root_update(TENANT, "issuing", issuing)
    assert caught.value.kind is FaultKind.NOT_FOUND
    assert made.new.certificate in world.service.published(TENANT, "issuing")
    activate(world, "root")
    prepare(world)
    new_issuing = activate(world).new
    assert new_issuing.parent_id == made.new.id
    new_leaf = issue(world, "b.example.com")
    old, new, links = made.old.certificate, made.new.certificate, made.update
    openssl(tmp_path, old_leaf, old, (issuing,))
    openssl(tmp_path, old_leaf, new, (issuing, links.old_with_new))
    openssl(tmp_path, new_leaf, new, (new_issuing.certificate,))
    openssl(tmp_path, new_leaf, old, (new_issuing.certificate, links.new_with_old))
    openssl(tmp_path, new_leaf, old, (new_issuing.certificate,), code=2)
    old_with_new = x509.load_der_x509_certificate(links.old_with_new)
    old_root = x509.load_der_x509_certificate(old)
    assert old_with_new.not_valid_before_utc == old_root.not_valid_before_utc
    assert old_with_new.not_valid_after_utc <= old_root.not_valid_after_utc


def test_limits_are_those_of_the_old_certificate(world: World) -> None:
    order = AuthorityOrder(
        "narrow", "CN=Narrow", parent="root", permitted_names=("dns:example.com",), path_length=0, validity=86400 * 400
    )
    world.service.create_authority(TENANT, order, WHO)
    made = prepare(world, "narrow")
    for der in (made.new.certificate, made.update.new_with_old, made.update.old_with_new):
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        assert names.critical
        assert [one.value for one in names.value.permitted_subtrees or ()] == ["example.com"]
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    new = x509.load_der_x509_certificate(made.new.certificate)
    assert new.not_valid_after_utc - new.not_valid_before_utc + timedelta(seconds=1) == timedelta(days=400)


def test_retiring_ends_publication_only(world: World) -> None:
    with pytest.raises(Fault, match="no earlier key"):
        rollover.retire(world.service.room, TENANT, "issuing", WHO)
    leaf = issue(world)
    prepare(world)
    made = activate(world)
    done = rollover.retire(world.service.room, TENANT, "issuing", WHO)
    assert (done.state, done.old.status) == (RolloverState.RETIRED, AuthorityStatus.RETIRED)
    assert world.service.published(TENANT, "issuing") == world.service.authority(TENANT, "issuing").chain
    crl = x509.load_der_x509_crl(CrlService(world.service.room).current("issuing").der)
    old = x509.load_der_x509_certificate(made.old.certificate)
    assert crl.is_signature_valid(old.public_key())  # type: ignore[arg-type]
    assert world.service.certificate_status_for_client((leaf,)).authority == "issuing"
    # a third generation
    assert prepare(world).new.name == "issuing-3"
    assert activate(world).old.name == "issuing-2"
    states = [one.state for one in rollover.listing(world.service.room, TENANT, "issuing")]
    assert states == [RolloverState.RETIRED, RolloverState.ACTIVATED]


def test_a_prepared_key_can_be_given_up(world: World) -> None:
    made = prepare(world)
    done = rollover.cancel(world.service.room, TENANT, "issuing", WHO)
    assert done.state is RolloverState.CANCELLED
    for der in (made.new.certificate, made.update.new_with_old):
        serial = x509.load_der_x509_certificate(der).serial_number
        assert world.service.certificate(TENANT, f"{serial:x}").reason is RevocationReason.CESSATION_OF_OPERATION
    assert world.service.published(TENANT, "issuing") == world.service.authority(TENANT, "issuing").chain
    with pytest.raises(Fault):
        activate(world)
    issue(world)
    assert prepare(world).new.name == "issuing-3"


def test_every_step_is_audited_and_the_chain_holds(world: World) -> None:
    prepare(world)
    activate(world)
    rollover.retire(world.service.room, TENANT, "issuing", WHO)
    with world.database.read(TENANT) as reader:
        events = [one for one in audit.export(reader, TENANT) if one.event.action == "authority.rollover"]
        audit.verify(reader, TENANT, None)
    assert [one.event.details["step"] for one in events] == ["prepare", "activate", "retire"]
    assert {one.event.actor for one in events} == {WHO}


def test_who_may_not_get_a_new_key(world: World) -> None:
    world.service.set_authority_status(TENANT, "issuing", AuthorityStatus.DISABLED, WHO)
    with pytest.raises(Fault, match="disabled"):
        prepare(world)
    world.service.set_authority_status(TENANT, "issuing", AuthorityStatus.ACTIVE, WHO)
    world.service.set_authority_status(TENANT, "root", AuthorityStatus.DISABLED, WHO)
    with pytest.raises(Fault, match="root"):
        prepare(world)
    with pytest.raises(Fault) as caught:
        prepare(world, "nobody")
    assert caught.value.kind is FaultKind.NOT_FOUND
    with pytest.raises(Fault) as caught:
        activate(world)
    assert caught.value.kind is FaultKind.NOT_FOUND
