"""Who may enter by /service and by /browser, and who may not."""

from __future__ import annotations

import base64

import pytest

from tests.support.door import Door


def test_basic_enters_the_service_door(door: Door) -> None:
    me = door.admin.get("/me")
    assert me.status == 200
    assert me.json["kind"] == "client"
    assert me.json["tenant_id"] == door.tenant_id
    assert me.json["scopes"] == ["admin"]


def test_no_credentials_are_challenged(small_door: Door) -> None:
    answer = small_door.anonymous.get("/me")
    assert answer.status == 401
    challenges = answer.headers.get_all("www-authenticate")
    assert any(one.startswith("Basic ") and 'charset="UTF-8"' in one for one in challenges)
    assert any(one.startswith("Bearer ") for one in challenges)
    assert answer.headers.get("content-type") == "application/problem+json"
    assert answer.json["request_id"] == "request-1"


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:secret").decode(),
        "Basic " + base64.b64encode(b"name\x00:secret").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"x" * 5000 + b":y").decode(),
        "Digest username=x",
        "Bearer",
        "Bearer two words",
        "Bearer pcu_short",
        "",
        " ",
    ],
)
def test_malformed_authorization_is_refused(small_door: Door, value: str) -> None:
    caller = small_door.anonymous.with_headers(("Authorization", value))
    answer = caller.get("/me")
    assert answer.status == 401
    assert "www-authenticate" in answer.headers


def test_two_authorization_fields_are_refused(small_door: Door) -> None:
    caller = small_door.admin.with_headers(*small_door.admin.headers)
    assert caller.get("/me").status == 401


def test_wrong_secret_unknown_client_and_long_secret_read_the_same(small_door: Door) -> None:
    client_id = small_door.first[0].client_id
    answers = [
        small_door.basic(client_id, "wrong").get("/me"),
        small_door.basic("0" * 32, "wrong").get("/me"),
        small_door.basic(client_id, "x" * 2000).get("/me"),
        small_door.basic("n" * 500, "x").get("/me"),
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.json["detail"] for answer in answers}) == 1


def test_a_user_name_is_no_client_id(small_door: Door) -> None:
    first = small_door.first[0]
    assert small_door.basic(first.username, first.password).get("/me").status == 401


def test_cookies_mean_nothing_to_the_service_door(small_door: Door) -> None:
    _, login = small_door.login()
    caller = small_door.anonymous.with_headers(("Cookie", f"__Host-session={login.cookie}"))
    assert caller.get("/me").status == 401


def test_credentials_mean_nothing_to_the_browser_door(small_door: Door) -> None:
    session, _ = small_door.login()
    assert session.get("/me").status == 200
    assert session.with_headers(*small_door.admin.headers).get("/me").status == 401
    made = small_door.admin.post("/tokens", {"name": "t", "scopes": ["admin"]}).json
    assert small_door.browser.with_headers(("Authorization", f"Bearer {made['token']}")).get("/me").status == 401


def test_browser_challenge_opens_no_password_dialogue(small_door: Door) -> None:
    answer = small_door.browser.get("/me")
    assert answer.status == 401
    assert not any(one.lower().startswith(("basic", "bearer")) for one in answer.headers.get_all("www-authenticate"))


def test_disabled_principal_and_tenant_are_out_at_once(door: Door) -> None:
    other, tenant = door.tenant("acme")
    assert other.get("/me").status == 200
    client = door.client("pets:read", by=other)
    client_id = client.get("/me").json["id"]
    assert other.patch(f"/principals/{client_id}", {"status": "disabled"}).status == 200
    assert client.get("/me").status == 401
    session, _ = door.login("acme/admin", tenant["password"])
    assert door.admin.patch(f"/tenants/{tenant['id']}", {"status": "disabled"}).status == 200
    assert other.get("/me").status == 401
    assert session.get("/me").status == 401
    assert door.browser.post("/login", {"username": "acme/admin", "password": tenant["password"]}).status == 401
    assert door.admin.patch(f"/tenants/{tenant['id']}", {"status": "active"}).status == 200
    assert other.get("/me").status == 200


def test_scopes_are_read_anew_on_every_request(door: Door) -> None:
    client = door.client("pets:read")
    client_id = client.get("/me").json["id"]
    assert client.get("/pets").status == 200
    assert client.get("/customers").status == 403
    door.admin.patch(f"/principals/{client_id}", {"scopes": ["customers:read"]})
    assert client.get("/pets").status == 403
    assert client.get("/customers").status == 200


def test_expired_principal_is_out(door: Door) -> None:
    made = door.admin.post("/principals", {"kind": "client", "scopes": [], "expires_in": 60}).json
    client = door.basic(made["name"], made["client_secret"])
    assert client.get("/me").status == 200
    door.clock.advance(60)
    assert client.get("/me").status == 401


def test_guessing_is_slowed_down_and_forgiven(small_door: Door) -> None:
    first = small_door.first[0]
    wrong, right = small_door.basic(first.client_id, "wrong"), small_door.admin
    assert [wrong.get("/me").status for _ in range(6)] == [401] * 5 + [429]
    limited = right.get("/me")
    assert limited.status == 429
    assert int(limited.headers.get("retry-after")) >= 1
    small_door.clock.advance(10)
    assert right.get("/me").status == 200


def test_guessing_from_elsewhere_does_not_lock_the_owner_out(small_door: Door) -> None:
    first = small_door.first[0]
    from dataclasses import replace

    stranger = replace(small_door.basic(first.client_id, "wrong"), peer="198.51.100.9")
    for _ in range(20):
        stranger.get("/me")
    assert small_door.admin.get("/me").status == 200


def test_sealed_nobody_enters(small_door: Door) -> None:
    small_door.barrier.seal()
    answer = small_door.admin.get("/me")
    assert answer.status == 503
    assert "retry-after" in answer.headers


def test_nothing_secret_is_in_a_repr(small_door: Door) -> None:
    first = small_door.first[0]
    assert first.password not in repr(first)
    assert first.client_secret not in repr(first)
    with small_door.database.unit_of_work(small_door.tenant_id) as uow:
        token = small_door.access.tokens.create(uow, first.client_id, "t", frozenset(), small_door.clock.now())
        session = small_door.access.sessions.create(uow, first.client_id, "n", "sql")
        made = small_door.access.accounts.client(uow, small_door.tenant_id, frozenset())
    for shown, secret in (
        (repr(token), token.text),
        (repr(token), token.row.token_hash),
        (repr(session), session.cookie),
        (repr(session), session.row.lookup),
        (repr(made), made.secret),
        (repr(made), made.row.secret_hash),
    ):
        assert secret not in shown
