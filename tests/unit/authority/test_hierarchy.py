"""Roots, CAs below them, and their OCSP signers."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import (
    AuthorityKind,
    AuthorityOrder,
    AuthoritySettings,
    IssueOrder,
    RevocationReason,
    store,
)
from pycryptoutil.storage.schema import tenants
from tests.support.authority import OTHER_TENANT, TENANT, World, csr, open_world
from tests.support.databases import Databases
from tests.unit.authority.conftest import PACKAGES

WHO = "user:tester"


def test_the_first_start_makes_root_and_issuing_ca(world: World) -> None:
    root, issuing = world.service.authorities(TENANT)
    assert (root.kind, root.key_algorithm, root.signature_algorithm) == (AuthorityKind.ROOT, "EC-P384", "ecdsa-sha384")
    assert (issuing.kind, issuing.key_algorithm) == (AuthorityKind.ISSUING, "EC-P256")
    assert root.chain == (root.certificate,)
    assert issuing.chain == (issuing.certificate, root.certificate)
    top, below = (x509.load_der_x509_certificate(one.certificate) for one in (root, issuing))
    top.verify_directly_issued_by(top)
    below.verify_directly_issued_by(top)
    constraints = [c.extensions.get_extension_for_class(x509.BasicConstraints) for c in (top, below)]
    assert [(c.critical, c.value.ca, c.value.path_length) for c in constraints] == [(True, True, None), (True, True, 0)]
    with pytest.raises(x509.ExtensionNotFound):
        top.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    assert world.service.public_chain("issuing") == issuing.chain


def test_a_second_start_changes_nothing(world: World) -> None:
    before = world.service.authorities(TENANT)
    world.service.first_start(TENANT)
    assert world.service.authorities(TENANT) == before


def test_replicas_that_start_together_make_one_hierarchy(databases: Databases, tmp_path: Path) -> None:
    with open_world(databases.fresh(PACKAGES), tmp_path) as world:
        start = threading.Barrier(4)
        faults: list[BaseException] = []

        def run() -> None:
            start.wait()
            try:
                world.service.first_start(OTHER_TENANT)
            except BaseException as error:
                faults.append(error)

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        mine, theirs = world.service.authorities(TENANT), world.service.authorities(OTHER_TENANT)
        assert [one.name for one in theirs] == ["root", "issuing"]
        # names are a tenant's own, those in URLs are not
        assert not {one.public_id for one in mine} & {one.public_id for one in theirs}
        assert world.service.public_chain(theirs[1].public_id) == theirs[1].chain


@pytest.mark.parametrize(
    ("root", "issuing"), [("RSA-3072", "RSA-2048"), ("Ed25519", "EC-P521"), ("ML-DSA-87", "ML-DSA-44")]
)
def test_other_algorithms_by_configuration(
    sqlite_databases: Databases, tmp_path: Path, root: str, issuing: str
) -> None:
    settings = AuthoritySettings.model_validate(
        {"root_algorithm": root, "issuing_algorithm": issuing, "ocsp_signer_algorithm": "EC-P384", "country": "DE"}
    )
    with open_world(sqlite_databases.fresh(PACKAGES), tmp_path, settings) as world:
        authorities = world.service.authorities(TENANT)
        assert [one.key_algorithm for one in authorities] == [root, issuing]
        chain = [x509.load_der_x509_certificate(der) for der in authorities[1].chain]
        chain[0].verify_directly_issued_by(chain[1])
        issued = world.service.issue(TENANT, IssueOrder(csr=csr("a.example.com")), WHO)
        x509.load_der_x509_certificate(issued.der).verify_directly_issued_by(chain[0])


def test_a_subordinate_with_constraints(world: World) -> None:
    top = AuthorityOrder("top", "CN=Top,O=Example", parent="root", path_length=1)
    world.service.create_authority(TENANT, top, WHO)
    order = AuthorityOrder(
        "narrow",
        "CN=Narrow,O=Example",
        parent="top",
        key_algorithm="Ed25519",
        validity=365 * 86400,
        permitted_names=("dns:example.com", "ip:10.0.0.0/8"),
        excluded_names=("dns:secret.example.com",),
    )
    made = world.service.create_authority(TENANT, order, WHO)
    assert len(made.chain) == 3
    certificate = x509.load_der_x509_certificate(made.certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert [str(name.value) for name in constraints.value.permitted_subtrees or ()] == ["example.com", "10.0.0.0/8"]
    for names, allowed in (
        (("dns:a.example.com",), True),
        (("dns:example.com", "ip:10.1.2.3"), True),
        (("dns:a.example.org",), False),
        (("dns:a.secret.example.com",), False),
        (("dns:notexample.com",), False),
        (("ip:192.0.2.1",), False),
    ):
        ask = IssueOrder(authority="narrow", profile="internal-tls", csr=csr("a.example.com"), sans=names)
        if allowed:
            world.service.issue(TENANT, ask, WHO)
        else:
            with pytest.raises(Fault) as caught:
                world.service.issue(TENANT, ask, WHO)
            assert caught.value.kind is FaultKind.POLICY, names


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        (AuthorityOrder("issuing", "CN=Again"), FaultKind.CONFLICT),
        (AuthorityOrder("new", "CN=New", parent="nobody"), FaultKind.NOT_FOUND),
        (AuthorityOrder("new", "CN=New", parent="issuing"), FaultKind.POLICY),  # whose path length is 0
        (AuthorityOrder("new", "O=No common name"), FaultKind.POLICY),
        (AuthorityOrder("new", "not a name"), FaultKind.INVALID),
        (AuthorityOrder("new", "CN=New", key_algorithm="RSA-1024"), FaultKind.BAD_ALGORITHM),
        (AuthorityOrder("new", "CN=New", parent="root", permitted_names=("what:ever",)), FaultKind.INVALID),
        (AuthorityOrder("new", "CN=New", validity=200 * 365 * 86400), FaultKind.POLICY),
    ],
)
def test_cas_that_are_not_made(shared: World, order: AuthorityOrder, kind: FaultKind) -> None:
    before = shared.service.authorities(TENANT)
    with pytest.raises(Fault) as caught:
        shared.service.create_authority(TENANT, order, WHO)
    assert caught.value.kind is kind, caught.value.detail
    assert shared.service.authorities(TENANT) == before


def test_every_ca_has_an_ocsp_signer_that_renews_itself(world: World) -> None:
    issuing = world.service.authority(TENANT)

    def signers() -> list[store.SignerRow]:
        with world.database.read(TENANT) as reader:
            return store.signers_of(reader, issuing.id, "ocsp")

    (first,) = signers()
    certificate = x509.load_der_x509_certificate(first.certificate)
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(issuing.certificate))
    assert certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)
    world.service.renew_signer(TENANT, issuing.id)
    assert signers() == [first]  # it is young
    world.clock.advance(10 * 86400)
    world.service.renew_signer(TENANT, issuing.id)
    second, older = signers()
    assert older == first
    assert second.not_after > first.not_after
    world.clock.advance(10 * 86400)
    world.service.renew_signer(TENANT, issuing.id)
    assert first not in signers()  # its key is gone with it


def test_the_key_of_a_ca_is_stored_sealed(world: World) -> None:
    with world.database.read(TENANT) as reader:
        row = store.all_authorities(reader)[1]
    opened = world.barrier.open_key(row.sealed_key, store.aad(store.AUTHORITY_KEYS, TENANT, row.id))
    assert opened.algorithm == "EC-P256"
    with pytest.raises(Fault):
        world.barrier.open_key(row.sealed_key, store.aad(store.AUTHORITY_KEYS, TENANT, "0" * 32))
    assert row.sealed_key.hex() not in repr(row)


def test_keys_outlive_a_rotation_and_a_rewrap(world: World) -> None:
    world.barrier.rotate("content")
    world.service.issue(TENANT, IssueOrder(csr=csr("a.example.com")), WHO)


def test_labels(world: World) -> None:
    service = world.service
    service.create_authority(TENANT, AuthorityOrder("second", "CN=Second", parent="root"), WHO)
    for label, expected in (
        ("", ("issuing", "tls-server")),
        ("device", ("issuing", "device")),
        ("second", ("second", "tls-server")),
        ("second:device", ("second", "device")),
        ("second/device", ("second", "device")),
        ("second~", ("second", "tls-server")),
    ):
        found = service.resolve_label(None, label)
        assert (found.tenant_id, found.authority, found.profile) == (TENANT, *expected)
    assert service.resolve_label(None, ":").profile == "tls-server"
    for label in ("nobody", "nobody:device", "issuing:nobody", "x" * 300, "nobody::device", "a:b:c:d"):
        with pytest.raises(Fault) as caught:
            service.resolve_label(None, label)
        assert caught.value.kind is FaultKind.NOT_FOUND


def test_a_label_names_a_tenant(world: World) -> None:
    now = world.clock.now()
    for tenant_id, name, status in ((OTHER_TENANT, "acme", "active"), ("e" * 32, "gone", "disabled")):
        with world.database.unit_of_work(tenant_id) as uow:
            values = {"tenant_id": tenant_id, "name": name, "status": status, "created_at": now, "updated_at": now}
            uow.execute(tenants.insert(), values)
    world.service.first_start(OTHER_TENANT)
    for label, profile in (
        ("acme:issuing:device", "device"),
        ("acme::", "tls-server"),
        (f"{OTHER_TENANT}~~", "tls-server"),
    ):
        found = world.service.resolve_label(None, label)
        assert (found.tenant_id, found.authority, found.profile) == (OTHER_TENANT, "issuing", profile)
    with pytest.raises(Fault) as caught:
        world.service.resolve_label(None, "gone::")
    assert caught.value.kind is FaultKind.NOT_FOUND


def test_a_ca_near_its_end_issues_shorter_certificates(world: World) -> None:
    order = AuthorityOrder("short", "CN=Short", parent="root", validity=10 * 86400)
    made = world.service.create_authority(TENANT, order, WHO)
    assert made.not_after - made.not_before <= timedelta(days=10)
    issued = world.service.issue(TENANT, IssueOrder(authority="short", csr=csr("a.example.com")), WHO)
    assert issued.not_after == made.not_after


def test_a_csr_of_the_cas_own_key_is_refused(world: World) -> None:
    issuing = x509.load_der_x509_certificate(world.service.authority(TENANT).certificate)
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = issuing.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(Fault) as caught:
        world.service.issue(TENANT, IssueOrder(spki=spki, sans=("dns:a.example.com",)), WHO)
    assert "the CA's own" in caught.value.public
    assert isinstance(issuing.signature_hash_algorithm, hashes.SHA384)


def test_a_revoked_ca_issues_nothing(world: World) -> None:
    own = x509.load_der_x509_certificate(world.service.authority(TENANT, "issuing").certificate)
    serial = f"{own.serial_number:x}"
    below = AuthorityOrder("below", "CN=Below", parent="issuing", path_length=0)
    world.service.revoke(TENANT, serial, RevocationReason.CERTIFICATE_HOLD, None, WHO)
    for attempt in (
        lambda: world.service.issue(TENANT, IssueOrder(csr=csr("a.example.com")), WHO),
        lambda: world.service.create_authority(TENANT, below, WHO),
    ):
        with pytest.raises(Fault, match="is revoked") as caught:
            attempt()
        assert caught.value.kind is FaultKind.CONFLICT
    world.service.revoke(TENANT, serial, RevocationReason.REMOVE_FROM_CRL, None, WHO)
    world.service.issue(TENANT, IssueOrder(csr=csr("a.example.com")), WHO)
