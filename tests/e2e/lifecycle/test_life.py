"""From ready-file to a clean end."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import signal
import socket
import ssl
import stat
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from pycryptoutil.cli import exits
from pycryptoutil.clock import SystemClock
from pycryptoutil.service import catalogue
from pycryptoutil.service.control import REPEAT_SECONDS
from tests.support.suite import StartSuite, Suite, call_cli, until


def test_ready_file_is_exactly_as_promised(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path, forked=False)  # an interpreter of its own, as everybody's
    document = running.ready
    assert set(document) == {"services", "trust_bundle", "admin_credentials", "data_dir"}
    assert set(document["services"]) == set(catalogue.names())
    assert set(document["services"]["pki-ca"]) == {"public", "plain", "admin", "pid"}
    assert set(document["services"]["learn-ps"]) == {"public", "admin", "pid"}
    assert document["services"]["pki-ca"]["pid"] == running.pid
    for name in ("trust_bundle", "admin_credentials", "data_dir"):
        assert Path(document[name]).is_absolute()
        assert Path(document[name]).exists()
    for found in document["services"].values():
        for listener in ("public", "admin"):
            assert found[listener].startswith("https://127.0.0.1:")
    assert set(running.credentials) == {"tenant", "username", "password", "client_id", "client_secret"}
    for path in (Path(document["admin_credentials"]), running.ready_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.data_dir.stat().st_mode) == 0o700

    secrets = [running.credentials[name] for name in ("password", "client_secret")]
    assert running.stop() == 0
    assert not running.ready_file.exists()
    assert not any(secret in running.log_text() for secret in secrets)
    assert str(running.data_dir / "admin.json") in running.log_text()  # the place, not the secret
    assert not running.foreign_lines()


def test_second_start_keeps_everything(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path)
    credentials, bundle = running.credentials, running.trust_bundle.read_bytes()
    running.restart()
    assert running.credentials == credentials
    assert running.trust_bundle.read_bytes() == bundle
    assert running.api().get("principals").status_code == 200


def test_stale_ready_file_of_a_killed_process_is_replaced(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path)
    running.kill()
    assert running.ready_file.exists()
    old = running.pid
    running.start()
    assert running.ready["services"]["pki-ca"]["pid"] == running.pid != old


def _connect(running: Suite, service: str = "learn-ps") -> ssl.SSLSocket:
    host, _, port = running.url(service).removeprefix("https://").partition(":")
    raw = socket.create_connection((host, int(port)), timeout=30)
    return running.tls().wrap_socket(raw, server_hostname=host)


def _begin_request(running: Suite) -> ssl.SSLSocket:
    """Send all but the last byte of a request, which the server has begun to read."""
    connection = _connect(running)
    connection.sendall(
        b"POST /service/api/v1/tokens HTTP/1.1\r\nHost: x\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    assert connection.recv(12) == b"HTTP/1.1 100"
    while not connection.recv(4096).endswith(b"\r\n\r\n"):
        pass
    connection.sendall(b"{")
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_are_finished(suite: StartSuite, tmp_path: Path, number: signal.Signals) -> None:
    running = suite(tmp_path)
    with _begin_request(running) as connection, _connect(running) as idle:
        running.signal(number)
        until(lambda: '"event":"draining"' in running.log_text(), "draining")
        with pytest.raises(OSError):  # refused or reset: nobody accepts any more
            _connect(running)
        assert idle.recv(1) == b""  # an idle connection is not waited for
        connection.sendall(b"}")
        assert connection.recv(12) == b"HTTP/1.1 401"
    assert running.wait() == 0
    assert not running.ready_file.exists()


def test_second_signal_stops_at_once(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path, extra_config={"limits": {"shutdown_timeout": 300, "request_timeout": 300}})
    with _begin_request(running):
        running.signal(signal.SIGTERM)
        until(lambda: '"event":"draining"' in running.log_text(), "draining")
        running.signal(signal.SIGTERM)  # a service manager's repetition of the first: not meant so
        SystemClock().sleep(2 * REPEAT_SECONDS)
        assert running.process is not None
        assert running.process.poll() is None
        running.signal(signal.SIGTERM)
        assert running.wait() == 1
    assert not running.ready_file.exists()


def test_drain_does_not_wait_for_ever(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path, extra_config={"limits": {"shutdown_timeout": 1, "request_timeout": 300}})
    with _begin_request(running):
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


def test_health_commands_and_shutdown(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path)
    assert running.cli_json("livez", "pki-ca") == {"alive": ["pki-ca"]}
    answer = running.cli_json("readyz")
    assert set(answer) == set(catalogue.names())
    running.cli("shutdown", "learn-ps")
    assert running.wait() == 0
    done = running.cli("livez", "pki-ca", code=None)
    assert done.returncode == exits.UNREACHABLE


def _make_certificate(folder: Path, name: str) -> None:
    """Write ``server.pem`` and ``server.key`` in place of what may be there."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key, now = ec.generate_private_key(ec.SECP256R1()), SystemClock().now()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.key").write_bytes(pkcs8)


def _served(running: Suite) -> str:
    host, _, port = running.url("learn-ps").removeprefix("https://").partition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port))) as raw, context.wrap_socket(raw) as connection:
        found = connection.getpeercert(binary_form=True)
    assert found is not None
    return hashlib.sha256(found).hexdigest()


def test_hangup_takes_new_certificates_secrets_and_level(suite: StartSuite, tmp_path: Path) -> None:
    _make_certificate(tmp_path, "first")
    secret = tmp_path / "client-secret"
    secret.write_text("first-secret-of-the-file-realm")
    robot = {"client_id": "robot", "client_secret": f"file://{secret}", "scopes": ["admin"]}
    tls = {"certificate": str(tmp_path / "server.pem"), "private_key": f"file://{tmp_path / 'server.key'}"}
    config = {
        "realms": {"file": {"clients": [robot]}},
        "services": {"learn-ps": {"public": {"tls": tls}}},
    }
    running = suite(tmp_path, extra_config=config)

    def me(text: str) -> int:
        return running.http("learn-ps", auth=("robot", text)).get("/service/api/v1/principals").status_code

    before = _served(running)
    assert me("first-secret-of-the-file-realm") == 200
    kept = running.http("learn-ps")  # a connection that stays open
    assert kept.get("/service/api/v1/health").status_code == 200

    secret.write_text("second-secret-of-the-file-realm")
    _make_certificate(tmp_path, "second")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "logging": {"level": "error"}}))
    running.signal(signal.SIGHUP)
    until(lambda: _served(running) != before, "the new certificate is served")
    assert kept.get("/service/api/v1/health").status_code == 200
    until(lambda: me("second-secret-of-the-file-realm") == 200, "the new secret counts")  # the bundle is new as well
    assert me("first-secret-of-the-file-realm") == 401
    lines = running.log_text().count('"level":"info"')
    assert me("second-secret-of-the-file-realm") == 200
    assert running.log_text().count('"level":"info"') == lines  # the level is another one


def test_hangup_with_broken_configuration_changes_nothing(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path)
    (tmp_path / "config.yaml").write_text("public: {prot: 1}\n")
    running.signal(signal.SIGHUP)
    until(lambda: "unknown key 'public.prot'" in running.log_text(), "the error is told")
    assert running.http().get("/service/api/v1/health").status_code == 200


def test_config_commands(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("profile: dev\n")
    done = call_cli("config", "check", "--config", file, "--json")
    assert json.loads(done.stdout)["profile"] == "dev"
    rows = json.loads(call_cli("config", "show", "--config", file, "--json", "--changed").stdout)
    assert {"key": "barrier.mode", "value": "dev", "origin": "profile dev"} in rows
    assert all(row["origin"] != "default" for row in rows)


def test_database_commands(tmp_path: Path) -> None:
    options = ("--data-dir", str(tmp_path / "data"), "--profile", "test", "--json")
    behind = call_cli("db", "current", *options)
    assert behind.returncode == exits.STARTUP
    assert "run 'pycryptoutil db upgrade'" in behind.stderr
    applied = json.loads(call_cli("db", "upgrade", *options).stdout)["applied"]
    assert applied
    assert json.loads(call_cli("db", "upgrade", *options).stdout)["applied"] == []
    now = call_cli("db", "current", *options)
    assert now.returncode == 0
    assert {row["revision"] for row in json.loads(now.stdout)} <= set(applied)
