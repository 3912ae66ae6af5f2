"""Sessions: cookies of three formats, lifetimes, revocation, forgery across sites."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from pycryptoutil.service.settings import CorsSettings, ServiceSettings, SessionSettings
from tests.support.door import ORIGIN, Caller, Door

FORMATS = ["opaque", "jws", "jwe"]


def settings(kind: str) -> ServiceSettings:
    return ServiceSettings(profile="test", session=SessionSettings.model_validate({"format": kind}))


def with_cookie(door: Door, cookie: str) -> Caller:
    return door.browser.with_headers(("Cookie", f"__Host-session={cookie}"))


@pytest.mark.parametrize("kind", FORMATS)
def test_log_in_look_around_log_out(door: Door, kind: str) -> None:
    door.configure(settings(kind))
    session, login = door.login()
    fields = login.headers.get("set-cookie")
    for attribute in ("Path=/", "Secure", "HttpOnly", "SameSite=Strict"):
        assert attribute in fields
    assert "Domain" not in fields
    assert login.cookie.count(".") == {"opaque": 0, "jws": 2, "jwe": 4}[kind]
    assert session.get("/me").json["kind"] == "user"
    assert session.get("/session").json["csrf_token"] == login.json["csrf_token"]
    out = session.post("/logout")
    assert out.status == 204
    assert "Max-Age=0" in out.headers.get("set-cookie")
    assert session.get("/me").status == 401


@pytest.mark.parametrize("kind", FORMATS)
def test_changing_the_format_logs_nobody_out(small_door: Door, kind: str) -> None:
    small_door.configure(settings(kind))
    session, _ = small_door.login()
    for other in FORMATS:
        small_door.configure(settings(other))
        assert session.get("/me").status == 200


def _flip(part: str) -> str:
    middle = len(part) // 2
    return part[:middle] + ("A" if part[middle] != "A" else "B") + part[middle + 1 :]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cookie_changed_anywhere_is_refused(small_door: Door, kind: str) -> None:
    small_door.configure(settings(kind))
    _, login = small_door.login()
    parts = login.cookie.split(".")
    for index, part in enumerate(parts):
        if not part:
            continue
        changed = ".".join([*parts[:index], _flip(part), *parts[index + 1 :]])
        assert with_cookie(small_door, changed).get("/me").status == 401, (kind, index)
    for broken in ("", ".", "..", "....", "a.b.c", "a.b.c.d.e", login.cookie + "A", login.cookie[:-3], "x" * 5000):
        assert with_cookie(small_door, broken).get("/me").status == 401, broken[:20]


def _claims(cookie: str) -> dict[str, object]:
    payload = cookie.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_jws_by_another_key_or_none_is_refused(small_door: Door) -> None:
    small_door.configure(settings("jws"))
    _, login = small_door.login()
    claims = _claims(login.cookie)
    other = OctKey.import_key(b"k" * 32)
    forged = jws.serialize_compact({"alg": "HS256"}, json.dumps(claims).encode(), other, ["HS256"])
    unsigned = f"{_segment({'alg': 'none'})}.{_segment(claims)}."
    for cookie in (forged, unsigned):
        assert with_cookie(small_door, cookie).get("/me").status == 401


def test_a_jws_that_names_somebody_else_is_refused_even_if_signed(small_door: Door) -> None:
    small_door.configure(settings("jws"))
    _, login = small_door.login()
    claims = _claims(login.cookie)
    key = OctKey.import_key(small_door.barrier.lookup_mac("session-jws", b"key v1"))
    for change in ({"sub": "0" * 32}, {"tid": "0" * 32}, {"iss": "x"}, {"exp": 1}, {"sid": 5}, {"sid": "short"}):
        forged = jws.serialize_compact({"alg": "HS256"}, json.dumps({**claims, **change}).encode(), key, ["HS256"])
        assert with_cookie(small_door, forged).get("/me").status == 401, change


def test_the_jws_shows_no_name_and_the_row_no_cookie(small_door: Door) -> None:
    small_door.configure(settings("jws"))
    _, login = small_door.login()
    claims = _claims(login.cookie)
    assert set(claims) == {"iss", "sid", "tid", "sub", "iat", "exp"}
    with small_door.database.read(small_door.tenant_id) as reader:
        rows = [tuple(row) for row in reader.execute("SELECT * FROM sessions")]
    assert len(rows) == 1
    assert str(claims["sid"]) not in repr(rows)


def test_idle_and_absolute_lifetimes(door: Door) -> None:
    session, _ = door.login()
    for _ in range(15):
        door.clock.advance(1790)
        assert session.get("/me").status == 200  # each use keeps it alive
    door.clock.advance(1800)
    assert session.get("/me").status == 401
    session, _ = door.login()
    for _ in range(16):
        door.clock.advance(1790)
        session.get("/me")
    door.clock.advance(200)
    assert session.get("/me").status == 401  # past eight hours, however busy


def test_idle_time_is_written_at_most_once_a_minute(small_door: Door) -> None:
    session, _ = small_door.login()

    def seen() -> object:
        with small_door.database.read(small_door.tenant_id) as reader:
            return reader.execute("SELECT seen_at FROM sessions").scalar_one()

    first = seen()
    small_door.clock.advance(59)
    session.get("/me")
    assert seen() == first
    small_door.clock.advance(1)
    session.get("/me")
    assert seen() != first


def test_a_clock_that_steps_back_ends_no_session(small_door: Door) -> None:
    session, _ = small_door.login()
    small_door.clock.advance(-3600)
    assert session.get("/me").status == 200


def test_a_login_takes_a_new_cookie_and_ends_the_old_session(door: Door) -> None:
    old, before = door.login()
    body = {"username": "admin", "password": door.first[0].password}
    after = old.post("/login", body)
    assert after.status == 200
    assert after.cookie != before.cookie
    assert old.get("/me").status == 401
    planted = "A" * 43
    answer = with_cookie(door, planted).post("/login", body)
    assert answer.cookie != planted


def test_list_and_revoke_ones_own_sessions(door: Door) -> None:
    one, _ = door.login()
    two, _ = door.login()
    three, _ = door.login()
    listed = one.get("/sessions").json["items"]
    assert len(listed) == 3
    assert sum(item["current"] for item in listed) == 1
    mine = next(item["id"] for item in listed if item["current"])
    other = two.get("/session").json["id"]
    assert one.delete(f"/sessions/{other}").status == 204
    assert two.get("/me").status == 401
    assert one.delete(f"/sessions/{other}").status == 404
    assert one.delete("/sessions").json == {"revoked": 1}
    assert three.get("/me").status == 401
    assert one.delete(f"/sessions/{mine}").status == 204
    assert one.get("/me").status == 401


def test_sessions_of_others_cannot_be_revoked_as_ones_own(door: Door) -> None:
    _, tenant = door.tenant("acme")
    theirs, _ = door.login("acme/admin", tenant["password"])
    mine, _ = door.login()
    assert mine.delete(f"/sessions/{theirs.get('/session').json['id']}").status == 404
    assert theirs.get("/me").status == 200


def test_changing_the_password_ends_the_other_sessions(door: Door) -> None:
    one, _ = door.login()
    two, _ = door.login()
    old, new = door.first[0].password, "correct horse battery"
    assert one.post("/password", {"current": "wrong password", "password": new}).status == 401
    weak = one.post("/password", {"current": old, "password": "short"})
    assert weak.status == 422
    assert one.post("/password", {"current": old, "password": new}).status == 204
    assert one.get("/me").status == 200
    assert two.get("/me").status == 401
    assert door.browser.post("/login", {"username": "admin", "password": old}).status == 401
    assert door.browser.post("/login", {"username": "admin", "password": new}).status == 200


def _no_token(caller: Caller, _other: str) -> Caller:
    return Caller(caller.door, caller.prefix, tuple(one for one in caller.headers if one[0] != "X-CSRF-Token"))


def _foreign_token(caller: Caller, other: str) -> Caller:
    return _no_token(caller, "").with_headers(("X-CSRF-Token", other))


def _not_ascii_token(caller: Caller, _other: str) -> Caller:
    return _no_token(caller, "").with_headers(("X-CSRF-Token", "\xe9" * 43))


def _origin(origin: str) -> Callable[[Caller, str], Caller]:
    def change(caller: Caller, _other: str) -> Caller:
        kept = tuple(one for one in caller.headers if one[0] != "Origin")
        return Caller(caller.door, caller.prefix, (*kept, ("Origin", origin)))

    return change


def _cross_site(caller: Caller, _other: str) -> Caller:
    kept = tuple(one for one in caller.headers if one[0] not in {"Origin", "Sec-Fetch-Site"})
    return Caller(caller.door, caller.prefix, (*kept, ("Sec-Fetch-Site", "cross-site")))


@pytest.mark.parametrize(
    "forge",
    [
        _no_token,
        _foreign_token,
        _not_ascii_token,
        _origin("https://evil.example"),
        _origin("null"),
        _origin(ORIGIN.replace("https", "http")),
        _origin(ORIGIN + ".evil.example"),
        _cross_site,
    ],
)
def test_forged_requests_are_refused(small_door: Door, forge: Callable[[Caller, str], Caller]) -> None:
    _, other = small_door.login()
    session, _ = small_door.login()
    forged = forge(session, other.json["csrf_token"])
    assert forged.post("/pets", {"name": "x", "species": "cat", "price_cents": 1}).status == 403
    assert session.get("/pets").json["items"] == []
    assert session.post("/pets", {"name": "x", "species": "cat", "price_cents": 1}).status == 201


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_login_from_another_site_is_refused(small_door: Door, origin: str) -> None:
    caller = Caller(small_door, "/browser/api/v1", (("Origin", origin),))
    answer = caller.post("/login", {"username": "admin", "password": small_door.first[0].password})
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_a_configured_origin_may_call(small_door: Door) -> None:
    app = "https://app.example.test"
    small_door.configure(ServiceSettings(profile="test", cors=CorsSettings(origins=(app,))))
    session, _ = small_door.login()
    kept = tuple(one for one in session.headers if one[0] not in {"Origin", "Sec-Fetch-Site"})
    foreign = Caller(small_door, "/browser/api/v1", (*kept, ("Origin", app), ("Sec-Fetch-Site", "cross-site")))
    answer = foreign.post("/pets", {"name": "x", "species": "cat", "price_cents": 1})
    assert answer.status == 201
    assert answer.headers.get("access-control-allow-origin") == app


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"username": "admin"}, 422),
        ({"username": "admin", "password": ""}, 422),
        ({"username": "admin", "password": 5}, 422),
        ({"username": "admin", "password": "x" * 1025}, 422),
        ({"username": "admin", "password": "x", "remember": True}, 422),
        ({"username": "admin", "password": "wrong"}, 401),
        ({"username": "nobody", "password": "wrong"}, 401),
        ({"username": "nowhere/admin", "password": "wrong"}, 401),
        ({"username": "a/b/c", "password": "wrong"}, 401),
        ({"username": "admin\x00", "password": "wrong"}, 401),
        ({"username": "\ud800", "password": "wrong"}, 422),
    ],
)
def test_bad_logins(small_door: Door, body: dict[str, object], status: int) -> None:
    answer = small_door.browser.post("/login", body)
    assert answer.status in {status, 400} if "\ud800" in str(body.get("username")) else answer.status == status
    assert "set-cookie" not in answer.headers
    assert "wrong" not in answer.text.replace("Wrong user name or password.", "")


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"username=a&username=b&password=c", "application/x-www-form-urlencoded", 400),
        (b"username=%ff&password=x", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"f%d=1" % n for n in range(100)), "application/x-www-form-urlencoded", 400),
        (b"username=a", "application/x-www-form-urlencoded", 422),
        (b"<x/>", "text/xml", 415),
        (b"x" * 20000, "application/json", 413),
    ],
)
def test_bad_login_bodies(small_door: Door, raw: bytes, content_type: str, status: int) -> None:
    assert small_door.browser("POST", "/login", raw=raw, content_type=content_type).status == status


def test_a_form_logs_in_too(small_door: Door) -> None:
    form = {"username": "admin", "password": small_door.first[0].password}
    assert small_door.browser.post("/login", form=form).status == 200


def test_unknown_and_known_users_cost_the_same_hash(small_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    counted: list[int] = []
    real = hashlib.pbkdf2_hmac

    def counting(name: str, password: bytes, salt: bytes, iterations: int, length: int) -> bytes:
        counted.append(iterations)
        return real(name, password, salt, 1, length)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counting)
    for username in ("admin", "nobody", "nowhere/admin"):
        small_door.browser.post("/login", {"username": username, "password": "wrong"})
    assert counted == [700_000] * 3


def test_a_login_and_a_logout_leave_a_trace(door: Door) -> None:
    session, _ = door.login()
    session.post("/logout")
    actions = [item["action"] for item in door.admin.get("/audit/events").json["items"]]
    assert actions == ["session.revoke", "session.create"]
