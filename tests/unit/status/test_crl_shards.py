"""A list in parts: which certificate points to which, what each lists, and when each is made."""

from __future__ import annotations

import pytest
from cryptography import x509 as cx
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import ValidationError

from pycryptoutil.authority import AuthorityOrder, IssuedCertificate
from pycryptoutil.authority.crl import CrlDocument, series
from pycryptoutil.authority.crl.series import COUNTS, DELTA, FULL
from pycryptoutil.authority.settings import AuthoritySettings

from .conftest import TENANT, House, MakeHouse


@pytest.fixture
def sharded(make_house: MakeHouse) -> House:
    house = make_house(crl_shards=4)
    house.crls.tick()
    return house


def point(issued: IssuedCertificate) -> str:
    (found,) = (
        cx.load_der_x509_certificate(issued.der).extensions.get_extension_for_class(cx.CRLDistributionPoints).value
    )
    assert found.full_name is not None
    return str(found.full_name[0].value)


def name_of(issued: IssuedCertificate) -> str:
    return point(issued).removeprefix("http://ca.test/crl/").removesuffix(".crl")


def serials(document: CrlDocument) -> set[str]:
    return {f"{entry.serial_number:x}" for entry in cx.load_der_x509_crl(document.der)}


def issue_into(house: House, count: int = 4) -> dict[str, IssuedCertificate]:
    """One certificate for each shard at least."""
    found: dict[str, IssuedCertificate] = {}
    number = 0
    while len(found) < count:
        issued = house.issue(f"n{number}.example.test")
        found[name_of(issued)] = issued
        number += 1
    return found


def test_a_certificate_points_to_the_shard_of_its_serial(sharded: House) -> None:
    for name, issued in issue_into(sharded).items():
        assert name == f"issuing-{int(issued.serial, 16) % 4}of4"
        crl = cx.load_der_x509_crl(sharded.crls.current(name).der)
        idp = crl.extensions.get_extension_for_class(cx.IssuingDistributionPoint)
        assert idp.critical
        assert idp.value.full_name is not None
        assert idp.value.full_name[0].value == point(issued)


def test_each_lists_its_own_and_the_full_list_all(sharded: House) -> None:
    certificates = issue_into(sharded)
    for issued in certificates.values():
        sharded.revoke(issued.serial)
    sharded.clock.advance(1)
    sharded.crls.tick()
    for name, issued in certificates.items():
        assert serials(sharded.crls.current(name)) == {issued.serial}
    assert serials(sharded.crls.current("issuing")) == {one.serial for one in certificates.values()}


def test_a_revocation_makes_its_own_shard_only(sharded: House) -> None:
    certificates = issue_into(sharded)
    before = {name: sharded.crls.current(name).head.number for name in certificates}
    chosen = next(iter(certificates))
    sharded.revoke(certificates[chosen].serial)
    sharded.clock.advance(1)
    sharded.crls.tick()
    after = {name: sharded.crls.current(name).head.number for name in certificates}
    assert {name for name in before if after[name] != before[name]} == {chosen}
    assert after[chosen] > max(before.values())  # one sequence for all of a CA's lists


def test_schedule_makes_them_all(sharded: House) -> None:
    names = [f"issuing-{index}of4" for index in range(4)]
    before = {name: sharded.crls.current(name).head.number for name in names}
    sharded.clock.advance(24 * 3600)
    sharded.crls.tick()
    assert all(sharded.crls.current(name).head.number > before[name] for name in names)
    sharded.crls.tick()
    assert sharded.crls.cached(names[0]) is not None


def test_older_shards_go_on_when_the_number_changes(sharded: House, make_house: MakeHouse) -> None:
    old = sharded.issue("old.example.test")
    later = make_house(crl_shards=2)
    later.crls.tick()
    new = later.issue("new.example.test")
    assert name_of(new) == f"issuing-{int(new.serial, 16) % 2}of2"
    for one in (old, new):
        later.revoke(one.serial)
    later.clock.advance(1)
    later.crls.tick()
    assert old.serial in serials(later.crls.current(name_of(old)))
    assert new.serial in serials(later.crls.current(name_of(new)))
    none = make_house()
    plain = none.issue("plain.example.test")
    assert name_of(plain) == "issuing"
    none.revoke(plain.serial)
    none.clock.advance(1)
    none.crls.tick()
    assert {old.serial, new.serial, plain.serial} <= serials(none.crls.current("issuing"))
    assert old.serial in serials(none.crls.current(name_of(old)))


def test_what_there_is_not(sharded: House, house: House) -> None:
    names = ("issuing-4of4", "issuing-0of8", "issuing-0of3", "issuing-00of4", "root-0of4", "issuing-delta", "x-0of4")
    for name in names:
        with pytest.raises(Fault) as caught:
            sharded.crls.current(name)
        assert caught.value.kind is FaultKind.NOT_FOUND, name
    order = AuthorityOrder(name="issuing-1of4", subject="CN=Other", parent="root", key_algorithm="EC-P256")
    with pytest.raises(Fault) as caught:
        house.service.create_authority(TENANT, order, "tester")
    assert caught.value.kind is FaultKind.INVALID


def test_a_root_s_certificates_point_to_its_whole_list(sharded: House) -> None:
    issuing = cx.load_der_x509_certificate(sharded.service.authority(TENANT, "issuing").certificate)
    (found,) = issuing.extensions.get_extension_for_class(cx.CRLDistributionPoints).value
    assert found.full_name is not None
    assert found.full_name[0].value == "http://ca.test/crl/root.crl"


@pytest.mark.parametrize("wrong", [{"crl_shards": 1}, {"crl_shards": 3}, {"crl_shards": 512},
                                   {"crl_shards": 4, "crl_delta_minutes": 5}])  # fmt: skip
def test_settings_that_cannot_be_meant(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        AuthoritySettings(**wrong)  # type: ignore[arg-type]


@given(st.sampled_from(COUNTS), st.binary(min_size=1, max_size=20))
def test_every_serial_is_in_one_shard_whose_statement_finds_it(count: int, serial: bytes) -> None:
    shards = [series.shard(count, index) for index in range(count)]
    (mine,) = (one for one in shards if one.holds(serial[-1]))
    text = f"{int.from_bytes(serial, 'big'):x}"
    assert [one for one in shards if text[-2:] in one.tails] == [mine]


@given(st.sampled_from(COUNTS), st.integers(0, 255), st.sampled_from(["ca", "a-b", "x-delta-y", "c-1of1"]))
def test_names_and_scopes_read_back(count: int, index: int, ca: str) -> None:
    one = series.shard(count, index % count)
    assert series.of_name(ca + one.suffix) == (ca, one)
    assert series.of_scope(one.scope) == one
    assert series.of_name(ca + DELTA.suffix) == (ca, DELTA)
    assert series.of_scope("full") is FULL
    assert series.of_scope("something") is None
    assert series.of_name(ca) is None
