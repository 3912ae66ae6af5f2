"""Path validation: what is found, and each way in which a path is refused."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import chain

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CA = x509.BasicConstraints(ca=True, path_length=None)
CLIENT = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])
SERVER = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])


def usage(**bits: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})


@dataclass
class Entity:
    """A key with its certificate."""

    name: str
    key: CertificateIssuerPrivateKeyTypes
    der: bytes = b""

    @property
    def subject(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)])


def make(
    name: str,
    issuer: Entity | None = None,
    *extensions: x509.ExtensionType,
    critical: bool = True,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    start: datetime = NOW - DAY,
    end: datetime = NOW + DAY,
    digest: hashes.HashAlgorithm | None = hashes.SHA256(),  # noqa: B008
) -> Entity:
    """Issue a certificate to a new key."""
    entity = Entity(name, key or ec.generate_private_key(ec.SECP256R1()))
    signer = issuer or entity
    builder = (
        x509.CertificateBuilder()
        .subject_name(entity.subject)
        .issuer_name(signer.subject)
        .public_key(entity.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical)
    plain = isinstance(signer.key, ed25519.Ed25519PrivateKey | mldsa.MLDSA65PrivateKey)
    certificate = builder.sign(signer.key, None if plain else digest)  # type: ignore[arg-type]
    entity.der = certificate.public_bytes(Encoding.DER)
    return entity


ROOT = make("root", None, CA)
ISSUING = make("issuing", ROOT, CA, usage(key_cert_sign=True))
LEAF = make("leaf", ISSUING, CLIENT, usage(digital_signature=True))


def find(leaf: Entity, pool: Sequence[Entity] = (), anchors: Sequence[Entity] = (ROOT,), **more: object) -> list[str]:
    path = chain.verify_chain(
        leaf.der,
        [one.der for one in pool],
        [one.der for one in anchors],
        NOW,
        **more,  # type: ignore[arg-type]
    )
    names = (x509.load_der_x509_certificate(der).subject.rfc4514_string() for der in path)
    return [name.removeprefix("CN=") for name in names]


def refused(kind: FaultKind, *arguments: object, match: str | None = None, **more: object) -> None:
    with pytest.raises(Fault, match=match) as raised:
        find(*arguments, **more)  # type: ignore[arg-type]
    assert raised.value.kind is kind


def test_a_path_is_found_among_others_in_any_order() -> None:
    stranger = make("stranger", None, CA)
    twin = make("issuing", stranger, CA)  # the same name, another key
    assert find(LEAF, [twin, stranger, ISSUING]) == ["leaf", "issuing", "root"]
    assert find(LEAF, [], [ISSUING]) == ["leaf", "issuing"]
    assert find(LEAF, [], [LEAF]) == ["leaf"]
    assert find(LEAF, [ROOT, ISSUING, LEAF]) == ["leaf", "issuing", "root"]
    assert chain.verify_client_chain([LEAF.der, ISSUING.der], [ROOT.der], NOW)[-1] == ROOT.der


@pytest.mark.parametrize(
    "key",
    [ed25519.Ed25519PrivateKey.generate(), mldsa.MLDSA65PrivateKey.generate(), rsa.generate_private_key(65537, 2048),
     ec.generate_private_key(ec.SECP521R1())],
    ids=["Ed25519", "ML-DSA-65", "RSA", "P-521"],
)  # fmt: skip
def test_every_algorithm(key: CertificateIssuerPrivateKeyTypes) -> None:
    root = make("root", None, CA, key=key)
    assert find(make("leaf", root), [], [root]) == ["leaf", "root"]


def test_no_path() -> None:
    refused(FaultKind.UNAUTHENTICATED, LEAF)
    refused(FaultKind.UNAUTHENTICATED, LEAF, [ISSUING], [])
    refused(FaultKind.UNAUTHENTICATED, LEAF, [ISSUING], [make("root", None, CA)])
    refused(FaultKind.UNAUTHENTICATED, make("leaf"), [ISSUING])
    with pytest.raises(Fault):
        chain.verify_client_chain([], [ROOT.der], NOW)


def test_a_changed_certificate() -> None:
    forged = Entity("leaf", LEAF.key, LEAF.der[:-1] + bytes([LEAF.der[-1] ^ 1]))
    refused(FaultKind.UNAUTHENTICATED, forged, [ISSUING], match="does not verify|certificate path")
    with pytest.raises(Fault) as raised:
        chain.verify_chain(LEAF.der[:-1], [], [ROOT.der], NOW)
    assert raised.value.kind is FaultKind.MALFORMED


def test_validity() -> None:
    refused(FaultKind.EXPIRED, make("leaf", ROOT, end=NOW - timedelta(seconds=1)))
    refused(FaultKind.EXPIRED, make("leaf", ROOT, start=NOW + timedelta(seconds=1)))
    assert find(make("leaf", ROOT, start=NOW, end=NOW)) == ["leaf", "root"]
    old = make("old", ROOT, CA, end=NOW - timedelta(hours=1))
    refused(FaultKind.EXPIRED, make("leaf", old), [old])
    dead = make("dead", None, CA, end=NOW - timedelta(hours=1))
    refused(FaultKind.EXPIRED, make("leaf", dead), [], [dead])


def test_issuers_must_be_cas() -> None:
    for issuer in (
        make("no", ROOT),
        make("no", ROOT, x509.BasicConstraints(ca=False, path_length=None)),
        make("no", ROOT, CA, usage(digital_signature=True)),
    ):
        refused(FaultKind.UNAUTHENTICATED, make("leaf", issuer), [issuer])


def test_path_length() -> None:
    short = make("short", ROOT, x509.BasicConstraints(ca=True, path_length=0))
    below = make("below", short, CA)
    assert find(make("leaf", short), [short]) == ["leaf", "short", "root"]
    refused(FaultKind.UNAUTHENTICATED, make("leaf", below), [below, short], match="pathLen")


def test_purpose() -> None:
    assert find(LEAF, [ISSUING], purpose=chain.CLIENT_AUTH)
    assert find(make("leaf", ROOT), purpose=chain.CLIENT_AUTH)
    assert find(make("leaf", ROOT, x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])),
                purpose=chain.CLIENT_AUTH)  # fmt: skip
    refused(FaultKind.UNAUTHENTICATED, make("leaf", ROOT, SERVER), purpose=chain.CLIENT_AUTH)
    refused(FaultKind.UNAUTHENTICATED, make("leaf", ROOT, usage(key_agreement=True)), purpose=chain.CLIENT_AUTH)


def test_critical_extensions_unknown_here() -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    refused(FaultKind.UNAUTHENTICATED, make("leaf", ROOT, odd), match="critical")
    assert find(make("leaf", ROOT, odd, critical=False))
    constrained = make("ca", ROOT, CA, x509.PolicyConstraints(0, None))
    refused(FaultKind.UNAUTHENTICATED, make("leaf", constrained), [constrained], match="critical")


def test_weak_hashes_are_not_believed() -> None:
    sha224 = LEAF.der.replace(bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040301"))
    refused(FaultKind.UNAUTHENTICATED, Entity("leaf", LEAF.key, sha224), [ISSUING], match="signature algorithm")


def test_bounds() -> None:
    refused(FaultKind.UNAUTHENTICATED, LEAF, [ISSUING] * 17, match="17 intermediates")
    long = [ROOT]
    for index in range(8):
        long.append(make(f"ca {index}", long[-1], CA))
    assert len(find(make("leaf", long[6]), long[1:])) == 8
    refused(FaultKind.UNAUTHENTICATED, make("leaf", long[7]), long[1:], match="too long")
    # cross-certified CAs of one name, each of another key: the search gives up instead of trying every order
    crowd = [make("same", None, CA) for _ in range(16)]
    refused(FaultKind.UNAUTHENTICATED, make("leaf", make("same", None, CA)), crowd)


def constrained(leaf: x509.SubjectAlternativeName, constraints: x509.NameConstraints) -> None:
    ca = make("ca", ROOT, CA, constraints)
    find(make("leaf", ca, leaf, critical=False), [ca])


DNS, MAIL, URI, IP = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier, x509.IPAddress


@pytest.mark.parametrize(
    ("name", "subtree", "inside"),
    [
        (DNS("a.example.test"), DNS("example.test"), True),
        (DNS("EXAMPLE.test"), DNS("example.TEST"), True),
        (DNS("badexample.test"), DNS("example.test"), False),
        (DNS("a.example.test"), DNS("a.b.example.test"), False),
        (MAIL("a@example.test"), MAIL("example.test"), True),
        (MAIL("a@b.example.test"), MAIL("example.test"), False),
        (MAIL("a@b.example.test"), MAIL(".example.test"), True),
        (MAIL("a@example.test"), MAIL("a@example.test"), True),
        (MAIL("A@example.test"), MAIL("a@example.test"), False),
        (URI("https://example.test/x"), URI("example.test"), True),
        (URI("https://a.example.test/x"), URI("example.test"), False),
        (URI("https://a.example.test:8443/x"), URI(".example.test"), True),
        (IP(ipaddress.ip_address("192.0.2.7")), IP(ipaddress.ip_network("192.0.2.0/24")), True),
        (IP(ipaddress.ip_address("192.0.3.7")), IP(ipaddress.ip_network("192.0.2.0/24")), False),
        (IP(ipaddress.ip_address("2001:db8::1")), IP(ipaddress.ip_network("192.0.2.0/24")), False),
        (IP(ipaddress.ip_address("2001:db8::1")), IP(ipaddress.ip_network("2001:db8::/32")), True),
    ],
    ids=str,
)
def test_name_constraints(name: x509.GeneralName, subtree: x509.GeneralName, inside: bool) -> None:
    names = x509.SubjectAlternativeName([name])
    for limits, passes in (
        (x509.NameConstraints([subtree], None), inside),
        (x509.NameConstraints(None, [subtree]), not inside),
    ):
        if passes:
            constrained(names, limits)
        else:
            with pytest.raises(Fault) as raised:
                constrained(names, limits)
            assert raised.value.kind is FaultKind.UNAUTHENTICATED


def test_a_wildcard_that_reaches_an_excluded_host_is_refused() -> None:
    excluded = x509.NameConstraints(None, [DNS("secret.example.test")])
    constrained(x509.SubjectAlternativeName([DNS("*.a.example.test")]), excluded)
    with pytest.raises(Fault):
        constrained(x509.SubjectAlternativeName([DNS("*.example.test")]), excluded)


def test_constraints_of_other_forms_do_not_bind() -> None:
    constrained(x509.SubjectAlternativeName([DNS("a.test")]), x509.NameConstraints([MAIL("example.test")], None))


def test_subjects_are_constrained() -> None:
    inside = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "LEAF")])
    outside = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")])
    names = x509.SubjectAlternativeName([DNS("a.test")])
    constrained(names, x509.NameConstraints([x509.DirectoryName(inside)], None))
    for limits in (
        x509.NameConstraints([x509.DirectoryName(outside)], None),
        x509.NameConstraints(None, [x509.DirectoryName(inside)]),
    ):
        with pytest.raises(Fault):
            constrained(names, limits)


def test_forms_that_cannot_be_compared_are_refused_where_constrained() -> None:
    other = x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    names = x509.SubjectAlternativeName([other])
    with pytest.raises(Fault):
        constrained(names, x509.NameConstraints([other], None))
    with pytest.raises(Fault):
        constrained(x509.SubjectAlternativeName([URI("urn:uuid:1")]), x509.NameConstraints([URI("example.test")], None))


def test_a_mail_address_in_the_subject_is_constrained() -> None:
    ca = make("ca", ROOT, CA, x509.NameConstraints([MAIL("example.test")], None))
    for host, passes in (("example.test", True), ("other.test", False)):
        entity = Entity("x", ec.generate_private_key(ec.SECP256R1()))
        subject = x509.Name([x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, f"a@{host}")])
        certificate = (
            x509.CertificateBuilder(ca.subject, subject, entity.key.public_key(), 7, NOW - DAY, NOW + DAY)
        ).sign(ca.key, hashes.SHA256())  # type: ignore[arg-type]
        entity.der = certificate.public_bytes(Encoding.DER)
        if passes:
            chain.verify_chain(entity.der, [ca.der], [ROOT.der], NOW)
        else:
            with pytest.raises(Fault):
                chain.verify_chain(entity.der, [ca.der], [ROOT.der], NOW)
