"""An offline root whose key is in a token: the custodians share its PIN."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.lifecycle import ceremony
from pycryptoutil.authority.lifecycle.ceremony import CrlOrder, InitOrder, SignOrder
from pycryptoutil.crypto.pkcs11 import TokenConfig
from tests.support.authority import NOW, PLAIN, new_key
from tests.support.hsm import PIN, SoftHsm
from tests.support.suite import call_cli

ORDER = InitOrder("CN=Offline Root,O=Example", ("Ada", "Bob", "Cyd"), 2, distribution_url=PLAIN)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def config(hsm: SoftHsm) -> TokenConfig:
    return TokenConfig(hsm.library, hsm.make(), PIN)


def request() -> bytes:
    name = x509.Name.from_rfc4514_string("CN=Online,O=Example")
    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(new_key(), hashes.SHA256())
    return built.public_bytes(serialization.Encoding.DER)


def labels(hsm: SoftHsm, config: TokenConfig) -> list[str]:
    return [label for _, label, _ in hsm.token(config.label).status().keys]


@pytest.mark.parametrize("algorithm", ["EC-P384", "RSA-3072"])
def test_a_root_in_a_token(hsm: SoftHsm, config: TokenConfig, tmp_path: Path, algorithm: str) -> None:
    folder = tmp_path / "root"
    made, new = ceremony.initialise(folder, replace(ORDER, algorithm=algorithm), NOW, config)
    shares = [one.text for one in new]
    assert labels(hsm, config) == ["pycryptoutil offline-root"]
    root = x509.load_der_x509_certificate(made.der)
    root.verify_directly_issued_by(root)
    online = ceremony.sign_csr(folder, SignOrder(request()), shares[:2], LATER)
    x509.load_der_x509_certificate(online.der).verify_directly_issued_by(root)
    crl = ceremony.sign_crl(folder, CrlOrder(), shares[1:], LATER)
    assert x509.load_der_x509_crl(crl.der).is_signature_valid(root.public_key())  # type: ignore[arg-type]
    ceremony.verify(folder)
    for path in folder.rglob("*"):
        if path.is_file():
            assert PIN.encode() not in path.read_bytes(), path
    with pytest.raises(Fault, match="2 shares are needed"):
        ceremony.sign_crl(folder, CrlOrder(), shares[:1], LATER)
    with hsm.away(), pytest.raises(Fault) as caught:
        ceremony.sign_crl(folder, CrlOrder(), shares[:2], LATER)
    assert caught.value.kind is FaultKind.UNAVAILABLE
    assert len(ceremony.verify(folder).ceremony.crls) == 1  # what failed is not in the transcript


def test_what_comes_to_nothing_leaves_no_key(hsm: SoftHsm, config: TokenConfig, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Fault, match="is not empty"):
        ceremony.initialise(tmp_path, ORDER, NOW, config)
    with pytest.raises(Fault, match="kept in software"):
        ceremony.initialise(tmp_path / "root", replace(ORDER, algorithm="ML-DSA-65"), NOW, config)
    assert labels(hsm, config) == []


def test_by_the_command_line(hsm: SoftHsm, config: TokenConfig, tmp_path: Path) -> None:
    folder, pin = tmp_path / "root", tmp_path / "pin"
    pin.write_text(PIN + "\n")
    init = ("ca", "ceremony", "init", folder, "--subject", "CN=R", "--threshold", "2", "--custodian", "Ada",
            "--custodian", "Bob", "--hsm-module", config.module)  # fmt: skip
    environment = {"SOFTHSM2_CONF": str(hsm.configuration)}
    incomplete = call_cli(*init, "--hsm-token", config.label, **environment)
    assert incomplete.returncode == 2
    assert "belong together" in incomplete.stderr
    nowhere = call_cli(*init, "--hsm-token", "nowhere", "--hsm-pin", pin, **environment)
    assert nowhere.returncode == 5
    assert "there is no token 'nowhere'" in nowhere.stderr
    hsm.restart()
    made = call_cli(*init, "--hsm-token", config.label, "--hsm-pin", pin, **environment)
    assert made.returncode == 0, made.stderr
    assert "delete" in made.stdout
    files = [word for path in sorted((folder / "shares").iterdir()) for word in ("--share", path)]
    signed = call_cli("ca", "ceremony", "sign", folder, "--crl", *files, **environment)
    assert signed.returncode == 0, signed.stderr
    assert PIN not in made.stdout + made.stderr + signed.stdout + signed.stderr + nowhere.stderr
    subprocess.run(
        ["softhsm2-util", "--delete-token", "--token", config.label], env=environment, check=True, capture_output=True
    )
    hsm.restart()
    gone = call_cli("ca", "ceremony", "sign", folder, "--crl", *files, **environment)
    assert gone.returncode == 5
    assert "there is no token" in gone.stderr
