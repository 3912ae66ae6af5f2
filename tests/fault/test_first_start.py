"""kill -9 in the middle of the very first start, and a disk that is full: what a new CA must get over."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycryptoutil.clock import SystemClock
from tests.support.authority import csr
from tests.support.databases import Databases
from tests.support.pki import PKCS10, Ca
from tests.support.suite import StartSuite, run_cli, until

pytestmark = pytest.mark.fault
CLOCK = SystemClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Nothing for SQLite in the data directory, or an empty database of PostgreSQL."""
    if request.param == "sqlite":
        return ""
    found: Databases = request.getfixturevalue("postgresql_databases")
    return found.empty()


def test_killed_again_and_again_at_the_first_start(suite: StartSuite, tmp_path: Path, database_url: str) -> None:
    """Somewhere in migrations, keys, tenant and hierarchy; it ends with one of each."""
    running = suite(tmp_path, "pki-ca", database_url=database_url, wait=False)
    data = running.data_dir
    steps = (  # how far it is allowed to come: seen from outside, so that a slow machine is killed at the same places
        lambda: (data / "pycryptoutil.db").exists() or database_url,
        (data / "unseal.key").exists,
        (data / "admin.json").exists,
        running.ready_file.exists,
    )
    for number, reached in enumerate(steps):
        until(reached, f"step {number}", 60)
        running.kill()
        running.start(wait=False)
    running.wait_ready()
    ca = Ca(running)
    assert list(ca.authorities()) == ["root", "issuing"]
    made = ca.enrol(tmp_path / "made", ca.credential(), "alive.example.test")
    assert ca.record(made.serial).status_code == 200
    database = {"CRYPTOUTIL_DATABASE_URL": database_url} if database_url else {}
    verified = run_cli("audit", "verify", "--profile", "test", "--data-dir", data, **database)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "Traceback" not in running.log_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here (needs root and CAP_SYS_ADMIN)")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=False)


def test_a_full_disk_refuses_and_is_over_when_there_is_space(
    suite: StartSuite, tmp_path: Path, small_disk: Path
) -> None:
    data = tmp_path / "suite" / "data"
    data.parent.mkdir()
    data.symlink_to(small_disk / "data")
    (small_disk / "data").mkdir(mode=0o700)
    running = suite(tmp_path / "suite", "pki-ca")
    ca = Ca(running)
    credential = ca.credential()
    before = ca.enrol(tmp_path / "made", credential, "before.example.test")

    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(bytes(65536))
                file.flush()
        except OSError:
            pass
    client, refused = running.http(), None
    for number in range(2000):  # what the database has set aside already is used up first
        request = base64.encodebytes(csr(f"full-{number}.example.test"))
        answer = client.post(ca.est("simpleenroll"), content=request, headers=PKCS10, auth=credential)
        if answer.status_code != 200:
            refused = answer
            break
    assert refused is not None
    assert refused.status_code == 507, refused.text
    assert refused.headers["content-type"].startswith("text/plain")
    assert refused.headers["x-request-id"] in refused.text
    api = running.api().post("enrollment-credentials", json={"profile": "tls-server", "names": {"dns": ["a.test"]}})
    assert api.status_code == 507, api.text
    assert api.headers["content-type"].startswith("application/problem+json")
    assert ca.record(before.serial).status_code == 200, "reading goes on"

    ballast.unlink()
    after = ca.enrol(tmp_path / "made", credential, "after.example.test")
    assert ca.record(after.serial).status_code == 200
    verified = run_cli("audit", "verify", "--profile", "test", "--data-dir", running.data_dir)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert running.stop() == 0
    assert "Traceback" not in running.log_text()
