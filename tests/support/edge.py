"""The HTTP edge on real sockets inside the test's process: the reactor runs on a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock, SystemClock
from pycryptoutil.http.message import Listener, Request
from pycryptoutil.http.route import Route
from pycryptoutil.service.admin import ROUTES as ADMIN_ROUTES
from pycryptoutil.service.admin import AdminState
from pycryptoutil.service.app import HEALTH_ROUTES
from pycryptoutil.service.definition import Principal, PrincipalKind, Resources, Urls
from pycryptoutil.service.exchange import Edge, Phase
from pycryptoutil.service.health import Check, Health
from pycryptoutil.service.listeners import HttpListener
from pycryptoutil.service.metrics import Metrics
from pycryptoutil.service.pipeline import Dispatcher
from pycryptoutil.service.router import Router
from pycryptoutil.service.settings import ServiceSettings, TlsSettings
from pycryptoutil.service.sockets import Address, bind
from pycryptoutil.service.tls import ListenerTls
from pycryptoutil.service.workers import WorkerPool

CLOCK = SystemClock()
PATIENCE = 20.0


class Reactor:
    """Twisted's reactor on a daemon thread; it can be started once in a process, so it runs until the end."""

    _started = threading.Lock()
    _thread: threading.Thread | None = None

    @classmethod
    def start(cls) -> Any:
        from twisted.internet import reactor

        with cls._started:
            if cls._thread is None:
                ready = threading.Event()
                reactor.callWhenRunning(ready.set)  # type: ignore[attr-defined]
                run = reactor.run  # type: ignore[attr-defined]
                cls._thread = threading.Thread(target=run, kwargs={"installSignalHandlers": False}, daemon=True)
                cls._thread.start()
                assert ready.wait(PATIENCE)
        return reactor


def on_reactor(run: Callable[..., Any], *arguments: Any) -> Any:
    """Run on the reactor's thread; return what it returns, or what its Deferred gives."""
    from twisted.internet.threads import blockingCallFromThread

    return blockingCallFromThread(Reactor.start(), run, *arguments)


class Barrier:
    """Stands in: sealed or not."""

    sealed = False

    def status(self) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        return "<test barrier>"


class Callers:
    """Knows one program and one person."""

    program = Principal("p1", "t1", PrincipalKind.CLIENT, "program", frozenset({"read"}))
    person = Principal("u1", "t1", PrincipalKind.USER, "person", frozenset({"read"}), session_id="s1")

    def authenticate_service(self, request: Request) -> Principal:
        if request.headers.get("authorization") != "Bearer good":
            raise Fault(FaultKind.UNAUTHENTICATED, "no token", "Authenticate.", challenges=('Bearer realm="test"',))
        assert "cookie" not in request.headers
        return self.program

    def authenticate_browser(self, request: Request) -> Principal:
        if request.cookie("__Host-session") != "good":
            raise Fault(FaultKind.UNAUTHENTICATED, "no session", "Log in.")
        return self.person

    def check_csrf(self, request: Request, principal: Principal) -> None:
        assert principal is self.person
        if request.headers.get("x-csrf-token") != "csrf":
            raise Fault(FaultKind.FORBIDDEN, "no csrf token", "Forged.")


class Limits:
    """Counts, and refuses when told."""

    refuse_address = False
    refuse_principal = False

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.principals: list[str] = []

    def check_address(self, peer: str) -> None:
        self.addresses.append(peer)
        if self.refuse_address:
            raise Fault(FaultKind.RATE_LIMITED, "address", "Slow down.", retry_after=7)

    def check_principal(self, principal_id: str) -> None:
        self.principals.append(principal_id)
        if self.refuse_principal:
            raise Fault(FaultKind.RATE_LIMITED, "principal", "Slow down.", retry_after=9)


@dataclass
class Served:
    """An edge with its listeners, on free ports."""

    edge: Edge
    dispatcher: Dispatcher
    listeners: dict[Listener, HttpListener]
    pool: WorkerPool
    admin_pool: WorkerPool
    ports: dict[Listener, int]
    tls: ListenerTls | None = None

    @property
    def port(self) -> int:
        return self.ports[Listener.PUBLIC]

    def connect(self, kind: Listener = Listener.PUBLIC) -> Client:
        return Client(self.ports[kind])

    def ask(self, text: str | bytes, kind: Listener = Listener.PUBLIC) -> Answer:
        """Send bytes on a new connection, read one answer."""
        with self.connect(kind) as client:
            client.send(text)
            return client.read("HEAD" if str(text).startswith(("HEAD", "b'HEAD")) else "GET")

    def get(self, path: str, *headers: str, kind: Listener = Listener.PUBLIC) -> Answer:
        return self.ask(head("GET", path, *headers), kind)

    def sweep(self) -> None:
        """Do what the timer does."""
        for listener in self.listeners.values():
            on_reactor(listener.factory.sweep)

    def connections(self) -> int:
        return sum(listener.connections for listener in self.listeners.values())

    def close(self) -> None:
        for listener in self.listeners.values():
            on_reactor(listener.stop_accepting)
            on_reactor(listener.factory.abort)
        for pool in (self.pool, self.admin_pool):
            on_reactor(pool.stop)


def head(method: str, path: str, *headers: str) -> str:
    """A request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""])


@dataclass
class Answer:
    """One parsed answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes = field(repr=False, default=b"")

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.body)


class Client:
    """A socket that speaks HTTP byte by byte; reads strictly, so that an answer with wrong framing fails a test."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: str | bytes) -> None:
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self.buffer[:200])
        self.buffer += data

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read(self, method: str = "GET") -> Answer:
        """Read one answer, interim ones too."""
        version, status, _ = self._line().decode().split(" ", 2)
        assert version == "HTTP/1.1"
        headers = []
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(": ")
            headers.append((name.lower(), value))
        names = [name for name, _ in headers]
        assert "server" not in names
        assert names.count("content-length") <= 1
        answer = Answer(int(status), headers, b"")
        if method == "HEAD" or answer.status in {100, 204, 304}:
            return answer
        if answer.get("transfer-encoding") == "chunked":
            while size := int(self._line(), 16):
                answer.body += self._exactly(size)
                assert self._line() == b""
            assert self._line() == b""
        elif answer.get("content-length"):
            answer.body = self._exactly(int(answer.get("content-length")))
        else:
            with contextlib.suppress(EOFError):
                while True:
                    self._more()
            answer.body, self.buffer = self.buffer, b""
        return answer

    def ended(self) -> bool:
        """Wait for the end: True if the peer closed, with nothing more sent."""
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for something that happens on another thread."""
    end = CLOCK.monotonic() + PATIENCE
    while not condition():
        assert CLOCK.monotonic() < end, what
        CLOCK.sleep(0.005)


Serve = Callable[..., Served]


def make(
    folder: Path,
    *routes: Route,
    settings: ServiceSettings | None = None,
    tls: TlsSettings | None = None,
    clock: Clock = CLOCK,
    state: Any = None,
    checks: tuple[Check, ...] = (),
    only: tuple[Listener, ...] = (Listener.PUBLIC, Listener.PLAIN, Listener.ADMIN),
) -> Served:
    """Serve ``routes`` on every listener; TLS only on the public one, and only if given."""
    reactor = Reactor.start()
    chosen = settings or ServiceSettings(profile="test")
    barrier: Any = Barrier()
    edge = Edge(
        settings=chosen,
        clock=clock,
        barrier=barrier,
        metrics=Metrics("test"),
        authenticator=Callers(),
        limiter=Limits(),
        default_tenant_id="t1",
        service="test",
        phase=Phase.READY,
        state=state,
        resources=Resources(None, barrier, barrier, clock, Urls("", ""), folder, "t1"),
    )
    edge.admin_state = AdminState(barrier, Health(clock, checks, lambda: edge.phase), edge.metrics)
    limits = chosen.limits
    pool = WorkerPool("test", reactor, threads=limits.worker_threads, depth=limits.queue_depth)
    admin_pool = WorkerPool("test-admin", reactor, threads=2, depth=8)
    pool.start()
    admin_pool.start()
    table = (*routes, *HEALTH_ROUTES, *ADMIN_ROUTES)
    routers = {kind: Router(table, kind, "/admin/v1") for kind in Listener}
    pools = {Listener.PUBLIC: pool, Listener.PLAIN: pool, Listener.ADMIN: admin_pool}
    dispatcher = Dispatcher(edge, routers, pools)
    provisioned = None
    if tls is not None:
        provisioned = ListenerTls(
            tls, prefix="public.tls", clock=clock, data_dir=folder, names=lambda _: ("localhost", "127.0.0.1")
        )
    listeners, ports = {}, {}
    for kind in only:
        bound = bind([Address("test", kind, "127.0.0.1", 0)])["test", kind]
        mine = provisioned if kind is Listener.PUBLIC else None
        listeners[kind] = HttpListener(kind, bound, dispatcher, limits, reactor, mine)
        ports[kind] = bound.getsockname()[1]
        on_reactor(listeners[kind].open)
    return Served(edge, dispatcher, listeners, pool, admin_pool, ports, provisioned)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Give a function that serves routes until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(*routes: Route, **options: Any) -> Served:
            served = make(tmp_path, *routes, **options)
            stack.callback(served.close)
            return served

        yield start
