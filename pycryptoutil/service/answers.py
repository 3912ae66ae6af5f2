"""Answers as HTTP/1.1 bytes (RFC 9112): status line, header section, framing; and bodies in parts."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import format_datetime
from http import HTTPStatus

from pycryptoutil.clock import Clock
from pycryptoutil.http.message import Response
from pycryptoutil.http.problem import MEDIA_TYPE, TITLES, document
from pycryptoutil.service.exchange import Exchange
from pycryptoutil.service.http1 import BadRequest, Head

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BODILESS = frozenset({204, 304})
PART = 256 << 10
MAX_ENCODED = 1024

_REASONS = {status.value: status.phrase for status in HTTPStatus}

Fields = tuple[tuple[str, str], ...]


class Encoder:
    """Encodes the answers of one listener. Reactor thread only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._date = (-1, "")
        self._kept: dict[int, tuple[Fields, tuple[object, ...], tuple[str, str, str]]] = {}

    def date(self, moment: float = 0.0) -> str:
        """Return the Date field's value, made once a second; ``moment`` is the monotonic time, where it is known."""
        second = int(moment or self._clock.monotonic())
        if self._date[0] != second:
            self._date = (second, format_datetime(self._clock.now(), usegmt=True))
        return self._date[1]

    def start(
        self, head: Head, response: Response, exchange: Exchange, *, persistent: bool, length: int | None, chunked: bool
    ) -> bytes:
        """Encode all that comes before the body. ``length`` None: chunked, or told by the handler, or ended by closing.

        ValueError if a header field would break out of its line, or is not latin-1. Pre-signed answers have the same
        header fields, the very object, again and again: all but date and request id is put together once.
        """
        own = response.headers
        facts: tuple[object, ...] = ()
        keep = exchange.fast and not exchange.extra_headers and own
        if keep:
            facts = (
                response.status, response.media_type, length, chunked, persistent, head.http11, head.method,
                exchange.security,
            )  # fmt: skip
        known = self._kept.get(id(own)) if keep else None
        if known is not None and known[0] is own and known[1] == facts:
            line, middle, rest = known[2]
        else:
            line, middle, rest = parts = self._parts(head, response, exchange, persistent, length, chunked)
            if keep:
                if len(self._kept) >= MAX_ENCODED:
                    self._kept.clear()
                self._kept[id(own)] = (own, facts, parts)
        return f"{line}{self.date(exchange.ended)}{middle}{exchange.request.request_id}{rest}".encode("latin-1")

    @staticmethod
    def _parts(
        head: Head, response: Response, exchange: Exchange, persistent: bool, length: int | None, chunked: bool
    ) -> tuple[str, str, str]:
        """Return what comes before the date, between it and the request id, and after that."""
        status = response.status
        own = _fields(response.headers) + _fields(exchange.extra_headers)
        kind = f"Content-Type: {response.media_type}\r\n" if response.media_type else ""
        if kind and not response.media_type.isprintable():
            raise ValueError("media type with a line break")
        if length is None:
            framing = "Transfer-Encoding: chunked\r\n" if chunked else ""
        elif status in BODILESS or (length == 0 and head.method == "HEAD"):
            framing = ""
        else:
            framing = f"Content-Length: {length}\r\n"
        kept = "" if head.http11 else "Connection: keep-alive\r\n"
        connection = kept if persistent else "Connection: close\r\n"
        return (
            f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\nDate: ",
            f"\r\n{kind}{framing}{connection}X-Request-Id: ",
            f"\r\n{exchange.security}{own}\r\n",
        )

    def refusal(self, bad: BadRequest, request_id: str) -> bytes:
        """Encode the whole answer to what is no request."""
        body = document(bad.status, "http", bad.reason, request_id)
        return (
            f"HTTP/1.1 {bad.status} {TITLES.get(bad.status, '')}\r\nDate: {self.date()}\r\n"
            f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
            f"X-Request-Id: {request_id}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
        ).encode("latin-1") + body


def _fields(fields: Fields) -> str:
    """Encode header fields; ValueError for one that would break out of its line."""
    if not fields:
        return ""
    text = "".join([f"{name}: {value}\r\n" for name, value in fields])
    if text.count("\n") != len(fields) or text.count("\r") != len(fields) or "\0" in text:
        raise ValueError("header field with a line break")
    return text


def take(stream: Iterator[bytes], wanted: int) -> tuple[bytes, bool]:
    """Pull about ``wanted`` bytes, on a worker's thread; return them and whether more may come."""
    parts: list[bytes] = []
    size = 0
    for part in stream:
        parts.append(part)
        size += len(part)
        if size >= wanted:
            return b"".join(parts), True
    return b"".join(parts), False


def slices(body: bytes) -> Iterator[memoryview]:
    """Cut a large body."""
    view = memoryview(body)
    for start in range(0, len(view), PART):
        yield view[start : start + PART]


def discard(response: Response | None) -> None:
    """Close the body of an answer that nobody will read."""
    close = getattr(response.body, "close", None) if response is not None else None
    if close is not None:
        close()
