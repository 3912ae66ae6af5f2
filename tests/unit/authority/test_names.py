"""Names: their normal form, the profile's rules, and the patterns of a credential."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import decode_general_names, encode_general_names

from pycryptoutil.authority import extensions, names
from pycryptoutil.authority.model import NamePatterns
from pycryptoutil.authority.names import San, credential_allows, make_name, parse_name
from pycryptoutil.authority.profile import Names

OPEN = Names(types=("dns", "ip", "email", "uri", "upn"), wildcards=True, private=True, unqualified=True)

labels = st.from_regex(r"[a-z]([a-z0-9]{0,12}[a-z0-9])?", fullmatch=True)
domains = st.lists(labels, min_size=2, max_size=5).map(".".join)
addresses = st.ip_addresses().map(str)
mailboxes = st.tuples(labels, domains).map("@".join)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("dns:WWW.Example.COM", "dns:www.example.com"),
        ("dns:bücher.example", "dns:xn--bcher-kva.example"),
        ("dns:*.example.com", "dns:*.example.com"),
        ("dns:xn--bcher-kva.example", "dns:xn--bcher-kva.example"),
        ("ip:2001:DB8:0:0::1", "ip:2001:db8::1"),
        ("ip:192.0.2.1", "ip:192.0.2.1"),
        ("email:Anna.B@Example.COM", "email:Anna.B@example.com"),
        ("uri:HTTPS://example.com/a", "uri:https://example.com/a"),
        ("uri:spiffe://example.com/ns/a", "uri:spiffe://example.com/ns/a"),
        ("upn:anna@corp.example", "upn:anna@corp.example"),
        ("a.example.com", "dns:a.example.com"),
        ("192.0.2.9", "ip:192.0.2.9"),
        ("::1", "ip:::1"),
        ("a@example.com", "email:a@example.com"),
    ],
)
def test_normal_forms(given_: str, expected: str) -> None:
    assert str(parse_name(given_)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "dns:*",
        "dns:",
        "dns:a*.example.com",
        "dns:a.*.example.com",
        "dns:*.*.example.com",
        "dns:-a.example.com",
        "dns:a-.example.com",
        "dns:a..example.com",
        "dns:example.com.",
        "dns:a_b.example.com",
        "dns:192.0.2.1",
        "dns:a.example.123",
        "dns:" + "a" * 64 + ".example.com",
        "dns:" + "a." * 130 + "com",
        "dns:xn--a.example.com",
        "dns:ab--cd.example.com",
        "dns:a b.example.com",
        "dns:a\x00.example.com",
        "ip:192.0.2.0/24",
        "ip:fe80::1%eth0",
        "ip:1.2.3",
        "email:a@b@example.com",
        "email:a..b@example.com",
        "email:@example.com",
        "email:a@*.example.com",
        "email:ä@example.com",
        "uri:no-scheme",
        "uri:https://user@example.com/",
        "uri:https://example.com/a/../b",
        "uri:https://example.com/a/%2e%2e/b",
        "uri:spiffe://example.com/a%2F..%2Fb",
        "uri:https://*.example.com/",
        "uri:https://example.com/ä",
        "uri:https://[::1/",
        "uri:https://example.com:99999/",
        "what:ever",
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_name(text)
    assert caught.value.kind is FaultKind.INVALID


@given(st.one_of(domains.map("dns:{}".format), addresses.map("ip:{}".format), mailboxes.map("email:{}".format)))
def test_a_normal_form_is_its_own(text: str) -> None:
    once = parse_name(text)
    assert parse_name(str(once)) == once


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_a_fault(text: str) -> None:
    try:
        found = parse_name(text)
    except Fault:
        return
    assert parse_name(str(found)) == found


@given(st.lists(st.one_of(domains.map("dns:{}".format), addresses.map("ip:{}".format), mailboxes.map("upn:{}".format))))
def test_names_survive_encoding_in_their_order(texts: list[str]) -> None:
    assume(texts)
    sans = names.unique(map(parse_name, texts))
    decoded = decode_general_names(encode_general_names([san.general_name() for san in sans]))
    assert tuple(map(names.from_general_name, decoded)) == sans


@given(domains)
def test_a_star_pattern_covers_what_is_below_and_nothing_else(domain: str) -> None:
    patterns = NamePatterns(dns=(f"*.{domain}",))
    assert credential_allows(patterns, San("dns", f"a.{domain}"))
    assert credential_allows(patterns, San("dns", f"a.b.c.{domain}"))
    assert not credential_allows(patterns, San("dns", domain))
    assert not credential_allows(patterns, San("dns", f"evil{domain}"))
    assert not credential_allows(patterns, San("dns", f"{domain}.evil.example"))
    assert not credential_allows(patterns, San("dns", f"*.{domain}"))
    assert not credential_allows(patterns, San("ip", "192.0.2.1"))
    wild = NamePatterns(dns=(f"*.{domain}",), wildcards=True)
    assert credential_allows(wild, San("dns", f"*.{domain}"))
    assert credential_allows(wild, San("dns", f"*.a.{domain}"))
    assert not credential_allows(NamePatterns(dns=(domain,), wildcards=True), San("dns", f"*.{domain}"))


@given(st.ip_addresses(v=4), st.integers(8, 32), st.ip_addresses())
def test_a_network_covers_its_addresses(base: ipaddress.IPv4Address, length: int, other: object) -> None:
    network = ipaddress.ip_network(f"{base}/{length}", strict=False)
    patterns = names.check_patterns(NamePatterns(ip=(f"{base}/{length}",)))
    assert credential_allows(patterns, San("ip", str(base)))
    assert credential_allows(patterns, San("ip", str(other))) == (other in network)


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        (NamePatterns(email=("@example.com",)), "email:a@example.com", True),
        (NamePatterns(email=("@example.com",)), "email:a@sub.example.com", False),
        (NamePatterns(email=("@example.com",)), "upn:a@example.com", True),
        (NamePatterns(email=("a@example.com",)), "email:b@example.com", False),
        (NamePatterns(uri=("spiffe://td/ns/a/*",)), "uri:spiffe://td/ns/a/x", True),
        (NamePatterns(uri=("spiffe://td/ns/a/*",)), "uri:spiffe://td/ns/ab", False),
        (NamePatterns(uri=("spiffe://td/ns/a/*",)), "uri:spiffe://td.evil/ns/a/x", False),
        (NamePatterns(uri=("urn:a:b",)), "uri:urn:a:b", True),
        (NamePatterns(dns=("a.example.com",)), "dns:a.example.com", True),
        (NamePatterns(dns=("a.example.com",)), "dns:b.a.example.com", False),
    ],
)
def test_patterns(patterns: NamePatterns, name: str, allowed: bool) -> None:
    assert credential_allows(names.check_patterns(patterns), parse_name(name)) is allowed


@pytest.mark.parametrize(
    ("patterns", "text", "allowed"),
    [
        (NamePatterns(common_name=("sensor-*",)), "sensor-17", True),
        (NamePatterns(common_name=("sensor-*",)), "other", False),
        (NamePatterns(common_name=("*-probe",)), "north-probe", True),
        (NamePatterns(dns=("*.example.com",)), "a.example.com", True),
        (NamePatterns(dns=("*.example.com",)), "Alice Smith", False),
        (NamePatterns(email=("@example.com",)), "a@example.com", True),
    ],
)
def test_common_names(patterns: NamePatterns, text: str, allowed: bool) -> None:
    assert names.credential_allows_common_name(names.check_patterns(patterns), text) is allowed


@pytest.mark.parametrize(
    "patterns",
    [
        NamePatterns(dns=("*",)),
        NamePatterns(dns=("a.*.com",)),
        NamePatterns(ip=("300.0.0.1",)),
        NamePatterns(email=("nobody",)),
        NamePatterns(uri=("https://*",)),
        NamePatterns(uri=("/*",)),
        NamePatterns(common_name=("*",)),
        NamePatterns(common_name=("a*b",)),
        NamePatterns(common_name=("*a*",)),
    ],
)
def test_patterns_that_mean_nothing_or_everything(patterns: NamePatterns) -> None:
    with pytest.raises(Fault) as caught:
        names.check_patterns(patterns)
    assert caught.value.kind is FaultKind.INVALID


@pytest.mark.parametrize(
    ("rules", "name", "said"),
    [
        ({"types": ("dns",)}, "ip:192.0.2.1", "names of kind ip"),
        ({"wildcards": False}, "dns:*.example.com", "wildcards"),
        ({"private": False}, "dns:a.local", "private or reserved"),
        ({"private": False}, "dns:a.home.arpa", "private or reserved"),
        ({"private": False}, "ip:10.0.0.1", "private or reserved"),
        ({"private": False}, "ip:::1", "private or reserved"),
        ({"private": False}, "email:a@b.test", "private or reserved"),
        ({"private": False}, "uri:https://a.internal/", "private or reserved"),
        ({"unqualified": False}, "dns:localhost", "one label"),
        ({}, "dns:*.com", "top-level"),
        ({}, "ip:0.0.0.0", "no address of a host"),
        ({}, "ip:224.0.0.1", "no address of a host"),
        ({"uri_schemes": ("spiffe",)}, "uri:https://a.example/", "schemes spiffe"),
        ({}, "uri:https:a", "has no host"),
    ],
)
def test_the_profile_refuses(rules: dict[str, object], name: str, said: str) -> None:
    changed = OPEN.model_copy(update=rules)
    san = parse_name(name)
    with pytest.raises(Fault) as caught:
        names.check_names((san,), changed)
    assert caught.value.kind is FaultKind.POLICY
    assert said in caught.value.public
    if rules:
        names.check_names((san,), OPEN)


def test_counts() -> None:
    with pytest.raises(Fault):
        names.check_names((), OPEN.model_copy(update={"required": True}))
    many = tuple(make_name("dns", f"a{n}.example.com") for n in range(3))
    with pytest.raises(Fault):
        names.check_names(many, OPEN.model_copy(update={"maximum": 2}))


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("https://a.good.example/x", ""),
        ("https://a.good.example:8443/x?y=evil.example", ""),
        ("https://evil.example?x.good.example", "outside of what this CA may certify"),
        ("https://evil.example/.good.example", "outside of what this CA may certify"),
        ("https://bad.good.example/", "among what this CA may not certify"),
        ("https://BAD.good.example?x", "among what this CA may not certify"),
        ("https://192.0.2.1/", "has no host name"),
        ("urn:a:b", "has no host name"),
    ],
)
def test_constraints_look_at_the_host_of_a_uri(uri: str, said: str) -> None:
    limits = extensions.Subtrees(permitted=((6, b".good.example"),), excluded=((6, b"bad.good.example"),))
    name = parse_name(f"uri:{uri}")
    if not said:
        extensions.check_name_constraints((name,), limits)
        return
    with pytest.raises(Fault) as caught:
        extensions.check_name_constraints((name,), limits)
    assert said in caught.value.public


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("dns:*.example.com", False),  # it would be good for secret.example.com
        ("dns:*.a.example.com", True),
        ("dns:*.secret.example.com", False),
        ("dns:open.example.com", True),
    ],
)
def test_a_wildcard_reaches_no_excluded_name(name: str, allowed: bool) -> None:
    limits = extensions.Subtrees(excluded=((2, b"secret.example.com"),))
    if allowed:
        extensions.check_name_constraints((parse_name(name),), limits)
        return
    with pytest.raises(Fault, match="may not certify"):
        extensions.check_name_constraints((parse_name(name),), limits)
