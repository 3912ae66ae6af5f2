"""The HTTP edge: a pre-signed answer against a bare Twisted protocol, an authenticated GET against bare twisted.web.

Each figure is the best of several short runs that alternate with its peer's, over the same number of keep-alive
connections. wrk makes the load where it is installed, otherwise a small client below.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from pycryptoutil.clock import SystemClock

HERE = Path(__file__).resolve().parent
CONNECTIONS = 16
SECONDS = 1
ROUNDS = 8
CLOCK = SystemClock()


def by_wrk(port: int, path: str, headers: dict[str, str]) -> float:
    """Requests per second, by wrk."""
    extra = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    url = f"http://127.0.0.1:{port}{path}"
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *extra, url], capture_output=True, text=True, check=True
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(done.stdout)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    if found is None:
        raise RuntimeError(done.stdout)
    return float(found.group(1))


def by_sockets(port: int, path: str, headers: dict[str, str]) -> float:
    """Requests per second, by one thread that keeps every connection busy."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode()
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    poller = select.epoll()
    by_number = {one.fileno(): one for one in opened}
    for one in opened:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poller.register(one, select.EPOLLIN)
        one.sendall(request)
    count, end = 0, CLOCK.monotonic() + SECONDS
    try:
        while CLOCK.monotonic() < end:
            for number, _ in poller.poll(1):
                one = by_number[number]
                if not one.recv(65536).startswith(b"HTTP/1.1 20"):
                    raise RuntimeError("not an answer")
                one.send(request)
                count += 1
    finally:
        for one in opened:
            one.close()
    return count / SECONDS


load = by_wrk if shutil.which("wrk") else by_sockets


def compare(
    ports: dict[str, Any], ours: tuple[str, str, dict[str, str]], peer: tuple[str, str, dict[str, str]]
) -> tuple[float, float]:
    """Return the best of each, run in turns."""
    best = [0.0, 0.0]
    for _ in range(ROUNDS):
        for index, (name, path, headers) in enumerate((ours, peer)):
            best[index] = max(best[index], load(ports[name], path, headers))
    return best[0], best[1]


def row(name: str, ours: float, limit: str, theirs: float, aim: float | None) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": ours,
        "unit": "requests/s",
        "limit_name": limit,
        "limit_value": theirs,
        "ratio": ours / theirs,
        "aim": aim,
        "better": "higher",
    }


def run() -> list[dict[str, Any]]:
    """Start the servers and measure."""
    root = HERE.parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'protocols'}"}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "http_servers.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=root,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("no output")
        ports = json.loads(process.stdout.readline())
        basic = {"Authorization": f"Basic {ports['basic']}"}
        bare, web = ("bare", "/", {}), ("web", "/", {})
        fast = compare(ports, ("plain", "/ocsp/issuing", {}), bare)
        worker = compare(ports, ("public", "/service/api/v1/open", {}), web)
        authenticated = compare(ports, ("public", "/service/api/v1/empty", basic), web)
    finally:
        process.terminate()
        process.wait(10)
    limit, peer = "bare Twisted protocol writing constant bytes", "bare twisted.web, empty 204"
    return [
        row("HTTP: fast route, keep-alive", fast[0], limit, fast[1], 0.5),
        row("HTTP: empty GET through a worker", worker[0], peer, worker[1], None),
        row("HTTP: empty authenticated GET (Basic, SQLite)", authenticated[0], peer, authenticated[1], None),
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
