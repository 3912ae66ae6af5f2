"""Elastic keys, versions, transfer, quorum, backups and rewrap jobs over REST."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from pycryptoutil import jose
from pycryptoutil.jose.text import b64e, dumps
from pycryptoutil.services.sm_kms.jobs import service as jobs
from pycryptoutil.services.sm_kms.state import State
from tests.support.door import Caller, Door


def make(door: Door, name: str = "one", purpose: str = "encrypt", **more: Any) -> Any:
    made = door.admin.post("/elastic-keys", {"name": name, "purpose": purpose, **more})
    assert made.status == 201, made.text
    return made.json


def own_key() -> jose.JwkPrivate:
    made = jose.generate("EC-P256", alg="ECDH-ES+A256KW")
    assert isinstance(made, jose.JwkPrivate)
    return made


def test_a_key_from_birth_to_destruction(door: Door) -> None:
    admin = door.admin
    made = make(door, description="of the year", labels={"team": "red"}, rotation_period=86400)
    assert (made["algorithm"], made["status"], made["active_version"], made["labels"]) == (
        "A256GCM",
        "enabled",
        1,
        {"team": "red"},
    )
    by_name = admin.get("/elastic-keys/one")
    assert by_name.json == admin.get(f"/elastic-keys/{made['id']}").json
    tag = by_name.headers.get("etag")
    changed = admin.patch("/elastic-keys/one", {"description": "x", "max_versions": 5}, headers={"If-Match": tag})
    assert (changed.status, changed.json["description"], changed.json["max_versions"]) == (200, "x", 5)
    assert changed.json["rotation_period"] == 86400
    assert admin.patch("/elastic-keys/one", {"description": "y"}, headers={"If-Match": tag}).status == 412
    assert admin.patch("/elastic-keys/one", {"export_allowed": True}).status == 422
    assert admin.post("/elastic-keys/one/rotate").json["version"] == 2
    assert admin.post("/elastic-keys/one/prepare").json["status"] == "pending"
    assert admin.post("/elastic-keys/one/versions/3/activate").json["status"] == "active"
    assert admin.post("/elastic-keys/one/versions/2/disable").json["status"] == "disabled"
    assert admin.post("/elastic-keys/one/versions/2/enable").json["status"] == "retired"
    assert admin.post("/elastic-keys/one/versions/2/destroy", {"reason": "old"}).json["status"] == "destroyed"
    assert [one["version"] for one in admin.get("/elastic-keys/one/versions").json["items"]] == [1, 2, 3]
    for bad in ("0", "01", "x", "99", "1" * 30):
        assert admin.get(f"/elastic-keys/one/versions/{bad}").status == 404
    assert admin.delete("/elastic-keys/one?waiting_period=60").status == 422
    assert admin.delete("/elastic-keys/one?waiting_period=3600").json["status"] == "deleted"
    assert admin.post("/elastic-keys/one/restore").json["status"] == "disabled"
    assert admin.post("/elastic-keys/one/enable").json["status"] == "enabled"
    assert admin.post("/elastic-keys/one/destroy", {}).status == 409
    assert admin.post("/elastic-keys/one/disable").status == 200
    assert admin.post("/elastic-keys/one/destroy", {"reason": "the end"}).json["status"] == "destroyed"
    assert admin.get(f"/elastic-keys/{made['id']}").json["status"] == "destroyed"
    assert admin.get("/elastic-keys/one").status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"purpose": "encrypt"},
        {"name": "a/b", "purpose": "encrypt"},
        {"name": "x", "purpose": "everything"},
        {"name": "x", "purpose": "encrypt", "rotation_period": 5},
        {"name": "x", "purpose": "encrypt", "algorithm": "A256GCM/EC-P256"},
        {"name": "x", "purpose": "sign", "algorithm": "A256GCM"},
        {"name": "x", "purpose": "encrypt", "unknown": 1},
        {"name": "x", "purpose": "encrypt", "labels": {"": "x"}},
        {"name": "x", "purpose": "encrypt", "generate": False},
    ],
)
def test_orders_that_make_no_sense(light: Door, body: dict[str, Any]) -> None:
    answer = light.admin.post("/elastic-keys", body)
    assert answer.status == 422, answer.text
    assert answer.headers.get("content-type") == "application/problem+json"


@pytest.mark.parametrize("algorithm", ["RSA1_5", "RSA-OAEP", "none", "PBES2-HS256+A128KW", "ES256K", "A128CTR"])
def test_what_is_not_approved_is_refused(light: Door, algorithm: str) -> None:
    answer = light.admin.post("/elastic-keys", {"name": "x", "purpose": "encrypt", "algorithm": algorithm})
    assert answer.status == 400


def test_every_filter_order_and_page(light: Door) -> None:
    for name, purpose in (("delta", "sign"), ("alpha", "encrypt"), ("charlie", "sign"), ("bravo", "mac")):
        light.clock.advance(60)
        make(light, name, purpose, labels={"team": name[0], "size": "l"})
    light.admin.post("/elastic-keys/bravo/disable")

    def names(query: str) -> list[str]:
        answer = light.admin.get(f"/elastic-keys?{query}")
        assert answer.status == 200, answer.text
        return [one["name"] for one in answer.json["items"]]

    middle = light.admin.get("/elastic-keys/alpha").json["created_at"].replace("+", "%2B")
    assert names("") == ["alpha", "bravo", "charlie", "delta"]
    assert names("name=l") == ["alpha", "charlie", "delta"]
    assert names("algorithm=ES256") == ["charlie", "delta"]
    assert names("purpose=mac") == ["bravo"]
    assert names("status=disabled") == ["bravo"]
    assert names(f"created_after={middle}") == ["bravo", "charlie"]
    assert names(f"created_before={middle}") == ["delta"]
    assert names("label=team=d") == ["delta"]
    assert names("label=team=d&label=size=l") == ["delta"]
    assert names("label=team=a&label=size=s") == []
    assert names("sort=created_at") == ["delta", "alpha", "charlie", "bravo"]
    assert names("sort=updated_at&order=desc")[0] == "bravo"
    assert names("sort=rotated_at&order=desc") == ["bravo", "charlie", "alpha", "delta"]
    first = light.admin.get("/elastic-keys?limit=3").json
    assert (len(first["items"]), first["total"]) == (3, 4)
    last = light.admin.get(f"/elastic-keys?limit=3&cursor={first['next']}").json
    assert ([one["name"] for one in last["items"]], last["next"], last["total"]) == (["delta"], None, 4)
    for bad in (
        "cursor=x",
        f"order=desc&cursor={first['next']}",
        "sort=id",
        "limit=0",
        "label=x",
        "label=x=1&label=x=2",
        "foo=1",
    ):
        assert light.admin.get(f"/elastic-keys?{bad}").status == 422


def test_import_and_export(door: Door) -> None:
    make(door, "own", "sign", import_allowed=True, export_allowed=True, generate=False)
    assert door.admin.post("/elastic-keys/own/sign", {"payload": "eA"}).status == 409
    mine, document = own_key(), jose.generate("EC-P256").export()

    def bring(members: Any) -> Any:
        key = door.admin.post("/elastic-keys/own/import-keys", {"alg": "ML-KEM-768+A192KW"}).json
        public = jose.parse_public(dumps(key["public_jwk"]))
        body = {"import_key": key["id"], "wrapped": jose.encrypt(public, dumps(members))}
        return door.admin.post("/elastic-keys/own/import", body)

    assert bring(document).status == 201
    other = jose.generate("EC-P256").export()
    assert bring({**document, "d": other["d"]}).status == 400  # halves of two keys
    assert bring(jose.generate("EC-P384").export()).status == 422
    weak = {"kty": "RSA", "n": b64e((2**1023 + 1).to_bytes(128)), "e": "AQAB"}
    assert bring(weak).status == 400
    assert bring(document).status == 409  # the same key twice
    out = door.admin.post("/elastic-keys/own/versions/1/export", {"recipient": mine.public.members()})
    assert out.status == 200
    assert json.loads(jose.decrypt(mine, out.json["jwe"]).plaintext)["d"] == document["d"]
    make(door, "closed")
    refused = door.admin.post("/elastic-keys/closed/versions/1/export", {"recipient": mine.public.members()})
    assert refused.status == 403
    secret = door.admin.post("/elastic-keys/own/versions/1/export", {"recipient": mine.export()})
    assert secret.status == 422
    assert mine.export()["d"] not in secret.text


def test_a_quorum_holds_over_rest(door: Door) -> None:
    mine = own_key()
    make(door, "vault", quorum=2, export_allowed=True)
    alice: Caller = door.client("keys:write", "keys:export", "keys:destroy", "keys:approve", "keys:read")
    bob, carol = (door.client("keys:approve") for _ in range(2))
    to = {"recipient": mine.public.members()}
    assert alice.post("/elastic-keys/vault/versions/1/export", to).status == 403
    asked = {"action": "export", "version": 1, "recipient": mine.public.thumbprint()}
    made = alice.post("/elastic-keys/vault/approvals", asked)
    assert (made.status, made.json["state"], made.json["needed"]) == (201, "pending", 2)
    place = f"/key-approvals/{made.json['id']}"
    assert alice.post(f"{place}/approve").status == 403
    assert bob.post(f"{place}/approve").json["state"] == "pending"
    assert bob.post(f"{place}/approve").status == 409
    spent = to | {"approval": made.json["id"]}
    assert alice.post("/elastic-keys/vault/versions/1/export", spent).status == 403
    assert carol.post(f"{place}/approve").json["state"] == "approved"
    assert alice.post("/elastic-keys/vault/versions/1/export", spent).status == 200
    assert alice.post("/elastic-keys/vault/versions/1/export", spent).status == 403
    assert alice.delete("/elastic-keys/vault").status == 403
    assert alice.get(place).json["state"] == "done"
    assert len(alice.get("/elastic-keys/vault/approvals").json["items"]) == 1
    assert len(alice.get("/key-approvals").json["items"]) == 1
    stranger, _ = door.tenant("other")
    assert stranger.get(place).status == 404
    assert stranger.post(f"{place}/approve").status == 404


def test_backup_and_restore(door: Door) -> None:
    mine = own_key()
    make(door)
    token = door.admin.post("/elastic-keys/one/encrypt", {"plaintext": "eA"}).json["ciphertext"]
    saved = door.admin.post("/key-backups", {"recovery_key": mine.public.members()})
    assert saved.status == 200, saved.text
    stranger, _ = door.tenant("other")
    wrap = stranger.post("/key-restores/keys", {"alg": "ECDH-ES+A256KW"}).json
    document = jose.decrypt(mine, saved.json["jwe"]).plaintext
    wrapped = jose.encrypt(jose.parse_public(dumps(wrap["public_jwk"])), document)
    body = {"import_key": wrap["id"], "wrapped": wrapped}
    assert door.admin.post("/key-restores", body).status == 404  # another tenant's restore key
    done = stranger.post("/key-restores", body)
    assert (done.status, done.json) == (200, {"keys": ["one"], "versions": 1, "kept": 0})
    assert stranger.post("/elastic-keys/one/decrypt", {"ciphertext": token}).json["plaintext"] == "eA"
    assert stranger.post("/key-restores", body).status == 404  # used up
    assert door.admin.post("/tenant-root/rotate").json == {"versions": 1}
    assert door.admin.post("/elastic-keys/one/decrypt", {"ciphertext": token}).status == 200


def _state(door: Door) -> State:
    found: State = door.edge.state
    return found


def _job(door: Door, count: int) -> tuple[str, list[str]]:
    make(door)
    items = [{"plaintext": b64e(b"%d" % number)} for number in range(count)]
    made = door.admin.post("/elastic-keys/one/encrypt", {"operations": items}).json["results"]
    texts = [one["result"]["ciphertext"] for one in made]
    door.admin.post("/elastic-keys/one/rotate")
    return door.admin.post("/elastic-keys/one/rewrap-jobs", {}).json["id"], texts


def test_a_rewrap_job_that_is_interrupted_loses_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK", 7)
    job, texts = _job(door, 30)
    texts[11] = "e30.a.b.c.d"
    place, admin = f"/rewrap-jobs/{job}", door.admin
    assert admin.post(f"{place}/objects", {"first": 0, "objects": texts[:20]}).json["total"] == 20
    again = admin.post(f"{place}/objects", {"first": 0, "objects": texts[:20]})
    assert (again.status, "20 objects" in again.json["detail"]) == (409, True)
    assert admin.post(f"{place}/objects", {"first": 20, "objects": texts[20:]}).json["total"] == 30
    assert admin.get(f"{place}/results").json["items"] == []
    assert admin.post(f"{place}/start").json["state"] == "running"
    assert admin.post(f"{place}/objects", {"first": 30, "objects": texts[:1]}).status == 409
    assert _state(door).jobs.step(door.tenant_id, job) is True
    assert admin.get(place).json["done"] == 7
    # killed in the middle of a chunk: nothing of it is there
    with monkeypatch.context() as broken:
        broken.setattr(jobs.store, "change", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            _state(door).jobs.step(door.tenant_id, job)
    assert admin.get(place).json["done"] == 7
    _state(door).keyring.flush()
    door.configure(door.settings)  # a restart
    _state(door).jobs.work()
    found = admin.get(place).json
    assert (found["state"], found["done"], found["failed"], found["total"]) == ("finished", 30, 1, 30)
    results = admin.get(f"{place}/results?limit=12").json
    assert (len(results["items"]), results["next"]) == (12, 12)
    rest = admin.get(f"{place}/results?first=12&limit=100").json
    everything = results["items"] + rest["items"]
    assert (len(everything), rest["next"]) == (30, None)
    assert [one["position"] for one in everything if one["error"]] == [11]
    opened = [{"ciphertext": one["ciphertext"]} for one in everything if not one["error"]]
    back = admin.post("/elastic-keys/one/decrypt", {"operations": opened}).json
    assert back["failed"] == 0
    assert {one["result"]["version"] for one in back["results"]} == {2}
    assert back["results"][-1]["result"]["plaintext"] == b64e(b"29")
    usage = admin.get("/elastic-keys/one/versions/1").json["usage"]
    assert (usage["protected"], usage["rewrapped"]) == (30, 29)
    stranger, _ = door.tenant("other")
    assert stranger.get(place).status == 404
    assert len(admin.get("/rewrap-jobs").json["items"]) == 1
    assert admin.delete(place).status == 204
    assert admin.get(place).status == 404


def test_rotation_by_period_and_the_end_of_waiting(light: Door) -> None:
    make(light, rotation_period=3600)
    make(light, "gone")
    light.admin.delete("/elastic-keys/gone?waiting_period=3600")
    light.clock.advance(timedelta(hours=1).total_seconds())
    _state(light).keyring.maintain()
    assert light.admin.get("/elastic-keys/one").json["active_version"] == 2
    assert light.admin.get("/elastic-keys/gone").status == 404


def test_a_sealed_service_does_nothing(light: Door) -> None:
    make(light)
    light.barrier.seal()
    answer = light.admin.post("/elastic-keys/one/encrypt", {"plaintext": "eA"})
    assert answer.status == 503
    _state(light).jobs.work()
