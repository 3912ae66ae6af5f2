"""Connections to those who want certificates: they may be slow, endless or hostile, and each attempt ends in time."""

from __future__ import annotations

import contextlib
import http.client
import io
import selectors
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from pycryptoutil_protocols.acme import validation
from pycryptoutil_protocols.acme.messages import Identifier
from pycryptoutil_protocols.acme.problems import AcmeFault, ProblemType, refused

from pycryptoutil.authority.acme.dns import Resolver
from pycryptoutil.authority.acme.guard import AddressGuard
from pycryptoutil.clock import Clock

_MAX_RECEIVED: Final = 64 * 1024
_MAX_REDIRECTS: Final = 10
_MAX_URL: Final = 2000
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_USER_AGENT: Final = "pycryptoutil-acme-validation"


def _connection(text: str) -> AcmeFault:
    return refused(ProblemType.CONNECTION, text)


def _tls(text: str) -> AcmeFault:
    return refused(ProblemType.TLS, text)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of one attempt."""

    clock: Clock
    at: float

    @property
    def over(self) -> bool:
        """Tell whether it has passed."""
        return self.clock.monotonic() >= self.at

    def left(self) -> float:
        """Return seconds; the problem ``connection`` when they have run out."""
        seconds = self.at - self.clock.monotonic()
        if seconds <= 0:
            raise _connection("no whole answer in time")
        return seconds


class Fetcher:
    """Reaches out from one resolver's view of the DNS."""

    def __init__(
        self,
        resolver: Resolver,
        guard: AddressGuard,
        clock: Clock,
        *,
        http_ports: Sequence[int],
        https_port: int,
        tls_ports: Sequence[int],
    ) -> None:
        self.resolver = resolver
        self._guard = guard
        self._clock = clock
        self._http_ports = tuple(http_ports)
        self._https_port = https_port
        self._tls_ports = tuple(tls_ports)

    def deadline(self, seconds: float) -> Deadline:
        """Begin an attempt."""
        return Deadline(self._clock, self._clock.monotonic() + seconds)

    # -- TCP -----------------------------------------------------------------------------------------------------------

    def _addresses(self, host: str) -> list[str]:
        """Return what a host resolves to; every address must be one that may be connected to."""
        literal = host.strip("[]")
        if _is_address(literal):
            return [str(self._guard.check(literal))]
        found = self.resolver.addresses(host)
        if not found:
            raise refused(ProblemType.DNS, f"{host} has no address")
        return [str(self._guard.check(one)) for one in found]

    def _connect(self, host: str, ports: Sequence[int], deadline: Deadline) -> socket.socket:
        """Connect to the first address that lets us, IPv6 first; the others are for when it does not."""
        addresses = self._addresses(host)
        places = [(address, port) for port in ports for address in addresses]
        said = ""
        for index, place in enumerate(places):
            share = deadline.left() / (len(places) - index)
            try:
                return socket.create_connection(place, timeout=share)
            except OSError as error:
                said = f"{place[0]} port {place[1]}: {_reason(error)}"
        raise _connection(f"cannot connect to {host}: {said}")

    # -- http-01 -------------------------------------------------------------------------------------------------------

    def http(self, identifier: Identifier, token: str, deadline: Deadline) -> bytes:
        """Return the body at the challenge's path (RFC 8555 section 8.3), following redirects."""
        host = f"[{identifier.value}]" if ":" in identifier.value else identifier.value
        url = f"http://{host}{validation.http_path(token)}"
        for _ in range(_MAX_REDIRECTS + 1):
            status, location, body = self._get(url, deadline)
            if status not in _REDIRECTS:
                if status != http.client.OK:
                    raise refused(ProblemType.INCORRECT_RESPONSE, f"{url}: HTTP {status}")
                return body
            url = self._redirected(url, location)
        raise _connection("too many redirects")

    def _redirected(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            fits = bool(location) and len(target) <= _MAX_URL and urlsplit(target).scheme in {"http", "https"}
        except ValueError:
            fits = False
        if not fits:
            raise _connection("a redirect to what is no http or https URL")
        return target

    def _get(self, url: str, deadline: Deadline) -> tuple[int, str, bytes]:
        parts = urlsplit(url)
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _connection("a redirect to what is no URL") from None
        secure = parts.scheme == "https"
        usual = (self._https_port,) if secure else self._http_ports
        if not host or (port is not None and port not in (*usual, 443 if secure else 80)):
            raise _connection(f"a redirect to another port than {usual[0]}")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.isascii() or not path.isprintable() or " " in path:
            raise _connection("a redirect to what is no URL")
        shown = parts.netloc.rpartition("@")[2]
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {shown}\r\nUser-Agent: {_USER_AGENT}\r\nAccept: */*\r\n"
            "Connection: close\r\n\r\n"
        ).encode("ascii", "replace")
        with contextlib.closing(self._connect(host, (port,) if port is not None else usual, deadline)) as plain:
            if not secure:
                return self._exchange(plain, head, deadline)
            with contextlib.closing(self._handshake(plain, _context(), host, deadline)) as connection:
                return self._exchange(connection, head, deadline)

    @staticmethod
    def _exchange(connection: socket.socket, head: bytes, deadline: Deadline) -> tuple[int, str, bytes]:
        try:
            connection.settimeout(deadline.left())
            connection.sendall(head)
            stream = _Stream(connection, deadline)
            response = http.client.HTTPResponse(stream, method="GET")  # type: ignore[arg-type]
            response.begin()
            body = response.read(validation.MAX_HTTP_BODY)
            return response.status, response.getheader("location") or "", body
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise _connection(f"no HTTP answer: {_reason(error)}") from None

    # -- TLS -----------------------------------------------------------------------------------------------------------

    def tls(self, identifier: Identifier, deadline: Deadline) -> tuple[bytes, str | None]:
        """Return the certificate that is shown for the ACME protocol, and what was negotiated (RFC 8737)."""
        context = _context()
        context.set_alpn_protocols([validation.ALPN_PROTOCOL])
        name = validation.server_name(identifier)
        with (
            contextlib.closing(self._connect(identifier.value, self._tls_ports, deadline)) as plain,
            contextlib.closing(self._handshake(plain, context, name, deadline)) as connection,
        ):
            return connection.getpeercert(binary_form=True) or b"", connection.selected_alpn_protocol()

    @staticmethod
    def _handshake(plain: socket.socket, context: ssl.SSLContext, name: str, deadline: Deadline) -> ssl.SSLSocket:
        try:
            plain.setblocking(False)
            connection = context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
        except (OSError, ValueError) as error:
            raise _tls(f"TLS with {name}: {_reason(error)}") from None
        try:
            _shake(connection, deadline)
        except (OSError, ValueError) as error:
            connection.close()
            raise _tls(f"TLS with {name}: {_reason(error)}") from None
        except AcmeFault:
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


def _context() -> ssl.SSLContext:
    """A client that believes any certificate: what it says is judged, not who vouches for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_address(host: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "handshake failed").lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


class _Stream:
    """What http.client takes for a socket: its file reads within the deadline, and not without end."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """Return the reader."""
        return io.BufferedReader(_Received(self._connection, self._deadline))


class _Received(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._left = _MAX_RECEIVED

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
