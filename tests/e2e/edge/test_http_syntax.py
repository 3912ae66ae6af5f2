"""What peers send that is no request, or is one in an unusual form."""

from __future__ import annotations

import pytest
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.http.message import Listener, Request, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.settings import LimitSettings, ServiceSettings
from tests.support.edge import Serve, Served, head, until

EVERYWHERE = frozenset({Listener.PUBLIC, Listener.PLAIN})
OK = "GET /service/api/v1/health HTTP/1.1\r\nHost: a\r\n\r\n"


def echo(context: object, request: Request) -> Response:
    return Response(200, request.body, "application/octet-stream", (("X-Path", repr(request.path)),))


def show(_context: object, request: Request) -> Response:
    query = {name: list(values) for name, values in request.query.items()}
    return Response(200, repr((request.method, request.path, request.raw_path, query)).encode(), "text/plain")


def in_own_form(fault: Fault, _request: Request) -> Response:
    return Response(400, f"own {fault.kind.value}".encode(), "application/x-own")


ECHO = Route("echo", ("POST", "PUT"), "/echo", echo, gate=Gate.PROTOCOL, listeners=EVERYWHERE)
OWN = Route("own", ("POST",), "/own", echo, gate=Gate.PROTOCOL, max_body=10, faults=in_own_form)
SHOW = Route("show", ("GET",), "/show/<path:rest>", show, gate=Gate.PROTOCOL, listeners=EVERYWHERE)


@pytest.fixture
def served(serve: Serve) -> Served:
    return serve(ECHO, OWN, SHOW)


MALFORMED = {
    "no version": ("GET /\r\n\r\n", 400),
    "words": ("hello there you\r\n\r\n", 400),
    "two spaces": ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tab": ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "trailing space": ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "lower version": ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/0.9": ("GET / HTTP/0.9\r\n\r\n", 505),
    "bare LF": ("GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare LF in a field": ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    "bare CR in a field": ("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400),
    "NUL in a field": ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    "folded": ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    "space before colon": ("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400),
    "no colon": ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    "empty name": ("GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400),
    "no host": ("GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "bad host": ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "userinfo in host": ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    "control in target": ("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "high byte in target": ("GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bad escape": ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "cut escape": ("GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "NUL in path": ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "not UTF-8": ("GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bad escape in query": ("GET /?a=%x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "many parameters": (f"GET /?{'&'.join('a=1' for _ in range(201))} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "authority form": ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "asterisk for GET": ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "userinfo in target": ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "foreign scheme": ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two empty lines first": ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "TLS to a plain port": ("\x16\x03\x01\x02\x00", 400),
    "binary": ("\x00\x01\x02\r\n\r\n", 400),
    "CL and TE": (
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two CL": ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "listed CL": ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
    "signed CL": ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
    "negative CL": ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", 400),
    "hex CL": ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", 400),
    "empty CL": ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nabc", 400),
    "huge CL": ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nabc", 400),
    "other coding": ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "chunked twice": ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501),
    "two TE": (
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", 501),
    "TE in 1.0": ("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "vertical tab TE": ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "expectation": ("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\nx", 417),
    "long method": (f"{'A' * 21} / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "long target": (f"GET /{'a' * 9000} HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "endless target": (f"GET /{'a' * 40000}", 414),
    "large header": (f"GET / HTTP/1.1\r\nHost: a\r\nX: {'a' * 40000}\r\n\r\n", 431),
    "endless header": ("GET / HTTP/1.1\r\nHost: a\r\n" + "X: a\r\n" * 7000, 431),
    "many fields": ("GET / HTTP/1.1\r\nHost: a\r\n" + "X: a\r\n" * 100 + "\r\n", 431),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_request_is_refused_cleanly_and_ends_the_connection(served: Served, name: str) -> None:
    text, status = MALFORMED[name]
    with served.connect() as client:
        client.send(text)
        answer = client.read()
        assert answer.status == status
        assert answer.get("content-type") == "application/problem+json"
        assert answer.get("connection") == "close"
        assert answer.json["status"] == status
        assert answer.json["request_id"] == answer.get("x-request-id")
        assert "Traceback" not in answer.body.decode()
        client.socket.shutdown(1)
        assert client.ended()
    until(lambda: served.connections() == 0, "connection is forgotten")
    assert served.dispatcher.in_flight == 0


BAD_CHUNKS = [
    "x\r\n",
    "-1\r\n",
    "1\r\nab\r\n",
    "123456789\r\n",
    " 1\r\na\r\n",
    "1\na\n0\n\n",
    "1;" + "a" * 300 + "\r\n",
    "0\r\nbad trailer\r\n\r\n",
    "0\r\nX : y\r\n\r\n",
    "1\r\na\n",
    "0\r\n" + "T: aaaaaaaa\r\n" * 600,
]


@pytest.mark.parametrize("chunks", BAD_CHUNKS)
def test_bad_chunks_are_refused(served: Served, chunks: str) -> None:
    answer = served.ask(f"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    assert answer.status in {400, 431, 413}
    assert served.dispatcher.in_flight == 0


def test_chunked_bodies_arrive_whole_however_they_are_cut(served: Served) -> None:
    wire = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
    wire += b"5\r\nhello\r\n6;ext=1\r\n world\r\n00a \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    for step in (1, 2, 3, 7, len(wire)):
        with served.connect() as client:
            for at in range(0, len(wire), step):
                client.send(wire[at : at + step])
            assert client.read().body == b"hello world0123456789"
            client.send(OK)
            assert client.read().status == 200


def test_a_smuggled_request_is_a_body(served: Served) -> None:
    inner = "GET /show/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with served.connect() as client:
        client.send(f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {len(inner)}\r\n\r\n{inner}{OK}")
        assert client.read().body == inner.encode()
        assert client.read().json == {"status": "ok"}


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    with served.connect() as client:
        wire = ""
        for number in range(50):
            body = f"body {number}"
            wire += f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}" + OK
        client.send(wire)
        for number in range(50):
            assert client.read().body == f"body {number}".encode()
            assert client.read().json == {"status": "ok"}


def test_a_request_that_begins_as_the_one_before_is_read_for_itself(served: Served) -> None:
    """The header section that was read last is known by its bytes; a longer one, or a worse one, is not it."""
    first = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
    with served.connect() as client:
        for body in ("abc", "def", "ghi"):
            client.send(f"{first}\r\n{body}")
            assert client.read().body == body.encode()
        client.send(f"{first}X-Request-Id: my-own-id-1\r\n\r\njkl")
        answer = client.read()
        assert (answer.body, answer.get("x-request-id")) == (b"jkl", "my-own-id-1")
        whole = f"{first}\r\nmno"
        client.send(whole[:-7])  # in the midst of what is known
        client.send(whole[-7:])
        assert client.read().body == b"mno"
        client.send(f"{first}Content-Length: 4\r\n\r\npqr")
        assert client.read().status == 400


def test_head_says_what_get_says_without_a_body(served: Served) -> None:
    with served.connect() as client:
        client.send(head("GET", "/show/x"))
        got = client.read()
        client.send(head("HEAD", "/show/x"))
        headed = client.read("HEAD")
        client.send(OK)  # and the connection is still in step
        assert client.read().json == {"status": "ok"}
    assert headed.status == got.status == 200
    varying = {"date", "x-request-id"}
    # the handler is told the method, so its body may differ in length by that word
    assert [one for one in headed.headers if one[0] not in varying | {"content-length"}] == [
        one for one in got.headers if one[0] not in varying | {"content-length"}
    ]
    assert int(headed.get("content-length")) == int(got.get("content-length")) + 1


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/show/a", ("GET", "/show/a", "/show/a", {})),
        ("http://other:80/show/a?x=1", ("GET", "/show/a", "/show/a", {"x": ["1"]})),
        ("HTTPS://a/show/a", ("GET", "/show/a", "/show/a", {})),
        ("/show/a%2Fb//c", ("GET", "/show/a/b//c", "/show/a%2Fb//c", {})),
        ("/show/%E2%82%AC", ("GET", "/show/€", "/show/%E2%82%AC", {})),
        ("/show/a?b=1&b=2&c&d=%20+", ("GET", "/show/a", "/show/a", {"b": ["1", "2"], "c": [""], "d": ["  "]})),
    ],
)
def test_targets(served: Served, target: str, expected: tuple[object, ...]) -> None:
    assert served.get(target).body.decode() == repr(expected)


def test_http_1_0(served: Served) -> None:
    with served.connect() as client:
        client.send("GET /show/old HTTP/1.0\r\n\r\n")
        answer = client.read()
        assert answer.status == 200
        assert answer.get("connection") == "close"
        assert client.ended()
    with served.connect() as client:
        for _ in range(2):
            client.send("GET /show/old HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert client.read().get("connection") == "keep-alive"


def test_connection_close_is_kept(served: Served) -> None:
    with served.connect() as client:
        client.send(head("GET", "/show/a", "Connection: Close") + OK)
        assert client.read().get("connection") == "close"
        assert client.ended()


def test_100_continue_comes_only_where_a_body_is_wanted(served: Served) -> None:
    with served.connect() as client:
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n")
        assert client.read().status == 100
        client.send("abc")
        assert client.read().body == b"abc"
    for path, length, status in (("/nowhere", 3, 404), ("/echo", 2 << 20, 413), ("/show/a", 3, 405)):
        with served.connect() as client:
            client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
            answer = client.read()
            assert (answer.status, answer.get("connection")) == (status, "close")


def test_a_body_announced_too_large_is_refused_before_it_is_sent(served: Served) -> None:
    answer = served.ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n")
    assert answer.status == 413
    assert answer.json["type"].endswith("too-large")


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(served: Served) -> None:
    with served.connect() as client:
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n")
        assert client.read().status == 413  # by the chunk's size alone


def test_the_path_s_own_form_wins_for_what_the_adapter_refuses(served: Served) -> None:
    for framing in ("Content-Length: 11\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nb\r\n"):
        answer = served.ask(f"POST /own HTTP/1.1\r\nHost: a\r\n{framing}")
        assert answer.body == b"own too-large"
        assert answer.get("content-type") == "application/x-own"
    bad = served.ask("POST /own HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert bad.body == b"own malformed"


def test_a_small_refused_body_does_not_end_the_connection(served: Served) -> None:
    with served.connect() as client:
        client.send("POST /show/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + OK)
        assert client.read().status == 405
        assert client.read().status == 200


def test_a_large_refused_body_can_be_sent_to_its_end_and_the_answer_read(served: Served) -> None:
    with served.connect() as client:
        client.send(f"POST /show/a HTTP/1.1\r\nHost: a\r\nContent-Length: {3 << 20}\r\n\r\n")
        client.send(b"x" * (3 << 20))  # a client that does not look until it has sent everything
        answer = client.read()
        assert (answer.status, answer.get("connection")) == (405, "close")


def test_a_half_closed_peer_still_gets_its_answer(served: Served) -> None:
    with served.connect(Listener.PLAIN) as client:
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        client.socket.shutdown(1)
        assert client.read().body == b"hi"
        assert client.ended()


def test_a_peer_that_leaves_in_the_middle_is_forgotten(served: Served) -> None:
    for text in ("GET / HT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"):
        with served.connect() as client:
            client.send(text)
        until(lambda: served.connections() == 0, "forgotten")
    assert served.dispatcher.in_flight == 0
    assert served.get("/show/a").status == 200


def test_connections_are_bounded(serve: Serve) -> None:
    limits = LimitSettings(max_connections=3, max_connections_per_address=2)
    served = serve(SHOW, settings=ServiceSettings(profile="test", limits=limits))
    with served.connect() as one, served.connect() as two:
        for client in (one, two):
            client.send(head("GET", "/show/a"))
            assert client.read().status == 200
        with served.connect() as third:
            assert third.ended()
        assert b"http_connections_refused_total" in served.edge.metrics.merged()
    until(lambda: served.connections() == 0, "room again")
    assert served.get("/show/a").status == 200


def test_request_ids(served: Served) -> None:
    assert served.get("/show/a", "X-Request-Id: abc-DEF.1_2").get("x-request-id") == "abc-DEF.1_2"
    made = {
        served.get("/show/a", *extra).get("x-request-id")
        for extra in (
            (),
            ("X-Request-Id: ",),
            ("X-Request-Id: short",),
            ("X-Request-Id: a b c d e f",),
            (f"X-Request-Id: {'a' * 65}",),
        )
    }
    assert len(made) == 5
    assert not made & {"", "short", "a b c d e f", "a" * 65}
