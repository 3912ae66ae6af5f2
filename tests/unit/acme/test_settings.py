"""The ``pki_ca.acme`` section: strict by default, relaxed for development, and nothing that contradicts itself."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from pycryptoutil.errors import ConfigurationError
from pycryptoutil.services.pki_ca.acme.settings import AcmeSettings


def test_production_is_strict() -> None:
    rules = AcmeSettings().rules("prod")
    assert rules.external_account_required
    assert rules.reach.allow == ()
    assert not rules.reach.test_loopback
    assert (rules.reach.http_ports, rules.reach.tls_ports) == ((80,), (443,))
    assert rules.auto_renewal is None


@pytest.mark.parametrize("profile", ["dev", "test"])
def test_development_reaches_loopback(profile: str) -> None:
    rules = AcmeSettings().rules(profile)
    assert not rules.external_account_required
    assert rules.reach.allow == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert rules.reach.test_loopback
    assert rules.reach.http_ports == (5002, 80)


def test_what_is_given_counts_everywhere() -> None:
    given = AcmeSettings(
        external_account="required", allow_addresses=("10.0.0.0/8",), resolver="192.0.2.1#5353", http_ports=(8080,)
    )
    for profile in ("dev", "prod"):
        rules = given.rules(profile)
        assert rules.external_account_required
        assert rules.reach.allow == (ip_network("10.0.0.0/8"),)
        assert rules.reach.resolvers == ("192.0.2.1#5353",)
        assert rules.reach.http_ports == (8080,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"allow_addresses": ["10.0.0.1/8"]},
        {"resolver": "dns.example.com"},
        {"resolver": ["192.0.2.1"], "resolvers_agree": 2},
        {"challenges": ["mail-01"]},
        {"challenges": ["device-attest-01"]},
        {"terms_of_service": "ftp://x"},
        {"http_ports": []},
        {"timeout_seconds": 0},
        {"external_account": "maybe"},
        {"unknown": 1},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AcmeSettings(**wrong)  # type: ignore[arg-type]


def test_attestation_roots_are_read_at_once(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_bytes(b"hello")
    for path in (tmp_path / "roots.pem", tmp_path / "nowhere"):
        settings = AcmeSettings(challenges=("device-attest-01",), attestation_roots=path)
        with pytest.raises(ConfigurationError):
            settings.rules("prod")
