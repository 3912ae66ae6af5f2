"""Issuance: what comes out, what is refused, and what a crash between two steps leaves."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import decode_certificate
from sqlalchemy import func, select

from pycryptoutil.authority import CredentialOrder, IssuedCertificate, IssueOrder, NamePatterns, RevocationReason, issue
from pycryptoutil.authority.certificates import store as certificate_store
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.store import certificates as certificates_table
from pycryptoutil.storage import audit
from tests.support.authority import NOW, OTHER_TENANT, PLAIN, TENANT, World, csr, new_key

WHO = "user:tester"


def issue_one(world: World, *dns: str, profile: str = "tls-server", **order: Any) -> IssuedCertificate:
    return world.service.issue(TENANT, IssueOrder(profile=profile, csr=csr(*dns), **order), WHO)


def parsed(issued: IssuedCertificate) -> x509.Certificate:
    return x509.load_der_x509_certificate(issued.der)


def refusal(world: World, order: IssueOrder) -> Fault:
    with pytest.raises(Fault) as caught:
        world.service.issue(TENANT, order, WHO)
    return caught.value


def count(world: World) -> int:
    with world.database.read(TENANT) as reader:
        return int(reader.execute(select(func.count()).select_from(certificates_table)).scalar_one())


def test_a_certificate_says_what_it_should(world: World) -> None:
    issued = issue_one(world, "b.example.com", "a.example.com")
    certificate = parsed(issued)
    issuing = x509.load_der_x509_certificate(issued.chain[0])
    certificate.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(x509.load_der_x509_certificate(issued.chain[1]))
    get = certificate.extensions.get_extension_for_class
    names = get(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["b.example.com", "a.example.com"]  # in the order asked
    assert names.critical  # there is no subject
    assert get(x509.BasicConstraints).critical
    assert not get(x509.BasicConstraints).value.ca
    assert get(x509.KeyUsage).critical
    assert list(get(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    (point,) = get(x509.CRLDistributionPoints).value
    assert point.full_name == [x509.UniformResourceIdentifier(f"{PLAIN}/crl/issuing.crl")]
    pointers = {
        d.access_method.dotted_string: d.access_location.value for d in get(x509.AuthorityInformationAccess).value
    }
    assert pointers == {
        "1.3.6.1.5.5.7.48.1": f"{PLAIN}/ocsp/issuing",
        "1.3.6.1.5.5.7.48.2": f"{PLAIN}/ca/issuing.cer",
    }
    own = issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert get(x509.AuthorityKeyIdentifier).value.key_identifier == own
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime == timedelta(days=90, seconds=-1)  # both ends are included
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert 1 << 136 < certificate.serial_number < 1 << 159
    assert f"{certificate.serial_number:x}" == issued.serial


def test_serials_differ_and_carry_the_instance(shared: World) -> None:
    serials = {issue_one(shared, "a.example.com").serial for _ in range(20)}
    assert len(serials) == 20
    assert {serial[:4] for serial in serials} == {"1007"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 2048),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate,
        ed448.Ed448PrivateKey.generate,
        mldsa.MLDSA65PrivateKey.generate,
    ],
)
def test_every_kind_of_key_is_certified(shared: World, make: Callable[[], Any]) -> None:
    key = make()
    signs_by_itself = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | mldsa.MLDSA65PrivateKey)
    request = csr("a.example.com", key=key, algorithm=None if signs_by_itself else hashes.SHA256())
    certificate = decode_certificate(shared.service.issue(TENANT, IssueOrder(csr=request), WHO).der)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert certificate.spki == public
    usage = x509.load_der_x509_certificate(certificate.der).extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_encipherment  # no RSA key exchange any more


def test_the_string_types_of_the_subject_are_kept(shared: World) -> None:
    from cryptography.x509.name import _ASN1Type

    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "thing 7", _type=_ASN1Type.PrintableString),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Grün", _type=_ASN1Type.BMPString),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(new_key(), hashes.SHA256())
    order = IssueOrder(profile="device", csr=request.public_bytes(serialization.Encoding.DER))
    issued = shared.service.issue(TENANT, order, WHO)
    assert decode_certificate(issued.der).subject == name.public_bytes()


def test_the_common_name_becomes_a_name_only_where_there_is_none(shared: World) -> None:
    issued = shared.service.issue(TENANT, IssueOrder(csr=csr(cn="Only.Example.com")), WHO)
    assert issued.sans == ("dns:only.example.com",)
    assert issued.subject == "CN=only.example.com"  # character for character the name (CA/B BR 7.1.4.3)
    fault = refusal(shared, IssueOrder(csr=csr("a.example.com", cn="b.example.com")))
    assert fault.kind is FaultKind.POLICY
    assert "none of the subject alternative names" in fault.public


def test_unverified_attributes_are_left_out_of_a_tls_certificate(shared: World) -> None:
    request = csr("a.example.com", cn="a.example.com", subject=((NameOID.ORGANIZATION_NAME, "Anybody"),))
    assert shared.service.issue(TENANT, IssueOrder(csr=request), WHO).subject == "CN=a.example.com"


def ca_extension() -> tuple[x509.ExtensionType, bool]:
    return x509.BasicConstraints(ca=True, path_length=None), True


def usage(**bits: bool) -> x509.KeyUsage:
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    names += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})


REFUSALS: list[tuple[str, Callable[[], IssueOrder], FaultKind, str]] = [
    ("private name in DER", lambda: IssueOrder(csr=b"\x30\x80"), FaultKind.MALFORMED, ""),
    ("empty", lambda: IssueOrder(csr=b""), FaultKind.MALFORMED, ""),
    ("nothing", IssueOrder, FaultKind.INVALID, "request is needed"),
    ("bad signature", lambda: IssueOrder(csr=_broken()), FaultKind.BAD_POP, "signature"),
    ("SHA-1 request", lambda: IssueOrder(csr=_sha1()), FaultKind.BAD_ALGORITHM, ""),
    ("short RSA", lambda: IssueOrder(csr=_short_rsa()), FaultKind.WEAK_KEY, "2048"),
    ("odd curve", lambda: IssueOrder(csr=csr("a.example.com", key=ec.generate_private_key(ec.SECP256K1()))),
     FaultKind.BAD_ALGORITHM, ""),
    ("key not in the profile", lambda: IssueOrder(profile="smime-encryption", csr=csr(
        names=(x509.RFC822Name("a@example.com"),), key=ed25519.Ed25519PrivateKey.generate(), algorithm=None)),
     FaultKind.POLICY, "does not allow keys of Ed25519"),
    ("RSA too short for the profile", lambda: IssueOrder(profile="code-signing", csr=csr(
        cn="Code", key=rsa.generate_private_key(65537, 2048))), FaultKind.WEAK_KEY, "3072"),
    ("no name", lambda: IssueOrder(csr=csr()), FaultKind.POLICY, "a name is required"),
    ("a name of another kind", lambda: IssueOrder(csr=csr(names=(x509.RFC822Name("a@example.com"),))),
     FaultKind.POLICY, "names of kind email"),
    ("a name that is never issued", lambda: IssueOrder(csr=csr(names=(x509.RegisteredID(ObjectIdentifier("1.2.3")),))),
     FaultKind.POLICY, "registered_id are not issued"),
    ("a literal asterisk", lambda: IssueOrder(csr=csr("*")), FaultKind.INVALID, "not a DNS name"),
    ("a wildcard too high", lambda: IssueOrder(csr=csr("*.com")), FaultKind.POLICY, "top-level"),
    ("one label", lambda: IssueOrder(csr=csr("localhost")), FaultKind.POLICY, "one label"),
    ("a subject attribute", lambda: IssueOrder(profile="code-signing", csr=csr(
        cn="Code", key=new_key(), subject=((NameOID.EMAIL_ADDRESS, "a@example.com"),))),
     FaultKind.POLICY, "emailAddress is not allowed"),
    ("a missing attribute", lambda: IssueOrder(profile="kernel-code-signing", csr=csr(cn="Code")),
     FaultKind.POLICY, "needs O"),
    ("a country that is none", lambda: IssueOrder(
        profile="code-signing", csr=csr(), subject="CN=Code,C=xy"), FaultKind.POLICY, "country code"),
    ("two common names", lambda: IssueOrder(
        profile="device", csr=csr(subject=((NameOID.COMMON_NAME, "a"),), cn="b")), FaultKind.POLICY, "more than one"),
    ("a name that is no name", lambda: IssueOrder(csr=csr("a.example.com"), subject="not a name"),
     FaultKind.INVALID, "distinguished name"),
    ("to be a CA", lambda: IssueOrder(csr=csr("a.example.com", extensions=(ca_extension(),))),
     FaultKind.POLICY, "basicConstraints of a CA"),
    ("to sign certificates", lambda: IssueOrder(csr=csr(
        "a.example.com", extensions=((usage(key_cert_sign=True), True),))), FaultKind.POLICY, "keyUsage of a CA"),
    ("another purpose", lambda: IssueOrder(csr=csr("a.example.com", extensions=(
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),))), FaultKind.POLICY, "codeSigning"),
    ("any purpose", lambda: IssueOrder(csr=csr("a.example.com", extensions=(
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False),))), FaultKind.POLICY,
     "2.5.29.37.0"),
    ("name constraints", lambda: IssueOrder(csr=csr("a.example.com", extensions=(
        (x509.NameConstraints([x509.DNSName("example.com")], None), True),))), FaultKind.POLICY, "nameConstraints"),
    ("an unknown extension", lambda: IssueOrder(csr=csr("a.example.com", extensions=(
        (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False),))), FaultKind.POLICY, "1.2.3.4"),
    ("an odd TLS feature", lambda: IssueOrder(csr=csr("a.example.com", extensions=(
        (x509.TLSFeature([x509.TLSFeatureType.status_request_v2]), False),))), FaultKind.POLICY, "tlsFeature"),
    ("staple where never", lambda: IssueOrder(profile="device", csr=csr(cn="a"), must_staple=True),
     FaultKind.POLICY, "must-staple"),
    ("too long", lambda: IssueOrder(csr=csr("a.example.com"), not_after=NOW + timedelta(days=201)),
     FaultKind.POLICY, "200d at most"),
    ("longer than the issuer", lambda: IssueOrder(
        profile="device", csr=csr(cn="a"), not_after=NOW + timedelta(days=3700)), FaultKind.POLICY, "beyond that of"),
    ("over before it began", lambda: IssueOrder(csr=csr("a.example.com"), not_after=NOW - timedelta(days=1)),
     FaultKind.POLICY, "too shortly"),
    ("backdated", lambda: IssueOrder(csr=csr("a.example.com"), not_before=NOW - timedelta(days=1)),
     FaultKind.POLICY, "too far away"),
    ("far ahead", lambda: IssueOrder(csr=csr("a.example.com"), not_before=NOW + timedelta(days=100)),
     FaultKind.POLICY, "too far away"),
    ("an SSH profile", lambda: IssueOrder(profile="ssh-host", csr=csr("a.example.com")), FaultKind.POLICY, "SSH"),
    ("a CA profile", lambda: IssueOrder(profile="intermediate-ca", csr=csr(cn="Evil CA")),
     FaultKind.POLICY, "used by the CA itself"),
    ("an OCSP responder", lambda: IssueOrder(profile="ocsp-responder", csr=csr(cn="Evil responder")),
     FaultKind.POLICY, "used by the CA itself"),
    ("an unknown profile", lambda: IssueOrder(profile="nobody", csr=csr("a.example.com")),
     FaultKind.NOT_FOUND, "nobody"),
    ("an unknown CA", lambda: IssueOrder(authority="nobody", csr=csr("a.example.com")), FaultKind.NOT_FOUND, "nobody"),
]  # fmt: skip


def _broken() -> bytes:
    good = bytearray(csr("a.example.com"))
    good[-1] ^= 1
    return bytes(good)


def _short_rsa() -> bytes:
    return csr("a.example.com", key=rsa.generate_private_key(65537, 1024))


def _sha1() -> bytes:
    from pycryptoutil_protocols import der

    good = der.read(csr("a.example.com", key=rsa.generate_private_key(65537, 2048))).children()
    identifier = der.sequence(der.oid("1.2.840.113549.1.1.5"), der.null())
    return der.sequence(good[0].encoded, identifier, good[2].encoded)


@pytest.mark.parametrize(("make", "kind", "said"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_refusals(shared: World, make: Callable[[], IssueOrder], kind: FaultKind, said: str) -> None:
    before = count(shared)
    fault = refusal(shared, make())
    assert fault.kind is kind, fault.detail
    assert said in fault.public
    assert count(shared) == before


def test_what_old_configuration_files_ask_for_is_harmless(shared: World) -> None:
    request = csr(
        "a.example.com",
        extensions=(
            (x509.BasicConstraints(ca=False, path_length=None), False),
            (usage(digital_signature=True, content_commitment=True, key_encipherment=True), False),
            (x509.SubjectKeyIdentifier(b"mine"), False),
            (x509.UnrecognizedExtension(ObjectIdentifier("2.16.840.1.113730.1.13"), b"\x16\x02hi"), False),
        ),
    )
    certificate = parsed(shared.service.issue(TENANT, IssueOrder(csr=request), WHO))
    bits = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert bits.digital_signature
    assert not bits.content_commitment
    assert certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest != b"mine"


def test_must_staple_by_the_request(shared: World) -> None:
    feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
    asked = shared.service.issue(TENANT, IssueOrder(csr=csr("a.example.com", extensions=((feature, False),))), WHO)
    ordered = issue_one(shared, "a.example.com", must_staple=True)
    for issued in (asked, ordered):
        assert parsed(issued).extensions.get_extension_for_class(x509.TLSFeature).value == feature


def test_the_orders_names_replace_the_requests(shared: World) -> None:
    order = IssueOrder(
        csr=csr("a.example.com", cn="a.example.com"), subject="CN=b.example.com", sans=("dns:b.example.com",)
    )
    issued = shared.service.issue(TENANT, order, WHO)
    assert (issued.subject, issued.sans) == ("CN=b.example.com", ("dns:b.example.com",))
    fault = refusal(shared, IssueOrder(csr=csr("localhost"), sans=("dns:b.example.com",)))
    assert fault.kind is FaultKind.POLICY  # the request's own names must be allowed all the same


def test_no_certificate_outlives_its_issuer(world: World) -> None:
    world.clock.advance(10 * 365 * 86400 - 20 * 86400)
    issued = issue_one(world, "a.example.com", profile="internal-tls")
    issuing = world.service.authority(TENANT)
    assert issued.not_after == issuing.not_after < world.clock.now() + timedelta(days=90)
    world.clock.advance(30 * 86400)
    assert refusal(world, IssueOrder(csr=csr("a.example.com"))).kind is FaultKind.POLICY


def test_a_disabled_ca_issues_nothing(world: World) -> None:
    from pycryptoutil.authority import AuthorityStatus

    world.service.set_authority_status(TENANT, "issuing", AuthorityStatus.DISABLED, WHO)
    fault = refusal(world, IssueOrder(csr=csr("a.example.com")))
    assert (fault.kind, fault.public) == (FaultKind.CONFLICT, "the certificate authority is disabled")
    world.service.set_authority_status(TENANT, "issuing", AuthorityStatus.ACTIVE, WHO)
    issue_one(world, "a.example.com")


def test_a_compromised_key_is_not_certified_again(world: World) -> None:
    request = csr("a.example.com")
    first = world.service.issue(TENANT, IssueOrder(csr=request), WHO)
    world.service.revoke(TENANT, first.serial, RevocationReason.KEY_COMPROMISE, None, WHO)
    assert refusal(world, IssueOrder(csr=request)).kind is FaultKind.WEAK_KEY


def test_another_tenant_has_nothing_here(world: World) -> None:
    issued = issue_one(world, "a.example.com")
    for ask in (
        lambda: world.service.certificate(OTHER_TENANT, issued.serial),
        lambda: world.service.authority(OTHER_TENANT, "issuing"),
        lambda: world.service.issue(OTHER_TENANT, IssueOrder(csr=csr("a.example.com")), WHO),
        lambda: world.service.revoke(OTHER_TENANT, issued.serial, RevocationReason.SUPERSEDED, None, WHO),
    ):
        with pytest.raises(Fault) as caught:
            ask()
        assert caught.value.kind is FaultKind.NOT_FOUND
    assert world.service.certificates(OTHER_TENANT).items == ()


# -- once --------------------------------------------------------------------------------------------------------------


def test_a_repeat_with_the_same_key_gets_the_same_certificate(world: World) -> None:
    order = IssueOrder(csr=csr("a.example.com"), idempotency_key="k")
    first, second = (world.service.issue(TENANT, order, WHO) for _ in range(2))
    assert first.der == second.der
    assert (first.repeated, second.repeated) == (False, True)
    for other in (
        dataclasses.replace(order, idempotency_key="other"),
        dataclasses.replace(order, idempotency_key=""),
        dataclasses.replace(order, csr=csr("a.example.com")),
        dataclasses.replace(order, sans=("dns:b.example.com",)),
        dataclasses.replace(order, profile="internal-tls"),
        dataclasses.replace(order, not_after=NOW + timedelta(days=9)),
        dataclasses.replace(order, must_staple=True),
    ):
        assert world.service.issue(TENANT, other, WHO).der != first.der
    assert world.service.issue(TENANT, order, "user:somebody-else").der != first.der


def test_a_repeat_is_forgotten_in_time_and_by_revocation(world: World) -> None:
    order = IssueOrder(csr=csr("a.example.com"), idempotency_key="k")
    first = world.service.issue(TENANT, order, WHO)
    world.service.revoke(TENANT, first.serial, RevocationReason.SUPERSEDED, None, WHO)
    second = world.service.issue(TENANT, order, WHO)
    assert second.serial != first.serial
    assert world.service.issue(TENANT, order, WHO).serial == second.serial
    world.clock.advance(25 * 3600)
    assert world.service.issue(TENANT, order, WHO).serial != second.serial
    world.clock.advance(25 * 3600)
    world.service.maintain()


def test_repeats_that_arrive_together_get_one_certificate(world: World) -> None:
    order = IssueOrder(csr=csr("a.example.com"), idempotency_key="k")
    serials, faults = in_threads(world, [order] * 6)
    assert faults == []
    assert len(set(serials)) == 1


def in_threads(world: World, orders: list[IssueOrder]) -> tuple[list[str], list[Fault]]:
    serials: list[str] = []
    faults: list[Fault] = []
    start = threading.Barrier(len(orders))

    def run(order: IssueOrder) -> None:
        start.wait()
        try:
            serials.append(world.service.issue(TENANT, order, WHO).serial)
        except Fault as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return serials, faults


# -- credentials -------------------------------------------------------------------------------------------------------


def test_a_credential_narrows_the_names(world: World) -> None:
    names = NamePatterns(dns=("*.example.com",))
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server", names=names), WHO)
    order = IssueOrder(csr=csr("a.example.com"), profile="tls-server", credential=made.credential, protocol="est")
    issued = world.service.issue(TENANT, order, WHO)
    record = world.service.certificate(TENANT, issued.serial)
    assert (record.requester, record.protocol) == (f"credential:{made.username}", "est")
    for dns in ("a.example.org", "example.com", "*.example.com"):
        fault = refusal(world, dataclasses.replace(order, csr=csr(dns)))
        assert fault.kind is FaultKind.POLICY, dns
    # what the order asks for besides the request is held to the patterns too
    fault = refusal(world, dataclasses.replace(order, sans=("dns:a.example.org",)))
    assert "does not allow this name" in fault.public


def test_a_credential_is_for_one_profile_and_its_protocols(world: World) -> None:
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server", protocols=("est",)), WHO)
    order = IssueOrder(csr=csr("a.example.com"), profile="internal-tls", credential=made.credential, protocol="est")
    assert refusal(world, order).kind is FaultKind.FORBIDDEN
    order = dataclasses.replace(order, profile="tls-server", protocol="scep")
    assert refusal(world, order).kind is FaultKind.FORBIDDEN


def test_a_common_name_needs_a_pattern(world: World) -> None:
    names = NamePatterns(common_name=("sensor-*",))
    made = world.service.credential_add(TENANT, CredentialOrder("device", names=names), WHO)
    order = IssueOrder(csr=csr(cn="sensor-4"), profile="device", credential=made.credential)
    assert world.service.issue(TENANT, order, WHO).subject == "CN=sensor-4"
    fault = refusal(world, dataclasses.replace(order, csr=csr(cn="admin")))
    assert "common name 'admin'" in fault.public


def test_uses_are_counted_by_the_database(world: World) -> None:
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server", max_uses=3), WHO)
    orders = [
        IssueOrder(csr=csr(f"a{n}.example.com"), profile="tls-server", credential=made.credential) for n in range(6)
    ]
    serials, faults = in_threads(world, orders)
    assert len(serials) == 3
    assert {fault.kind for fault in faults} == {FaultKind.FORBIDDEN}
    assert world.service.credential_get(TENANT, made.id).uses == 3


def test_a_failed_issuance_spends_nothing(world: World) -> None:
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server", max_uses=1), WHO)
    refusal(world, IssueOrder(csr=csr("localhost"), profile="tls-server", credential=made.credential))
    assert world.service.credential_get(TENANT, made.id).uses == 0
    again = IssueOrder(
        csr=csr("a.example.com"), profile="tls-server", credential=made.credential, idempotency_key="est"
    )
    first = world.service.issue(TENANT, again, WHO)
    assert world.service.issue(TENANT, again, WHO).der == first.der  # a lost answer is asked for again


def test_an_expired_or_deleted_credential_issues_nothing(world: World) -> None:
    later = world.clock.now() + timedelta(hours=1)
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server", expires_at=later), WHO)
    order = IssueOrder(csr=csr("a.example.com"), profile="tls-server", credential=made.credential)
    world.clock.advance(3601)
    assert refusal(world, order).kind is FaultKind.FORBIDDEN
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server"), WHO)
    world.service.credential_delete(TENANT, made.id, WHO)
    assert refusal(world, dataclasses.replace(order, credential=made.credential)).kind is FaultKind.FORBIDDEN


# -- renewal -----------------------------------------------------------------------------------------------------------


def test_a_renewal_keeps_to_what_it_renews(world: World) -> None:
    first = world.service.issue(TENANT, IssueOrder(csr=csr("a.example.com", "b.example.com")), WHO)
    order = IssueOrder(csr=csr("a.example.com"), previous_certificate=first.der)
    assert world.service.issue(TENANT, order, WHO).sans == ("dns:a.example.com",)
    fault = refusal(world, dataclasses.replace(order, csr=csr("c.example.com")))
    assert (fault.kind, fault.public) == (FaultKind.POLICY, "a renewal cannot add names: dns:c.example.com")
    fault = refusal(world, dataclasses.replace(order, csr=csr("a.example.com", cn="a.example.com")))
    assert fault.public == "a renewal cannot change the subject"
    fault = refusal(world, dataclasses.replace(order, profile="internal-tls"))
    assert fault.kind is FaultKind.FORBIDDEN
    foreign = dataclasses.replace(order, previous_certificate=first.chain[0])
    assert refusal(world, foreign).kind is FaultKind.FORBIDDEN


# -- crashes -----------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """What no handler catches: the process is gone."""


@pytest.mark.parametrize("step", range(len(issue.WRITES) + 1))
def test_a_crash_between_two_steps_leaves_nothing_signed_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server", max_uses=5), WHO)
    order = IssueOrder(csr=csr("a.example.com"), profile="tls-server", credential=made.credential, idempotency_key="k")
    before = count(world)

    def crash(_i: Issuance, _uow: object) -> None:
        raise Crash

    steps = [*issue.WRITES[:step], crash, *issue.WRITES[step:]]
    with monkeypatch.context() as patched:
        patched.setattr(issue, "WRITES", tuple(steps))
        with pytest.raises(Crash):
            world.service.issue(TENANT, order, WHO)
    assert count(world) == before
    assert world.service.credential_get(TENANT, made.id).uses == 0
    with world.database.read(TENANT) as reader:
        actions = [record.event.action for record in audit.export(reader, TENANT)]
        audit.verify(reader, TENANT)
    assert actions.count("certificate.issue") == 4  # root, issuing CA and their OCSP signers
    issued = world.service.issue(TENANT, order, WHO)
    assert world.service.certificate(TENANT, issued.serial).der == issued.der


def test_what_cannot_be_audited_is_not_signed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[object] = []

    def fail(*_: object) -> None:
        raise Fault(FaultKind.STORAGE_FULL, "no room for the audit event")

    real = issue.WRITES
    monkeypatch.setattr(issue.audit, "append", fail)
    monkeypatch.setattr(issue, "WRITES", tuple(_noting(w, signed) if w is issue.sign else w for w in real))
    assert refusal(world, IssueOrder(csr=csr("a.example.com"))).kind is FaultKind.STORAGE_FULL
    assert signed == []


def _noting(write: Callable[..., None], calls: list[object]) -> Callable[..., None]:
    def noted(*arguments: object) -> None:
        calls.append(arguments)
        write(*arguments)

    return noted


def test_what_was_signed_must_be_what_was_linted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = world.service.issue(TENANT, IssueOrder(csr=csr("other.example.com")), WHO)

    def swap(i: Issuance, _uow: object) -> None:
        i.der = other.der

    monkeypatch.setattr(issue, "WRITES", tuple(swap if w is issue.sign else w for w in issue.WRITES))
    before = count(world)
    assert refusal(world, IssueOrder(csr=csr("a.example.com"))).kind is FaultKind.INTERNAL
    assert count(world) == before


def test_the_intent_is_audited_with_the_digest_of_what_is_signed(world: World) -> None:
    import hashlib

    issued = issue_one(world, "a.example.com")
    with world.database.read(TENANT) as reader:
        last = list(audit.export(reader, TENANT))[-1].event
    assert last.target == f"issuing/{issued.serial}"
    assert last.details["tbs_sha256"] == hashlib.sha256(decode_certificate(issued.der).tbs).hexdigest()
    refusal(world, IssueOrder(csr=csr("localhost")))
    with world.database.read(TENANT) as reader:
        last = list(audit.export(reader, TENANT))[-1].event
    assert (last.outcome, last.details["kind"]) == ("failure", "policy")


def test_a_serial_is_never_reserved_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from pycryptoutil.authority import serials

    first = issue_one(world, "a.example.com")
    taken = bytes.fromhex(first.serial)
    monkeypatch.setattr(serials, "new_serial", lambda _instance: taken)
    assert refusal(world, IssueOrder(csr=csr("b.example.com"))).kind is FaultKind.CONFLICT
    assert world.service.certificate(TENANT, first.serial).sans == ("dns:a.example.com",)


def test_a_reservation_left_behind_is_marked_and_answers_nothing(world: World) -> None:
    row = _reserved(world)
    with pytest.raises(Fault):
        world.service.certificate(TENANT, row.serial)
    world.clock.advance(2 * 3600)
    world.service.maintain()
    with world.database.read(TENANT) as reader:
        state = reader.execute(
            select(certificates_table.c.state).where(certificates_table.c.serial == row.serial)
        ).scalar_one()
    assert state == "failed"


def _reserved(world: World) -> certificate_store.CertificateRow:
    issued = issue_one(world, "a.example.com")
    with world.database.read(TENANT) as reader:
        (found,) = certificate_store.by_serial(reader, issued.serial)
    row = dataclasses.replace(
        found, serial="1234567890abcdef12", der=None, state=certificate_store.CertificateState.RESERVED
    )
    with world.database.unit_of_work(TENANT) as uow:
        certificate_store.reserve(uow, row)
    return row


def test_a_sealed_barrier_signs_nothing(world: World) -> None:
    issue_one(world, "a.example.com")
    world.barrier.seal()
    assert refusal(world, IssueOrder(csr=csr("a.example.com"))).kind is FaultKind.SEALED


@pytest.mark.parametrize("profile", ["smime-signing", "smime-encryption"])
def test_mail_of_a_house_s_own_names(shared: World, profile: str) -> None:
    """A CA of one's own certifies the mailboxes of one's own network, as it does its servers."""
    request = csr(names=(x509.RFC822Name("ann@mail.example.test"),))
    issued = shared.service.issue(TENANT, IssueOrder(profile=profile, csr=request), "tester")
    found = x509.load_der_x509_certificate(issued.der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert found.value.get_values_for_type(x509.RFC822Name) == ["ann@mail.example.test"]
