"""What is kept of one answer's encoding is used for no other."""

from __future__ import annotations

import pytest

from pycryptoutil.clock import FixedClock
from pycryptoutil.http.message import Listener, Request, Response
from pycryptoutil.service.answers import Encoder
from pycryptoutil.service.exchange import Exchange
from pycryptoutil.service.http1 import Head, parse_fields, parse_request_line

HEADERS = (("ETag", '"a"'), ("Cache-Control", "max-age=60"))


def head(line: str = "GET /a HTTP/1.1", fields: str = "Host: a\r\n") -> Head:
    return parse_request_line(line, parse_fields(fields, 10))


def exchange(of: Head, request_id: str = "id", *, fast: bool = True, security: str = "X-A: 1\r\n") -> Exchange:
    fields = of.fields.headers
    request = Request(of.method, of.path, of.raw_path, {}, fields, b"", Listener.PLAIN, "127.0.0.1", request_id)
    made = Exchange(request, None, 0, 1.0)
    made.fast, made.security = fast, security
    return made


def start(encoder: Encoder, of: Head, response: Response, sent: Exchange, *, persistent: bool = True) -> str:
    length = len(response.body) if isinstance(response.body, bytes) else None
    found = encoder.start(of, response, sent, persistent=persistent, length=length, chunked=length is None)
    return found.decode("latin-1")


def test_a_kept_encoding_is_that_of_a_new_encoder() -> None:
    clock = FixedClock()
    encoder = Encoder(clock)
    body, longer = b"12345678", b"123456789"
    for of in (head(), head("HEAD /a HTTP/1.1"), head("GET /a HTTP/1.0", "Connection: keep-alive\r\n")):
        for response in (
            Response(200, body, "text/plain", HEADERS),
            Response(200, longer, "text/plain", HEADERS),
            Response(404, body, "text/plain", HEADERS),
            Response(200, body, "text/html", HEADERS),
            Response(200, b"", "text/plain", HEADERS),
        ):
            for persistent in (True, False):
                for security in ("X-A: 1\r\n", "X-A: 2\r\n"):
                    for number in range(2):
                        clock.advance(1)
                        sent = exchange(of, f"id-{number}", security=security)
                        kept = start(encoder, of, response, sent, persistent=persistent)
                        assert kept == start(Encoder(clock), of, response, sent, persistent=persistent)


def test_extra_fields_are_sent_beside_kept_ones() -> None:
    encoder, response = Encoder(FixedClock()), Response(200, b"a", "text/plain", HEADERS)
    start(encoder, head(), response, exchange(head()))
    sent = exchange(head())
    sent.extra_headers = (("Vary", "Origin"),)
    assert "Vary: Origin\r\n" in start(encoder, head(), response, sent)
    assert "Vary" not in start(encoder, head(), response, exchange(head()))


def test_the_date_is_that_of_the_moment_it_ended() -> None:
    clock = FixedClock()
    encoder, response = Encoder(clock), Response(200, b"a", "text/plain", HEADERS)
    for second in (1, 2, 3):
        clock.advance(1)
        sent = exchange(head())
        sent.ended = clock.monotonic()
        assert f":0{second} GMT\r\n" in start(encoder, head(), response, sent)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\0"])
def test_a_field_that_breaks_its_line_is_refused_every_time(value: str) -> None:
    encoder, response = Encoder(FixedClock()), Response(200, b"a", "text/plain", (("X-B", value),))
    for _ in range(2):
        with pytest.raises(ValueError, match="line break"):
            start(encoder, head(), response, exchange(head()))
