"""pkilint has nothing to say about certificates of our profiles: neither errors nor warnings."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pycryptoutil.authority import AuthoritySettings, IssueOrder
from pycryptoutil.crypto.x509 import pem
from tests.support.authority import TENANT, World, csr, open_world
from tests.support.databases import Databases

pytestmark = pytest.mark.interop

_PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, _sqlite_databases: Databases) -> Iterator[World]:
    settings = AuthoritySettings(organization="Example Corporation", country="DE")
    url = _sqlite_databases.fresh(("pycryptoutil.authority",))
    with open_world(url, tmp_path_factory.mktemp("pkilint"), settings) as opened:
        yield opened


def findings(program: str, arguments: list[str], der: bytes, tmp_path: Path) -> list[str]:
    path = tmp_path / "object.pem"
    path.write_text(pem(der))
    command = [str(_PROGRAMS / program), "lint", *arguments, "-s", "NOTICE", "-f", "JSON", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout, done.stderr
    return [
        f"{one['severity']} {one['code']} at {result['node_path']}: {one['message']}"
        for result in json.loads(done.stdout)["results"]
        for one in result["finding_descriptions"]
    ]


# pkilint's syntax check of URIs knows web schemes only; spiffe is one of RFC 3986's all the same
KNOWN = {"kubernetes-workload": ("pkix.invalid_uri_syntax",)}
# both are allowed and NOT RECOMMENDED: a common name is put in only when the request has one, and the subject key
# identifier is what relying parties outside of browsers look chains up by
NOT_RECOMMENDED = (
    "cabf.serverauth.dv.common_name_attribute_present",
    "cabf.serverauth.subscriber.subject_key_identifier_extension_present",
)


def without(found: list[str], known: tuple[str, ...]) -> list[str]:
    return [one for one in found if one.split()[1] not in known]


def request_for(profile: str, key: object) -> bytes:
    mail = (x509.RFC822Name("anna@example.com"),)
    organization = (
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.ORGANIZATION_NAME, "Example"),
    )
    extended = (
        (NameOID.JURISDICTION_COUNTRY_NAME, "DE"),
        (NameOID.BUSINESS_CATEGORY, "Private Organization"),
        (NameOID.SERIAL_NUMBER, "HRB 1234"),
        *organization,
    )
    match profile:
        case "smime-signing" | "smime-encryption":
            return csr(names=mail, key=key)
        case "smartcard-logon":
            upn = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x10anna@example.com")
            return csr(names=(upn,), cn="Anna", key=key)
        case "ev-code-signing":
            return csr(cn="Example", subject=extended, key=key)
        case "code-signing" | "kernel-code-signing" | "document-signing" | "timestamp":
            return csr(cn="Example", subject=organization, key=key)
        case "kubernetes-workload":
            return csr(names=(x509.UniformResourceIdentifier("spiffe://example.com/ns/a/sa/b"),), key=key)
        case "device" | "tls-client" | "vpn-client":
            return csr("a.example.com", cn="device 17", key=key)
        case _:
            return csr("www.example.com", "example.com", cn="www.example.com", key=key)


TLS = ("tls-server", "load-balancer", "internal-tls", "database-server", "message-queue-server")
LEAVES = (
    *TLS,
    "tls-client",
    "mtls-client",
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
    "timestamp",
)
KEYS = {
    "rsa": lambda: rsa.generate_private_key(65537, 3072),
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("profile", LEAVES)
def test_a_leaf_of_every_profile_is_clean(world: World, tmp_path: Path, profile: str, kind: str) -> None:
    request = request_for(profile, KEYS[kind]())
    issued = world.service.issue(TENANT, IssueOrder(profile=profile, csr=request), "test")
    assert without(findings("lint_pkix_cert", [], issued.der, tmp_path), KNOWN.get(profile, ())) == []


@pytest.mark.parametrize("kind", KEYS)
def test_a_server_certificate_keeps_the_baseline_requirements(world: World, tmp_path: Path, kind: str) -> None:
    issued = world.service.issue(TENANT, IssueOrder(csr=request_for("tls-server", KEYS[kind]())), "test")
    found = findings("lint_cabf_serverauth_cert", ["-t", "DV-FINAL-CERTIFICATE"], issued.der, tmp_path)
    assert without(found, NOT_RECOMMENDED) == []


def test_the_cas_and_their_responders_are_clean(world: World, tmp_path: Path) -> None:
    from pycryptoutil.authority import store

    issuing = world.service.authority(TENANT)
    for certificate in issuing.chain:
        assert findings("lint_pkix_cert", [], certificate, tmp_path) == []
    with world.database.read(TENANT) as reader:
        for row in store.all_authorities(reader):
            (signer,) = store.signers_of(reader, row.id, "ocsp")
            assert findings("lint_pkix_cert", [], signer.certificate, tmp_path) == []


def test_the_chain_fits_together(world: World, tmp_path: Path) -> None:
    issued = world.service.issue(TENANT, IssueOrder(csr=request_for("tls-server", KEYS["ec"]())), "test")
    chain = [issued.der, *issued.chain]
    for subject, issuer in itertools.pairwise(chain):
        paths = [tmp_path / name for name in ("issuer.pem", "subject.pem")]
        for path, der in zip(paths, (issuer, subject), strict=True):
            path.write_text(pem(der))
        command = [str(_PROGRAMS / "lint_pkix_signer_signee_cert_chain"), "lint", "-f", "JSON", *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert json.loads(done.stdout)["results"] == [], done.stdout


def test_the_linter_does_find_faults(tmp_path: Path) -> None:
    """So that a silent linter is not taken for a clean certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    from datetime import UTC, datetime

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = builder.serial_number(1).not_valid_before(moment).not_valid_after(moment).sign(key, hashes.SHA256())
    assert findings("lint_pkix_cert", [], made.public_bytes(serialization.Encoding.DER), tmp_path) != []
