"""Tokens, principals, tenants and audit: what one may do, and what reads as not there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.support.door import Caller, Door

PASSWORD = "correct horse battery"


def make_user(caller: Caller, name: str, *scopes: str) -> dict[str, Any]:
    made = caller.post("/principals", {"kind": "user", "name": name, "password": PASSWORD, "scopes": list(scopes)})
    assert made.status == 201, made.text
    found: dict[str, Any] = made.json
    return found


def test_token_life(door: Door) -> None:
    made = door.admin.post("/tokens", {"name": "ci", "scopes": ["pets:read"], "expires_in": 3600})
    assert made.status == 201
    token = door.bearer(made.json["token"])
    me = token.get("/me").json
    assert (me["kind"], me["scopes"]) == ("token", ["pets:read"])
    assert token.get("/pets").status == 200
    assert token.get("/customers").status == 403
    listed = door.admin.get("/tokens").json["items"]
    assert [one["id"] for one in listed] == [made.json["id"]]
    assert made.json["token"] not in door.admin.get("/tokens").text
    door.clock.advance(3600)
    refused = token.get("/me")
    assert refused.status == 401
    assert 'error="invalid_token"' in refused.headers.get("www-authenticate")


def test_revoked_token_is_out_at_once(door: Door) -> None:
    made = door.admin.post("/tokens", {"name": "ci", "scopes": ["admin"]}).json
    token = door.bearer(made["token"])
    assert token.get("/me").status == 200
    assert door.admin.delete(f"/tokens/{made['id']}").status == 204
    assert token.get("/me").status == 401
    assert door.admin.delete(f"/tokens/{made['id']}").status == 204
    assert door.admin.get("/tokens").json["items"][0]["revoked_at"] is not None


def test_token_changed_anywhere_is_refused(small_door: Door) -> None:
    text = small_door.admin.post("/tokens", {"name": "ci", "scopes": []}).json["token"]
    for index in (0, 3, 4, 20, len(text) - 1):
        changed = text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]
        assert small_door.bearer(changed).get("/me").status == 401


def test_a_token_loses_what_its_owner_loses(door: Door) -> None:
    client = door.client("pets:read", "customers:read", "tokens:write")
    made = client.post("/tokens", {"name": "t", "scopes": ["pets:read", "customers:read"]}).json
    token = door.bearer(made["token"])
    owner = client.get("/me").json["id"]
    door.admin.patch(f"/principals/{owner}", {"scopes": ["pets:read"]})
    assert token.get("/me").json["scopes"] == ["pets:read"]
    door.admin.patch(f"/principals/{owner}", {"status": "disabled"})
    assert token.get("/me").status == 401


def test_nobody_grants_what_they_have_not(door: Door) -> None:
    client = door.client("pets:read", "tokens:write", "principals:write", "principals:read")
    assert client.post("/tokens", {"name": "t", "scopes": ["pets:write"]}).status == 403
    assert client.post("/tokens", {"name": "t", "scopes": ["admin"]}).status == 403
    assert client.post("/principals", {"kind": "client", "scopes": ["admin"]}).status == 403
    assert client.post("/principals", {"kind": "client", "scopes": ["pets:read"]}).status == 201
    mine = client.get("/me").json["id"]
    assert client.patch(f"/principals/{mine}", {"scopes": ["admin"]}).status == 403
    looker = door.bearer(client.post("/tokens", {"name": "l", "scopes": ["pets:read"]}).json["token"])
    assert looker.get("/tokens").status == 403
    assert looker.delete("/tokens/x").status == 403
    narrow = door.bearer(client.post("/tokens", {"name": "t", "scopes": ["tokens:write"]}).json["token"])
    assert narrow.post("/tokens", {"name": "u", "scopes": ["pets:read"]}).status == 403
    assert narrow.post("/tokens", {"name": "u", "scopes": ["tokens:write"]}).status == 201


def test_nobody_becomes_somebody_stronger(door: Door) -> None:
    client = door.client("pets:read", "principals:write", "principals:read")
    administrator = door.admin.get("/me").json["id"]
    target = f"/principals/{administrator}"
    assert client.post(f"{target}/secret", {}).status == 403
    assert client.patch(target, {"status": "disabled"}).status == 403
    assert client.patch(target, {"scopes": []}).status == 403
    assert client.delete(target).status == 403
    assert client.post(f"{target}/certificates", {"certificate": "x"}).status in {403, 422}
    assert client.delete(f"{target}/sessions").status == 403
    assert door.admin.get("/me").status == 200


def test_tokens_of_others(door: Door) -> None:
    client = door.client("pets:read", "tokens:write")
    made = client.post("/tokens", {"name": "t", "scopes": ["pets:read"]}).json
    owner = client.get("/me").json["id"]
    assert door.admin.delete(f"/tokens/{made['id']}").status == 404
    assert [one["id"] for one in door.admin.get(f"/principals/{owner}/tokens").json["items"]] == [made["id"]]
    assert door.admin.delete(f"/principals/{owner}/tokens/{made['id']}").status == 204
    assert door.bearer(made["token"]).get("/me").status == 401
    administrator = door.admin.get("/me").json["id"]
    assert door.admin.delete(f"/principals/{administrator}/tokens/{made['id']}").status == 404


def test_user_life(door: Door) -> None:
    user = make_user(door.admin, "Zoë", "pets:read")
    assert user["client_secret"] is None
    session, _ = door.login("Zoë", PASSWORD)
    assert session.get("/pets").status == 200
    assert session.post("/pets", {"name": "x", "species": "y", "price_cents": 1}).status == 403
    assert door.admin.get(f"/principals/{user['id']}/sessions").json["items"][0]["realm"] == "sql"
    assert door.admin.post(f"/principals/{user['id']}/secret", {"password": PASSWORD + "!"}).json == {
        "client_secret": None
    }
    assert session.get("/me").status == 401
    session, _ = door.login("Zoë", PASSWORD + "!")
    assert door.admin.delete(f"/principals/{user['id']}/sessions").json == {"revoked": 1}
    assert session.get("/me").status == 401
    session, _ = door.login("Zoë", PASSWORD + "!")
    assert door.admin.delete(f"/principals/{user['id']}").status == 204
    assert session.get("/me").status == 401
    assert door.admin.get(f"/principals/{user['id']}").status == 404


def test_client_secret_is_replaced(door: Door) -> None:
    made = door.admin.post("/principals", {"kind": "client", "scopes": ["pets:read"]}).json
    fresh = door.admin.post(f"/principals/{made['id']}/secret", {}).json["client_secret"]
    assert door.basic(made["name"], made["client_secret"]).get("/me").status == 401
    assert door.basic(made["name"], fresh).get("/me").status == 200


def test_taken_names_and_last_administrators(door: Door) -> None:
    other, tenant = door.tenant("acme")
    make_user(other, "same", "pets:read")
    make_user(door.admin, "same", "pets:read")  # another tenant's name is free
    again = other.post("/principals", {"kind": "user", "name": "same", "password": PASSWORD, "scopes": []})
    assert again.status == 409
    assert door.admin.post("/tenants", {"name": "acme"}).status == 409
    administrators = [one["id"] for one in other.get("/principals").json["items"] if "admin" in one["scopes"]]
    mine = other.get("/me").json["id"]
    first = next(one for one in administrators if one != mine)
    assert other.delete(f"/principals/{first}").status == 204
    assert other.delete(f"/principals/{mine}").status == 409
    assert other.patch(f"/principals/{mine}", {"status": "disabled"}).status == 409
    assert other.patch(f"/principals/{mine}", {"scopes": ["pets:read"]}).status == 409
    assert other.get("/me").status == 200
    assert tenant["username"] == "admin"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "robot"},
        {"kind": "user"},
        {"kind": "user", "name": "x"},
        {"kind": "user", "name": "a/b", "password": PASSWORD},
        {"kind": "user", "name": "a b", "password": PASSWORD},
        {"kind": "user", "name": "a:b", "password": PASSWORD},
        {"kind": "user", "name": "", "password": PASSWORD},
        {"kind": "user", "name": "x", "password": "short"},
        {"kind": "user", "name": "x", "password": "aaaaaaaaaaaaaaaa"},
        {"kind": "client", "name": "chosen"},
        {"kind": "client", "password": PASSWORD},
        {"kind": "client", "scopes": ["Not A Scope"]},
        {"kind": "client", "scopes": "admin"},
        {"kind": "client", "scopes": ["pets:read"] * 65},
        {"kind": "client", "expires_in": 1},
        {"kind": "client", "display_name": "line\nbreak"},
        {"kind": "client", "tenant_id": "x"},
    ],
)
def test_bad_principals(small_door: Door, body: dict[str, Any]) -> None:
    answer = small_door.admin.post("/principals", body)
    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["pointer"].startswith("#")
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=201", "?limit=x", "?cursor=***", "?cursor=e30", "?kind=x", "?x=1"]
)
def test_bad_queries(small_door: Door, query: str) -> None:
    assert small_door.admin.get(f"/principals{query}").status == 422


def test_pages_of_principals(door: Door) -> None:
    for number in range(7):
        door.admin.post("/principals", {"kind": "client", "scopes": [], "display_name": f"c{number}"})
    seen: list[str] = []
    cursor = ""
    for _ in range(10):
        page = door.admin.get(f"/principals?kind=client&limit=3&cursor={cursor}").json
        assert len(page["items"]) <= 3
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 8
    assert door.admin.get("/principals?kind=user").json["items"][0]["name"] == "admin"


def test_another_tenant_reads_as_not_there(door: Door) -> None:
    other, tenant = door.tenant("acme")
    client = door.client("pets:read", "tokens:write")
    client_id = client.get("/me").json["id"]
    token_id = client.post("/tokens", {"name": "t", "scopes": []}).json["id"]
    base = f"/principals/{client_id}"
    for method, path, body in (
        ("GET", base, None),
        ("PATCH", base, {"status": "disabled"}),
        ("DELETE", base, None),
        ("POST", f"{base}/secret", {}),
        ("GET", f"{base}/sessions", None),
        ("DELETE", f"{base}/sessions", None),
        ("GET", f"{base}/tokens", None),
        ("DELETE", f"{base}/tokens/{token_id}", None),
        ("GET", f"{base}/certificates", None),
        ("DELETE", f"{base}/certificates/x", None),
        ("DELETE", f"/tokens/{token_id}", None),
        ("GET", f"/tenants/{door.tenant_id}", None),
    ):
        theirs = other(method, path, body)
        nobodys = other(method, path.replace(client_id, "0" * 32).replace(door.tenant_id, "0" * 32), body)
        assert theirs.status == nobodys.status == 404, (method, path)
        assert theirs.json["detail"] == nobodys.json["detail"]
    assert client.get("/me").status == 200
    listed = {one["id"] for one in other.get("/principals").json["items"]}
    assert client_id not in listed
    assert len(listed) == 2
    assert tenant["id"] == other.get(f"/tenants/{tenant['id']}").json["id"]


def test_only_the_default_tenant_manages_tenants(door: Door) -> None:
    other, tenant = door.tenant("acme")
    assert other.get("/tenants").status == 403
    assert other.post("/tenants", {"name": "mine"}).status == 403
    assert other.patch(f"/tenants/{tenant['id']}", {"status": "disabled"}).status == 403
    assert door.client("pets:read").get("/tenants").status == 403
    assert [one["name"] for one in door.admin.get("/tenants").json["items"]] == ["acme", "default"]
    assert door.admin.patch(f"/tenants/{door.tenant_id}", {"status": "disabled"}).status == 409
    assert door.admin.patch("/tenants/nowhere", {"status": "disabled"}).status == 404
    for name in ("", "Upper", "-x", "x" * 64, "a_b", "a/b"):
        assert door.admin.post("/tenants", {"name": name}).status == 422, name


def test_audit_shows_ones_own_chain_and_proves_it(door: Door) -> None:
    other, _ = door.tenant("acme")
    door.client("pets:read", by=other)
    mine = other.get("/audit/events").json["items"]
    assert [one["action"] for one in mine] == ["principal.create", "tenant.create"]
    assert [one["seq"] for one in mine] == [2, 1]
    assert mine[0]["request_id"] == "request-1"
    assert datetime.fromisoformat(mine[0]["occurred_at"]) == door.clock.now()
    verified = other.get("/audit/verification").json
    assert (verified["events"], verified["head"]) == (2, mine[0]["hash"])
    page = other.get("/audit/events?limit=1").json
    assert [one["seq"] for one in other.get(f"/audit/events?cursor={page['next']}").json["items"]] == [1]
    assert len(other.get("/audit/events?action=tenant.create").json["items"]) == 1
    assert door.client("pets:read").get("/audit/events").status == 403


def test_no_secret_is_in_the_audit_chain(door: Door) -> None:
    made = door.admin.post("/principals", {"kind": "client", "scopes": []}).json
    token = door.admin.post("/tokens", {"name": "t", "scopes": []}).json["token"]
    make_user(door.admin, "somebody")
    text = door.admin.get("/audit/events").text
    for secret in (made["client_secret"], token, PASSWORD, "somebody"):
        assert secret not in text


def test_an_update_changes_only_what_is_given(door: Door) -> None:
    made = door.admin.post("/principals", {"kind": "client", "scopes": ["pets:read"], "display_name": "One"}).json
    door.clock.advance(5)
    changed = door.admin.patch(f"/principals/{made['id']}", {"display_name": "Two"}).json
    assert (changed["display_name"], changed["scopes"], changed["status"]) == ("Two", ["pets:read"], "active")
    assert changed["updated_at"] != made["updated_at"]
    assert door.admin.patch(f"/principals/{made['id']}", {}).status == 422
