"""The file realm: available without a row, and stronger than one."""

from __future__ import annotations

import pytest

from pycryptoutil.service.hashing import Registry
from pycryptoutil.service.realms import PASSWORD_PURPOSE
from pycryptoutil.service.settings import RealmSettings, ServiceSettings
from tests.support.door import Door

PASSWORD = "correct horse battery"


def configured(door: Door, realms: dict[str, object]) -> None:
    door.configure(ServiceSettings(profile="test", realms=RealmSettings.model_validate(realms)))


def users(*entries: dict[str, object]) -> dict[str, object]:
    return {"file": {"users": list(entries)}}


def test_a_file_user_logs_in_with_its_configured_scopes(door: Door) -> None:
    configured(door, users({"username": "root", "password": PASSWORD, "scopes": ["pets:read"]}))
    session, login = door.login("root", PASSWORD)
    assert login.json["principal"]["scopes"] == ["pets:read"]
    assert session.get("/pets").status == 200
    assert session.get("/customers").status == 403
    assert session.get("/sessions").json["items"][0]["realm"] == "file"
    configured(door, users({"username": "root", "password": PASSWORD, "scopes": ["customers:read"]}))
    assert session.get("/customers").status == 200
    configured(door, {})
    assert session.get("/me").status == 401


def test_a_file_user_beats_a_row_of_the_same_name(small_door: Door) -> None:
    small_door.admin.post("/principals", {"kind": "user", "name": "root", "password": PASSWORD + "sql", "scopes": []})
    configured(small_door, users({"username": "root", "password": PASSWORD + "file", "scopes": []}))
    small_door.login("root", PASSWORD + "file")
    answer = small_door.browser.post("/login", {"username": "root", "password": PASSWORD + "sql"})
    assert answer.status == 401


def test_a_file_user_of_another_tenant(door: Door) -> None:
    _, tenant = door.tenant("acme")
    configured(
        door,
        users(
            {"username": "root", "password": PASSWORD, "tenant": "acme", "scopes": ["admin"]},
            {"username": "byid", "password": PASSWORD, "tenant": tenant["id"]},
            {"username": "lost", "password": PASSWORD, "tenant": "nowhere"},
        ),
    )
    session, login = door.login("acme/root", PASSWORD)
    assert login.json["principal"]["tenant_id"] == tenant["id"]
    assert session.get("/pets").status == 200
    door.login("acme/byid", PASSWORD)
    for username in ("root", "default/root", "lost", "nowhere/lost"):
        assert door.browser.post("/login", {"username": username, "password": PASSWORD}).status == 401, username


def test_a_file_client_enters_without_a_row(small_door: Door) -> None:
    client = {"client_id": "backup", "client_secret": "0123456789abcdef", "scopes": ["pets:read"]}
    configured(small_door, {"file": {"clients": [client]}, "sql": {"enabled": False}})
    assert small_door.basic("backup", "0123456789abcdef").get("/pets").status == 200
    assert small_door.basic("backup", "wrong").get("/pets").status == 401
    assert small_door.admin.get("/me").status == 401  # SQL is turned off
    assert small_door.basic("backup", "0123456789abcdef").get("/tokens").status == 403


def test_the_sql_realm_turned_off_ends_its_sessions_and_tokens(small_door: Door) -> None:
    session, _ = small_door.login()
    token = small_door.admin.post("/tokens", {"name": "t", "scopes": ["admin"]}).json["token"]
    configured(small_door, {"sql": {"enabled": False}})
    assert session.get("/me").status == 401
    assert small_door.bearer(token).get("/me").status == 401


@pytest.mark.parametrize("registry", [Registry.LOW_RANDOM])
def test_a_hash_may_stand_in_configuration(small_door: Door, registry: Registry) -> None:
    stored = small_door.hasher.hash(registry, PASSWORD, purpose=PASSWORD_PURPOSE)
    configured(small_door, users({"username": "root", "password": stored, "scopes": []}))
    small_door.login("root", PASSWORD)
    assert small_door.browser.post("/login", {"username": "root", "password": stored}).status == 401


def test_a_file_user_has_no_tokens_and_no_password_to_change(small_door: Door) -> None:
    configured(small_door, users({"username": "root", "password": PASSWORD, "scopes": ["admin"]}))
    session, _ = small_door.login("root", PASSWORD)
    assert session.post("/tokens", {"name": "t", "scopes": []}).status == 409
    assert session.post("/password", {"current": PASSWORD, "password": PASSWORD + "!"}).status == 409


def test_an_old_hash_is_replaced_at_login(small_door: Door) -> None:
    from pycryptoutil.service.hashing import Hasher

    old = Hasher(small_door.barrier.pepper, current="v1").hash(Registry.LOW_RANDOM, PASSWORD, purpose=PASSWORD_PURPOSE)
    with small_door.database.unit_of_work(small_door.tenant_id) as uow:
        uow.execute("UPDATE principals SET secret_hash = :h WHERE name = 'admin'", {"h": old})
    small_door.login("admin", PASSWORD)
    with small_door.database.read(small_door.tenant_id) as reader:
        stored = reader.execute("SELECT secret_hash FROM principals WHERE name = 'admin'").scalar_one()
    assert stored.startswith("v3:")
    small_door.login("admin", PASSWORD)


def test_passwords_are_one_however_they_are_typed(small_door: Door) -> None:
    composed, decomposed = "pässwörter gehen", "pa\u0308sswo\u0308rter gehen"
    body = {"kind": "user", "name": "u", "password": composed, "scopes": []}
    assert small_door.admin.post("/principals", body).status == 201
    small_door.login("u", decomposed)


def test_a_hash_made_by_the_installation_is_what_the_file_realm_takes(door: Door) -> None:
    made = door.admin.post("/secret-hashes", {"password": PASSWORD})
    assert made.status == 200
    assert set(made.json) == {"hash", "client_secret"}
    assert made.json["client_secret"] is None
    client = door.admin.post("/secret-hashes", {}).json
    assert PASSWORD not in made.text
    configured(
        door,
        {
            "file": {
                "users": [{"username": "root", "password": made.json["hash"], "scopes": ["pets:read"]}],
                "clients": [{"client_id": "robot", "client_secret": client["hash"], "scopes": ["pets:read"]}],
            }
        },
    )
    session, _ = door.login("root", PASSWORD)
    assert session.get("/pets").status == 200
    assert door.browser.post("/login", {"username": "root", "password": made.json["hash"]}).status == 401
    assert door.basic("robot", client["client_secret"]).get("/pets").status == 200
    assert door.basic("robot", client["hash"]).get("/pets").status == 401


def test_hashes_are_for_who_may_make_principals_and_of_good_passwords(small_door: Door) -> None:
    assert small_door.admin.post("/secret-hashes", {"password": "short"}).status == 422
    assert small_door.client("principals:read").post("/secret-hashes", {"password": PASSWORD}).status == 403
    assert small_door.client("principals:write").post("/secret-hashes", {"password": PASSWORD}).status == 200
