"""``--workers N``: one port, several processes."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.suite import StartSuite, Suite, until


def workers(running: Suite) -> dict[int, int]:
    """Return worker number → pid, the newest of each."""
    return {line["worker"]: line["pid"] for line in running.logs() if line["event"] == "worker started"}


def refused(where: tuple[str, int]) -> bool:
    try:
        socket.create_connection(where).close()
    except ConnectionRefusedError:
        return True
    return False


def client_context(running: Suite) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=running.ready["trust_bundle"])


@pytest.fixture
def two(suite: StartSuite, tmp_path: Path) -> Suite:
    return suite(tmp_path, workers=2)


def test_killed_worker_is_replaced_and_nobody_notices(two: Suite) -> None:
    before = workers(two)
    assert set(before) == {0, 1}
    assert two.ready["services"]["pki-ca"]["pid"] == two.pid
    os.kill(before[1], signal.SIGKILL)
    for _ in range(20):
        assert two.http().get("/service/api/v1/health", headers={"Connection": "close"}).status_code == 200
    until(lambda: workers(two)[1] != before[1], "worker 1 runs again")
    until(lambda: two.cli("readyz", code=None).returncode == 0, "ready again")
    assert workers(two)[0] == before[0]


def test_first_worker_is_replaced_with_its_admin_listener(two: Suite) -> None:
    before = workers(two)
    os.kill(before[0], signal.SIGKILL)
    until(lambda: workers(two)[0] != before[0], "worker 0 runs again")
    until(lambda: two.cli("readyz", code=None).returncode == 0, "ready again")
    assert two.admin().get("livez").status_code == 200


def test_shutdown_through_the_admin_listener_reaches_all(two: Suite) -> None:
    pids = workers(two).values()
    two.cli("shutdown")
    assert two.wait() == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not two.ready_file.exists()
    assert not two.foreign_lines()
    assert not list(two.data_dir.glob("metrics-*"))


def test_metrics_are_summed(two: Suite) -> None:
    admin, public = two.admin("learn-ps"), two.http("learn-ps")

    def count() -> int:
        lines = admin.get("metrics").text.splitlines()
        mine = [line for line in lines if line.startswith("http_requests_total") and 'route="health"' in line]
        return int(sum(float(line.rpartition(" ")[2]) for line in mine))

    for _ in range(30):
        assert public.get("/service/api/v1/health", headers={"Connection": "close"}).status_code == 200
    until(lambda: count() == 30, "every worker's requests are counted once")


def test_group_signalled_by_a_service_manager_still_drains(two: Suite) -> None:
    os.killpg(two.pid, signal.SIGTERM)
    assert two.wait() == 0
    assert "stopping at once" not in two.log_text()


def test_both_workers_answer(two: Suite) -> None:
    for _ in range(40):
        assert two.api().get("principals", headers={"Connection": "close"}).status_code == 200
    assert two.stop() == 0


def test_draining_workers_refuse_connections(two: Suite) -> None:
    address = urlsplit(two.ready["services"]["pki-ca"]["public"])
    where = (address.hostname or "", address.port or 0)
    with socket.create_connection(where) as busy:  # keeps a worker draining: it has begun a request
        tls = client_context(two).wrap_socket(busy, server_hostname="localhost")
        head = b"POST /service/api/v1/principals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        tls.sendall(head + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert tls.recv(100).startswith(b"HTTP/1.1 100 ")  # so a worker has read it, however busy the machine is
        os.kill(two.pid, signal.SIGTERM)
        until(lambda: refused(where), "the port is closed, not just unattended")
        tls.sendall(b"{}")
        assert tls.recv(100).startswith(b"HTTP/1.1 401 ")
    assert two.wait() == 0
