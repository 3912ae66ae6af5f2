"""Whatever a stranger sends, the answer is a Fault of the right kind, never a crash."""

from __future__ import annotations

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import FixedClock
from pycryptoutil.http.conditional import check_if_match
from pycryptoutil.http.forms import form_fields
from pycryptoutil.http.message import Headers, Listener, Request
from pycryptoutil.http.paging import decode_cursor, encode_cursor
from pycryptoutil.http.problem import PreconditionFailed
from pycryptoutil.service.csrf import Csrf
from pycryptoutil.service.definition import Principal, PrincipalKind
from pycryptoutil.service.pages import safe_next
from pycryptoutil.service.principals import basic_credentials, certificate_matches
from pycryptoutil.service.sessions import Sessions
from pycryptoutil.service.settings import SessionSettings


class Macs:
    def lookup_mac(self, purpose: str, value: bytes) -> bytes:
        import hmac

        return hmac.digest(purpose.encode(), value, "sha256")


def request(headers: list[tuple[str, str]], body: bytes = b"", method: str = "POST") -> Request:
    return Request(method, "/x", "/x", {}, Headers(headers), body, Listener.PUBLIC, "192.0.2.1", "r")


@given(st.text(max_size=400))
def test_basic_text(text: str) -> None:
    with pytest.raises(Fault) if not _decodes(text) else _nothing():
        basic_credentials(text)


def _nothing() -> object:
    import contextlib

    return contextlib.nullcontext()


def _decodes(text: str) -> bool:
    try:
        found = base64.b64decode(text.strip(), validate=True).decode()
    except ValueError:
        return False
    return ":" in found and found.isprintable()


@given(st.text(min_size=1).filter(lambda one: ":" not in one and one.isprintable()), st.text().filter(str.isprintable))
def test_basic_round_trip(name: str, secret: str) -> None:
    credentials = base64.b64encode(f"{name}:{secret}".encode()).decode()
    assert basic_credentials(credentials) == (name, secret)


@given(st.binary(max_size=600))
def test_certificate_bytes(der: bytes) -> None:
    with pytest.raises(Fault) as caught:
        certificate_matches(der)
    assert caught.value.kind is FaultKind.UNAUTHENTICATED


_SEGMENT = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=", max_size=60)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.one_of(st.text(max_size=100), st.lists(_SEGMENT, max_size=6).map(".".join)))
def test_session_cookie_text(cookie: str) -> None:
    sessions = Sessions(None, None, Macs(), FixedClock(), SessionSettings())  # type: ignore[arg-type]
    try:
        secret, claims = sessions._decode(cookie)
    except Fault as fault:
        assert fault.kind is FaultKind.UNAUTHENTICATED  # noqa: PT017  either outcome is right
    else:
        assert (len(secret), claims) == (43, None)


@given(st.binary(max_size=200))
def test_forms(body: bytes) -> None:
    try:
        fields = form_fields(request([], body))
    except Fault as fault:
        assert fault.kind is FaultKind.MALFORMED  # noqa: PT017  either outcome is right
    else:
        assert all(isinstance(value, str) for value in fields.values())


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_no_made_up_token_or_origin_passes(origin: str, token: str, host: str) -> None:
    principal = Principal("p", "t", PrincipalKind.USER, "n", session_id="s")
    headers = [("Origin", origin), ("X-CSRF-Token", token), ("Host", host)]
    with pytest.raises(Fault) as caught:
        Csrf(Macs()).check(request(headers), principal)
    assert caught.value.kind is FaultKind.FORBIDDEN


def test_the_right_token_and_origin_pass() -> None:
    principal = Principal("p", "t", PrincipalKind.USER, "n", session_id="s")
    csrf = Csrf(Macs())
    headers = [("Origin", "https://here:1"), ("X-CSRF-Token", csrf.token(principal)), ("Host", "here:1")]
    csrf.check(request(headers), principal)


@given(st.text(max_size=600))
def test_cursors(text: str) -> None:
    try:
        position = decode_cursor(text, 2)
    except Fault as fault:
        assert fault.kind is FaultKind.INVALID  # noqa: PT017  either outcome is right
    else:
        assert position is None or len(position) == 2


@given(st.lists(st.text(max_size=50), min_size=1, max_size=4))
def test_cursor_round_trip(position: list[str]) -> None:
    assert decode_cursor(encode_cursor(*position), len(position)) == tuple(position)


def test_a_deep_cursor_is_refused() -> None:
    with pytest.raises(Fault):
        decode_cursor(base64.urlsafe_b64encode(b"[" * 300_000).decode())


@given(st.text(max_size=60))
def test_next_is_always_a_page_of_this_site(text: str) -> None:
    found = safe_next(text)
    assert found.startswith("/browser/")
    assert "//" not in found
    assert ".." not in found


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ([], True),
        (["*"], True),
        (['"3"'], True),
        (['"1", "3"'], True),
        (['"1"', '"3"'], True),
        (['W/"3"'], False),
        (['"2"'], False),
        (["3"], False),
        ([","], True),
    ],
)
def test_if_match(fields: list[str], passes: bool) -> None:
    asked = request([("If-Match", field) for field in fields])
    if passes:
        check_if_match(asked, 3)
    else:
        with pytest.raises(PreconditionFailed):
            check_if_match(asked, 3)
