"""Clients that keep a running suite busy: a connection, what is sent over it, and the rate of many at once."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterable, Iterator

from pycryptoutil.clock import SystemClock

CLOCK = SystemClock()
REPEATS = 200


class Connection:
    """One connection, by TLS where there is a context, and no more HTTP than is needed to know where an answer ends."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = plain if context is None else context.wrap_socket(plain, server_hostname="127.0.0.1")

    def ask(self, request: bytes) -> bytes:
        """Return the body of the answer; RuntimeError if it is not a 200."""
        self._socket.sendall(request)
        received = self._socket.recv(65536)
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(received.decode(errors="replace"))
        lines = head.split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
        while len(body) < length:
            body += self._socket.recv(65536)
        return body

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


Connect = Callable[[], Connection]
Turns = Generator[None, None, None]


def post(path: str, kind: str, body: bytes, basic: str = "") -> bytes:
    """Return a whole POST, header fields and all; ``basic`` is ``name:password`` in base64."""
    authorization = f"Authorization: Basic {basic}\r\n" if basic else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench.example.test\r\n{authorization}"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def drain(waiting: list[bytes]) -> Iterator[bytes]:
    """Take requests off a list that clients share until there is none."""
    while waiting:
        yield waiting.pop()


def asking(connect: Connect, requests: Iterable[bytes], *, kept: bool = True) -> Turns:
    """Ask for one thing a turn, over one connection or over a new one each."""
    connection = connect()
    try:
        for request in requests:
            connection.ask(request)
            yield
            if not kept:
                connection.close()
                connection = connect()
    finally:
        connection.close()


def rate(clients: int, seconds: float, work: Callable[[int], Turns]) -> float:
    """Return turns per second of so many clients at once; client ``n`` takes those of ``work(n)`` until time is up.

    Raises what the first client that failed raised.
    """
    done, failed = [0] * clients, []
    end = CLOCK.monotonic() + seconds

    def client(number: int) -> None:
        turns = work(number)
        try:
            for _ in turns:
                done[number] += 1
                if CLOCK.monotonic() >= end:
                    return
        except Exception as error:
            failed.append(error)
        finally:
            turns.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    start = CLOCK.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return sum(done) / (CLOCK.monotonic() - start)


def microseconds(act: Callable[[], object]) -> float:
    """Return how long one call takes, after a first one that does not count."""
    act()
    start = CLOCK.monotonic()
    for _ in range(REPEATS):
        act()
    return (CLOCK.monotonic() - start) / REPEATS * 1e6
