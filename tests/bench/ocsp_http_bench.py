"""OCSP over plain HTTP with keep-alive, of a whole running suite: cached, and signed for a nonce.

The limit is a bare Twisted protocol in a process of its own that writes a response of the same size for whatever comes.
Each figure is the best of several short runs that alternate with the limit's, over the same number of connections.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes

from pycryptoutil.clock import SystemClock
from tests.support.pki import Ca, ocsp_request
from tests.support.suite import ROOT, make_suite

CONNECTIONS = 16
SECONDS = 0.75
ROUNDS = 12
CLOCK = SystemClock()
BARE = """
import sys
from twisted.internet import protocol, reactor
WIRE = bytes.fromhex(sys.stdin.readline().strip())
class Bare(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(WIRE)
port = reactor.listenTCP(0, protocol.Factory.forProtocol(Bare), interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
"""


def measure(port: int, request: Callable[[], bytes]) -> float:
    """Return requests per second: one thread keeps every connection busy with one request."""
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    poller = select.epoll()
    by_number = {one.fileno(): one for one in opened}
    for one in opened:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poller.register(one, select.EPOLLIN)
        one.sendall(request())
    count, start = 0, CLOCK.monotonic()
    end = start + SECONDS
    try:
        while CLOCK.monotonic() < end:
            for number, _ in poller.poll(1):
                one = by_number[number]
                if not one.recv(65536).startswith(b"HTTP/1.1 200"):
                    raise RuntimeError("not an answer")
                one.send(request())
                count += 1
        return count / (CLOCK.monotonic() - start)
    finally:
        for one in opened:
            one.close()


def once(port: int, request: bytes) -> bytes:
    """Return a whole response."""
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(request)
        head, _, body = one.recv(65536).partition(b"\r\n\r\n")
        wanted = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(body) < wanted:
            body += one.recv(65536)
        return head + b"\r\n\r\n" + body


def post(port: int, body: bytes) -> bytes:
    """Return a request as clients send it."""
    return (
        f"POST /ocsp/issuing HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/ocsp-request\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def row(name: str, ours: float, limit: float, aim: float | None) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": ours,
        "unit": "requests/s",
        "limit_name": "bare Twisted protocol, same bytes",
        "limit_value": limit,
        "ratio": ours / limit,
        "aim": aim,
        "better": "higher",
    }


def run() -> list[dict[str, Any]]:
    """Start a suite and the limit, and measure in turns."""
    with tempfile.TemporaryDirectory(prefix="ocsp-bench-") as folder:
        suite = make_suite(Path(folder), "pki-ca")
        bare: subprocess.Popen[str] | None = None
        try:
            suite.start()
            ca = Ca(suite)
            leaf = ca.enrol(Path(folder), ca.credential("tls-server"), "bench.example.test").certificate
            issuer = ca.chain()[0]
            port = urlsplit(suite.url(listener="plain")).port or 0
            cached = post(port, ocsp_request(leaf, issuer, hashes.SHA1()))
            template = ocsp_request(leaf, issuer, hashes.SHA1(), bytes(32))
            head, _, _ = template.rpartition(bytes(32))
            prefix = post(port, template)[: -len(template)] + head
            once(port, cached)
            wire = once(port, cached)
            bare = subprocess.Popen(
                [sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            if bare.stdin is None or bare.stdout is None:
                raise RuntimeError("no pipes")
            bare.stdin.write(wire.hex() + "\n")
            bare.stdin.flush()
            limit_port = int(bare.stdout.readline())
            kinds: tuple[tuple[int, Callable[[], bytes]], ...] = (
                (limit_port, lambda: cached),
                (port, lambda: cached),
                (port, lambda: prefix + secrets.token_bytes(32)),
            )
            best = [0.0, 0.0, 0.0]
            for _ in range(ROUNDS):
                for index, (where, request) in enumerate(kinds):
                    best[index] = max(best[index], measure(where, request))
        finally:
            if bare is not None:
                bare.terminate()
                bare.wait(10)
            suite.close()
    return [
        row("OCSP over HTTP, cached, whole suite", best[1], best[0], 0.5),
        row("OCSP over HTTP, signed with a nonce, whole suite", best[2], best[0], None),
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
