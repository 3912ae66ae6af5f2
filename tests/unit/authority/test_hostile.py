"""Whatever a request says, it gets a certificate by the rules or a Fault, and nothing else."""

from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension, decode_extensions

from pycryptoutil.authority import IssueOrder, extensions
from pycryptoutil.authority.names import parse_name
from pycryptoutil.authority.profile_file import built_in_profiles
from tests.support.authority import TENANT, World, csr, new_key

KEY = new_key()
GOOD = csr("a.example.com", cn="a.example.com", key=KEY)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def attempt(world: World, order: IssueOrder) -> bytes | None:
    try:
        return world.service.issue(TENANT, order, "fuzz").der
    except Fault as fault:
        if fault.kind is FaultKind.INTERNAL:
            raise
        return None


@quick
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_octet_never_gets_a_certificate(shared: World, place: int, change: int) -> None:
    altered = bytearray(GOOD)
    altered[place] ^= change
    assert attempt(shared, IssueOrder(csr=bytes(altered))) is None


@quick
@given(st.binary(max_size=200))
def test_any_octets_are_refused(shared: World, data: bytes) -> None:
    assert attempt(shared, IssueOrder(csr=data)) is None


@quick
@given(st.text(max_size=100), st.lists(st.text(max_size=60), max_size=3))
def test_any_words_are_refused_or_obeyed(shared: World, subject: str, sans: list[str]) -> None:
    found = attempt(shared, IssueOrder(csr=GOOD, profile="internal-tls", subject=subject, sans=tuple(sans)))
    if found is not None and sans:
        certificate = x509.load_der_x509_certificate(found)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert len(names) == len({parse_name(san) for san in sans})


@quick
@given(
    st.sampled_from(["2.5.29.15", "2.5.29.19", "2.5.29.37", "1.3.6.1.5.5.7.1.24", "2.5.29.17", "1.2.3"]),
    st.binary(max_size=40),
)
def test_any_requested_extension_is_refused_or_harmless(oid: str, value: bytes) -> None:
    profile = built_in_profiles()["tls-server"]
    try:
        wanted = extensions.check_requested((Extension(oid, False, value),), profile)
    except Fault as fault:
        if fault.kind not in {FaultKind.POLICY, FaultKind.MALFORMED, FaultKind.TOO_LARGE}:
            raise
        return
    assert wanted.copied == ()


@quick
@given(st.binary(max_size=60))
def test_any_name_constraints_decode_or_are_refused(value: bytes) -> None:
    try:
        extensions.decode_name_constraints(value)
    except Fault:
        return
    assert der.read(value)


@given(st.sets(st.sampled_from(range(9)), min_size=1))
def test_key_usage_bits_survive(bits: set[int]) -> None:
    from pycryptoutil.authority.oids import KEY_USAGES

    encoded = extensions.key_usage([KEY_USAGES[bit] for bit in bits])
    assert extensions.key_usage_bits(encoded) == bits
    whole = der.sequence(Extension("2.5.29.15", True, encoded).encode())
    assert decode_extensions(der.read(whole))[0].value == encoded


def test_a_request_of_many_names_is_bounded(shared: World) -> None:
    names = tuple(f"a{n}.example.com" for n in range(101))
    with pytest.raises(Fault) as caught:
        shared.service.issue(TENANT, IssueOrder(csr=csr(*names)), "fuzz")
    assert "at most 100" in caught.value.public
