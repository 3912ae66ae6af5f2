"""SCEP as other people's clients speak it: strongSwan 6, certmonger and micromdm's scepclient (RFC 8894)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from pycryptoutil_protocols import cms

from tests.support.pki import Ca
from tests.support.programs import ROOT, Debian13, Done, missing, need, run
from tests.support.suite import make_suite, until

pytestmark = pytest.mark.interop
SCEPCLIENT = Path(os.environ.get("PYCRYPTOUTIL_SCEPCLIENT", ROOT / ".interop" / "go" / "bin" / "scepclient"))
WAITING = """
name: scep-waiting
title: Certificates that somebody agrees to
approvals: 1
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [RSA]}
subject: {allowed: [CN]}
names: {types: [dns], from_common_name: true, private: true}
key_usage: {default: [digitalSignature, keyEncipherment]}
extended_key_usage: [serverAuth]
"""


def url(ca: Ca, label: str = "tls-server", listener: str = "plain") -> str:
    return f"{ca.suite.url('pki-ca', listener)}/scep/{label}"


def names(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.DNSName)


def put_profile(ca: Ca, name: str, document: str) -> None:
    answer = ca.suite.api().put(
        f"profiles/{name}", content=document.encode(), headers={"Content-Type": "application/yaml"}
    )
    assert answer.status_code in {200, 201}, answer.text


def approve(ca: Ca, decision: str = "approve", **body: Any) -> None:
    """Decide on the next request that waits, as somebody at the REST API does."""
    api = ca.suite.api()

    def waiting() -> Any:
        return api.get("approvals", params={"state": "pending"}).json()["items"]

    (found,) = until(waiting, "a request that waits")
    answer = api.post(f"approvals/{found['id']}/{decision}", json=body)
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def own_ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ca]:
    """A CA for tests that change profiles or wait for approval."""
    made = make_suite(tmp_path_factory.mktemp("scep"), "pki-ca")
    try:
        yield Ca(made.start())
    finally:
        made.close()


# -- strongSwan 6


class Swan:
    """``pki --scep`` and the CA that it talks to."""

    def __init__(self, ca: Ca, there: Debian13, label: str = "tls-server") -> None:
        self.ca = ca
        self.there = there
        self.url = url(ca, label)
        self.trusted = self._trusted()

    def _trusted(self) -> tuple[str, ...]:
        out = {name: self.there.put(name, b"") for name in ("ca.pem", "ra.pem")}
        self.done = self.there.run(
            "pki", "--scepca", "--url", self.url, "--caout", out["ca.pem"], "--raout", out["ra.pem"],
            "--outform", "pem", "--force",
        )  # fmt: skip
        authorities = [str(path) for path in sorted(self.there.folder.glob("ca*.pem")) if path.stat().st_size]
        inside = [f"/{Path(path).relative_to(self.there.folder.parents[1])}" for path in authorities]
        ra = out["ra.pem"]
        return ("--cacert-enc", ra, "--cacert-sig", ra, *(part for one in inside for part in ("--cacert", one)))

    def key(self, name: str) -> str:
        made = self.there.run("pki", "--gen", "--type", "rsa", "--size", "2048", "--outform", "pem")
        return self.there.put(name, made.out)

    def scep(self, *arguments: str, code: int | None = 0) -> Done:
        return self.there.run(
            "pki", "--scep", "--url", self.url, *arguments, *self.trusted, "--outform", "pem", code=code
        )


@pytest.fixture
def swan(ca: Ca, debian13: Debian13) -> Swan:
    return Swan(ca, debian13)


def test_strongswan_trusts_what_getcacert_says(swan: Swan) -> None:
    assert "RA cert is trusted" in swan.done.text
    assert "Sub CA cert is trusted" in swan.done.text


@pytest.mark.parametrize("options", [(), ("--digest", "sha512"), ("--rsa-padding", "pss")])
def test_strongswan_enrols_and_renews(swan: Swan, options: tuple[str, ...]) -> None:
    _, password = swan.ca.credential(max_uses=1)
    key = swan.key("key.pem")
    request = ("--dn", "CN=swan.example.test", "--san", "swan.example.test")
    got = swan.scep("--in", key, *request, "--password", password, *options)
    first = x509.load_pem_x509_certificate(got.out)
    assert names(first) == ["swan.example.test"]
    old = swan.there.put("old.pem", got.out)
    got = swan.scep("--in", swan.key("new.pem"), "--cert", old, "--key", key, *options)
    renewed = x509.load_pem_x509_certificate(got.out)
    assert renewed.serial_number != first.serial_number
    assert (renewed.subject, names(renewed)) == (first.subject, names(first))
    assert renewed.public_key() != first.public_key()


def test_strongswan_tells_why_not(swan: Swan) -> None:
    done = swan.scep("--in", swan.key("key.pem"), "--dn", "CN=swan.example.test", "--password", "wrong", code=None)
    assert done.code != 0
    assert "badRequest" in done.text or "not permitted" in done.text
    old = swan.scep(
        "--in", swan.key("key.pem"), "--dn", "CN=swan.example.test", "--password", "x", "--cipher", "des3", code=None
    )  # fmt: skip
    assert old.code != 0
    assert "badAlg" in old.text or "algorithm" in old.text


def test_strongswan_polls_until_somebody_agrees(own_ca: Ca, debian13: Debian13) -> None:
    put_profile(own_ca, "scep-waiting", WAITING)
    swan = Swan(own_ca, debian13, "scep-waiting")
    _, password = own_ca.credential("scep-waiting")
    agreeing = threading.Thread(target=approve, args=(own_ca,))
    agreeing.start()
    got = swan.scep(
        "--in", swan.key("key.pem"), "--dn", "CN=swan.example.test", "--san", "swan.example.test",
        "--password", password, "--interval", "1", "--maxpolltime", "60",
    )  # fmt: skip
    agreeing.join()
    assert names(x509.load_pem_x509_certificate(got.out)) == ["swan.example.test"]


# -- micromdm's scepclient


@pytest.fixture
def scepclient() -> str:
    if not SCEPCLIENT.exists():
        missing(f"{SCEPCLIENT} is not there: bash tests/interop/prepare_scep.sh")
    return str(SCEPCLIENT)


def fingerprint(ca: Ca, label: str) -> str:
    """SHA-256 of the RA's certificate, which this client encrypts to when told: it cannot pick it by itself."""
    answer = ca.suite.http(listener="plain").get(f"/scep/{label}?operation=GetCACert")
    return hashlib.sha256(cms.decode_certs_only(answer.content)[0]).hexdigest()


def micromdm(program: str, ca: Ca, folder: Path, password: str, label: str = "tls-server") -> Done:
    return run(
        program, "-server-url", url(ca, label), "-challenge", password, "-ca-fingerprint", fingerprint(ca, label),
        "-cn", "mdm.example.test", "-organization", "", "-ou", "", "-country", "",
        "-private-key", folder / "key.pem", "-certificate", folder / "cert.pem",
        cwd=folder, code=None,
    )  # fmt: skip


def test_scepclient_enrols_where_its_old_algorithms_are_allowed(own_ca: Ca, scepclient: str, tmp_path: Path) -> None:
    """It has DES and SHA-1 and nothing else, so its credential must be named in a profile."""
    username, password = own_ca.credential()
    done = micromdm(scepclient, own_ca, tmp_path, password)
    assert "badAlg" in done.text
    assert not (tmp_path / "cert.pem").exists()
    document = own_ca.suite.api().get("profiles/tls-server", headers={"Accept": "application/yaml"}).text
    put_profile(own_ca, "tls-server", f"{document}\nlegacy_credentials: [{username}]\n")
    try:
        done = micromdm(scepclient, own_ca, tmp_path, password)
        certificate = x509.load_pem_x509_certificate((tmp_path / "cert.pem").read_bytes())
        key = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
        assert certificate.public_key() == key.public_key()
        assert names(certificate) == ["mdm.example.test"]
        other = tmp_path / "other"
        other.mkdir()
        assert "badAlg" in micromdm(scepclient, own_ca, other, own_ca.credential()[1]).text
    finally:
        assert own_ca.suite.api().delete("profiles/tls-server").status_code == 204


# -- certmonger


class Certmonger:
    """certmonger on a session bus of its own, with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        need("dbus-daemon", "certmonger", "getcert")
        self.folder = folder
        address = f"unix:path={folder}/bus"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "DBUS_SESSION_BUS_ADDRESS": address,
        }
        (folder / "config").mkdir()
        self._bus = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--address", address], env=self.environment
        )
        until((folder / "bus").exists, "a session bus")
        until(self._listed, "certmonger, which the bus starts")

    def _listed(self) -> bool:
        return self.getcert("list-cas", code=None).code == 0

    def getcert(self, command: str, *arguments: str, code: int | None = 0) -> Done:
        line = ["getcert", command, "-s", *arguments]
        ended = subprocess.run(line, env=self.environment, capture_output=True, check=False, timeout=60)
        done = Done(line, ended.returncode, ended.stdout, ended.stderr)
        assert code is None or done.code == code, done.text
        return done

    def issued(self, file: Path, before: int = 0) -> x509.Certificate:
        """Wait for a certificate other than that of this serial number."""

        def found() -> x509.Certificate | None:
            listed = self.getcert("list").text
            assert "REJECTED" not in listed, listed
            if "status: MONITORING" not in listed or not file.exists():
                return None
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
            return certificate if certificate.serial_number != before else None

        certificate: x509.Certificate = until(found, "a certificate of certmonger's")
        return certificate

    def close(self) -> None:
        """End the bus, and what it has started with it."""
        self._bus.terminate()
        self._bus.wait(timeout=30)


@pytest.fixture
def certmonger(tmp_path: Path) -> Iterator[Certmonger]:
    made = Certmonger(tmp_path)
    yield made
    made.close()


def test_certmonger_enrols_and_renews(ca: Ca, certmonger: Certmonger, tmp_path: Path) -> None:
    _, password = ca.credential(max_uses=1)
    certmonger.getcert("add-scep-ca", "-c", "ours", "-u", url(ca))
    until(lambda: "ours" in certmonger.getcert("list-cas").text, "the CA in certmonger's list")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    certmonger.getcert(
        "request", "-c", "ours", "-I", "it", "-k", str(key), "-f", str(certificate),
        "-N", "CN=monger.example.test", "-D", "monger.example.test", "-L", password,
    )  # fmt: skip
    first = certmonger.issued(certificate)
    assert names(first) == ["monger.example.test"]
    issuing, _ = ca.chain()
    first.verify_directly_issued_by(issuing)
    certmonger.getcert("resubmit", "-i", "it")
    renewed = certmonger.issued(certificate, first.serial_number)
    assert names(renewed) == names(first)
    assert key.read_bytes()
    assert renewed.public_bytes(Encoding.DER) != first.public_bytes(Encoding.DER)
