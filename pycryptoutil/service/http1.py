"""HTTP/1.x request syntax (RFC 9112), strict, over plain bytes: no socket, no clock, no Twisted.

Everything that two parsers could read differently is refused, because disagreement is how requests are smuggled: bare
CR or LF, folded lines, space before a colon, control characters, repeated or non-numeric Content-Length, Content-Length
beside Transfer-Encoding, any transfer coding but a single ``chunked``, and a missing or repeated Host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from pycryptoutil.http.message import Headers

MAX_TARGET = 8192
MAX_CHUNK_LINE = 256
MAX_TRAILER = 4096
MAX_QUERY_FIELDS = 200

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  RFC 9110 section 5.6.2; the name of a rule, no secret
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_FIELDS = re.compile(rf"(?:{_TOKEN}:[\t\x20-\x7e\x80-\xff]*\r\n)*")
_FIELD = re.compile(rf"({_TOKEN}):[ \t]*([\t\x20-\x7e\x80-\xff]*)\r\n")
_DIGITS = re.compile(r"[0-9]{1,15}")
_HOST = re.compile(r"(?:[A-Za-z0-9._~%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BadRequest(Exception):  # noqa: N818  it is answered, not a defect
    """Bytes that are no request. The connection cannot be used further."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason  # safe to tell the peer: it quotes nothing


@dataclass(frozen=True, slots=True)
class Fields:
    """A header section and what its framing fields say. ``length`` is None when the body is chunked."""

    headers: Headers  # values trimmed
    length: int | None
    host: str
    hosts: int
    expects_continue: bool
    close: bool
    keep_alive: bool
    request_id: str


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and its header section."""

    method: str
    path: str
    raw_path: str
    query: dict[str, tuple[str, ...]]
    fields: Fields
    http11: bool
    persistent: bool
    authority: str


def find_end(buffer: bytes | bytearray, limit: int) -> int:
    """Return where the closing CRLFCRLF begins, or -1 if it has not come yet; refuse where it never can."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > limit:
            line = buffer.find(b"\r\n")
            raise BadRequest(414, "The request target is too long.") if line < 0 or line > limit else _too_large()
        if buffer.count(b"\n") != buffer.count(b"\r\n") or buffer.count(b"\r", 0, -1) != buffer.count(b"\r\n"):
            raise BadRequest(400, "Lines end in CRLF.")
        if buffer and not 0x21 <= buffer[0] <= 0x7E and buffer != b"\r":
            raise BadRequest(400, "This is not HTTP.")
    elif end > limit:
        raise _too_large()
    return end


def _too_large() -> BadRequest:
    return BadRequest(431, "The header section is too large.")


def parse_fields(block: str, max_fields: int) -> Fields:  # noqa: C901  one flat pass, on every request's way
    """Parse header fields; ``block`` is latin-1 text, each line with its CRLF."""
    if _FIELDS.fullmatch(block) is None:
        raise BadRequest(400, "A header field is malformed.")
    if block.count("\n") > max_fields:
        raise BadRequest(431, "There are too many header fields.")
    items = tuple((name.lower(), value.rstrip(" \t")) for name, value in _FIELD.findall(block))
    lengths: list[str] = []
    codings: list[str] = []
    hosts: list[str] = []
    connection = ""
    expects = False
    request_id = ""
    for name, value in items:
        if name == "host":
            hosts.append(value)
        elif name == "content-length":
            lengths.append(value)
        elif name == "connection":
            connection += "," + value.lower()
        elif name == "transfer-encoding":
            codings.append(value.lower())
        elif name == "expect":
            if value.lower() != "100-continue":
                raise BadRequest(417, "Only 100-continue can be expected.")
            expects = True
        elif name == "x-request-id":
            request_id = value
    if hosts and _HOST.fullmatch(hosts[0]) is None:
        raise BadRequest(400, "The Host field is malformed.")
    options = {option.strip() for option in connection.split(",")} if connection else ()
    length = _framing(lengths, codings)
    return Fields(
        Headers.lowered(items),
        length,
        hosts[0] if hosts else "",
        len(hosts),
        expects,
        "close" in options,
        "keep-alive" in options,
        request_id,
    )


def _framing(lengths: list[str], codings: list[str]) -> int | None:
    """Return the body's length, or None for chunked (RFC 9112 section 6.3)."""
    if codings:
        if lengths:
            raise BadRequest(400, "Content-Length and Transfer-Encoding contradict each other.")
        if codings != ["chunked"]:
            raise BadRequest(501, "Only the chunked transfer coding is understood.")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1:
        raise BadRequest(400, "Content-Length is repeated.")
    if _DIGITS.fullmatch(lengths[0]) is None:
        raise BadRequest(400, "Content-Length is not a number.")
    return int(lengths[0])


def parse_request_line(line: str, fields: Fields) -> Head:
    """Parse the request line and join it with its header section."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequest(400, "The request line is malformed.")
    method, target, major, minor = match.groups()
    if major != "1":
        raise BadRequest(505, "HTTP/1.0 and HTTP/1.1 are spoken here.")
    http11 = minor != "0"
    if len(method) > 20:
        raise BadRequest(501, "The method is not known.")
    if len(target) > MAX_TARGET:
        raise BadRequest(414, "The request target is too long.")
    if fields.hosts > 1 or (http11 and fields.hosts == 0):
        raise BadRequest(400, "Exactly one Host field is needed.")
    if fields.length is None and not http11:
        raise BadRequest(400, "HTTP/1.0 has no transfer codings.")
    authority = fields.host
    if target[0] != "/":
        target, authority = _other_form(method, target, authority)
    raw_path, _, raw_query = target.partition("?")
    return Head(
        method,
        decode_path(raw_path) if "%" in raw_path else raw_path,
        raw_path,
        parse_query(raw_query) if raw_query else {},
        fields,
        http11,
        not fields.close if http11 else (fields.keep_alive and not fields.close),
        authority,
    )


def _other_form(method: str, target: str, authority: str) -> tuple[str, str]:
    """Read absolute-form, and asterisk-form of OPTIONS (RFC 9112 section 3.2)."""
    if target == "*" and method == "OPTIONS":
        return target, authority
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        raise BadRequest(400, "The request target is malformed.")
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    if not authority or _HOST.fullmatch(authority) is None:  # no userinfo: RFC 9110 section 4.2.4
        raise BadRequest(400, "The request target is malformed.")
    return (path if path.startswith("/") else "/" + path), authority


def decode_path(raw: str) -> str:
    """Percent-decode a path; it must be UTF-8 without control characters."""
    if _BAD_ESCAPE.search(raw):
        raise BadRequest(400, "A percent escape is malformed.")
    try:
        path = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise BadRequest(400, "The path is not UTF-8.") from None
    if _CONTROL.search(path):
        raise BadRequest(400, "The path has a control character.")
    return path


def parse_query(raw: str) -> dict[str, tuple[str, ...]]:
    """Parse ``a=1&b=2`` (application/x-www-form-urlencoded)."""
    if _BAD_ESCAPE.search(raw):
        raise BadRequest(400, "A percent escape is malformed.")
    pairs = raw.split("&")
    if len(pairs) > MAX_QUERY_FIELDS:
        raise BadRequest(400, "There are too many query parameters.")
    found: dict[str, tuple[str, ...]] = {}
    try:
        for pair in pairs:
            if pair:
                name, _, value = pair.partition("=")
                key = unquote_to_bytes(name.replace("+", " ")).decode()
                found[key] = (*found.get(key, ()), unquote_to_bytes(value.replace("+", " ")).decode())
    except UnicodeDecodeError:
        raise BadRequest(400, "The query is not UTF-8.") from None
    return found


class BodyReader:
    """Takes the bytes of one body out of a stream, and refuses it as soon as it grows over its limit."""

    __slots__ = ("_body", "_limit", "_remaining", "_state", "_trailer")

    def __init__(self, length: int | None, limit: int) -> None:
        if length is not None and length > limit:
            raise BadRequest(413, "The content is too large.")
        self._body = bytearray()
        self._limit = limit
        self._remaining = 0 if length is None else length
        self._state = "size" if length is None else "fixed"
        self._trailer = 0

    @property
    def body(self) -> bytes:
        """What has come so far."""
        return bytes(self._body)

    def feed(self, buffer: bytearray) -> bool:  # noqa: C901  a state table in one place
        """Remove this body's bytes from the front of ``buffer``; return True when it is complete."""
        if self._state == "fixed":
            return self._take(buffer)
        while True:
            if self._state == "data":
                if not self._take(buffer):
                    return False
                self._state = "end"
            line = self._line(buffer)
            if line is None:
                return False
            if self._state == "end":
                if line:
                    raise BadRequest(400, "A chunk does not end where it says.")
                self._state = "size"
            elif self._state == "size":
                self._chunk(line)
            elif not line:
                return True
            elif self._trailer > MAX_TRAILER:
                raise BadRequest(431, "The trailer section is too large.")
            elif _FIELDS.fullmatch(line.decode("latin-1") + "\r\n") is None:
                raise BadRequest(400, "A trailer field is malformed.")
            else:
                self._trailer += len(line)  # trailers are read and dropped

    def _take(self, buffer: bytearray) -> bool:
        taken = buffer[: self._remaining]
        del buffer[: len(taken)]
        self._body += taken
        self._remaining -= len(taken)
        return self._remaining == 0

    def _line(self, buffer: bytearray) -> bytes | None:
        limit = MAX_TRAILER if self._state == "trailer" else MAX_CHUNK_LINE
        end = buffer.find(b"\r\n", 0, limit + 2)
        if end < 0:
            if len(buffer) > limit + 1 or b"\n" in buffer[:limit]:
                raise BadRequest(400, "A chunk is malformed.")
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        return line

    def _chunk(self, line: bytes) -> None:
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise BadRequest(400, "A chunk is malformed.")
        self._remaining = int(match.group(1), 16)
        if len(self._body) + self._remaining > self._limit:
            raise BadRequest(413, "The content is too large.")
        self._state = "data" if self._remaining else "trailer"
