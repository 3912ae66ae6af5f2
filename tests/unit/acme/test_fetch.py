"""Validators against servers that are slow, endless, lying or on forbidden addresses; everything on loopback."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest
from pycryptoutil_protocols.acme import caa
from pycryptoutil_protocols.acme.messages import Identifier
from pycryptoutil_protocols.acme.problems import AcmeFault

from pycryptoutil.authority.acme.fetch import Fetcher
from pycryptoutil.authority.outreach import AddressGuard, Unreachable
from pycryptoutil.clock import SystemClock
from tests.support.authority import new_key
from tests.support.tls_alpn import challenge_certificate, write

NAME = Identifier("dns", "a.example.test")
TOKEN = "token"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
Serve = Callable[[socket.socket], None]


@dataclass
class Names:
    """A DNS of one's own."""

    known: dict[str, list[str]] = field(default_factory=dict)

    def addresses(self, name: str) -> list[str]:
        return self.known.get(name, [])

    def texts(self, _name: str) -> list[bytes]:
        return []

    def caa(self, _name: str) -> list[caa.Record]:
        return []


class Server:
    """Listens on loopback and lets a function deal with each connection."""

    def __init__(self, serve: Serve, address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listening = socket.create_server((address, 0), family=family)
        self.port: int = self._listening.getsockname()[1]
        self.accepted = 0
        self._serve = serve
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._serve(connection)

    def close(self) -> None:
        self._listening.close()


def answering(head: bytes, body: bytes = b"") -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(head + b"\r\n\r\n" + body)

    return serve


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with contextlib.ExitStack() as stack:

        def start(how: Serve, address: str = "127.0.0.1") -> Server:
            server = Server(how, address)
            stack.callback(server.close)
            return server

        yield start


def fetcher(port: int, *addresses: str, allow: object = LOOPBACK, https_port: int = 443, **names: list[str]) -> Fetcher:
    known = Names({NAME.value: list(addresses or ("127.0.0.1",)), **names})
    guard = AddressGuard(allow)  # type: ignore[arg-type]
    return Fetcher(known, guard, SystemClock(), http_ports=(port,), https_port=https_port, tls_ports=(port,))


def get(made: Fetcher, seconds: float = 20, one: Identifier = NAME) -> bytes:
    return made.http(one, TOKEN, made.deadline(seconds))


def refused(made: Fetcher, seconds: float = 20, one: Identifier = NAME) -> str:
    with pytest.raises(AcmeFault) as caught:
        get(made, seconds, one)
    return f"{caught.value.problem.type.value}: {caught.value.problem.detail}"


def test_the_request_and_the_answer(serve: Callable[..., Server]) -> None:
    seen = []

    def one(connection: socket.socket) -> None:
        seen.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")

    assert get(fetcher(serve(one).port)) == b"body"
    assert seen[0].startswith(b"GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: a.example.test\r\n")


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"],
)
def test_bodies_come_in_several_ways(serve: Callable[..., Server], head: bytes) -> None:
    body = b"4\r\nbody\r\n0\r\n\r\n" if b"chunked" in head else b"body"
    assert get(fetcher(serve(answering(head, body)).port)) == b"body"


def test_ipv6_first_and_ipv4_when_it_does_not_answer(serve: Callable[..., Server]) -> None:
    six = serve(answering(b"HTTP/1.1 200 OK", b"six"), "::1")
    assert get(fetcher(six.port, "::1", "127.0.0.1")) == b"six"
    four = serve(answering(b"HTTP/1.1 200 OK", b"four"))
    assert get(fetcher(four.port, "::1", "127.0.0.1")) == b"four"


def test_addresses_as_identifiers(serve: Callable[..., Server]) -> None:
    seen = []

    def one(connection: socket.socket) -> None:
        seen.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nbody")

    assert get(fetcher(serve(one, "::1").port), one=Identifier("ip", "::1")) == b"body"
    assert b"\r\nHost: [::1]\r\n" in seen[0]


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (answering(b"HTTP/1.1 404 Not Found"), "incorrectResponse"),
        (answering(b"HTTP/1.1 500 No"), "incorrectResponse"),
        (answering(b"nonsense"), "connection"),
        (lambda connection: None, "connection"),
        (answering(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000), "connection"),
        (answering(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000), "connection"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", b"zz\r\n"), "connection"),
        (answering(b"HTTP/1.1 302 Found"), "connection"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: ftp://a.example.test/"), "connection"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: http://a.example.test:25/"), "connection"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: http://[::1/"), "connection"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: /again"), "connection"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: /" + b"a" * 3000), "connection"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/"), "connection"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data"), "connection"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: http://inside.example.test/"), "connection"),
    ],
)
def test_answers_that_do_not_count(serve: Callable[..., Server], how: Serve, problem: str) -> None:
    made = fetcher(serve(how).port, **{"inside.example.test": ["10.1.2.3"]})
    assert refused(made).startswith(problem)


def test_an_endless_body_is_cut(serve: Callable[..., Server]) -> None:
    def endless(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    assert len(get(fetcher(serve(endless).port))) == 4096


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\n\r\n", b""])
def test_one_byte_at_a_time_ends_in_time(serve: Callable[..., Server], drip: bytes) -> None:
    clock = SystemClock()

    def slow(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(drip)
        while True:
            connection.sendall(b"y")
            clock.sleep(0.05)

    made = fetcher(serve(slow).port)
    assert "time" in refused(made, 0.5)


def test_a_server_that_never_answers(serve: Callable[..., Server]) -> None:
    held = threading.Event()
    made = fetcher(serve(lambda _: held.wait(60) and None).port)
    assert "time" in refused(made, 0.3)
    held.set()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert refused(fetcher(port)).startswith("connection: cannot connect to a.example.test: 127.0.0.1")


def test_names_without_addresses() -> None:
    assert refused(fetcher(1), one=Identifier("dns", "b.example.test")) == "dns: b.example.test has no address"


def test_forbidden_addresses_are_never_connected_to(serve: Callable[..., Server]) -> None:
    server = serve(answering(b"HTTP/1.1 200 OK", b"secret"))
    for addresses in (("127.0.0.1",), ("::ffff:127.0.0.1",), ("192.0.2.1", "127.0.0.1"), ("::1",)):
        assert "not an address that this CA connects to" in refused(fetcher(server.port, *addresses, allow=()))
    assert "not an address" in refused(fetcher(server.port, allow=()), one=Identifier("ip", "127.0.0.1"))
    assert server.accepted == 0


FORBIDDEN = """
    0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.0.0.1 192.0.2.1 192.168.1.1 198.18.0.1
    198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
    ::10.0.0.1 64:ff9b::a00:1 64:ff9b:1::a00:1 2002:a00:1:: 2001:db8::1 fc00::1 fd00:ec2::254 fe80::1 ff02::1
    2001:0:4136:e378:8000:63bf:f5ff:fffe 100::1 fe80::1%eth0
"""
GLOBAL = ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::"]


@pytest.mark.parametrize("address", FORBIDDEN.split())
def test_special_use_addresses(address: str) -> None:
    with pytest.raises(Unreachable):
        AddressGuard(()).check(address)


@pytest.mark.parametrize("address", GLOBAL)
def test_global_addresses(address: str) -> None:
    AddressGuard(()).check(address)


def test_allowed_networks() -> None:
    guard = AddressGuard((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd00::1"):
        guard.check(address)
    for address in ("192.168.0.1", "127.0.0.1", "fc00::1", "::ffff:192.168.0.1"):
        with pytest.raises(Unreachable):
            guard.check(address)


# --- TLS


def tls_server(serve: Callable[..., Server], folder: Path, protocols: list[str], name: Identifier = NAME) -> Server:
    certificate, key = write(folder, challenge_certificate(name, b"d" * 32), new_key())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(protocols)

    def one(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(4096)
            secure.sendall(b"HTTP/1.1 200 OK\r\n\r\nsecure")

    return serve(one)


def test_tls_shows_its_certificate(serve: Callable[..., Server], tmp_path: Path) -> None:
    made = fetcher(tls_server(serve, tmp_path, ["acme-tls/1"]).port)
    certificate, protocol = made.tls(NAME, made.deadline(20))
    assert protocol == "acme-tls/1"
    assert b"a.example.test" in certificate
    plain = fetcher(tls_server(serve, tmp_path, ["http/1.1"]).port)
    with contextlib.suppress(AcmeFault):  # OpenSSL's server ends the handshake, others go on without
        assert plain.tls(NAME, plain.deadline(20))[1] is None


@pytest.mark.parametrize("how", [answering(b"HTTP/1.1 400 Bad"), lambda connection: None])
def test_no_tls_there(serve: Callable[..., Server], how: Serve) -> None:
    made = fetcher(serve(how).port)
    with pytest.raises(AcmeFault) as caught:
        made.tls(NAME, made.deadline(20))
    assert caught.value.problem.type == "tls"


def test_a_handshake_that_never_ends(serve: Callable[..., Server]) -> None:
    held = threading.Event()
    made = fetcher(serve(lambda _: held.wait(60) and None).port)
    with pytest.raises(AcmeFault) as caught:
        made.tls(NAME, made.deadline(0.3))
    assert caught.value.problem.type == "connection"
    held.set()


def test_redirects_to_https_believe_any_certificate(serve: Callable[..., Server], tmp_path: Path) -> None:
    secure = tls_server(serve, tmp_path, ["http/1.1"])
    first = serve(answering(b"HTTP/1.1 301 Moved\r\nLocation: https://a.example.test/x"))
    assert get(fetcher(first.port, https_port=secure.port)) == b"secure"


def test_tls_with_more_than_a_thousand_connections_open(serve: Callable[..., Server], tmp_path: Path) -> None:
    """A busy server's next descriptor is beyond what select() knows."""
    import os
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip("this machine does not let a process open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        test_tls_shows_its_certificate(serve, tmp_path)
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
