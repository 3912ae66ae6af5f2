"""Connections to those who may be slow, endless or hostile: addresses, TCP, TLS, and one HTTP exchange."""

from __future__ import annotations

import enum
import http.client
import io
import ipaddress
import selectors
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock
from pycryptoutil.storage import in_unit_of_work

MAX_RECEIVED: Final = 64 * 1024
_MAX_ADDRESSES: Final = 8


class Step(enum.Enum):
    """How far an attempt has come."""

    DNS = "dns"
    CONNECTION = "connection"
    TLS = "tls"


class Unreachable(Fault):
    """An attempt that failed; ``public`` says why to whoever named the machine, ``detail`` may say more to the log."""

    def __init__(self, step: Step, text: str, detail: str = "") -> None:
        super().__init__(FaultKind.UNAVAILABLE, detail or text, text)
        self.step = step


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of one attempt."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> Deadline:
        """Begin an attempt."""
        return cls(clock, clock.monotonic() + seconds)

    @property
    def over(self) -> bool:
        """Tell whether it has passed."""
        return self.clock.monotonic() >= self.at

    def left(self) -> float:
        """Return seconds; Unreachable when they have run out."""
        seconds = self.at - self.clock.monotonic()
        if seconds <= 0:
            raise Unreachable(Step.CONNECTION, "no whole answer in time")
        return seconds


class Guard(Protocol):
    """Judges addresses before they are connected to."""

    def check(self, text: str) -> object:
        """Return the address, to be written as text; Unreachable if it must not be connected to."""


class Names(Protocol):
    """Finds the addresses of a host."""

    def addresses(self, name: str) -> list[str]:
        """In the order to try them; a Fault when nobody can tell."""


class SystemNames:
    """The machine's own resolver, with its hosts file and search list; it has time-outs of its own."""

    def addresses(self, name: str) -> list[str]:
        """As the system sorts them."""
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unreachable(Step.DNS, f"cannot look up {name[:253]}: {reason(error)}") from None
        return list(dict.fromkeys(str(one[4][0]) for one in found))[:_MAX_ADDRESSES]


def connect(host: str, ports: Sequence[int], names: Names, guard: Guard, deadline: Deadline) -> socket.socket:
    """Connect to the first address that lets us; the others are for when it does not.

    Every address must be one that may be connected to. What was judged is what is connected to: nobody is asked twice.
    """
    if in_unit_of_work():
        message = "nobody is reached out to inside a unit of work"
        raise RuntimeError(message)
    addresses = _addresses(host, names, guard)
    places = [(address, port) for port in ports for address in addresses]
    said = ""
    for index, place in enumerate(places):
        share = deadline.left() / (len(places) - index)
        try:
            return socket.create_connection(place, timeout=share)
        except OSError as error:
            said = f"{place[0]} port {place[1]}: {reason(error)}"
    raise Unreachable(Step.CONNECTION, f"cannot connect to {host}: {said}")


def _addresses(host: str, names: Names, guard: Guard) -> list[str]:
    literal = host.strip("[]")
    if is_address(literal):
        return [str(guard.check(literal))]
    found = names.addresses(host)
    if not found:
        raise Unreachable(Step.DNS, f"{host} has no address")
    return [str(guard.check(one)) for one in found]


def handshake(plain: socket.socket, context: ssl.SSLContext, name: str, deadline: Deadline) -> ssl.SSLSocket:
    """Speak TLS within the deadline; whom to believe is the context's affair."""
    try:
        plain.setblocking(False)
        connection = context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
    except (OSError, ValueError) as error:
        raise Unreachable(Step.TLS, f"TLS with {name}: {reason(error)}") from None
    try:
        _shake(connection, deadline)
    except (OSError, ValueError) as error:
        connection.close()
        raise Unreachable(Step.TLS, f"TLS with {name}: {reason(error)}") from None
    except Unreachable:
        connection.close()
        raise
    return connection


def _shake(connection: ssl.SSLSocket, deadline: Deadline) -> None:
    """Shake hands within the deadline, however slow the other is."""
    with selectors.DefaultSelector() as selector:  # select() itself knows no descriptor beyond 1023
        selector.register(connection, selectors.EVENT_READ)
        while True:
            try:
                return connection.do_handshake()
            except ssl.SSLWantReadError:
                selector.modify(connection, selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                selector.modify(connection, selectors.EVENT_WRITE)
            selector.select(deadline.left())


@dataclass(frozen=True, slots=True)
class Received:
    """The beginning of an answer: no more of the body than was asked for."""

    status: int
    location: str
    body: bytes


def exchange(
    connection: socket.socket,
    method: str,
    request: bytes,
    deadline: Deadline,
    max_body: int,
    max_received: int = MAX_RECEIVED,
) -> Received:
    """Send a whole HTTP request and read one answer, within the deadline and not without end."""
    try:
        connection.settimeout(deadline.left())
        connection.sendall(request)
        stream = _Stream(connection, deadline, max_received)
        response = http.client.HTTPResponse(stream, method=method)  # type: ignore[arg-type]
        response.begin()
        body = response.read(max_body)
        return Received(response.status, response.getheader("location") or "", body)
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise Unreachable(Step.CONNECTION, f"no HTTP answer: {reason(error)}") from None


def is_address(host: str) -> bool:
    """Tell an IP address from a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def reason(error: Exception) -> str:
    """Say what happened, in a few words and without our own addresses."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "handshake failed").lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


class _Stream:
    """What http.client takes for a socket: its file reads within the deadline, and not without end."""

    def __init__(self, connection: socket.socket, deadline: Deadline, limit: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self._limit = limit

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """Return the reader."""
        return io.BufferedReader(_Limited(self._connection, self._deadline, self._limit))


class _Limited(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: Deadline, limit: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left <= 0:
            raise ValueError("too long an answer")
        while True:
            self._connection.settimeout(self._deadline.left())
            try:
                count = self._connection.recv_into(buffer, min(len(buffer), self._left))
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            self._left -= count
            return count
