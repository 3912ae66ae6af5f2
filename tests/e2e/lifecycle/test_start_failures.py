"""What keeps a suite from starting is one clear line and an exit code, never a traceback."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest

from pycryptoutil.cli import exits
from tests.support.suite import StartSuite, Suite, make_suite, until


def refused(suite: Suite, code: int) -> str:
    """Start it, wait for its end, and return the one line that it told."""
    suite.start(wait=False)
    assert suite.wait(60) == code, suite.log_text()
    text = suite.log_text()
    assert "Traceback" not in text
    assert not suite.ready_file.exists()
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, text
    return lines[0]


def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(make_suite(tmp_path, extra_config={"services": {"pki-ca": {"public": {"port": port}}}}), 4)
    assert line == f"error: 127.0.0.1:{port} (pki-ca public): the port is in use by another process"
    assert not (tmp_path / "data").exists()  # nothing was touched


def test_second_start_on_the_same_ports_leaves_the_first_alone(suite: StartSuite, tmp_path: Path) -> None:
    first = suite(tmp_path / "first")
    ports = {
        name: {"public": {"port": int(found["public"].rpartition(":")[2])}}
        for name, found in first.ready["services"].items()
    }
    second = make_suite(tmp_path / "second", extra_config={"services": ports})
    second.arguments = [first.data_dir if part == second.data_dir else part for part in second.arguments]
    second.arguments = [first.ready_file if part == second.ready_file else part for part in second.arguments]
    second.start(wait=False)
    assert second.wait(60) == exits.STARTUP
    assert "the port is in use by another process" in second.log_text()
    first.ready_file.write_text(first.ready_file.read_text())
    assert first.http().get("/service/api/v1/health").status_code == 200


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"public": {"prot": 1}}, "unknown key 'public.prot'; did you mean 'public.port'?"),
        ({"limits": {"max_body": "much"}}, "limits.max_body: Input should be a valid integer"),
        ({"admin": {"bind_address": "0.0.0.0"}}, "admin.bind_address: the admin listener answers on 127.0.0.1 only"),
        ({"public": {"tls": {"certificate": "/x"}}}, "public.tls.private_key: is missing"),
    ],
)
def test_bad_configuration(tmp_path: Path, config: dict[str, object], told: str) -> None:
    line = refused(make_suite(tmp_path, extra_config=config), exits.CONFIGURATION)
    assert told in line
    assert "config.yaml" in line


def test_static_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    tls = {"certificate": str(tmp_path / "bad.pem"), "private_key": str(tmp_path / "bad.pem")}
    suite = make_suite(tmp_path, extra_config={"public": {"tls": tls}})
    suite.start(wait=False)
    assert suite.wait(60) in {exits.CONFIGURATION, exits.STARTUP}
    assert "Traceback" not in suite.log_text()
    assert "public.tls" in suite.log_text()


def test_data_directory_that_cannot_be(tmp_path: Path) -> None:
    suite = make_suite(tmp_path)
    suite.data_dir.write_text("a file is in the way")
    assert refused(suite, 4) == f"error: data directory {suite.data_dir} is not a directory"
    suite.data_dir.unlink()
    suite.arguments = [Path("/proc/nowhere") if part == suite.data_dir else part for part in suite.arguments]
    (tmp_path / "log.jsonl").unlink()
    assert refused(suite, 4).startswith("error: data directory /proc/nowhere is not writable: ")


def test_ready_file_that_cannot_be(tmp_path: Path) -> None:
    suite = make_suite(tmp_path)
    wanted = tmp_path / "config.yaml" / "ready.json"
    suite.arguments = [wanted if part == suite.ready_file else part for part in suite.arguments]
    assert refused(suite, exits.STARTUP).startswith(f"error: ready-file {wanted} cannot be written: ")


def test_ready_file_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    suite = make_suite(tmp_path)
    wanted = tmp_path / "mistyped" / "ready.json"
    suite.arguments = [wanted if part == suite.ready_file else part for part in suite.arguments]
    line = refused(suite, exits.STARTUP)
    assert line == f"error: ready-file {wanted} cannot be written: there is no directory {wanted.parent}"
    assert not wanted.parent.exists()


def test_database_of_a_newer_version(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path)
    assert running.stop() == 0
    with sqlite3.connect(running.data_dir / "pycryptoutil.db") as database:
        database.execute("INSERT INTO alembic_version VALUES ('from_the_future')")
    database.close()
    running.log_file.unlink()
    line = refused(running, exits.STARTUP)
    assert "revision from_the_future, which this version of pycryptoutil does not know" in line


def test_database_that_is_no_database(tmp_path: Path) -> None:
    suite = make_suite(tmp_path)
    suite.data_dir.mkdir(mode=0o700)
    (suite.data_dir / "pycryptoutil.db").write_bytes(b"not a database" * 1000)
    assert "database" in refused(suite, exits.STARTUP)


def test_database_that_does_not_answer(tmp_path: Path) -> None:
    suite = make_suite(tmp_path, database_url="postgresql://app:hunter2@127.0.0.1:1/nothing")
    line = refused(suite, exits.STARTUP)
    assert "database" in line
    assert "hunter2" not in suite.log_text()


def test_unseal_secret_that_is_lost(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path)
    assert running.stop() == 0
    (running.data_dir / "unseal.key").unlink()
    running.log_file.unlink()
    assert "unseal.key is missing" in refused(running, exits.STARTUP)


def test_barrier_of_another_mode(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path)
    assert running.stop() == 0
    running.log_file.unlink()
    running.env = {"CRYPTOUTIL_BARRIER_MODE": "shamir"}
    assert "barrier.mode" in refused(running, exits.CONFIGURATION)


def test_worker_that_cannot_start_ends_the_whole(tmp_path: Path) -> None:
    suite = make_suite(tmp_path, workers=2)
    suite.data_dir.mkdir(mode=0o700)
    (suite.data_dir / "pycryptoutil.db").write_bytes(b"not a database" * 1000)
    suite.start(wait=False)
    assert suite.wait(60) == exits.STARTUP
    assert [line["event"] for line in suite.logs() if line["level"] == "error"] == ["cannot start"]
    assert not suite.foreign_lines()


def test_interrupted_start_leaves_nothing_half(suite: StartSuite, tmp_path: Path) -> None:
    made = suite(tmp_path, wait=False)
    until((made.data_dir / "pycryptoutil.db").exists, "the database is there")
    made.kill()
    made.start()
    assert made.api().get("principals").status_code == 200
