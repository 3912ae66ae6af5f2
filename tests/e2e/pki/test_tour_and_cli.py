"""The administrator's commands and the tour, against a running suite."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pycryptoutil.cli.tour import STEPS
from tests.support.authority import csr
from tests.support.pki import Ca
from tests.support.programs import need
from tests.support.suite import StartSuite, run_cli


def test_credentials(ca: Ca) -> None:
    suite = ca.suite
    made = suite.cli_json(
        "ca", "credential", "add", "--profile", "tls-server", "--dns", "*.example.test", "--max-uses", "3"
    )
    assert made["username"]
    assert made["password"]
    assert (made["profile"], made["names"]["dns"], made["max_uses"]) == ("tls-server", ["*.example.test"], 3)
    shown = suite.cli("ca", "credential", "show", made["username"]).stdout
    assert made["password"] not in shown + suite.cli("ca", "credential", "list").stdout + suite.log_text()
    assert made["id"] in {row["id"] for row in suite.cli_json("ca", "credential", "list")}
    suite.cli("ca", "credential", "delete", made["id"])
    suite.cli("ca", "credential", "show", made["id"], code=7)
    refused = suite.cli("ca", "credential", "add", "--profile", "nobody", code=7)
    assert "no profile" in refused.stderr
    assert "Traceback" not in refused.stderr
    suite.cli("ca", "credential", "add", "--profile", "tls-server", "--protocol", "ftp", code=2)


def test_issue_show_revoke_release(ca: Ca, tmp_path: Path) -> None:
    suite = ca.suite
    (tmp_path / "r.der").write_bytes(csr("i.example.test"))
    made = suite.cli_json("ca", "issue", "--csr", tmp_path / "r.der", "--profile", "tls-server")
    serial = made["serial"]
    pem = suite.cli("ca", "certificates", "pem", serial).stdout
    leaf = x509.load_pem_x509_certificate(pem.encode())
    assert f"{leaf.serial_number:x}" == serial
    assert suite.cli("ca", "certificates", "pem", serial, "--chain").stdout.count("BEGIN CERTIFICATE") == 3
    held = suite.cli_json("ca", "revoke", serial.upper(), "--reason", "certificateHold")
    assert held["status"] == "held"
    assert suite.cli_json("ca", "release", serial)["status"] == "valid"
    suite.cli("ca", "release", serial, code=1)
    said = suite.cli("ca", "revoke", serial, "--reason", "superseded").stdout
    assert said.strip() == f"{serial} is revoked (superseded)"
    again = suite.cli("ca", "revoke", serial, code=1)
    assert "already" in again.stderr
    suite.cli("ca", "revoke", "abcdef", code=7)
    suite.cli("ca", "revoke", serial, "--reason", "boredom", code=2)
    (row,) = suite.cli_json("ca", "certificates", "list", "--status", "revoked", "--contains", "i.example")
    assert (row["serial"], row["reason"]) == (serial, "superseded")
    text = tmp_path / "r.pem"
    text.write_bytes(x509.load_der_x509_csr(csr("p.example.test")).public_bytes(Encoding.PEM))
    suite.cli("ca", "issue", "--csr", text, "--profile", "tls-server", "--out", tmp_path / "out.pem")
    assert len(x509.load_pem_x509_certificates((tmp_path / "out.pem").read_bytes())) == 2


def test_authorities_profiles_and_crls(ca: Ca) -> None:
    suite = ca.suite
    assert [row["name"] for row in suite.cli_json("ca", "list")] == ["root", "issuing"]
    assert suite.cli_json("ca", "show")["name"] == "issuing"
    assert "Issuing CA" in suite.cli("ca", "show").stdout
    assert suite.cli("ca", "chain").stdout.count("BEGIN") == 2
    root = x509.load_pem_x509_certificate(suite.cli("ca", "chain", "--root").stdout.encode())
    assert root.subject == root.issuer
    assert len(suite.cli_json("ca", "profiles", "list")) == 24
    assert "name: tls-server" in suite.cli("ca", "profiles", "show", "tls-server").stdout
    first = suite.cli_json("ca", "crl", "publish")
    second = suite.cli_json("ca", "crl", "publish")
    assert second["number"] > first["number"]
    assert {row["authority"] for row in suite.cli_json("ca", "crl", "list")} == {"root", "issuing"}
    crl = x509.load_pem_x509_crl(suite.cli("ca", "crl", "show", "--pem").stdout.encode())
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number >= second["number"]


def test_a_second_issuing_ca_has_urls_of_its_own_that_answer(ca: Ca, tmp_path: Path) -> None:
    suite = ca.suite
    made = suite.cli_json("ca", "create", "second", "--subject", "CN=Second CA,O=Test", "--parent", "root")
    assert made["crl_url"].endswith("/crl/second.crl")
    assert suite.http(listener="plain").get("/crl/second.crl").status_code == 200
    assert suite.http(listener="plain").get("/ca/second.cer").status_code == 200
    leaf = ca.enrol(tmp_path, ca.credential("tls-server", authority="second"), "z.example.test", label="second")
    assert leaf.certificate.issuer.rfc4514_string() == "CN=Second CA,O=Test"


def test_the_tour_passes_and_passes_again(ca: Ca) -> None:
    need("curl", "openssl")
    suite = ca.suite
    said = suite.cli("tour").stdout
    assert "The tour has passed." in said
    assert "leaf.pem: revoked" in said
    document = suite.cli_json("tour")
    assert document["passed"]
    assert len(document["steps"]) == len(STEPS) - (shutil.which("certbot") is None)
    folder = suite.data_dir / "tour"
    secrets = {"credential.curl", "credential.json", "administrator.curl", "key.pem"}
    assert {path.name for path in folder.iterdir()} >= secrets
    assert folder.stat().st_mode & 0o077 == 0
    for name in secrets:
        assert (folder / name).stat().st_mode & 0o077 == 0, name
    password = json.loads((folder / "credential.json").read_bytes())["password"]
    assert password not in json.dumps(document)
    assert suite.credentials["client_secret"] not in json.dumps(document)


def test_a_tour_that_fails_says_where(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path / "suite", "pki-ca", {"plain": {"enabled": False}})
    failed = running.cli("tour", code=None)
    assert failed.returncode != 0
    assert "plain" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_tour_without_a_suite(tmp_path: Path) -> None:
    failed = run_cli("tour", "--ready-file", tmp_path / "none.json", "--wait", "0.2")
    assert failed.returncode == 5
    assert "was not ready" in failed.stderr


def test_a_second_start_keeps_the_same_ca(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path / "suite", "pki-ca")
    before = Ca(running).chain()
    running.restart()
    assert Ca(running).chain() == before
