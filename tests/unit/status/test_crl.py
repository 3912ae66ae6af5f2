"""What CRLs say, their numbers, and who makes them when."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509 as cx
from cryptography.hazmat.primitives.asymmetric import ec
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.crl import CrlDocument, CrlService, publisher
from pycryptoutil.authority.crl import store as crl_store
from pycryptoutil.authority.model import RevocationReason
from pycryptoutil.crypto.signer import build_crl_file
from pycryptoutil.storage import lease

from .conftest import TENANT, House, MakeHouse


def parsed(house: House, document: CrlDocument, name: str = "issuing") -> cx.CertificateRevocationList:
    crl = cx.load_der_x509_crl(document.der)
    ca = cx.load_der_x509_certificate(house.service.authority(TENANT, name).certificate)
    key = ca.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert crl.is_signature_valid(key)
    assert crl.issuer == ca.subject
    aki = crl.extensions.get_extension_for_class(cx.AuthorityKeyIdentifier)
    ski = ca.extensions.get_extension_for_class(cx.SubjectKeyIdentifier)
    assert aki.value.key_identifier == ski.value.digest
    assert not aki.critical
    return crl


def number(document: CrlDocument) -> int:
    crl = cx.load_der_x509_crl(document.der)
    found = crl.extensions.get_extension_for_class(cx.CRLNumber)
    assert not found.critical
    assert found.value.crl_number == document.head.number
    return found.value.crl_number


def serials(document: CrlDocument) -> set[str]:
    return {f"{entry.serial_number:x}" for entry in cx.load_der_x509_crl(document.der)}


def publish(house: House) -> CrlDocument:
    return house.crls.publish(TENANT, house.authority_id(), "tester")


def test_entries_with_reason_and_invalidity_date(house: House) -> None:
    compromised, unspecified, held = (house.issue(f"{name}.example.test") for name in ("a", "b", "c"))
    house.clock.advance(86400)
    since = datetime(2026, 3, 1, 18, tzinfo=UTC)
    house.service.revoke(TENANT, compromised.serial, RevocationReason.KEY_COMPROMISE, since, "tester")
    house.revoke(unspecified.serial, RevocationReason.UNSPECIFIED)
    house.revoke(held.serial, RevocationReason.CERTIFICATE_HOLD)
    document = publish(house)
    crl = parsed(house, document)
    assert document.head.entries == len(crl) == 3
    entry = crl.get_revoked_certificate_by_serial_number(int(compromised.serial, 16))
    assert entry is not None
    assert entry.extensions.get_extension_for_class(cx.CRLReason).value.reason is cx.ReasonFlags.key_compromise
    assert entry.extensions.get_extension_for_class(cx.InvalidityDate).value.invalidity_date_utc == since
    assert entry.revocation_date_utc == house.clock.now()
    plain = crl.get_revoked_certificate_by_serial_number(int(unspecified.serial, 16))
    assert plain is not None
    assert len(plain.extensions) == 0  # RFC 5280 section 5.3.1: unspecified is said by saying nothing
    house.revoke(held.serial, RevocationReason.REMOVE_FROM_CRL)
    assert serials(publish(house)) == {compromised.serial, unspecified.serial}


def test_the_issuing_distribution_point_is_critical_and_that_of_the_certificates(house: House) -> None:
    leaf = cx.load_der_x509_certificate(house.issue().der)
    (point,) = leaf.extensions.get_extension_for_class(cx.CRLDistributionPoints).value
    found = parsed(house, publish(house)).extensions.get_extension_for_class(cx.IssuingDistributionPoint)
    assert found.critical
    assert found.value.full_name == point.full_name
    flags = (
        found.value.only_contains_ca_certs,
        found.value.only_contains_user_certs,
        found.value.only_contains_attribute_certs,
        found.value.indirect_crl,
    )
    assert flags == (False,) * 4
    assert found.value.only_some_reasons is None


def test_the_root_crl_names_no_point_because_the_root_has_none(house: House) -> None:
    document = house.crls.publish(TENANT, house.authority_id("root"), "tester")
    crl = parsed(house, document, "root")
    assert {extension.oid for extension in crl.extensions} == {
        cx.ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        cx.ExtensionOID.CRL_NUMBER,
    }


def test_a_changed_url_joins_the_older_ones(house: House) -> None:
    publish(house)
    with house.room.database.unit_of_work(TENANT) as uow:
        scope = crl_store.fix_scope(uow, house.authority_id(), "full", "", "http://new.test/crl/issuing.crl")
    assert scope.uris == ("http://ca.test/crl/issuing.crl", "http://new.test/crl/issuing.crl")
    crl = parsed(house, publish(house))
    names = crl.extensions.get_extension_for_class(cx.IssuingDistributionPoint).value.full_name
    assert names is not None
    assert [name.value for name in names] == list(scope.uris)
    with (
        pytest.raises(Fault) as caught,
        house.room.database.unit_of_work(TENANT) as uow,
    ):
        crl_store.fix_scope(uow, house.authority_id(), "full", "user", "http://ca.test/crl/issuing.crl")
    assert caught.value.kind is FaultKind.CONFLICT


def test_numbers_grow_though_the_clock_steps_back(house: House, make_house: MakeHouse) -> None:
    first = publish(house)
    house.clock.instant -= timedelta(days=30)
    second = publish(house)
    house.clock.instant += timedelta(days=60)
    third = publish(make_house())
    assert number(first) < number(second) < number(third)


def test_the_store_refuses_a_number_that_is_not_greater(house: House) -> None:
    document = publish(house)
    row = crl_store.CrlRow(document.head, document.der)
    with pytest.raises(Fault) as caught, house.room.database.unit_of_work(TENANT) as uow:
        crl_store.insert(uow, row, scheduled=True)
    assert caught.value.kind is FaultKind.CONFLICT
    assert house.crls.of_authority(TENANT, house.authority_id()).der == document.der


def test_a_database_restored_from_a_backup_repeats_no_number(house: House) -> None:
    document = publish(house)
    with house.room.database.unit_of_work(TENANT) as uow:
        uow.execute("UPDATE authorities SET crl_number = 3")
        uow.execute("DELETE FROM crls")
    house.clock.advance(5)
    assert number(publish(house)) > number(document)


def test_an_expired_certificate_leaves_after_one_scheduled_crl_past_its_expiry(house: House) -> None:
    issued = house.issue(not_after=house.clock.now() + timedelta(hours=30))
    house.revoke(issued.serial)
    house.crls.tick()
    house.clock.advance(31 * 3600)  # expired an hour ago
    house.crls.tick()  # due by schedule: the first past its expiry still shows it
    assert issued.serial in serials(house.crls.of_authority(TENANT, house.authority_id()))
    house.clock.advance(60)
    assert issued.serial not in serials(publish(house))


def test_an_unscheduled_crl_does_not_count_as_the_one_past_expiry(house: House) -> None:
    issued = house.issue(not_after=house.clock.now() + timedelta(hours=3))
    house.revoke(issued.serial)
    house.crls.tick()
    house.clock.advance(4 * 3600)
    for _ in range(3):  # asked for by hand, within the schedule's day
        house.clock.advance(60)
        assert issued.serial in serials(publish(house))


def test_a_revocation_is_on_the_crl_at_the_next_tick_and_schedule_follows(house: House) -> None:
    house.crls.tick()
    first = house.crls.current("issuing")
    house.crls.tick()
    assert house.crls.current("issuing").head.number == first.head.number
    issued = house.issue()
    house.revoke(issued.serial)
    house.clock.advance(1)
    house.crls.tick()
    second = house.crls.current("issuing")
    assert issued.serial in serials(second)
    house.clock.advance(24 * 3600)
    house.crls.tick()
    third = house.crls.current("issuing")
    assert third.head.number > second.head.number
    assert third.head.next_update == third.head.this_update + timedelta(days=7)


def test_a_crl_dated_into_the_future_is_replaced_once_the_clock_is_right(house: House) -> None:
    house.clock.instant += timedelta(days=400)
    wrong = publish(house)
    house.clock.instant -= timedelta(days=400)
    house.crls.tick()
    right = house.crls.current("issuing")
    assert number(right) > number(wrong)
    assert right.head.this_update <= house.clock.now()


def test_the_cache_follows_other_replicas(house: House, make_house: MakeHouse) -> None:
    replica = make_house()
    for one in (house, replica):
        one.crls.tick()
    assert replica.crls.cached("issuing") is None
    first = replica.crls.current("issuing")
    assert replica.crls.cached("issuing") is first or replica.crls.cached("issuing") == first
    publish(house)
    replica.crls.tick()
    assert replica.crls.cached("issuing") is None
    assert replica.crls.current("issuing").head.number > first.head.number
    replica.clock.advance(6)  # no tick came through: what is in memory may be old
    assert replica.crls.cached("issuing") is None


def test_while_another_replica_holds_the_lease_nothing_is_made(house: House) -> None:
    with house.room.database.unit_of_work(TENANT) as uow:
        assert lease.acquire(uow, f"crl:{house.authority_id()}", "another", 100)
    house.crls.tick()
    assert house.crls.head(TENANT, house.authority_id()) is None
    with pytest.raises(Fault) as caught:
        publish(house)
    assert caught.value.kind is FaultKind.BUSY
    house.clock.advance(110)  # it died, and its lease ran out
    house.crls.tick()
    assert house.crls.head(TENANT, house.authority_id()) is not None


def test_replicas_that_publish_together_share_one_growing_sequence(house: House, make_house: MakeHouse) -> None:
    replicas = [house, make_house(), make_house()]
    found: list[int] = []
    failed: list[BaseException] = []

    def work(one: House) -> None:
        try:
            found.extend(number(publish(one)) for _ in range(4))
        except Fault as fault:
            if fault.kind is not FaultKind.BUSY:
                failed.append(fault)

    threads = [threading.Thread(target=work, args=(one,)) for one in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(found) == len(set(found)) >= 4
    assert house.crls.of_authority(TENANT, house.authority_id()).head.number == max(found)


def test_an_unknown_ca_has_no_crl(house: House) -> None:
    with pytest.raises(Fault) as caught:
        house.crls.current("nobody")
    assert caught.value.kind is FaultKind.NOT_FOUND


def test_with_a_watch_only_what_changed_is_looked_at_and_nothing_is_missed(house: House, make_house: MakeHouse) -> None:
    crls = CrlService(house.room, house.watch)
    house.watch.poll()
    crls.tick()  # the first look: both CAs get their CRL
    first = {name: crls.head(TENANT, house.authority_id(name)) for name in ("root", "issuing")}
    assert all(first.values())
    issued = house.issue()
    make_house().revoke(issued.serial)
    house.clock.advance(1)
    house.watch.poll()
    crls.tick()
    assert issued.serial in serials(crls.of_authority(TENANT, house.authority_id()))
    assert crls.head(TENANT, house.authority_id("root")) == first["root"]
    # somebody else holds the lease: the revocation is remembered until it is on a list
    other = house.issue("b.example.test")
    house.revoke(other.serial)
    with house.room.database.unit_of_work(TENANT) as uow:
        assert lease.acquire(uow, f"crl:{house.authority_id()}", "another", 10)
    house.watch.poll()
    crls.tick()
    assert other.serial not in serials(crls.of_authority(TENANT, house.authority_id()))
    house.clock.advance(11)
    crls.tick()
    assert other.serial in serials(crls.of_authority(TENANT, house.authority_id()))
    # what is in memory is compared with what another replica has published
    assert crls.current("issuing").head == crls.head(TENANT, house.authority_id())
    publish(make_house())
    crls.tick()
    assert crls.cached("issuing") is None
    # and the schedule is kept without any revocation
    house.clock.advance(25 * 3600)
    crls.tick()
    second = crls.head(TENANT, house.authority_id("root"))
    assert second is not None
    assert first["root"] is not None
    assert second.number > first["root"].number


def test_one_ca_whose_key_cannot_be_opened_keeps_no_other_from_its_crl(house: House) -> None:
    with house.room.database.unit_of_work(TENANT) as uow:
        uow.execute("UPDATE authorities SET sealed_key = :junk WHERE name = 'root'", {"junk": b"junk"})
    house.crls.tick()
    assert house.crls.head(TENANT, house.authority_id("root")) is None
    assert house.crls.head(TENANT, house.authority_id("issuing")) is not None


def test_an_expired_ca_publishes_nothing_new(house: House) -> None:
    document = publish(house)
    house.clock.advance(3653 * 86400)
    house.crls.tick()
    assert house.crls.of_authority(TENANT, house.authority_id()).der == document.der
    with pytest.raises(Fault) as caught:
        publish(house)
    assert caught.value.kind is FaultKind.CONFLICT


def test_a_long_list_is_made_in_a_file_and_says_the_same(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = [house.issue(f"{name}.example.test") for name in "abc"]
    for one in issued:
        house.revoke(one.serial)
    made = []
    monkeypatch.setattr(publisher, "build_crl_file", lambda *given: made.append(build_crl_file(*given)))
    short = publish(house)
    monkeypatch.setattr(publisher, "LONG", 3)
    long = publish(house)
    assert len(made) == 1
    assert made[0] == len(long.der)
    assert serials(long) == serials(short) == {one.serial for one in issued}
    assert number(long) > number(short)
    parsed(house, long)
    assert long.head.sha256 == hashlib.sha256(long.der).hexdigest()
    assert house.crls.current("issuing").der == long.der
    monkeypatch.setattr(publisher, "LONG", 4)
    publish(house)
    assert len(made) == 1
