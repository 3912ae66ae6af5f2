"""strongSwan 6's ``pki --est`` and ``pki --estca``, from Debian 13 (RFC 7030)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.pki import Ca
from tests.support.programs import Debian13, Done, run
from tests.support.suite import make_suite

pytestmark = pytest.mark.interop
TLS = {"1.3": "libtls {\n  version_max = 1.3\n}\n", "1.2": ""}  # strongSwan 6.0 stops at 1.2 by itself


class Swan:
    """strongSwan's ``pki`` with its own configuration, and the CA that it talks to."""

    def __init__(self, ca: Ca, there: Debian13, tls: str) -> None:
        self.ca = ca
        self.there = there
        self._settings = there.put("strongswan.conf", TLS[tls].encode())
        self._trusted = there.put("tls.pem", ca.suite.trust_bundle.read_bytes())

    def pki(self, *arguments: str, code: int | None = 0) -> Done:
        """Run one command."""
        return self.there.run("env", f"STRONGSWAN_CONF={self._settings}", "pki", *arguments, code=code)

    def est(self, operation: str, *arguments: str, code: int | None = 0) -> Done:
        """Talk to the CA."""
        return self.pki(operation, "--url", self.ca.suite.url(), "--cacert", self._trusted, *arguments, code=code)

    def request(self, name: str, common_name: str) -> tuple[str, str, bytes]:
        """Make a key and a request; return their names inside, and the key."""
        key = self.pki("--gen", "--type", "ecdsa", "--size", "256", "--outform", "pem").out
        inside = self.there.put(f"{name}.key", key)
        made = self.pki("--req", "--type", "priv", "--in", inside, "--dn", f"CN={common_name}", "--san", common_name)
        return self.there.put(f"{name}.req", made.out), inside, key

    def chain(self) -> tuple[str, ...]:
        """The CA's certificates, which it wants to know beforehand."""
        files = [
            self.there.put(f"chain{n}.pem", one.public_bytes(Encoding.PEM)) for n, one in enumerate(self.ca.chain())
        ]
        return tuple(part for file in files for part in ("--cacert", file))


@pytest.fixture(scope="module")
def old_clients_ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ca]:
    """A suite that is set to let TLS 1.2 in."""
    made = make_suite(tmp_path_factory.mktemp("old"), "pki-ca", {"public": {"tls": {"minimum_version": "1.2"}}})
    try:
        yield Ca(made.start())
    finally:
        made.close()


@pytest.fixture(params=list(TLS))
def swan(request: pytest.FixtureRequest, debian13: Debian13) -> Swan:
    """strongSwan over TLS 1.3, and as it comes, over 1.2."""
    found = request.getfixturevalue("ca" if request.param == "1.3" else "old_clients_ca")
    return Swan(found, debian13, request.param)


def spki(key: bytes) -> bytes:
    """DER of the public half of a private key in PEM."""
    return run("openssl", "pkey", "-pubout", "-outform", "DER", stdin=key).out


def public_half(certificate: x509.Certificate) -> bytes:
    """DER of a certificate's key."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_it_is_strongswan_6(swan: Swan) -> None:
    assert "strongSwan 6." in swan.pki("--help").text


def test_it_stops_at_tls_1_2_by_itself(ca: Ca, debian13: Debian13) -> None:
    """Which our default refuses, in words that its user sees."""
    assert "protocol version" in Swan(ca, debian13, "1.2").est("--estca", code=None).text


def test_estca(swan: Swan) -> None:
    out = swan.there.put("ca.pem", b"")
    swan.est("--estca", "--caout", out, "--outform", "pem", "--force")
    written = [file.read_bytes() for file in swan.there.folder.glob("ca*.pem") if file.stat().st_size]
    found = {x509.load_pem_x509_certificate(one).public_bytes(Encoding.DER) for one in written}
    assert found == {one.public_bytes(Encoding.DER) for one in swan.ca.chain()}


@pytest.mark.parametrize("label", ["", "tls-server"])
def test_est_enrols_by_user_and_password(swan: Swan, label: str) -> None:
    asked, _, key = swan.request("new", "swan.example.test")
    username, password = swan.ca.credential()
    labelled = ("--label", label) if label else ()
    got = swan.est(
        "--est", *labelled, "--in", asked, *swan.chain(), "--userpass", f"{username}:{password}", "--outform", "pem"
    )
    certificate = x509.load_pem_x509_certificate(got.out)
    assert public_half(certificate) == spki(key)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["swan.example.test"]


def test_est_renews_by_the_certificate(swan: Swan) -> None:
    trusted = swan.chain()
    asked, old_key, _ = swan.request("old", "vpn.example.test")
    username, password = swan.ca.credential("vpn-server")
    first = swan.est("--est", "--in", asked, *trusted, "--userpass", f"{username}:{password}", "--outform", "pem")
    old = swan.there.put("old.pem", first.out)
    asked, _, key = swan.request("renewed", "vpn.example.test")
    renewed = swan.est("--est", "--in", asked, *trusted, "--cert", old, "--key", old_key, "--outform", "pem")
    before, after = (x509.load_pem_x509_certificate(one.out) for one in (first, renewed))
    assert public_half(after) == spki(key)
    assert before.subject == after.subject
    assert before.serial_number != after.serial_number


def test_a_wrong_password_is_told(swan: Swan) -> None:
    asked, _, _ = swan.request("new", "swan.example.test")
    username, _ = swan.ca.credential()
    done = swan.est("--est", "--in", asked, "--userpass", f"{username}:wrong", code=None)
    assert done.code != 0
    assert "HTTP 401" in done.text
    assert not done.out
