"""Profiles: what is shipped, and what a wrong one hears."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.profile import format_duration, parse_duration
from pycryptoutil.authority.profile_file import built_in_documents, built_in_profiles, parse_profile
from tests.support.authority import TENANT, World

SHIPPED = [
    "root-ca",
    "intermediate-ca",
    "tls-server",
    "tls-client",
    "mtls-client",
    "internal-tls",
    "load-balancer",
    "database-server",
    "message-queue-server",
    "kubernetes-workload",
    "device",
    "vpn-server",
    "vpn-client",
    "code-signing",
    "ev-code-signing",
    "kernel-code-signing",
    "document-signing",
    "smime-signing",
    "smime-encryption",
    "smartcard-logon",
    "ocsp-responder",
    "timestamp",
    "ssh-host",
    "ssh-user",
]

GOOD = """name: mine
title: Mine
validity:
  default: 30d
  maximum: 90d
keys:
  algorithms: [EC-P256]
key_usage:
  default: [digitalSignature]
"""


def test_the_24_profiles_are_shipped_under_their_own_names() -> None:
    profiles = built_in_profiles()
    assert sorted(profiles) == sorted(SHIPPED)
    assert all(profile.name == name for name, profile in profiles.items())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_document_says_the_same_as_the_profile_it_is_shown_as(name: str) -> None:
    profile = built_in_profiles()[name]
    document = profile.document()
    import json

    assert parse_profile(json.dumps(document), "again") == profile


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  maximum: 90d", "  maximun: 90d", "p.yaml:5: unknown key validity.maximun; did you mean maximum?"),
        ("title: Mine", "titel: Mine", "p.yaml:2: unknown key titel; did you mean title?"),
        ("default: 30d", "default: 30 days", "p.yaml:4: validity.default: is not a duration"),
        ("default: 30d", "default: 100d", "p.yaml:3: validity: needs minimum <= default <= maximum"),
        ("[EC-P256]", "[EC-P192]", "p.yaml:7: keys.algorithms.0:"),
        ("[digitalSignature]", "[digitalSignatur]", "p.yaml:9: key_usage.default.0: 'digitalSignatur' is not a key"),
        ("title: Mine", "title: Mine\ntitle: Twice", "p.yaml:3: title is given twice"),
        ("title: Mine", "title: Mine\napprovals: 11", "p.yaml:3: approvals: "),
        ("title: Mine", "title: Mine\nextended_key_usage: [server]", "p.yaml:3: extended_key_usage.0: 'server'"),
        ("title: Mine", "title: Mine\nocsp_no_check: true", "p.yaml:3: ocsp_no_check: belongs to"),
        ("title: Mine", "title: Mine\ncertificate_authority: {}", "p.yaml:9: key_usage: keyCertSign belongs"),
        ("title: Mine", "title: [", "p.yaml:4: is not YAML"),
        ("title: Mine", "title: &a Mine\nkind: *a", "p.yaml:3: aliases are not accepted"),
        ("title: Mine", "title: Mine\nkind: ssh", "ssh: belongs to kind ssh"),
        ("name: mine", "name: Mine Own", "p.yaml:1: name:"),
        ("  maximum: 90d", "  maximum: yes", "p.yaml:5: validity.maximum"),
        ("title: Mine", "title: Mine\nkeys2: {a: {b: {c: {d: {e: {f: {g: {h: 1}}}}}}}}", "too deep"),
    ],
)
def test_a_broken_profile_is_told_where(old: str, new: str, expected: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_profile(GOOD.replace(old, new, 1), "p.yaml")
    assert caught.value.kind is FaultKind.INVALID
    assert expected in caught.value.public


@pytest.mark.parametrize("document", ["", "- a\n- b\n", "just words", "\x00", "a: !!python/object:os.system {}"])
def test_what_is_no_profile_at_all(document: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_profile(document, "p.yaml")
    assert caught.value.kind is FaultKind.INVALID


def test_an_endless_profile_is_not_read() -> None:
    with pytest.raises(Fault) as caught:
        parse_profile("a: b\n" * 100_000, "p.yaml")
    assert caught.value.kind is FaultKind.TOO_LARGE


@given(st.text(max_size=300))
def test_any_text_is_refused_with_a_fault_and_nothing_else(text: str) -> None:
    with pytest.raises(Fault):
        parse_profile(text, "p.yaml")


@given(st.integers(1, 100 * 365 * 86400).map(lambda seconds: timedelta(seconds=seconds)))
def test_durations_are_written_as_they_are_read(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("day", "days"),
    [
        (datetime(2026, 3, 14, tzinfo=UTC), 398),
        (datetime(2026, 3, 15, tzinfo=UTC), 200),
        (datetime(2027, 3, 14, tzinfo=UTC), 200),
        (datetime(2027, 3, 15, tzinfo=UTC), 100),
        (datetime(2029, 3, 15, tzinfo=UTC), 47),
    ],
)
def test_the_tls_profile_follows_ballot_sc_081(day: datetime, days: int) -> None:
    assert built_in_profiles()["tls-server"].validity.maximum_at(day) == timedelta(days=days)
    assert built_in_profiles()["internal-tls"].validity.maximum_at(day) == timedelta(days=730)


def test_a_tenants_own_profile_stands_before_the_built_in_one(world: World) -> None:
    service = world.service
    own = built_in_documents()["tls-server"].replace("title: TLS server", "title: Ours")
    service.put_profile(TENANT, "tls-server", own, "me")
    service.put_profile(TENANT, "mine", GOOD, "me")
    assert service.profile(TENANT, "tls-server").title == "Ours"
    assert service.own_profiles(TENANT) == {"tls-server", "mine"}
    assert len(service.profiles(TENANT)) == 25
    service.delete_profile(TENANT, "tls-server", "me")
    assert service.profile(TENANT, "tls-server").title == "TLS server"
    with pytest.raises(Fault) as caught:
        service.delete_profile(TENANT, "tls-server", "me")
    assert caught.value.kind is FaultKind.NOT_FOUND


@pytest.mark.parametrize("name", ["root-ca", "intermediate-ca", "ocsp-responder"])
def test_the_cas_own_profiles_are_not_replaced(shared: World, name: str) -> None:
    with pytest.raises(Fault) as caught:
        shared.service.put_profile(TENANT, name, built_in_documents()[name], "me")
    assert caught.value.kind is FaultKind.POLICY


def test_a_profile_is_stored_under_the_name_it_says(shared: World) -> None:
    with pytest.raises(Fault) as caught:
        shared.service.put_profile(TENANT, "yours", GOOD, "me")
    assert caught.value.kind is FaultKind.INVALID
