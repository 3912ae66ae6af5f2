"""Delta CRLs: what they say beside their base, and when each is made (RFC 5280 sections 5.2.3, 5.2.4 and 5.2.6)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509 as cx
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import AuthorityOrder
from pycryptoutil.authority.crl import CrlDocument
from pycryptoutil.authority.crl.series import DELTA
from pycryptoutil.authority.model import RevocationReason

from .conftest import TENANT, House, MakeHouse

URL = "http://ca.test/crl/issuing-delta.crl"


@pytest.fixture
def deltas(make_house: MakeHouse) -> House:
    """A CA with deltas every ten minutes, its base published."""
    house = make_house(crl_delta_minutes=10)
    house.crls.tick()
    house.clock.advance(2)
    return house


def read(document: CrlDocument) -> cx.CertificateRevocationList:
    return cx.load_der_x509_crl(document.der)


def base_of(document: CrlDocument) -> int | None:
    try:
        found = read(document).extensions.get_extension_for_class(cx.DeltaCRLIndicator)
    except cx.ExtensionNotFound:
        return None
    assert found.critical
    return found.value.crl_number


def serials(document: CrlDocument) -> dict[str, str]:
    """Serial → reason."""
    found = {}
    for entry in read(document):
        try:
            reason = entry.extensions.get_extension_for_class(cx.CRLReason).value.reason.name
        except cx.ExtensionNotFound:
            reason = ""
        found[f"{entry.serial_number:x}"] = reason
    return found


def freshest(extensions: cx.Extensions) -> str:
    found = extensions.get_extension_for_class(cx.FreshestCRL)
    assert not found.critical
    (point,) = found.value
    assert point.full_name is not None
    return str(point.full_name[0].value)


def test_a_delta_lists_what_its_base_does_not(deltas: House) -> None:
    old, fresh = deltas.issue("a.example.test"), deltas.issue("b.example.test")
    deltas.revoke(old.serial)
    base = deltas.crls.publish(TENANT, deltas.authority_id(), "tester")
    deltas.clock.advance(2)
    deltas.revoke(fresh.serial, RevocationReason.SUPERSEDED)
    delta = deltas.crls.publish(TENANT, deltas.authority_id(), "tester", DELTA)
    assert base_of(base) is None
    assert base_of(delta) == base.head.number
    assert serials(delta) == {fresh.serial: "superseded"}
    assert delta.head.entries == 1
    assert delta.head.number > base.head.number  # one sequence for both
    key = cx.load_der_x509_certificate(deltas.service.authority(TENANT, "issuing").certificate).public_key()
    assert read(delta).is_signature_valid(key)  # type: ignore[arg-type]
    assert delta.head.next_update == delta.head.this_update + timedelta(minutes=20)


def test_base_and_delta_cover_the_same(deltas: House) -> None:
    base, delta = deltas.crls.current("issuing"), deltas.crls.current("issuing-delta")
    points = [read(one).extensions.get_extension_for_class(cx.IssuingDistributionPoint) for one in (base, delta)]
    assert points[0].value == points[1].value
    assert points[0].critical
    assert points[1].critical
    identifiers = [read(one).extensions.get_extension_for_class(cx.AuthorityKeyIdentifier) for one in (base, delta)]
    assert identifiers[0].value == identifiers[1].value


def test_base_and_certificates_say_where_the_delta_is(deltas: House) -> None:
    assert freshest(read(deltas.crls.current("issuing")).extensions) == URL
    assert freshest(cx.load_der_x509_certificate(deltas.issue().der).extensions) == URL
    with pytest.raises(cx.ExtensionNotFound):
        freshest(read(deltas.crls.current("issuing-delta")).extensions)
    with pytest.raises(cx.ExtensionNotFound):
        freshest(read(deltas.crls.current("root")).extensions)


def test_a_release_is_said_by_remove_from_crl(deltas: House) -> None:
    held = deltas.issue()
    deltas.revoke(held.serial, RevocationReason.CERTIFICATE_HOLD)
    base = deltas.crls.publish(TENANT, deltas.authority_id(), "tester")
    assert serials(base) == {held.serial: "certificate_hold"}
    deltas.clock.advance(2)
    deltas.revoke(held.serial, RevocationReason.REMOVE_FROM_CRL)
    delta = deltas.crls.publish(TENANT, deltas.authority_id(), "tester", DELTA)
    assert serials(delta) == {held.serial: "remove_from_crl"}
    deltas.clock.advance(2)
    assert serials(deltas.crls.publish(TENANT, deltas.authority_id(), "tester")) == {}


def test_what_changed_twice_is_listed_once_as_it_is_now(deltas: House) -> None:
    one = deltas.issue()
    deltas.revoke(one.serial, RevocationReason.CERTIFICATE_HOLD)
    deltas.revoke(one.serial, RevocationReason.KEY_COMPROMISE)
    delta = deltas.crls.publish(TENANT, deltas.authority_id(), "tester", DELTA)
    assert serials(delta) == {one.serial: "key_compromise"}


def test_a_revocation_makes_a_delta_at_the_next_tick_and_leaves_the_base(deltas: House) -> None:
    base = deltas.crls.current("issuing")
    deltas.crls.tick()
    empty = deltas.crls.current("issuing-delta")
    assert serials(empty) == {}
    issued = deltas.issue()
    deltas.revoke(issued.serial)
    deltas.clock.advance(1)
    deltas.crls.tick()
    assert deltas.crls.cached("issuing-delta") is None  # replaced
    delta = deltas.crls.current("issuing-delta")
    assert delta.head.number > empty.head.number
    assert set(serials(delta)) == {issued.serial}
    assert deltas.crls.current("issuing").head.number == base.head.number
    deltas.crls.tick()
    assert deltas.crls.current("issuing-delta").head.number == delta.head.number


def test_both_follow_their_own_schedule(deltas: House) -> None:
    deltas.crls.tick()
    base, delta = deltas.crls.current("issuing").head, deltas.crls.current("issuing-delta").head
    deltas.clock.advance(10 * 60)
    deltas.crls.tick()
    assert deltas.crls.current("issuing-delta").head.number > delta.number
    assert deltas.crls.current("issuing").head.number == base.number
    issued = deltas.issue()
    deltas.revoke(issued.serial)
    deltas.clock.advance(24 * 3600)
    deltas.crls.tick()
    full = deltas.crls.current("issuing")
    assert set(serials(full)) == {issued.serial}
    deltas.clock.advance(2)
    deltas.crls.tick()
    after = deltas.crls.current("issuing-delta")
    assert base_of(after) == full.head.number
    assert serials(after) == {}


def test_never_of_the_same_second_as_its_base(deltas: House) -> None:
    deltas.crls.publish(TENANT, deltas.authority_id(), "tester")
    with pytest.raises(Fault) as caught:
        deltas.crls.publish(TENANT, deltas.authority_id(), "tester", DELTA)
    assert caught.value.kind is FaultKind.UNAVAILABLE
    deltas.clock.advance(1)
    deltas.crls.publish(TENANT, deltas.authority_id(), "tester", DELTA)


def test_an_older_base_s_delta_is_replaced_by_one_to_the_newest(deltas: House) -> None:
    deltas.crls.tick()
    first = deltas.crls.current("issuing-delta")
    base = deltas.crls.publish(TENANT, deltas.authority_id(), "tester")
    deltas.clock.advance(2)
    deltas.crls.tick()
    second = deltas.crls.current("issuing-delta")
    assert base_of(first) != base_of(second) == base.head.number


def test_without_the_setting_there_is_none_and_a_revocation_remakes_the_list(house: House) -> None:
    for name in ("issuing-delta", "root-delta", "nobody-delta"):
        with pytest.raises(Fault) as caught:
            house.crls.current(name)
        assert caught.value.kind is FaultKind.NOT_FOUND
    with pytest.raises(cx.ExtensionNotFound):
        freshest(read(house.crls.current("issuing")).extensions)
    with pytest.raises(cx.ExtensionNotFound):
        freshest(cx.load_der_x509_certificate(house.issue().der).extensions)


def test_turned_off_again_the_list_catches_up_and_the_delta_is_gone(deltas: House, make_house: MakeHouse) -> None:
    issued = deltas.issue()
    deltas.revoke(issued.serial)
    deltas.crls.tick()
    off = make_house()
    off.crls.tick()
    assert set(serials(off.crls.current("issuing"))) == {issued.serial}
    with pytest.raises(Fault):
        off.crls.current("issuing-delta")


def test_a_root_has_no_delta(deltas: House) -> None:
    with pytest.raises(Fault) as caught:
        deltas.crls.current("root-delta")
    assert caught.value.kind is FaultKind.NOT_FOUND


def test_a_tail_that_looks_like_a_delta_is_no_name_of_a_ca(deltas: House) -> None:
    order = AuthorityOrder(name="issuing-delta", subject="CN=Other", parent="root", key_algorithm="EC-P256")
    with pytest.raises(Fault) as caught:
        deltas.service.create_authority(TENANT, order, "tester")
    assert caught.value.kind is FaultKind.INVALID


def test_a_root_s_certificates_point_to_no_delta(deltas: House) -> None:
    issuing = cx.load_der_x509_certificate(deltas.service.authority(TENANT, "issuing").certificate)
    with pytest.raises(cx.ExtensionNotFound):
        freshest(issuing.extensions)
