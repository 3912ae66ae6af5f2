"""A CA whose keys are all in a token: everything that it signs, and what becomes of it when the token is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import AuthoritySettings, IssueOrder, store
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.model import AuthorityOrder, RevocationReason
from pycryptoutil.authority.ocsp import OcspService
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.crypto.keys import PrivateKey
from pycryptoutil.crypto.pkcs11 import TokenKey
from pycryptoutil.storage import audit
from tests.support.authority import TENANT, World, csr, open_world
from tests.support.databases import Databases
from tests.support.hsm import PIN, SoftHsm
from tests.support.suite import until

PACKAGES = ("pycryptoutil.authority",)


@dataclass
class House:
    world: World
    hsm: SoftHsm
    label: str
    url: str
    folder: Path

    def settings(self, **changes: Any) -> AuthoritySettings:
        return settings(self.hsm, self.label, **changes)

    def issue(self, name: str = "a.example.test") -> x509.Certificate:
        made = self.world.service.issue(TENANT, IssueOrder(profile="tls-server", csr=csr(name)), "tester")
        return x509.load_der_x509_certificate(made.der)

    def ca(self, name: str = "issuing") -> x509.Certificate:
        return x509.load_der_x509_certificate(self.world.service.authority(TENANT, name).certificate)

    def labels(self) -> list[str]:
        return sorted(label for _, label, _ in self.hsm.token(self.label).status().keys)


def settings(hsm: SoftHsm, label: str, **changes: Any) -> AuthoritySettings:
    section = {"module": hsm.library, "token": label, "pin": PIN, **changes.pop("section", {})}
    return AuthoritySettings.model_validate({"hsm": section, **changes})


@pytest.fixture
def house(databases: Databases, hsm: SoftHsm, tmp_path: Path) -> Iterator[House]:
    label, url = hsm.make(), databases.fresh(PACKAGES)
    with open_world(url, tmp_path, settings(hsm, label)) as world:
        yield House(world, hsm, label, url, tmp_path)


def refused(call: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        call()
    return caught.value


def test_first_start_makes_every_key_in_the_token(house: House) -> None:
    assert house.labels() == [
        "pycryptoutil issuing", "pycryptoutil issuing ocsp", "pycryptoutil root", "pycryptoutil root ocsp",
    ]  # fmt: skip
    root, issuing = house.ca("root"), house.ca()
    issuing.verify_directly_issued_by(root)
    house.issue().verify_directly_issued_by(issuing)
    with house.world.database.read(TENANT) as reader:
        rows = store.all_authorities(reader)
        events = [one.event for one in audit.export(reader, TENANT) if one.event.action == "authority.create"]
    assert [event.details["token"] for event in events] == [house.label] * 2
    for row in rows:
        assert isinstance(house.world.service.room.keys.open(row), TokenKey)
        assert house.label.encode() not in row.sealed_key  # the reference is sealed too, so that nobody can change it


def test_another_process_uses_the_same_keys(house: House) -> None:
    with open_world(house.url, house.folder, house.settings()) as other:
        made = other.service.issue(TENANT, IssueOrder(profile="tls-server", csr=csr("b.example.test")), "tester")
        x509.load_der_x509_certificate(made.der).verify_directly_issued_by(house.ca())
    assert len(house.labels()) == 4


@pytest.mark.parametrize("algorithm", ["RSA-3072", "EC-P384", "EC-P521", "Ed25519"])
def test_other_algorithms(hsm: SoftHsm, sqlite_databases: Databases, tmp_path: Path, algorithm: str) -> None:
    chosen = settings(hsm, hsm.make(), root_algorithm=algorithm, issuing_algorithm=algorithm)
    with open_world(sqlite_databases.fresh(PACKAGES), tmp_path, chosen) as world:
        made = world.service.issue(TENANT, IssueOrder(profile="tls-server", csr=csr("a.example.test")), "tester")
        chain = [x509.load_der_x509_certificate(der) for der in (made.der, *made.chain)]
        for subject, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
            subject.verify_directly_issued_by(issuer)


def test_status_is_signed_by_the_token(house: House) -> None:
    room = house.world.service.room
    leaf, issuing = house.issue(), house.ca()
    watch = RevocationWatch(house.world.database, house.world.clock)
    responder, crls = OcspService(room, watch), CrlService(room)
    house.world.service.revoke(TENANT, f"{leaf.serial_number:x}", RevocationReason.SUPERSEDED, None, "tester")
    crls.tick()
    crl = x509.load_der_x509_crl(crls.current("issuing").der)
    assert crl.is_signature_valid(issuing.public_key())  # type: ignore[arg-type]
    assert crl.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None
    request = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuing, leaf.signature_hash_algorithm).build()  # type: ignore[arg-type]
    from cryptography.hazmat.primitives.serialization import Encoding

    answer = ocsp.load_der_ocsp_response(responder.respond("issuing", request.public_bytes(Encoding.DER)).der)
    assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
    signer = answer.certificates[0]
    signer.verify_directly_issued_by(issuing)


@pytest.mark.parametrize("purpose", ["scep", "cmp", "cmc", "timestamp"])
def test_signers_are_made_in_the_token(house: House, purpose: str) -> None:
    signer = house.world.service.signer(TENANT, "issuing", purpose)
    assert isinstance(signer.key, TokenKey)
    assert f"pycryptoutil issuing {purpose}" in house.labels()
    x509.load_der_x509_certificate(signer.certificate).verify_directly_issued_by(house.ca())


def test_only_what_is_chosen_is_in_the_token(hsm: SoftHsm, databases: Databases, tmp_path: Path) -> None:
    label = hsm.make()
    chosen = settings(hsm, label, section={"keys": ["root"]}, issuing_algorithm="ML-DSA-65")
    with open_world(databases.fresh(PACKAGES), tmp_path, chosen) as world:
        with world.database.read(TENANT) as reader:
            kinds = {row.name: type(world.service.room.keys.open(row)) for row in store.all_authorities(reader)}
        assert kinds == {"root": TokenKey, "issuing": PrivateKey}
        assert [label for _, label, _ in hsm.token(label).status().keys] == ["pycryptoutil root"]


def test_post_quantum_keys_in_a_token_are_refused(house: House) -> None:
    for changes in ({"root_algorithm": "ML-DSA-65"}, {"signer_algorithm": "ML-DSA-44"}):
        with pytest.raises(ValueError, match="cannot be in a token"):
            house.settings(**changes)
    order = AuthorityOrder(name="pq", subject="CN=PQ", parent="root", key_algorithm="ML-DSA-65")
    fault = refused(lambda: house.world.service.create_authority(TENANT, order, "tester"))
    assert fault.kind is FaultKind.BAD_ALGORITHM
    assert "kept in software" in fault.public


def test_a_key_made_for_nothing_is_destroyed(house: House) -> None:
    before = house.labels()
    order = AuthorityOrder(name="issuing", subject="CN=Again", parent="root", key_algorithm="EC-P256")
    assert refused(lambda: house.world.service.create_authority(TENANT, order, "tester")).kind is FaultKind.CONFLICT
    assert house.labels() == before


def test_an_expired_signer_takes_its_key_along(house: House) -> None:
    for _ in range(4):
        house.world.clock.advance(10 * 86400)
        for row in house.world.service.authorities(TENANT):
            house.world.service.renew_signer(TENANT, row.id)
    with house.world.database.read(TENANT) as reader:
        kept = [one for row in store.all_authorities(reader) for one in store.signers_of(reader, row.id, "ocsp")]
    assert len(house.labels()) == 2 + len(kept) < 2 + 2 * 5


def test_a_token_that_is_pulled_and_put_back(house: House) -> None:
    service = house.world.service
    house.issue()
    service.room.vault.check()
    with house.hsm.away():
        for _ in range(2):
            fault = refused(house.issue)
            assert fault.kind is FaultKind.UNAVAILABLE
            assert fault.retry_after
            assert fault.public == "the key store is unavailable"
        red = refused(service.room.vault.check)
        assert red.public
        assert red.public != fault.public
        service.ready()  # the CA itself is there

    def well() -> bool:
        try:
            service.room.vault.check()
        except Fault:
            return False
        return True

    until(well, "the token is back", 10)
    house.issue("b.example.test").verify_directly_issued_by(house.ca())
    with house.world.database.read(TENANT) as reader:  # what failed has left nothing
        assert len(service.certificates(TENANT).items) >= 2
        assert reader.tenant_id == TENANT


def test_start_while_the_token_is_away(house: House) -> None:
    with house.hsm.away(), open_world(house.url, house.folder, house.settings()) as other:
        assert refused(other.service.room.vault.check).kind is FaultKind.UNAVAILABLE
        order = IssueOrder(profile="tls-server", csr=csr("c.example.test"))
        assert refused(lambda: other.service.issue(TENANT, order, "tester")).kind is FaultKind.UNAVAILABLE


def test_first_start_without_the_token_fails_clearly(hsm: SoftHsm, databases: Databases, tmp_path: Path) -> None:
    url = databases.fresh(PACKAGES)
    for label, pin, text in (("nowhere", PIN, "there is no token"), (hsm.make(), "wrong-pin-1", "the PIN is wrong")):
        chosen = settings(hsm, label, section={"pin": pin})
        with pytest.raises(Fault) as caught, open_world(url, tmp_path, chosen):
            pass
        assert text in caught.value.detail
        assert pin not in caught.value.detail + str(caught.value) + repr(chosen)


def test_keys_in_a_token_that_is_no_more_configured(house: House) -> None:
    with open_world(house.url, house.folder, AuthoritySettings()) as other:
        fault = refused(
            lambda: other.service.issue(TENANT, IssueOrder(profile="tls-server", csr=csr("d.example.test")), "tester")
        )
        assert fault.kind is FaultKind.UNAVAILABLE
        assert "pki_ca.hsm names none" in fault.detail
    with open_world(house.url, house.folder, settings(house.hsm, house.hsm.make())) as other:
        with other.database.read(TENANT) as reader:
            row = store.all_authorities(reader)[0]
        assert "is configured" in refused(lambda: other.service.room.keys.open(row)).detail


def test_rewrapping_seals_references_anew(house: House) -> None:
    from pycryptoutil.authority.store import SEALED_COLUMNS

    house.world.barrier.rotate("content")
    house.world.barrier.rewrap(SEALED_COLUMNS)
    with open_world(house.url, house.folder, house.settings()) as other:
        made = other.service.issue(TENANT, IssueOrder(profile="tls-server", csr=csr("e.example.test")), "tester")
        x509.load_der_x509_certificate(made.der).verify_directly_issued_by(house.ca())


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"token": "x"}, "need module"),
        ({"pin": PIN}, "need module"),
        ({"module": "lib.so", "token": "x", "pin": PIN}, "absolute path"),
        ({"module": "/lib.so", "token": "x"}, "module needs token"),
        ({"module": "/lib.so", "pin": PIN}, "module needs token"),
        ({"module": "/lib.so", "token": "x", "pin": PIN, "keys": ["acme"]}, "keys"),
    ],
)
def test_settings_that_contradict(section: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        AuthoritySettings.model_validate({"hsm": section})
    assert PIN not in "".join(error["msg"] for error in caught.value.errors())  # type: ignore[attr-defined]


def test_what_other_keys_can_sign_goes_on(hsm: SoftHsm, sqlite_databases: Databases, tmp_path: Path) -> None:
    """The root's key is in the token, the issuing CA's is not; no CRL number and no audit row is spent on the root."""
    chosen = settings(hsm, hsm.make(), section={"keys": ["root"]}, crl_refresh_hours=1)
    with open_world(sqlite_databases.fresh(PACKAGES), tmp_path, chosen) as world:
        room = world.service.room
        watch = RevocationWatch(world.database, world.clock)
        crls, responder = CrlService(room), OcspService(room, watch)
        crls.tick()
        before = {name: crls.current(name).head for name in ("root", "issuing")}
        with hsm.away():
            for _ in range(3):
                world.clock.advance(7200)
                crls.tick()
            after = {name: crls.current(name).head for name in ("root", "issuing")}
            assert after["root"].number == before["root"].number
            assert after["issuing"].number > before["issuing"].number
            world.clock.advance(10 * 86400)
            responder.renew()  # of the issuing CA it can
            signers = {}
            with world.database.read(TENANT) as reader:
                for row in store.all_authorities(reader):
                    signers[row.name] = len(store.signers_of(reader, row.id, "ocsp"))
                events = [one.event for one in audit.export(reader, TENANT)]
            assert signers == {"root": 1, "issuing": 2}
            signed = [event for event in events if event.action == "crl.sign" and event.target == "root"]
            assert len(signed) == 1

        def caught_up() -> bool:
            world.clock.advance(10)
            crls.tick()
            return crls.current("root").head.number > before["root"].number

        until(caught_up, "the root's CRL is made when the token is back", 10)
        responder.renew()
