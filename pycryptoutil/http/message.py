"""Requests and responses as plain data."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime


class Listener(enum.Enum):
    """Which of a service's listeners a request came in by."""

    PUBLIC = "public"
    ADMIN = "admin"
    PLAIN = "plain"  # http, for objects that are signed themselves


class Headers:
    """Header fields, case-insensitive, order kept, repeats kept (RFC 9110 section 5)."""

    __slots__ = ("_first", "_items")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = tuple((name.lower(), value) for name, value in items)
        self._first = dict(reversed(self._items))

    @classmethod
    def lowered(cls, items: tuple[tuple[str, str], ...]) -> Headers:
        """Take items whose names are in lower case already."""
        made = cls.__new__(cls)
        made._items = items  # noqa: SLF001  its own class
        made._first = dict(reversed(items))  # noqa: SLF001
        return made

    def get(self, name: str, default: str = "") -> str:
        """Return the first value, or ``default``."""
        return self._first.get(name.lower(), default)

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return every value in order."""
        wanted = name.lower()
        return tuple(value for key, value in self._items if key == wanted)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._first

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __repr__(self) -> str:
        return f"Headers({[name for name, _ in self._items]})"  # values may be secrets


def _no_exporter(label: bytes, length: int) -> bytes:  # noqa: ARG001  stands for TlsInfo.export
    raise LookupError("no TLS exporter on this connection")


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """What the TLS connection says of the peer.

    ``client_chain`` is DER, leaf first, empty without a client certificate. ``client_verified`` is true only when the
    listener's policy verified it against the configured bundle. ``export(label, length)`` gives keying material
    (RFC 5705; ``EXPORTER-Channel-Binding``, 32 is RFC 9266's tls-exporter).
    """

    version: str
    cipher: str
    client_chain: tuple[bytes, ...] = ()
    client_verified: bool = False
    export: Callable[[bytes, int], bytes] = _no_exporter


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, whole.

    ``path`` is percent-decoded; ``raw_path`` is as received, without the query (OCSP GET needs it).
    ``query`` maps a name to all its values.
    """

    method: str
    path: str
    raw_path: str
    query: Mapping[str, tuple[str, ...]]
    headers: Headers
    body: bytes = field(repr=False)
    listener: Listener
    peer: str  # address, without port
    request_id: str
    received_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    tls: TlsInfo | None = None

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty if absent."""
        return self.headers.get("content-type").partition(";")[0].strip().lower()

    def without(self, name: str) -> Request:
        """Return a copy without that header field."""
        wanted = name.lower()
        return replace(self, headers=Headers((key, value) for key, value in self.headers if key != wanted))

    def cookie(self, name: str) -> str:
        """Return one cookie's value, or an empty string."""
        for header in self.headers.get_all("cookie"):
            for pair in header.split(";"):
                key, _, value = pair.strip().partition("=")
                if key == name:
                    return value
        return ""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. ``body`` is bytes, or an iterator of chunks that is streamed (its parts must need no lock)."""

    status: int
    body: bytes | Iterator[bytes] = b""
    media_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, *extra: tuple[str, str]) -> Response:
        """Return a copy with more header fields."""
        return Response(self.status, self.body, self.media_type, self.headers + extra)
