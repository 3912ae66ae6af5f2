"""``pycryptoutil ca cmc`` against a running suite."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.protocols import material
from tests.support.pki import Ca
from tests.support.suite import Suite, shared_suite

__all__ = ["shared_suite"]


@pytest.fixture
def folder(shared_suite: Suite, tmp_path: Path) -> Path:
    ca = Ca(shared_suite)
    _, root = ca.chain()
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    for number in (1, 2):
        (tmp_path / f"{number}.key").write_bytes(material.key_pem(material.private_key("EC-P256", 60 + number)))
    user, password = ca.credential()
    (tmp_path / "user").write_text(user)
    (tmp_path / "secret").write_text(password + "\n")
    return tmp_path


def serial(path: Path) -> str:
    return f"{x509.load_pem_x509_certificate(path.read_bytes()).serial_number:x}"


def test_enrol_renew_revoke(shared_suite: Suite, folder: Path) -> None:
    def cmc(key: int, *arguments: str | Path, code: int = 0) -> str:
        done = shared_suite.cli("ca", "cmc", folder / f"{key}.key", *arguments, code=code)
        return done.stdout + done.stderr

    asked = ("--dns", "cli.example.test")
    user = ("--user", (folder / "user").read_text(), "--secret-file", folder / "secret")
    cmc(1, *asked, *user, "--out", folder / "1.pem")
    root = ("--cacert", folder / "root.pem")
    old = ("--renew", folder / "1.pem", "--renew-key", folder / "1.key")
    cmc(2, *asked, *old, *root, "--out", folder / "2.pem")
    cmc(1, "--revoke", folder / "1.pem", "--reason", "4", *root)
    ca = Ca(shared_suite)
    assert ca.record(serial(folder / "1.pem")).json()["status"] == "revoked"
    assert ca.record(serial(folder / "2.pem")).json()["status"] == "valid"
    assert "BAD_IDENTITY" in cmc(2, *asked, *old, *root, "--out", folder / "3.pem", code=1)
    (folder / "secret").write_text("wrong")
    assert "BAD_IDENTITY" in cmc(1, *asked, *user, "--out", folder / "3.pem", code=1)
    assert not (folder / "3.pem").exists()


def test_an_answer_under_another_root_is_not_believed(shared_suite: Suite, folder: Path) -> None:
    key = material.private_key("EC-P256", 9)
    (folder / "root.pem").write_bytes(material.certificate(key, "another root").public_bytes(Encoding.PEM))
    user = ("--user", (folder / "user").read_text(), "--secret-file", folder / "secret")
    arguments = ("--dns", "cli.example.test", *user, "--cacert", folder / "root.pem", "--out", folder / "1.pem")
    done = shared_suite.cli("ca", "cmc", folder / "1.key", *arguments, code=1)
    assert "no good" in done.stderr
    assert not (folder / "1.pem").exists()


def test_what_the_command_line_wants(shared_suite: Suite, folder: Path) -> None:
    for arguments in (
        (),
        ("--dns", "a.example.test"),
        ("--revoke", folder / "root.pem"),
        ("--renew", folder / "root.pem", "--dns", "x"),
    ):
        done = shared_suite.cli("ca", "cmc", folder / "1.key", *arguments, code=2)
        assert "give" in done.stderr
