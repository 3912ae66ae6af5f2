"""HTTP/1.1 over a Twisted transport: the only file that turns bytes of a socket into requests, and answers into bytes.

``twisted.web`` was measured first (docs/adr/http-adapter.md): its empty answer alone costs four times a bare
protocol's. One connection reads one request at a time, so pipelined requests are answered in order; while an answer is
being made the rest waits in a bounded buffer, and a peer that does not read its answers is not read from.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator
from typing import Any

import structlog
from pycryptoutil_protocols.faults import Fault, FaultKind
from twisted.internet import tcp
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from pycryptoutil.http.message import Listener, Response, TlsInfo
from pycryptoutil.service.answers import BODILESS, CONTINUE, PART, Encoder, discard, slices, take
from pycryptoutil.service.exchange import Exchange, Phase
from pycryptoutil.service.http1 import BadRequest, BodyReader, Fields, Head, find_end, parse_fields, parse_request_line
from pycryptoutil.service.pipeline import Dispatcher
from pycryptoutil.service.settings import LimitSettings

log = structlog.get_logger()

DISCARD_SECONDS = 2.0  # after an early refusal: time for the peer to read the answer before its bytes meet a reset
DISCARD_BYTES = 4 << 20

_KINDS = {400: FaultKind.MALFORMED, 413: FaultKind.TOO_LARGE, 431: FaultKind.TOO_LARGE}


class State(enum.Enum):
    """What a connection is doing."""

    HEAD = "head"  # waiting for a header section, or reading it
    BODY = "body"
    BUSY = "busy"  # a worker makes the answer
    STREAM = "stream"  # the answer is written part by part
    CLOSING = "closing"  # the peer still has to read the answer
    DISCARD = "discard"  # answered; what still comes is thrown away
    CLOSED = "closed"


# read once: an attribute of an enum costs as much as a call, and a request asks for twenty of them
_HEAD, _BODY, _BUSY, _STREAM = State.HEAD, State.BODY, State.BUSY, State.STREAM
_CLOSING, _DISCARD, _CLOSED = State.CLOSING, State.DISCARD, State.CLOSED
_DRAINING = Phase.DRAINING


@implementer(IPushProducer, IHalfCloseableProtocol, IHandshakeListener)
class HttpConnection(Protocol):
    """One connection."""

    transport: Any
    factory: HttpFactory

    def __init__(self, factory: HttpFactory, peer: str) -> None:
        self.factory = factory
        self._dispatcher = dispatcher = factory.dispatcher
        self._listener = factory.listener
        self._label = factory.listener.name
        self._limits = factory.limits
        self._encoder = factory.encoder
        self._peer = peer
        self._state = _HEAD
        self._buffer = b""
        self._tls: TlsInfo | None = None
        self._secure = factory.secure
        self._shaken = not self._secure
        self._exchange: Exchange | None = None
        self._head: Head | None = None
        self._reader: BodyReader | None = None
        self._block = b""
        self._fields: Fields | None = None  # of _block: keep-alive peers send the same header section again,
        self._line = b""
        self._last: Head | None = None  # of _line and _fields: and often the same request
        self._whole = b"\0"  # what _last was read from, up to its empty line; at first what begins no request
        self._deadline = 0.0
        self._reading = False  # a request's first byte has come
        self._held = False  # reading is paused, its buffer being full
        self._stalled: float | None = None  # since when the peer does not read
        self._ended = False  # the peer will send no more
        self._discarded = 0
        self._stream: Iterator[bytes] | None = None  # of the handler: a worker pulls it
        self._slices: Iterator[memoryview] | None = None  # of a large body in memory
        self._chunked = False
        self._persistent = False
        self._pulling = False
        self._registered = False
        self._looping = False
        self._direct: Any = None  # the socket's transport, where no TLS is between
        self._now = dispatcher.edge.clock.monotonic

    # --- the transport's side

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        """Start the clock: the TLS handshake and the first header section count as one slow request."""
        self._deadline = self._now() + self._limits.request_timeout
        self.factory.connections.add(self)
        self.transport.registerProducer(self, True)
        self._registered = True
        if not self._secure and isinstance(self.transport, tcp.Connection):
            self._direct = self.transport
            self.transport.setTcpNoDelay(True)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """Learn what TLS says of the peer."""
        self._shaken = True
        self._tls = self.factory.tls_info(self.transport)
        version = self._tls.version if self._tls else ""
        self._dispatcher.edge.metrics.count("tls_handshakes", self._listener.value, "ok", version)

    def connectionLost(self, reason: Any = None) -> None:  # noqa: N802, ARG002
        """Forget the request in flight; a worker's answer will find nobody."""
        if not self._shaken:
            self._dispatcher.edge.metrics.count("tls_handshakes", self._listener.value, "failed", "")
        self.factory.left(self, self._peer)
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._state in {_BODY, _BUSY}:
            exchange.abandoned = True
            self._dispatcher.forget(exchange)
        self._state = _CLOSED
        self._buffer = b""
        if self._stream is not None and not self._pulling:
            self._end_stream()

    def readConnectionLost(self) -> None:  # noqa: N802
        """The peer has half-closed: answer what it asked, then close."""
        self._ended = True
        if self._state in {_HEAD, _BODY, _DISCARD}:
            self._close()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """Nothing can be answered any more."""
        self._abort()

    def pauseProducing(self) -> None:  # noqa: N802
        """The peer does not read as fast as we write."""
        self._stalled = self._now()

    def resumeProducing(self) -> None:  # noqa: N802
        """The peer has caught up."""
        self._stalled = None
        if self._state is _STREAM:
            self._pull()
        elif self._state is _HEAD:
            self._advance()
        elif self._state is _CLOSING:
            self._close()

    def stopProducing(self) -> None:  # noqa: N802
        """The transport is going; connectionLost follows."""
        self._registered = False

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Take bytes."""
        state = self._state
        if state is _DISCARD:
            self._discarded += len(data)
            if self._discarded > DISCARD_BYTES:
                self._abort()
            return
        if state is _CLOSED or state is _CLOSING:
            return
        self._buffer = self._buffer + data if self._buffer else data
        if state is _HEAD:
            self._advance()
        elif state is _BODY:
            self._read_body()
        if self._held or len(self._buffer) > self._limits.max_header:
            self._regulate()

    def _regulate(self) -> None:
        """Read no further while what was read already waits."""
        deaf = self._state is _CLOSED or self._state is _CLOSING
        full = len(self._buffer) > self._limits.max_header and not deaf
        if full != self._held:
            self._held = full
            if full:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()

    # --- reading

    def _advance(self) -> None:
        """Read and answer requests until bytes run out, or one is not answered at once, or the peer does not read."""
        if self._looping:
            return
        self._looping = True
        try:
            while self._state is _HEAD and self._buffer and self._stalled is None:
                if not self._read_head():
                    break
        except BadRequest as bad:
            self._refuse(bad)
        finally:
            self._looping = False
        if self._held:
            self._regulate()
        if self._ended and self._state is _HEAD and self._stalled is None:
            self._close()

    def _read_head(self) -> bool:
        buffer = self._buffer
        if buffer.startswith(b"\r\n"):  # RFC 9112 section 2.2: one empty line before a request is skipped
            buffer = self._buffer = buffer[2:]
        limits = self._limits
        if self._last is not None and buffer.startswith(self._whole):
            self._head = head = self._last
            begin = len(self._whole)
        else:
            end = find_end(buffer, limits.max_header)
            if end < 0:
                if not self._reading:
                    self._reading = True
                    self._deadline = self._now() + limits.request_timeout
                return False
            begin = end + 4
            self._head = head = self._parse(buffer, end)
            self._whole = buffer[:begin]
        length = head.fields.length
        whole = length is not None and length <= limits.max_header and len(buffer) >= begin + length
        if length is None or not whole:
            body = b""
            self._buffer = buffer[begin:]
        else:  # nothing, or small and here already
            body = buffer[begin : begin + length]
            self._buffer = buffer[begin + length :]
        self._exchange = exchange = self._dispatcher.open(
            head, body, self._listener, self._label, self._peer, self._tls
        )
        if not whole:
            self._begin_body(exchange, head)
        elif exchange.response is not None:
            self._answer(exchange)
        else:
            self._dispatch(exchange)
        return True

    def _parse(self, buffer: bytes, end: int) -> Head:
        cut = buffer.find(b"\r\n", 0, end + 2)
        line, block = buffer[:cut], buffer[cut + 2 : end + 2]
        fields = self._fields
        if fields is None or block != self._block:
            fields = self._fields = parse_fields(block.decode("latin-1"), self._limits.max_headers)
            self._block, self._last = block, None
        head = self._last
        if head is None or line != self._line:
            head = self._last = parse_request_line(line.decode("latin-1"), fields)
            self._line = line
        return head

    def _begin_body(self, exchange: Exchange, head: Head) -> None:
        """Decide about the body before reading it: a refused one is not read at all."""
        self._state = _BODY
        if not self._reading:
            self._reading = True
            self._deadline = self._now() + self._limits.request_timeout
        if exchange.response is not None:
            self._skip_body(exchange, head)
            return
        self._reader = BodyReader(head.fields.length, exchange.max_body)
        if head.fields.expects_continue and head.http11 and not self._buffer:
            self._write(CONTINUE)
        self._read_body()

    def _skip_body(self, exchange: Exchange, head: Head) -> None:
        """An entry step has refused; the connection goes on only if the whole body is here already."""
        rest = bytearray(self._buffer)
        try:
            complete = BodyReader(head.fields.length, self._limits.max_body).feed(rest)
        except BadRequest:
            complete = False
        self._buffer = bytes(rest)
        self._answer(exchange, reusable=complete)

    def _read_body(self) -> None:
        exchange, reader = self._exchange, self._reader
        if exchange is None or reader is None:
            return
        rest = bytearray(self._buffer)
        try:
            complete = reader.feed(rest)
        except BadRequest as bad:
            self._refuse(bad)
            return
        self._buffer = bytes(rest)
        if complete:
            self._reader = None
            self._dispatch(exchange, reader.body)
        elif self._ended:
            self._close()

    def _dispatch(self, exchange: Exchange, body: bytes = b"") -> None:
        self._reading = False
        if self._dispatcher.run(exchange, body, self._delivered):
            self._answer(exchange)
        else:
            self._state = _BUSY
            self._deadline = self._now() + self._limits.request_timeout

    def _delivered(self, exchange: Exchange) -> None:
        """Take an answer from a worker."""
        if exchange.abandoned or self._exchange is not exchange:
            discard(exchange.response)
            return
        self._answer(exchange)

    # --- answering

    def _answer(self, exchange: Exchange, *, reusable: bool = True) -> None:
        """Send the answer, and decide whether the connection goes on."""
        self._dispatcher.close(exchange)
        try:
            self._send(exchange, reusable=reusable)
        except ValueError as error:  # a header field that must not be sent
            exchange.extra_headers, exchange.security = (), ""
            discard(exchange.response)
            self._dispatcher.refuse(exchange, Fault(FaultKind.INTERNAL, str(error)))
            self._send(exchange, reusable=reusable)
        if not self._looping and self._state is _HEAD:
            self._advance()

    def _send(self, exchange: Exchange, *, reusable: bool) -> None:
        head, response = self._head, exchange.response
        if head is None or response is None:
            raise LookupError("answer without a request")
        persistent = reusable and head.persistent and not self._ended and self._dispatcher.edge.phase is not _DRAINING
        body = response.body
        if not isinstance(body, bytes):
            self._begin_stream(head, response, iter(body), exchange, persistent)
            return
        start = self._encoder.start(head, response, exchange, persistent=persistent, length=len(body), chunked=False)
        if head.method == "HEAD" or response.status in BODILESS or not body:
            self._write(start)
        elif len(body) <= PART:
            self._write(start + body)
        else:  # by slices, at the peer's pace
            self._write(start)
            self._state, self._deadline, self._persistent, self._chunked = _STREAM, 0.0, persistent, False
            self._slices = slices(body)
            self._pull()
            return
        self._finish(persistent, unread=not reusable, ended=exchange.ended)

    def _finish(self, persistent: bool, *, unread: bool = False, ended: float = 0.0) -> None:
        """Be ready for the next request, or close."""
        self._exchange = self._head = self._reader = None
        self._reading = False
        if not persistent:
            if unread and not self._ended:
                self._state = _DISCARD
                self._buffer = b""
                self._discarded = 0
                self._deadline = self._now() + DISCARD_SECONDS
                self._regulate()
            else:
                self._close()
            return
        self._state = _HEAD
        self._deadline = (ended or self._now()) + self._limits.idle_timeout

    def _refuse(self, bad: BadRequest) -> None:
        """Answer what is no request, or a body that breaks its framing; then the connection is of no more use."""
        metrics = self._dispatcher.edge.metrics
        metrics.count("http_bad_requests", self._listener.value, str(bad.status))
        exchange = self._exchange
        if exchange is not None and exchange.response is None and bad.status in _KINDS:
            self._dispatcher.refuse(exchange, Fault(_KINDS[bad.status], bad.reason, bad.reason))
            self._answer(exchange, reusable=False)
            return
        if exchange is not None:
            self._exchange = None
            self._dispatcher.forget(exchange)
        request_id = self._dispatcher.request_id()
        log.info(
            "bad request", request_id=request_id, listener=self._listener.value, status=bad.status, detail=bad.reason
        )
        self._write(self._encoder.refusal(bad, request_id))
        self._finish(persistent=False, unread=True)

    def _write(self, data: bytes) -> None:
        """Send at once what the socket takes, and leave the rest to the transport.

        Going by the transport only costs two more system calls and a turn of the reactor for each answer.
        """
        direct = self._direct
        if direct is not None and not direct.dataBuffer and not direct._tempDataBuffer:  # noqa: SLF001  no public way
            sent = direct.writeSomeData(data)
            if isinstance(sent, int):  # otherwise the connection is lost, which the transport finds out by itself
                if sent == len(data):
                    return
                data = data[sent:]
        self.transport.write(data)

    # --- streaming

    def _begin_stream(
        self, head: Head, response: Response, stream: Iterator[bytes], exchange: Exchange, persistent: bool
    ) -> None:
        sized = any(name.lower() == "content-length" for name, _ in response.headers)
        self._chunked = head.http11 and not sized
        if not self._chunked and not sized:
            persistent = False  # HTTP/1.0: the end is where the connection ends
        self._write(
            self._encoder.start(head, response, exchange, persistent=persistent, length=None, chunked=self._chunked)
        )
        if head.method == "HEAD" or response.status in BODILESS:
            discard(response)
            self._finish(persistent)
            return
        self._state = _STREAM
        self._deadline = 0.0
        self._stream = stream
        self._persistent = persistent
        self._pull()

    def _pull(self) -> None:
        """Ask a worker for the next parts, unless one is at it or the peer does not read."""
        stream, slices_left = self._stream, self._slices
        if slices_left is not None:
            for piece in slices_left:
                self._write(bytes(piece))
                if self._stalled is not None:
                    return
            self._slices = None
            self._finish(self._persistent)
            self._advance()
            return
        if stream is None or self._pulling or self._stalled is not None:
            return
        self._pulling = True
        self._dispatcher.pool(self._listener).submit(lambda: take(stream, PART), self._pulled, urgent=True)

    def _pulled(self, result: Any) -> None:
        self._pulling = False
        if self._state is not _STREAM:
            self._end_stream()
            return
        if isinstance(result, BaseException):
            log.error("streamed answer failed", exc_info=result)
            self._end_stream()
            self._abort()  # an answer cut short must not look whole
            return
        data, more = result
        if data:
            self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        if more:
            self._pull()
            return
        if self._chunked:
            self._write(b"0\r\n\r\n")
        self._stream = None
        self._finish(self._persistent)
        self._advance()

    def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        close = getattr(stream, "close", None)
        if close is not None:
            self._dispatcher.pool(self._listener).submit(close, lambda _: None, urgent=True)

    # --- time

    def check(self, now: float) -> None:
        """Act on what takes too long; called about every second."""
        if self._stalled is not None and now - self._stalled > self._limits.idle_timeout:
            self._abort()
        elif self._deadline and now > self._deadline:
            self._expired()

    def _expired(self) -> None:
        exchange = self._exchange
        if self._state is _BUSY and exchange is not None:
            self._exchange = other = self._dispatcher.timed_out(exchange)
            self._answer(other)
        elif (self._state is _HEAD and self._reading and self._shaken) or self._state is _BODY:
            self._refuse(BadRequest(408, "The request did not come in time."))
        else:
            self._abort()

    def drain(self) -> None:
        """Close now if idle; otherwise after the answer (it says so itself)."""
        if self._state is _HEAD and not self._reading:
            self._close()
            self._deadline = self._now() + DISCARD_SECONDS  # nothing is to be sent: who does not hang up is cut

    def _close(self) -> None:
        """Close once everything written is sent."""
        if self._state is _CLOSED:
            return
        if self._stalled is not None:
            self._state = _CLOSING
            self._deadline = 0.0  # the stall itself is timed
            return
        if self._state is _BODY and self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            exchange.abandoned = True
            self._dispatcher.forget(exchange)
        self._state = _CLOSED
        self._buffer = b""
        self._deadline = self._now() + DISCARD_SECONDS * 5  # to send the rest; then it is cut
        self._unregister()
        self.transport.loseConnection()

    def _abort(self) -> None:
        self._unregister()
        self.transport.abortConnection()

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            self.transport.unregisterProducer()


class HttpFactory(Factory):
    """The connections of one listener: how many there may be, and their time."""

    noisy = False

    def __init__(self, dispatcher: Dispatcher, listener: Listener, limits: LimitSettings) -> None:
        self.dispatcher = dispatcher
        self.listener = listener
        self.limits = limits
        self.connections: set[HttpConnection] = set()
        self._per_address: Counter[str] = Counter()
        self.encoder = Encoder(dispatcher.edge.clock)
        self.secure = False
        self.tls_info: Any = lambda _transport: None

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        """Admit a connection, or refuse it over a limit (Twisted closes it then)."""
        peer = getattr(addr, "host", "")
        limits = self.limits
        if (
            len(self.connections) >= limits.max_connections
            or self._per_address[peer] >= limits.max_connections_per_address
        ):
            self.dispatcher.edge.metrics.count("http_connections_refused", self.listener.value)
            return None
        self._per_address[peer] += 1
        return HttpConnection(self, peer)

    def left(self, connection: HttpConnection, peer: str) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self._per_address[peer] -= 1
        if self._per_address[peer] <= 0:
            del self._per_address[peer]

    def sweep(self) -> None:
        """Look for connections that take too long."""
        now = self.dispatcher.edge.clock.monotonic()
        for connection in list(self.connections):
            connection.check(now)

    def drain(self) -> None:
        """Close what is idle."""
        for connection in list(self.connections):
            connection.drain()

    def abort(self) -> None:
        """Cut what is left."""
        for connection in list(self.connections):
            connection.transport.abortConnection()
