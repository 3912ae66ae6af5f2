"""Visits to those who want certificates (RFC 8555 section 8): what goes wrong on the way becomes a problem."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urljoin, urlsplit

from pycryptoutil_protocols.acme import validation
from pycryptoutil_protocols.acme.messages import Identifier
from pycryptoutil_protocols.acme.problems import AcmeFault, ProblemType, refused

from pycryptoutil.authority.acme.dns import Resolver
from pycryptoutil.authority.outreach import AddressGuard, Deadline, Step, Unreachable
from pycryptoutil.authority.outreach.connection import connect, exchange, handshake
from pycryptoutil.clock import Clock

_MAX_REDIRECTS: Final = 10
_MAX_URL: Final = 2000
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_USER_AGENT: Final = "pycryptoutil-acme-validation"
_PROBLEMS: Final = {
    Step.DNS: ProblemType.DNS,
    Step.CONNECTION: ProblemType.CONNECTION,
    Step.TLS: ProblemType.TLS,
}


def _connection(text: str) -> AcmeFault:
    return refused(ProblemType.CONNECTION, text)


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except Unreachable as fault:
        raise refused(_PROBLEMS[fault.step], fault.public, fault.detail) from None


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
        return Deadline.after(self._clock, seconds)

    # -- http-01 -------------------------------------------------------------------------------------------------------

    def http(self, identifier: Identifier, token: str, deadline: Deadline) -> bytes:
        """Return the body at the challenge's path (RFC 8555 section 8.3), following redirects."""
        host = f"[{identifier.value}]" if ":" in identifier.value else identifier.value
        url = f"http://{host}{validation.http_path(token)}"
        for _ in range(_MAX_REDIRECTS + 1):
            with _problems():
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
        ports = (port,) if port is not None else usual
        with contextlib.closing(connect(host, ports, self.resolver, self._guard, deadline)) as plain:
            if not secure:
                found = exchange(plain, "GET", head, deadline, validation.MAX_HTTP_BODY)
            else:
                with contextlib.closing(handshake(plain, _context(), host, deadline)) as connection:
                    found = exchange(connection, "GET", head, deadline, validation.MAX_HTTP_BODY)
        return found.status, found.location, found.body

    # -- TLS -----------------------------------------------------------------------------------------------------------

    def tls(self, identifier: Identifier, deadline: Deadline) -> tuple[bytes, str | None]:
        """Return the certificate that is shown for the ACME protocol, and what was negotiated (RFC 8737)."""
        context = _context()
        context.set_alpn_protocols([validation.ALPN_PROTOCOL])
        name = validation.server_name(identifier)
        with (
            _problems(),
            contextlib.closing(
                connect(identifier.value, self._tls_ports, self.resolver, self._guard, deadline)
            ) as plain,
            contextlib.closing(handshake(plain, context, name, deadline)) as connection,
        ):
            return connection.getpeercert(binary_form=True) or b"", connection.selected_alpn_protocol()


def _context() -> ssl.SSLContext:
    """A client that believes any certificate: what it says is judged, not who vouches for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
