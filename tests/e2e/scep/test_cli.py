"""``pycryptoutil ca scep``: a device's first certificate, the next one, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.protocols import material
from tests.support.pki import Ca
from tests.support.suite import Suite, call_cli, shared_suite

__all__ = ["shared_suite"]


@pytest.fixture
def ca(shared_suite: Suite) -> Ca:
    return Ca(shared_suite)


def key_file(folder: Path, algorithm: str = "RSA-2048", number: int = 0) -> Path:
    path = folder / f"{algorithm}-{number}.key"
    key = material.private_key(algorithm, number)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def challenge_file(ca: Ca, folder: Path) -> Path:
    path = folder / "challenge"
    path.write_text(ca.credential(max_uses=1)[1] + "\n")
    return path


def scep(ca: Ca, key: Path, out: Path, *more: str | Path) -> tuple[int, str]:
    line = ("ca", "scep", key, "--label", "tls-server", "--out", out, "--ready-file", ca.suite.ready_file, *more)
    done = call_cli(*line)
    return done.returncode, done.stdout + done.stderr


def test_enrols_and_renews_with_another_key(ca: Ca, tmp_path: Path) -> None:
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    names = ("--dns", "cli.example.test", "--dns", "two.example.test")
    key = key_file(tmp_path)
    assert scep(ca, key, first, *names, "--challenge-file", challenge_file(ca, tmp_path))[0] == 0
    renewal = (*names, "--renew", first, "--renew-key", key)
    assert scep(ca, key_file(tmp_path, number=1), second, *renewal)[0] == 0
    old, new = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (first, second))
    assert old.serial_number != new.serial_number
    assert new.public_key() == material.private_key("RSA-2048", 1).public_key()
    found = new.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == ["cli.example.test", "two.example.test"]


def test_says_why_not(ca: Ca, tmp_path: Path) -> None:
    out = tmp_path / "out.pem"
    key, challenge = key_file(tmp_path), tmp_path / "wrong"
    challenge.write_text("wrong")
    code, said = scep(ca, key, out, "--dns", "cli.example.test", "--challenge-file", challenge)
    assert (code, "BAD_REQUEST" in said, "challenge" in said) == (1, True, True)
    assert not out.exists()
    ec = key_file(tmp_path, "EC-P256")
    code, said = scep(ca, ec, out, "--dns", "cli.example.test", "--challenge-file", challenge)
    assert (code, "RSA" in said) == (2, True)


@pytest.mark.parametrize("options", [(), ("--dns", "a.example.test"), ("--challenge-file", "KEY")])
def test_options_belong_together(ca: Ca, tmp_path: Path, options: tuple[str, ...]) -> None:
    key = key_file(tmp_path)
    given = [str(key) if option == "KEY" else option for option in options]
    assert scep(ca, key, tmp_path / "out.pem", *given)[0] == 2
