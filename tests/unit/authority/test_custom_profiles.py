"""Everything that a profile can say, said by one of our own and seen in the certificate."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import AuthorityOrder, CredentialOrder, IssueOrder, NamePatterns
from tests.support.authority import NOW, TENANT, World, csr

WHO = "user:tester"
BASE: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "validity": {"default": "30d", "maximum": "90d"},
    "keys": {"algorithms": ["EC-P256", "RSA"]},
    "subject": {"allowed": ["CN", "O"]},
    "names": {"types": ["dns", "ip", "uri"], "private": True},
    "key_usage": {"default": ["digitalSignature"]},
}


def put(world: World, **changes: Any) -> None:
    world.service.put_profile(TENANT, "mine", yaml.safe_dump({**BASE, **changes}), WHO)


def certificate(world: World, request: bytes | None = None, **order: Any) -> x509.Certificate:
    asked = IssueOrder(profile="mine", csr=request or csr("a.example.com", cn="a"), **order)
    return x509.load_der_x509_certificate(world.service.issue(TENANT, asked, WHO).der)


def refusal(world: World, request: bytes | None = None, **order: Any) -> str:
    with pytest.raises(Fault) as caught:
        certificate(world, request, **order)
    assert caught.value.kind is FaultKind.POLICY, caught.value.detail
    return caught.value.public


def test_fixed_attributes_come_first_and_win(shared: World) -> None:
    put(shared, subject={"allowed": ["CN", "O"], "fixed": {"C": "DE", "O": "Example"}})
    request = csr(cn="thing", subject=((NameOID.ORGANIZATION_NAME, "Somebody else"),))
    subject = certificate(shared, request).subject
    assert [(a.rfc4514_attribute_name, a.value) for a in subject] == [("C", "DE"), ("O", "Example"), ("CN", "thing")]


def test_a_subject_that_is_fixed_altogether(shared: World) -> None:
    put(shared, subject={"source": "fixed", "fixed": {"CN": "always", "O": "Example"}})
    assert certificate(shared, csr("a.example.com", cn="other")).subject.rfc4514_string() == "O=Example,CN=always"


def test_a_subject_from_the_credential(shared: World) -> None:
    put(shared, subject={"source": "credential", "required": ["CN"]})
    names = NamePatterns(common_name=("unit 7",))
    made = shared.service.credential_add(TENANT, CredentialOrder("mine", names=names), WHO)
    got = certificate(shared, csr(cn="whatever"), credential=made.credential)
    assert got.subject.rfc4514_string() == "CN=unit 7"
    assert "bound to one" in refusal(shared, csr(cn="whatever"))
    loose = shared.service.credential_add(
        TENANT, CredentialOrder("mine", names=NamePatterns(common_name=("unit *",))), WHO
    )
    assert "bound to one" in refusal(shared, csr(cn="unit 8"), credential=loose.credential)


def test_attributes_are_refused_or_dropped(shared: World) -> None:
    request = csr(cn="a", subject=((NameOID.LOCALITY_NAME, "Berlin"),))
    put(shared)
    assert "attribute L is not allowed" in refusal(shared, request)
    put(shared, subject={"allowed": ["CN"], "unlisted": "drop"})
    assert certificate(shared, request).subject.rfc4514_string() == "CN=a"
    put(shared, subject={"allowed": ["CN", "O"], "required": ["CN", "O"]})
    assert "needs O" in refusal(shared, csr(cn="a"))


def test_purposes_policies_and_staple(shared: World) -> None:
    put(
        shared,
        extended_key_usage=["clientAuth", "1.2.3.4"],
        extended_key_usage_critical=True,
        policies=[{"oid": "1.2.3.5", "cps": "http://example.com/cps"}, {"oid": "1.2.3.6"}],
        must_staple="always",
        subject_key_identifier=False,
        distribution={"ocsp": False, "issuer": True, "crl": False},
    )
    extensions = certificate(shared).extensions
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert purposes.critical
    assert list(purposes.value) == [ExtendedKeyUsageOID.CLIENT_AUTH, ObjectIdentifier("1.2.3.4")]
    policies = extensions.get_extension_for_class(x509.CertificatePolicies).value
    assert [(p.policy_identifier.dotted_string, p.policy_qualifiers) for p in policies] == [
        ("1.2.3.5", ["http://example.com/cps"]),
        ("1.2.3.6", None),
    ]
    assert extensions.get_extension_for_class(x509.TLSFeature)
    (access,) = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert access.access_method.dotted_string == "1.3.6.1.5.5.7.48.2"
    for absent in (x509.SubjectKeyIdentifier, x509.CRLDistributionPoints):
        with pytest.raises(x509.ExtensionNotFound):
            extensions.get_extension_for_class(absent)


def test_extensions_of_the_request(shared: World) -> None:
    odd = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    request = csr("a.example.com", extensions=((odd, False),))
    put(shared)
    assert "1.2.3.4" in refusal(shared, request)
    put(shared, request_extensions={"copy": ["1.2.3.4"]})
    assert certificate(shared, request).extensions.get_extension_for_oid(odd.oid).value == odd
    for rules in ({"ignore": ["1.2.3.4"]}, {"unlisted": "ignore"}):
        put(shared, request_extensions=rules)
        with pytest.raises(x509.ExtensionNotFound):
            certificate(shared, request).extensions.get_extension_for_oid(odd.oid)
    # what the profile decides is not to be overruled by copying
    put(shared, request_extensions={"copy": ["2.5.29.15", "2.5.29.32"]})
    usage = x509.KeyUsage(True, True, False, False, False, False, False, False, False)
    got = certificate(shared, csr("a.example.com", extensions=((usage, True),)))
    assert not got.extensions.get_extension_for_class(x509.KeyUsage).value.content_commitment


def test_keys_and_their_usages(shared: World) -> None:
    put(
        shared,
        keys={"algorithms": ["RSA", "EC-P256"], "rsa_minimum": 3072, "rsa_maximum": 3072},
        key_usage={"default": ["digitalSignature"], "rsa": ["keyEncipherment"], "ec": ["keyAgreement"]},
    )
    got = certificate(shared, csr("a.example.com", key=rsa.generate_private_key(65537, 3072)))
    usage = got.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_encipherment, usage.digital_signature) == (True, False)
    assert certificate(shared).extensions.get_extension_for_class(x509.KeyUsage).value.key_agreement
    with pytest.raises(Fault) as caught:
        certificate(shared, csr("a.example.com", key=rsa.generate_private_key(65537, 4096)))
    assert caught.value.kind is FaultKind.WEAK_KEY


def test_dates(shared: World) -> None:
    put(shared, validity={"default": "1d", "minimum": "1h", "maximum": "2d", "backdate": "0s"})
    got = certificate(shared)
    assert got.not_valid_before_utc == NOW
    assert got.not_valid_after_utc == NOW + timedelta(days=1, seconds=-1)
    exact = certificate(shared, not_before=NOW + timedelta(hours=1), not_after=NOW + timedelta(hours=3))
    assert exact.not_valid_after_utc == NOW + timedelta(hours=3)
    longest = NOW + timedelta(days=2, seconds=-1)
    assert certificate(shared, not_after=longest).not_valid_after_utc == longest
    assert "2d at most" in refusal(shared, not_after=NOW + timedelta(days=2))  # both ends count: one second too many
    assert "too shortly" in refusal(shared, not_after=NOW + timedelta(minutes=30))


def test_names_are_counted_and_of_the_allowed_kinds(shared: World) -> None:
    put(shared, names={"types": ["uri"], "maximum": 1, "uri_schemes": ["urn"]})
    uri = x509.UniformResourceIdentifier
    assert certificate(shared, csr(names=(uri("urn:example:a"),)))
    assert "at most 1" in refusal(shared, csr(names=(uri("urn:a:b"), uri("urn:a:c"))))
    assert "schemes urn" in refusal(shared, csr(names=(uri("https://example.com/"),)))


def test_a_ca_under_a_profile_of_our_own(shared: World) -> None:
    document = {
        **BASE,
        "name": "narrow-ca",
        "validity": {"default": "1y", "maximum": "2y"},
        "subject": {"allowed": ["CN"], "fixed": {"O": "Example"}},
        "names": {},
        "key_usage": {"default": ["keyCertSign", "cRLSign"]},
        "certificate_authority": {"path_length": 0},
        "name_constraints": {"permitted": ["dns:example.com"]},
    }
    shared.service.put_profile(TENANT, "narrow-ca", yaml.safe_dump(document), WHO)
    order = AuthorityOrder("narrow", "CN=Narrow", parent="root", profile="narrow-ca", excluded_names=("ip:0.0.0.0/0",))
    made = x509.load_der_x509_certificate(shared.service.create_authority(TENANT, order, WHO).certificate)
    assert made.subject.rfc4514_string() == "CN=Narrow,O=Example"
    constraints = made.extensions.get_extension_for_class(x509.NameConstraints).value
    assert [str(n.value) for n in constraints.permitted_subtrees or ()] == ["example.com"]
    assert [str(n.value) for n in constraints.excluded_subtrees or ()] == ["0.0.0.0/0"]
    with pytest.raises(Fault) as caught:
        shared.service.create_authority(TENANT, AuthorityOrder("x", "CN=X", profile="tls-server"), WHO)
    assert "not for certificate authorities" in caught.value.public
    with pytest.raises(Fault) as caught:
        shared.service.issue(TENANT, IssueOrder(profile="narrow-ca", csr=csr(cn="Me too")), WHO)
    assert caught.value.kind is FaultKind.POLICY
