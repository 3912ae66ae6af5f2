"""Foreign CAs certified by ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import AuthorityOrder, AuthorityStatus, RevocationReason
from pycryptoutil.authority.lifecycle import cross
from pycryptoutil.authority.lifecycle.cross import CrossOrder
from tests.support.authority import NOW, TENANT, World, csr, new_key
from tests.unit.lifecycle.test_rollover import issue, openssl

WHO = "user:tester"
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Partner Root")])
KEY_IDENTIFIER = b"chosen by hand 0001"


class Partner:
    """A CA of somebody else's, with a key identifier of its own making."""

    def __init__(self, *, is_ca: bool = True, days: int = 3000) -> None:
        self.key = new_key()
        builder = self._builder(NAME, self.key.public_key(), days)
        builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier(KEY_IDENTIFIER), critical=False)
        self.certificate = builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    @staticmethod
    def _builder(subject: x509.Name, public: object, days: int) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(NAME).public_key(public)  # type: ignore[arg-type]
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(NOW - timedelta(days=1))
        return builder.not_valid_after(NOW + timedelta(days=days))

    def leaf(self, host: str) -> bytes:
        key = new_key()
        builder = self._builder(x509.Name([]), key.public_key(), 30)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(KEY_IDENTIFIER, None, None), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


ORDER = CrossOrder(permitted_names=("dns:partner.example",))


def certify(world: World, order: CrossOrder, name: str = "root") -> bytes:
    return cross.certify(world.service.room, TENANT, name, order, WHO).certificate


def test_relying_parties_of_ours_reach_the_partner_within_limits(world: World, tmp_path: Path) -> None:
    partner = Partner()
    made = certify(world, replace(ORDER, certificate=partner.certificate))
    root = world.service.authority(TENANT, "root").certificate
    openssl(tmp_path, partner.leaf("www.partner.example"), root, (made,))
    openssl(tmp_path, partner.leaf("www.elsewhere.example"), root, (made,), code=2)
    certificate = x509.load_der_x509_certificate(made)
    assert certificate.subject == NAME
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert identifier == KEY_IDENTIFIER
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert certificate.not_valid_after_utc <= NOW + timedelta(days=3000)
    (listed,) = cross.listing(world.service.room, TENANT, "root")
    assert (listed.certificate, listed.subject) == (made, "CN=Partner Root")
    revoked = world.service.revoke(TENANT, listed.serial, RevocationReason.CESSATION_OF_OPERATION, None, WHO)
    assert revoked.profile == "intermediate-ca"
    assert cross.listing(world.service.room, TENANT, "issuing") == []


def test_a_request_will_do(world: World) -> None:
    wanted = csr(cn="Partner Issuing")
    made = x509.load_der_x509_certificate(certify(world, replace(ORDER, csr=wanted, days=365, path_length=1)))
    assert made.subject.rfc4514_string() == "CN=Partner Issuing"
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(days=365) - timedelta(seconds=1)
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 1


def test_what_is_not_certified(world: World) -> None:
    partner = Partner()
    good = replace(ORDER, certificate=partner.certificate)
    own = world.service.authority(TENANT, "issuing").certificate
    forged = partner.certificate[:-1] + bytes([partner.certificate[-1] ^ 1])
    for order, kind, said in (
        (replace(good, permitted_names=()), FaultKind.POLICY, "unconstrained"),
        (replace(good, certificate=own), FaultKind.POLICY, "rollover"),
        (replace(good, certificate=Partner(is_ca=False).certificate), FaultKind.INVALID, "not a CA"),
        (replace(good, certificate=Partner(days=0).certificate), FaultKind.EXPIRED, "valid now"),
        (replace(good, certificate=forged), FaultKind.BAD_SIGNATURE, ""),
        (replace(good, certificate=None), FaultKind.INVALID, "either"),
        (replace(good, csr=csr(cn="X")), FaultKind.INVALID, "either"),
        (replace(good, profile="tls-server"), FaultKind.POLICY, "not for certificate authorities"),
        (replace(good, permitted_names=("dns:",)), FaultKind.INVALID, ""),
        (replace(good, certificate=None, csr=csr("a.test")), FaultKind.POLICY, "no name"),
    ):
        with pytest.raises(Fault, match=said) as caught:
            certify(world, order)
        assert caught.value.kind is kind
    with pytest.raises(Fault, match="path length"):  # the issuing CA may have none below
        certify(world, good, "issuing")
    world.service.set_authority_status(TENANT, "root", AuthorityStatus.DISABLED, WHO)
    with pytest.raises(Fault, match="disabled"):
        certify(world, good)
    assert cross.listing(world.service.room, TENANT, "root") == []


def test_without_limits_when_said(world: World) -> None:
    world.service.create_authority(TENANT, AuthorityOrder("policy", "CN=Policy", parent="root", path_length=1), WHO)
    partner = Partner()
    made = x509.load_der_x509_certificate(certify(world, CrossOrder(partner.certificate, unconstrained=True), "policy"))
    with pytest.raises(x509.ExtensionNotFound):
        made.extensions.get_extension_for_class(x509.NameConstraints)
    issue(world)  # nothing else has changed
