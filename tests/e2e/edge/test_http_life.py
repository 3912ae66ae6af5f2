"""Slow peers, long answers, full queues, and the end."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.clock import FixedClock
from pycryptoutil.http.message import Listener, Request, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.exchange import Phase
from pycryptoutil.service.settings import LimitSettings, ServiceSettings
from tests.support.edge import PATIENCE, Serve, head, on_reactor, until

OK = "GET /service/api/v1/health HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = bytes(range(256)) * (20 << 12)  # 20 MiB


def settings(**limits: object) -> ServiceSettings:
    return ServiceSettings(profile="test", limits=LimitSettings(**limits))  # type: ignore[arg-type]


def route(name: str, handler: object, **more: object) -> Route:
    return Route(name, ("GET", "POST"), f"/{name}", handler, gate=Gate.PROTOCOL, **more)  # type: ignore[arg-type]


class Held:
    """A handler that waits until it is told to go on."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, _context: object, _request: Request) -> Response:
        self.entered.release()
        assert self.go.wait(PATIENCE)
        return Response(200, b"done", "text/plain")

    def wait_entered(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE)


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.go.set()


class Parts:
    """A streamed body that knows what became of it."""

    def __init__(self, count: int, size: int = 65536, fail_at: int = -1) -> None:
        self.count, self.size, self.fail_at = count, size, fail_at
        self.made = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return self.parts()

    def parts(self) -> Iterator[bytes]:
        try:
            for number in range(self.count):
                if number == self.fail_at:
                    raise RuntimeError("disk")
                self.made += 1
                yield bytes([number % 256]) * self.size
        finally:
            self.closed.set()


# --- slow peers: time is told, not waited for


@pytest.mark.parametrize(
    ("text", "answered"),
    [
        ("", False),
        ("GET / HTTP/1.1\r\nHost: a\r\n", True),
        ("G", True),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", True),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", True),
    ],
)
def test_a_slow_request_is_ended(serve: Serve, text: str, answered: bool) -> None:
    clock = FixedClock()
    served = serve(route("echo", lambda _c, r: Response(200, r.body)), clock=clock)
    with served.connect() as client:
        if text:
            client.send(OK)  # not its first request, so that it is the header's time that counts
            assert client.read().status == 200
            client.send(text)
            until(lambda: all(c._reading for c in served.listeners[Listener.PUBLIC].factory.connections), "has begun")
        else:
            until(lambda: served.connections() == 1, "is connected")
        clock.advance(29)
        served.sweep()
        assert served.connections() == 1
        clock.advance(2)
        served.sweep()
        if answered:
            assert client.read().status == 408
            client.socket.shutdown(1)
        assert client.ended()
    until(lambda: served.connections() == 0, "forgotten")
    assert served.dispatcher.in_flight == 0


def test_dribbled_bytes_do_not_buy_time(serve: Serve) -> None:
    clock = FixedClock()
    served = serve(clock=clock)
    with served.connect() as client:
        client.send("GET / HTTP/1.1\r\n")
        factory = served.listeners[Listener.PUBLIC].factory
        until(lambda: any(c._reading for c in factory.connections), "has begun")
        for number in range(6):
            client.send("X: y\r\n")
            until(lambda n=number: any(c._buffer.count(b"X") > n for c in factory.connections), "arrived")  # type: ignore[misc]
            clock.advance(5)
            served.sweep()
        clock.advance(1)
        served.sweep()
        assert client.read().status == 408


def test_an_idle_connection_is_closed_silently(serve: Serve) -> None:
    clock = FixedClock()
    served = serve(clock=clock)
    with served.connect() as client:
        client.send(OK)
        assert client.read().status == 200
        clock.advance(59)
        served.sweep()
        client.send(OK)
        assert client.read().status == 200

        def gone() -> bool:  # the answer may be here before the server has set its clock for the next request
            clock.advance(61)
            served.sweep()
            return served.connections() == 0

        until(gone, "it is closed")
        assert client.ended()


def test_a_handler_that_takes_too_long_is_answered_for(serve: Serve, held: Held) -> None:
    clock = FixedClock()
    served = serve(route("held", held, faults=lambda f, _r: Response(503, f.kind.value.encode())), clock=clock)
    with served.connect() as client:
        client.send(head("GET", "/held"))
        held.wait_entered()
        clock.advance(31)
        served.sweep()
        answer = client.read()
        assert (answer.status, answer.body) == (503, b"unavailable")
        assert answer.get("retry-after") == "5"
        client.send(OK)
        assert client.read().status == 200  # the connection goes on
        assert served.pool.pending == 1  # and the worker too
        held.go.set()
        until(lambda: served.pool.pending == 0, "the worker comes back")
        client.send(OK)
        assert client.read().json == {"status": "ok"}  # what it brought is in nobody's answer
    assert served.dispatcher.in_flight == 0


def test_a_peer_that_does_not_read_is_cut(serve: Serve) -> None:
    clock = FixedClock()
    served = serve(route("large", lambda _c, _r: Response(200, LARGE)), clock=clock)
    with served.connect() as client:
        client.send(head("GET", "/large"))
        factory = served.listeners[Listener.PUBLIC].factory
        until(lambda: any(c._stalled is not None for c in factory.connections), "it stalls")

        def gone() -> bool:  # it stalls and goes on until every buffer is full, and then for good
            clock.advance(61)
            served.sweep()
            return served.connections() == 0

        until(gone, "it is cut")


def test_requests_of_a_peer_that_does_not_read_wait(serve: Serve) -> None:
    answered: list[int] = []

    def fast(_state: object, _request: Request, _parameters: object) -> Response:
        answered.append(1)
        return Response(200, bytes(100_000), "x/y")

    served = serve(route("fast", lambda _c, _r: Response(500), fast=fast))
    with served.connect() as client:
        one = head("GET", "/fast").encode()
        client.socket.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64 << 20:
                sent += client.socket.send(one * 1000)
        assert len(answered) < 200  # socket buffers hold some megabytes, not what was asked for
        factory = served.listeners[Listener.PUBLIC].factory
        assert all(len(c._buffer) < 200_000 for c in factory.connections)
        client.socket.settimeout(PATIENCE)
        for _ in range(500):
            assert len(client.read().body) == 100_000
    assert len(answered) >= 500


# --- long answers


def test_large_and_streamed_answers_arrive_whole(serve: Serve) -> None:
    parts = Parts(300)
    served = serve(
        route("large", lambda _c, _r: Response(200, LARGE, "x/y")),
        route("stream", lambda _c, _r: Response(200, iter(parts), "x/y")),
        route("sized", lambda _c, _r: Response(200, iter([b"abc", b"def"]), "x/y", (("Content-Length", "6"),))),
        route("none", lambda _c, _r: Response(200, iter(()), "x/y")),
    )
    with served.connect() as client:
        client.send(head("GET", "/large") + head("GET", "/stream") + head("GET", "/sized") + head("GET", "/none") + OK)
        assert client.read().body == LARGE
        streamed = client.read()
        assert streamed.get("transfer-encoding") == "chunked"
        assert streamed.body == b"".join(bytes([n % 256]) * 65536 for n in range(300))
        assert client.read().body == b"abcdef"
        assert client.read().body == b""
        assert client.read().json == {"status": "ok"}
    assert parts.closed.is_set()


def test_http_1_0_gets_a_stream_that_ends_with_the_connection(serve: Serve) -> None:
    served = serve(route("stream", lambda _c, _r: Response(200, iter([b"abc", b"def"]), "x/y")))
    with served.connect() as client:
        client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = client.read()
        assert answer.body == b"abcdef"
        assert not answer.get("transfer-encoding")
        assert answer.get("connection") == "close"


def test_head_of_a_stream_closes_it(serve: Serve) -> None:
    parts = Parts(3).parts()
    next(parts)
    served = serve(route("stream", lambda _c, _r: Response(200, parts, "x/y")))
    with served.connect() as client:
        client.send(head("HEAD", "/stream"))
        assert client.read("HEAD").status == 200
        client.send(OK)
        assert client.read().json == {"status": "ok"}
    assert list(parts) == []


def test_a_stream_is_made_at_the_peer_s_pace_and_closed_when_it_leaves(serve: Serve) -> None:
    parts = Parts(100_000)
    served = serve(route("stream", lambda _c, _r: Response(200, iter(parts), "x/y")))
    with served.connect() as client:
        client.send(head("GET", "/stream"))
        factory = served.listeners[Listener.PUBLIC].factory
        until(lambda: any(c._stalled is not None for c in factory.connections), "it stalls")
        assert parts.made < 1000
    assert parts.closed.wait(PATIENCE)
    until(lambda: served.connections() == 0, "forgotten")


def test_a_stream_that_fails_is_cut_short_visibly(serve: Serve) -> None:
    parts = Parts(10, fail_at=6)
    served = serve(route("stream", lambda _c, _r: Response(200, iter(parts), "x/y")))
    with served.connect() as client:
        client.send(head("GET", "/stream"))
        with pytest.raises((EOFError, ConnectionResetError)):
            client.read()
    assert parts.closed.is_set()


def test_a_header_that_would_break_out_is_an_internal_error(serve: Serve) -> None:
    for value in ("a\r\nX-Evil: 1", "a\nb", "a\0", "€"):
        served = serve(route("split", lambda _c, _r, v=value: Response(200, b"x", "x/y", (("X-A", v),))))
        with served.connect() as client:
            client.send(head("GET", "/split") + OK)
            answer = client.read()
            assert answer.status == 500
            assert not answer.get("x-evil")
            assert not answer.get("x-a")
            assert client.read().status == 200
    served = serve(route("kind", lambda _c, _r: Response(200, b"x", "text/html\r\nX-Evil: 1")))
    assert (served.get("/kind").status, served.get("/kind").get("x-evil")) == (500, "")


# --- queues, drain


def test_a_full_queue_answers_503_and_what_was_let_in_is_served(serve: Serve, held: Held) -> None:
    served = serve(route("held", held), settings=settings(worker_threads=2, queue_depth=3))
    clients = [served.connect() for _ in range(5)]
    for client in clients:
        client.send(head("GET", "/held"))
    until(lambda: served.pool.pending == 5, "all are in")
    assert (served.pool.busy, served.pool.queued) == (2, 3)
    for _ in range(3):
        answer = served.get("/held")
        assert (answer.status, answer.get("retry-after")) == (503, "1")
        assert answer.json["type"].endswith("busy")
    assert served.get("/service/api/v1/health").status == 200  # what needs no worker goes on
    held.go.set()
    assert [client.read().body for client in clients] == [b"done"] * 5
    for client in clients:
        client.__exit__()
    assert served.dispatcher.in_flight == 0


def test_an_answer_for_a_peer_that_has_left_is_dropped(serve: Serve, held: Held) -> None:
    served = serve(route("held", held))
    with served.connect() as client:
        client.send(head("GET", "/held"))
        held.wait_entered()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not half-close
    until(lambda: served.connections() == 0, "left")
    held.go.set()
    until(lambda: served.pool.pending == 0, "worker is back")
    assert served.dispatcher.in_flight == 0
    assert served.get("/service/api/v1/health").status == 200


def test_draining_finishes_what_is_in_flight_and_closes_what_is_idle(serve: Serve, held: Held) -> None:
    served = serve(route("held", held))
    idle, busy = served.connect(), served.connect()
    idle.send(OK)
    assert idle.read().status == 200
    busy.send(head("GET", "/held") + OK)
    held.wait_entered()
    served.edge.phase = Phase.DRAINING
    on_reactor(served.listeners[Listener.PUBLIC].stop_accepting)
    assert idle.ended()
    with pytest.raises(ConnectionRefusedError):
        served.connect()
    held.go.set()
    answer = busy.read()
    assert (answer.body, answer.get("connection")) == (b"done", "close")
    assert busy.ended()  # the pipelined one was not begun
    until(lambda: served.connections() == 0, "all gone")


def test_faults_of_handlers(serve: Serve) -> None:
    def fail(_context: object, _request: Request) -> Response:
        raise RuntimeError("secret in the message")

    def own(fault: Fault, _request: Request) -> Response:
        return Response(500, f"own {fault.kind.value}".encode(), "x/own")

    def broken(_fault: Fault, _request: Request) -> Response:
        raise RuntimeError("encoder")

    served = serve(
        route("plain", fail), route("own", fail, faults=own), route("broken", fail, faults=broken),
        route("fast", fail, fast=lambda _s, _r, _p: fail(None, _r)),
    )  # fmt: skip
    for name in ("plain", "broken", "fast"):
        answer = served.get(f"/{name}")
        assert answer.status == 500
        assert b"secret" not in answer.body
        assert answer.json["request_id"] == answer.get("x-request-id")
    assert served.get("/own").body == b"own internal"
    assert served.dispatcher.in_flight == 0
