"""The pet store: its rules, on both databases and through both doors."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.door import Caller, Door

CAT = {"name": "Tom", "species": "cat", "price_cents": 1250, "stock": 3}


def make(caller: Caller, path: str, body: dict[str, Any]) -> dict[str, Any]:
    made = caller.post(path, body)
    assert made.status == 201, made.text
    found: dict[str, Any] = made.json
    return found


def shop(caller: Caller) -> tuple[dict[str, Any], dict[str, Any]]:
    return make(caller, "/pets", CAT), make(caller, "/customers", {"name": "Ann", "email": "ann@example.test"})


def order(customer: dict[str, Any], *items: tuple[dict[str, Any], int]) -> dict[str, Any]:
    return {
        "customer_id": customer["id"],
        "items": [{"pet_id": pet["id"], "quantity": quantity} for pet, quantity in items],
    }


def test_a_pet_s_life(door: Door) -> None:
    made = door.admin.post("/pets", CAT)
    assert made.headers.get("etag") == '"1"'
    pet = made.json
    assert pet == {**CAT, "id": pet["id"], "version": 1, "status": "available"}
    path = f"/pets/{pet['id']}"
    changed = door.admin.put(path, {**CAT, "price_cents": 1500}, headers={"If-Match": '"1"'})
    assert (changed.status, changed.json["version"], changed.headers.get("etag")) == (200, 2, '"2"')
    assert door.admin.get(path, headers={"If-None-Match": '"2"'}).status == 304
    lost = door.admin.put(path, CAT, headers={"If-Match": '"1"'})
    assert lost.status == 412
    assert lost.headers.get("content-type") == "application/problem+json"
    assert door.admin.get(path).json["price_cents"] == 1500
    assert door.admin.delete(path, headers={"If-Match": '"1"'}).status == 412
    assert door.admin.delete(path, headers={"If-Match": '"9", "2"'}).status == 204
    assert door.admin.get(path).status == 404
    assert door.admin.delete(path).status == 404
    assert door.admin.put(path, CAT).status == 404


def test_every_change_is_audited_once(door: Door) -> None:
    """Who did what to which; a repeat, a refusal and a reading leave nothing."""
    made = door.admin.post("/pets", CAT, headers={"Idempotency-Key": "k"}).json
    assert door.admin.post("/pets", CAT, headers={"Idempotency-Key": "k"}).json["id"] == made["id"]
    path = f"/pets/{made['id']}"
    door.admin.put(path, {**CAT, "stock": 1})
    assert door.admin.put(path, CAT, headers={"If-Match": '"1"'}).status == 412
    customer = make(door.admin, "/customers", {"name": "Ann", "email": "ann@example.test"})
    placed = make(door.admin, "/orders", order(customer, (made, 1)))
    assert door.admin.post("/orders", order(customer, (made, 1))).status == 409
    assert door.admin.delete(path).status == 409
    assert door.admin.patch(f"/orders/{placed['id']}", {"status": "cancelled"}).status == 200
    events = door.admin.get("/audit/events").json["items"]
    assert [(one["action"], one["target"]) for one in reversed(events)] == [
        ("pet.create", made["id"]),
        ("pet.update", made["id"]),
        ("customer.create", customer["id"]),
        ("order.create", placed["id"]),
        ("order.update", placed["id"]),
    ]
    assert {one["actor"] for one in events} == {f"client:{door.admin.get('/me').json['id']}"}
    assert "ann@example.test" not in str(events)


def test_the_browser_door_has_the_same_store(door: Door) -> None:
    session, _ = door.login()
    pet = make(session, "/pets", CAT)
    assert door.admin.get(f"/pets/{pet['id']}").json == session.get(f"/pets/{pet['id']}").json == pet


def test_an_order_takes_stock_and_sums_up(door: Door) -> None:
    cat, ann = shop(door.admin)
    dog = make(door.admin, "/pets", {**CAT, "name": "Rex", "species": "dog", "price_cents": 999, "stock": 5})
    made = make(door.admin, "/orders", order(ann, (cat, 2), (dog, 5)))
    assert made["total_cents"] == 2 * 1250 + 5 * 999
    assert made["status"] == "placed"
    assert {(item["pet_id"], item["unit_price_cents"]) for item in made["items"]} == {
        (cat["id"], 1250),
        (dog["id"], 999),
    }
    assert door.admin.get(f"/pets/{cat['id']}").json["stock"] == 1
    door.admin.put(f"/pets/{cat['id']}", {**CAT, "price_cents": 1})
    assert door.admin.get(f"/orders/{made['id']}").json == made  # the price of that day


def test_an_order_that_cannot_be_filled_takes_nothing(door: Door) -> None:
    cat, ann = shop(door.admin)
    dog = make(door.admin, "/pets", {**CAT, "name": "Rex", "stock": 1})
    assert door.admin.post("/orders", order(ann, (cat, 3), (dog, 2))).status == 409
    assert door.admin.get(f"/pets/{cat['id']}").json["stock"] == 3
    gone = make(door.admin, "/pets", {**CAT, "name": "Old", "status": "discontinued"})
    assert door.admin.post("/orders", order(ann, (gone, 1))).status == 409
    assert door.admin.get("/orders").json["items"] == []


def test_an_order_moves_on_by_its_table(door: Door) -> None:
    cat, ann = shop(door.admin)
    made = make(door.admin, "/orders", order(ann, (cat, 1)))
    path = f"/orders/{made['id']}"
    assert door.admin.patch(path, {"status": "delivered"}).status == 409
    assert door.admin.patch(path, {"status": "placed"}).status == 409
    assert door.admin.patch(path, {"status": "shipped"}).json["status"] == "shipped"
    assert door.admin.patch(path, {"status": "cancelled"}).status == 409
    assert door.admin.patch(path, {"status": "delivered"}, headers={"If-Match": '"1"'}).status == 412
    assert door.admin.patch(path, {"status": "delivered"}, headers={"If-Match": '"2"'}).status == 200
    for status in ("placed", "shipped", "delivered", "cancelled"):
        assert door.admin.patch(path, {"status": status}).status == 409


def test_a_cancelled_order_puts_its_pets_back_once(door: Door) -> None:
    cat, ann = shop(door.admin)
    made = make(door.admin, "/orders", order(ann, (cat, 3)))
    assert door.admin.patch(f"/orders/{made['id']}", {"status": "cancelled"}).status == 200
    assert door.admin.patch(f"/orders/{made['id']}", {"status": "cancelled"}).status == 409
    assert door.admin.get(f"/pets/{cat['id']}").json["stock"] == 3


def test_the_last_pet_is_sold_once(door: Door) -> None:
    cat, ann = shop(door.admin)
    answers: list[int] = []
    caller = door.admin

    def buy() -> None:
        answers.append(caller.post("/orders", order(ann, (cat, 1))).status)

    threads = [threading.Thread(target=buy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(201) == 3
    assert set(answers) <= {201, 409, 503}
    assert door.admin.get(f"/pets/{cat['id']}").json["stock"] == 0


def test_a_repeat_under_one_key_makes_one_order(door: Door) -> None:
    cat, ann = shop(door.admin)
    key, body = {"Idempotency-Key": "k-1"}, order(ann, (cat, 1))
    first = door.admin.post("/orders", body, headers=key)
    again = door.admin.post("/orders", body, headers=key)
    assert (first.status, again.status) == (201, 201)
    assert first.json == again.json
    assert door.admin.get(f"/pets/{cat['id']}").json["stock"] == 2
    other = door.admin.post("/orders", order(ann, (cat, 2)), headers=key)
    assert other.status == 409
    assert door.admin.post("/customers", body, headers=key).status == 422
    somebody = door.client("orders:write", "orders:read")
    assert somebody.post("/orders", body, headers=key).json["id"] != first.json["id"]
    assert door.admin.post("/orders", body, headers={"Idempotency-Key": "k" * 101}).status == 422


def test_a_failed_attempt_does_not_use_up_its_key(door: Door) -> None:
    cat, ann = shop(door.admin)
    key, body = {"Idempotency-Key": "k-1"}, order(ann, (cat, 5))
    assert door.admin.post("/orders", body, headers=key).status == 409
    door.admin.put(f"/pets/{cat['id']}", {**CAT, "stock": 10})
    assert door.admin.post("/orders", body, headers=key).status == 201


def test_what_is_ordered_cannot_be_removed(door: Door) -> None:
    cat, ann = shop(door.admin)
    make(door.admin, "/orders", order(ann, (cat, 1)))
    assert door.admin.delete(f"/pets/{cat['id']}").status == 409
    assert door.admin.delete(f"/customers/{ann['id']}").status == 409


def test_customers(door: Door) -> None:
    _, ann = shop(door.admin)
    assert door.admin.post("/customers", {"name": "Other", "email": "ann@example.test"}).status == 409
    renamed = door.admin.put(f"/customers/{ann['id']}", {"name": "Anna", "email": "ann@example.test"})
    assert (renamed.status, renamed.json["name"]) == (200, "Anna")
    assert door.admin.delete(f"/customers/{ann['id']}").status == 204


def test_pages_and_filters(door: Door) -> None:
    cat, ann = shop(door.admin)
    bob = make(door.admin, "/customers", {"name": "Bob", "email": "bob@example.test"})
    door.admin.put(f"/pets/{cat['id']}", {**CAT, "stock": 100})
    for who in (ann, ann, bob, ann, ann):
        make(door.admin, "/orders", order(who, (cat, 1)))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = door.admin.get(f"/orders?customer_id={ann['id']}&limit=3&cursor={cursor}").json
        seen += [one["id"] for one in page["items"]]
        assert all(one["items"][0]["pet_id"] == cat["id"] for one in page["items"])
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == 4
    assert len(door.admin.get("/orders").json["items"]) == 5


def test_another_tenant_has_another_store(door: Door) -> None:
    cat, ann = shop(door.admin)
    made = make(door.admin, "/orders", order(ann, (cat, 1)))
    other, _ = door.tenant("acme")
    for path in (f"/pets/{cat['id']}", f"/customers/{ann['id']}", f"/orders/{made['id']}"):
        assert other.get(path).status == 404
    assert other.put(f"/pets/{cat['id']}", CAT).status == 404
    assert other.delete(f"/pets/{cat['id']}").status == 404
    assert other.patch(f"/orders/{made['id']}", {"status": "cancelled"}).status == 404
    for path in ("/pets", "/customers", "/orders"):
        assert other.get(path).json["items"] == []
    mine, theirs = make(other, "/pets", CAT), make(other, "/customers", {"name": "Ann", "email": "ann@example.test"})
    assert other.post("/orders", order(ann, (mine, 1))).status == 422
    assert other.post("/orders", order(theirs, (cat, 1))).status == 422
    assert door.admin.get(f"/pets/{cat['id']}").json["stock"] == 2


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("pets:read", {"GET /pets"}), ("pets:write", {"POST /pets"}), ("orders:read", {"GET /orders"})],
)
def test_scopes(small_door: Door, scope: str, allowed: set[str]) -> None:
    client = small_door.client(scope)
    for method, path, body in (
        ("GET", "/pets", None),
        ("POST", "/pets", CAT),
        ("GET", "/customers", None),
        ("GET", "/orders", None),
    ):
        answer = client(method, path, body)
        assert (answer.status < 300) is (f"{method} {path}" in allowed), (method, path, answer.status)
        assert answer.status in {200, 201, 403}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/pets", {}),
        ("/pets", {**CAT, "price_cents": -1}),
        ("/pets", {**CAT, "price_cents": 1.5}),
        ("/pets", {**CAT, "price_cents": "100"}),
        ("/pets", {**CAT, "stock": 10**9}),
        ("/pets", {**CAT, "name": ""}),
        ("/pets", {**CAT, "name": "x" * 101}),
        ("/pets", {**CAT, "name": "a\nb"}),
        ("/pets", {**CAT, "status": "sold"}),
        ("/pets", {**CAT, "tenant_id": "x"}),
        ("/pets", {**CAT, "id": "x"}),
        ("/customers", {"name": "x", "email": "no address"}),
        ("/customers", {"name": "x", "email": "a@b@c"}),
        ("/orders", {"customer_id": "x", "items": []}),
        ("/orders", {"customer_id": "0" * 32, "items": []}),
        ("/orders", {"customer_id": "0" * 32, "items": [{"pet_id": "0" * 32, "quantity": 0}]}),
        ("/orders", {"customer_id": "0" * 32, "items": [{"pet_id": "0" * 32, "quantity": 1}]}),
        ("/orders", {"customer_id": "0" * 32, "items": [{"pet_id": "0" * 32, "quantity": 1}] * 51}),
    ],
)
def test_bad_bodies(small_door: Door, path: str, body: dict[str, Any]) -> None:
    answer = small_door.admin.post(path, body)
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"].startswith("#")


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"x" * (1 << 20) + b"x", "application/json", 413),
        (b"name=x", "application/x-www-form-urlencoded", 415),
    ],
)
def test_bad_bytes(small_door: Door, raw: bytes, content_type: str, status: int) -> None:
    assert small_door.admin("POST", "/pets", raw=raw, content_type=content_type).status == status


def test_a_pet_twice_in_one_order(small_door: Door) -> None:
    cat, ann = shop(small_door.admin)
    assert small_door.admin.post("/orders", order(ann, (cat, 1), (cat, 1))).status == 422
    assert small_door.admin.get(f"/pets/{cat['id']}").json["stock"] == 3


def test_wrong_methods_and_paths(small_door: Door) -> None:
    answer = small_door.admin("PATCH", "/pets")
    assert answer.status == 405
    assert set(answer.headers.get("allow").split(", ")) >= {"GET", "POST"}
    assert small_door.admin.get("/pets/").status == 404
    assert small_door.admin.get("/pets/x/y").status == 404


def test_the_folder_stays_small() -> None:
    import pycryptoutil.services.learn_ps as package

    folder = Path(package.__file__).parent
    assert sum(len(path.read_text().splitlines()) for path in folder.rglob("*.py")) < 500
