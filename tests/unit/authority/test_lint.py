"""Every lint finds what it is for, in a certificate that is otherwise good."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest
from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName, encode_general_names
from pycryptoutil_protocols.x509 import Certificate, Extension, decode_certificate, decode_tbs

from pycryptoutil.authority import IssueOrder, extensions, lint
from pycryptoutil.authority import oids as more
from pycryptoutil.authority.lint import Subject
from pycryptoutil.authority.profile_file import built_in_profiles
from tests.support.authority import NOW, TENANT, World, csr

Change = Callable[[Subject], Subject]


@pytest.fixture(scope="module")
def good(shared: World) -> Subject:
    issued = shared.service.issue(TENANT, IssueOrder(csr=csr("a.example.com", cn="a.example.com")), "test")
    leaf, issuer = decode_certificate(issued.der), decode_certificate(issued.chain[0])
    profile = built_in_profiles()["tls-server"]
    return Subject(leaf, profile, issuer, "EC-P256", leaf.signature_algorithm, NOW)


def certificate(**changes: object) -> Change:
    return lambda s: dataclasses.replace(s, certificate=dataclasses.replace(s.certificate, **changes))  # type: ignore[arg-type]


def extension(oid: str, value: bytes | None, critical: bool | None = None) -> Change:
    """Replace an extension, or (None) leave it out."""

    def change(s: Subject) -> Subject:
        old = s.certificate.extension(oid)
        flag = critical if critical is not None else bool(old and old.critical)
        kept = [one for one in s.certificate.extensions if one.oid != oid]
        made = [] if value is None else [Extension(oid, flag, value)]
        return dataclasses.replace(s, certificate=dataclasses.replace(s.certificate, extensions=(*kept, *made)))

    return change


def criticality(oid: str) -> Change:
    def change(s: Subject) -> Subject:
        old = s.certificate.extension(oid)
        assert old is not None
        return extension(oid, old.value, not old.critical)(s)

    return change


def as_ca(path_length: int | None, above: int | None) -> Change:
    def change(s: Subject) -> Subject:
        assert s.issuer is not None
        profile = built_in_profiles()["intermediate-ca"]
        issuer = Extension(oids.BASIC_CONSTRAINTS, True, extensions.basic_constraints(True, above))
        kept = tuple(one for one in s.issuer.extensions if one.oid != oids.BASIC_CONSTRAINTS)
        below = extension(oids.BASIC_CONSTRAINTS, extensions.basic_constraints(True, path_length), True)
        changed = below(dataclasses.replace(s, profile=profile))
        return dataclasses.replace(changed, issuer=dataclasses.replace(s.issuer, extensions=(*kept, issuer)))

    return change


def purposes(*names: str) -> bytes:
    return der.sequence(*(der.oid(more.EXTENDED_KEY_USAGES.get(name, name)) for name in names))


def names(*values: GeneralName) -> bytes:
    return encode_general_names(values)


EMPTY = der.sequence()
OTHER_NAME = der.sequence(der.set_of([der.sequence(der.oid("2.5.4.3"), der.utf8_string("b.example.com"))]))
POINT = extensions.distribution_point("https://pki.example.com/a.crl")

CASES: list[tuple[str, Change, str]] = [
    ("serial zero", certificate(serial=0), "not positive"),
    ("serial negative", certificate(serial=-5), "not positive"),
    ("serial too long", certificate(serial=1 << 159), "longer than 20"),
    ("serial too short", certificate(serial=1 << 62), "fewer than 64 bits"),
    ("issuer", certificate(issuer=OTHER_NAME), "octet for octet"),
    ("signature", certificate(signature_algorithm=EMPTY), "another signature algorithm"),
    ("dates", certificate(not_after=NOW - timedelta(days=1)), "notAfter is not after"),
    ("too long", certificate(not_after=NOW + timedelta(days=201)), "longer than the profile's maximum"),
    ("outlives", certificate(not_after=NOW + timedelta(days=9000)), "outlives its issuer"),
    ("backdated", certificate(not_before=NOW - timedelta(days=2)), "more than a day ago"),
    ("key usage not critical", criticality(oids.KEY_USAGE), "is not critical"),
    ("AKI critical", criticality(oids.AUTHORITY_KEY_IDENTIFIER), "is critical"),
    ("no AKI", extension(oids.AUTHORITY_KEY_IDENTIFIER, None), "no authority key identifier"),
    ("wrong AKI", extension(oids.AUTHORITY_KEY_IDENTIFIER, der.sequence(der.implicit(0, b"x"))), "not that of the"),
    ("cA", extension(oids.BASIC_CONSTRAINTS, extensions.basic_constraints(True, None)), "cA is not what"),
    ("path length of a leaf", extension(oids.BASIC_CONSTRAINTS, der.sequence(der.integer(1))), "without cA"),
    ("CA below path length 0", as_ca(0, 0), "path length does not allow"),
    ("CA with an open path", as_ca(None, 2), "path length does not allow"),
    ("CA as deep as its issuer", as_ca(2, 2), "path length does not allow"),
    ("no key usage", extension(oids.KEY_USAGE, None), "no key usage"),
    ("keyCertSign", extension(oids.KEY_USAGE, extensions.key_usage(["keyCertSign"])), "keyCertSign without cA"),
    ("EC encrypts", extension(oids.KEY_USAGE, extensions.key_usage(["keyEncipherment"])), "an EC key does not encrypt"),
    ("another purpose", extension(oids.EXTENDED_KEY_USAGE, purposes("clientAuth")), "not the profile's"),
    ("no-check", extension(oids.OCSP_NO_CHECK, der.null()), "no OCSP responder"),
    ("no name", extension(oids.SUBJECT_ALT_NAME, None), "no subjectAltName"),
    ("another kind of name", extension(oids.SUBJECT_ALT_NAME, names(GeneralName.email("a@b.example"))), "neither DNS"),
    ("upper case", extension(oids.SUBJECT_ALT_NAME, names(GeneralName.dns("A.example.com"))), "lower-case"),
    ("underscore", extension(oids.SUBJECT_ALT_NAME, names(GeneralName.dns("a_b.example.com"))), "not a DNS name"),
    ("twice", extension(oids.SUBJECT_ALT_NAME, names(*[GeneralName.dns("a.example.com")] * 2)), "repeated"),
    ("inner asterisk", extension(oids.SUBJECT_ALT_NAME, names(GeneralName.dns("a.*.example.com"))), "leftmost label"),
    ("common name", certificate(subject=OTHER_NAME), "character for character"),
    ("empty subject", certificate(subject=EMPTY), "empty subject without a critical"),
    ("https pointer", extension(more.CRL_DISTRIBUTION_POINTS, POINT), "not an http URL"),
    ("no AIA", extension(more.AUTHORITY_INFORMATION_ACCESS, None), "no authorityInfoAccess"),
    ("no policy", extension(more.CERTIFICATE_POLICIES, None), "no certificatePolicies"),
]  # fmt: skip


def test_a_good_certificate_has_no_finding(good: Subject) -> None:
    assert lint.problems(good) == []


@pytest.mark.parametrize(("change", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_fault_is_found(good: Subject, change: Change, expected: str) -> None:
    changed = change(good)
    found = lint.problems(changed)
    assert any(expected in one for one in found), found
    with pytest.raises(Fault) as caught:
        lint.check(changed)
    assert caught.value.kind is FaultKind.POLICY


@pytest.mark.parametrize(
    ("algorithm", "usages", "expected"),
    [
        ("Ed25519", ["keyAgreement"], "neither encrypts nor agrees"),
        ("ML-DSA-65", ["keyEncipherment"], "neither encrypts nor agrees"),
        ("RSA-3072", ["keyAgreement"], "an RSA key does not agree"),
    ],
)
def test_usages_that_a_key_cannot_have(good: Subject, algorithm: str, usages: list[str], expected: str) -> None:
    changed = dataclasses.replace(good, key_algorithm=algorithm)
    changed = extension(oids.KEY_USAGE, extensions.key_usage(usages))(changed)
    assert any(expected in one for one in lint.problems(changed))


def test_time_stamping_stands_alone(good: Subject) -> None:
    changed = extension(oids.EXTENDED_KEY_USAGE, purposes("timeStamping", "serverAuth"))(good)
    assert any("only purpose" in one for one in lint.problems(changed))


def test_the_cas_own_key(good: Subject) -> None:
    assert good.issuer is not None
    changed = certificate(spki=good.issuer.spki)(good)
    assert any("the CA's own" in one for one in lint.problems(changed))


def test_a_ca_without_a_key_identifier(good: Subject) -> None:
    changed = extension(oids.SUBJECT_KEY_IDENTIFIER, None)(as_ca(0, None)(good))
    assert any("no subject key identifier" in one for one in lint.problems(changed))


def test_a_tbs_is_read_as_the_certificate_it_will_be(good: Subject) -> None:
    whole: Certificate = good.certificate
    read = decode_tbs(whole.tbs)
    ignored = {"der": whole.der, "signature": whole.signature}
    assert dataclasses.replace(read, **ignored) == whole
