"""One HTTP POST to a URL that an operator has given. No redirect is followed: it goes there and nowhere else."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.outreach.connection import (
    MAX_RECEIVED,
    Deadline,
    Guard,
    Names,
    Step,
    SystemNames,
    Unreachable,
    connect,
    exchange,
    handshake,
    reason,
)
from pycryptoutil.clock import Clock

_MAX_URL: Final = 2000
_USER_AGENT: Final = "pycryptoutil"


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and the first octets of the body."""

    status: int
    body: bytes = field(repr=False)


def client_context(ca_file: str = "") -> ssl.SSLContext:
    """Return who is believed over TLS: those that the file (PEM) vouches for, or the system's."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise Unreachable(Step.TLS, f"{ca_file}: {reason(error)}") from None


def split_url(url: str) -> SplitResult:
    """Return the parts of an http or https URL; Fault(INVALID) for what is none, or has a user or a fragment."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    fits = (
        len(url) <= _MAX_URL
        and url.isascii()
        and url.isprintable()
        and " " not in url
        and parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not parts.fragment
        and port_is_fine
    )
    if not fits:
        text = "must be an http or https URL without user, password and fragment"
        raise Fault(FaultKind.INVALID, text, text, pointer="url")
    return parts


class _Anybody:
    """For URLs of the configuration: whoever writes that may say where it goes."""

    def check(self, text: str) -> str:
        return text


class Poster:
    """Posts to whom the guard allows; without one, to anybody."""

    def __init__(
        self, clock: Clock, guard: Guard | None, names: Names | None = None, ca_file: str = "", agent: str = _USER_AGENT
    ) -> None:
        self._clock = clock
        self._guard = guard or _Anybody()
        self._names = names or SystemNames()
        self._ca_file = ca_file
        self._agent = agent

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], seconds: float, max_body: int = MAX_RECEIVED // 2
    ) -> Answer:
        """Send and read within ``seconds``; Unreachable, or Fault(INVALID) for what is no URL."""
        parts = split_url(url)
        deadline = Deadline.after(self._clock, seconds)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        request = self._head(parts, headers, len(body)) + body
        with contextlib.closing(connect(host, (port,), self._names, self._guard, deadline)) as plain:
            if not secure:
                return self._exchange(plain, request, deadline, max_body)
            context = client_context(self._ca_file)
            with contextlib.closing(handshake(plain, context, host, deadline)) as connection:
                return self._exchange(connection, request, deadline, max_body)

    def _head(self, parts: SplitResult, headers: Mapping[str, str], length: int) -> bytes:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"User-Agent: {self._agent}",
            f"Content-Length: {length}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if any("\r" in line or "\n" in line for line in lines):
            raise Fault(FaultKind.INVALID, "a line break in a header field", "a header field has a line break")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    @staticmethod
    def _exchange(connection: socket.socket, request: bytes, deadline: Deadline, max_body: int) -> Answer:
        found = exchange(connection, "POST", request, deadline, max_body, max_body + MAX_RECEIVED // 2)
        return Answer(found.status, found.body)
