"""Rings: made, listed, changed, rotated, ended; and their published sets."""

from __future__ import annotations

from typing import Any

import pytest

from pycryptoutil import jose
from pycryptoutil.jose.text import b64e
from tests.support.door import Answer, Caller, Door


def make(caller: Caller, name: str, algorithm: str = "ES256", **more: Any) -> dict[str, Any]:
    made = caller.post("/elastic-jwks", {"name": name, "algorithm": algorithm, **more})
    assert made.status == 201, made.text
    found: dict[str, Any] = made.json
    return found


def published(door: Door, place: str = "/.well-known/jwks.json", **headers: str) -> Answer:
    return door.send("GET", place, list(headers.items()))


def kids(answer: Answer) -> list[str]:
    return [one["kid"] for one in answer.json["keys"]]


def versions(caller: Caller, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.get(f"/elastic-jwks/{name}/versions").json["items"]
    return found


def test_a_ring_s_life(door: Door) -> None:
    made = door.admin.post(
        "/elastic-jwks",
        {
            "name": "tokens",
            "algorithm": "ES256",
            "description": "of the shop",
            "max_materials": 5,
            "labels": {"a": "b"},
        },
    )
    ring = made.json
    assert (ring["kty"], ring["alg"], ring["use"], ring["max_materials"]) == ("EC", "ES256", "sig", 5)
    assert made.headers.get("etag")
    path = f"/elastic-jwks/{ring['id']}"
    assert door.admin.get(path).json == door.admin.get("/elastic-jwks/tokens").json == ring
    again = door.admin.post("/elastic-jwks", {"name": "tokens", "algorithm": "ES256"})
    assert again.status == 409
    changed = door.admin.patch(path, {"description": "new", "rotation_period": 86400}, headers={"If-Match": '"1"'})
    assert (changed.status, changed.json["description"]) == (200, "new")
    assert changed.json["rotates_at"] is not None
    assert door.admin.patch(path, {"description": "lost"}, headers={"If-Match": '"1"'}).status == 412
    assert door.admin.patch(path, {"status": "disabled"}).json["status"] == "disabled"
    refused = door.admin.post("/jws/sign", {"key": "tokens", "text": "a"})
    assert (refused.status, refused.json["detail"]) == (409, "the key is disabled")
    assert door.admin.patch(path, {"status": "enabled"}).json["status"] == "enabled"
    gone = door.admin.delete(path)
    assert (gone.json["status"], gone.json["delete_at"] is not None) == ("deleted", True)
    assert door.admin.post("/jws/sign", {"key": "tokens", "text": "a"}).status == 409
    assert door.admin.post(f"{path}/restore").json["status"] == "disabled"
    actions = {one["action"] for one in door.admin.get("/audit/events").json["items"]}
    assert {"key.create", "key.update", "key.disable", "key.enable", "key.delete", "key.restore"} <= actions


def test_lists_have_filters_order_cursor_and_total(door: Door) -> None:
    for name, algorithm, use in (("a1", "ES256", "sig"), ("a2", "ES384", "sig"), ("b1", "A256KW", "enc")):
        make(door.admin, name, algorithm, use=use)

    def names(query: str) -> tuple[list[str], int]:
        found = door.admin.get(f"/elastic-jwks?{query}").json
        return [one["name"] for one in found["items"]], found["total"]

    assert names("") == (["a1", "a2", "b1"], 3)
    assert names("name=a") == (["a1", "a2"], 2)
    assert names("use=enc") == (["b1"], 1)
    assert names("algorithm=ES384") == (["a2"], 1)
    assert names("sort=name&descending=true") == (["b1", "a2", "a1"], 3)
    door.admin.patch("/elastic-jwks/a2", {"status": "disabled"})
    assert names("status=disabled") == (["a2"], 1)
    assert names("created_after=2030-01-01T00:00:00Z") == ([], 0)
    assert names("created_before=2030-01-01T00:00:00Z")[1] == 3
    first = door.admin.get("/elastic-jwks?limit=2").json
    assert (len(first["items"]), first["total"]) == (2, 3)
    assert names(f"limit=2&cursor={first['next']}") == (["b1"], 3)
    assert door.admin.get(f"/elastic-jwks?sort=created_at&cursor={first['next']}").status == 422
    assert door.admin.get("/elastic-jwks?colour=red").status == 422


def test_the_next_key_is_published_before_its_first_use(door: Door) -> None:
    make(door.admin, "tokens")
    before = kids(published(door))
    assert len(before) == 2
    rotated = door.admin.post("/elastic-jwks/tokens/rotate", {})
    assert (rotated.status, rotated.json["kid"]) == (200, before[1])
    after = kids(published(door))
    assert set(before) < set(after)
    assert len(after) == 3


def test_a_rotation_waits_until_the_next_key_has_been_seen(door: Door) -> None:
    make(door.admin, "tokens")
    door.clock.advance(10)
    assert door.admin.post("/elastic-jwks/tokens/rotate", {}).status == 200  # both keys came with the first set
    early = door.admin.post("/elastic-jwks/tokens/rotate", {})
    assert (early.status, early.headers.get("retry-after")) == (409, "601")
    door.clock.advance(601)
    assert door.admin.post("/elastic-jwks/tokens/rotate", {}).status == 200
    assert door.admin.post("/elastic-jwks/tokens/rotate", {"force": True}).status == 200


def test_a_retired_key_is_published_for_the_grace_time_and_reads_after_it(door: Door) -> None:
    make(door.admin, "tokens")
    token = door.admin.post("/jws/sign", {"key": "tokens", "text": "a"}).json["jws"]
    old = kids(published(door))[0]
    door.clock.advance(10)
    door.admin.post("/elastic-jwks/tokens/rotate", {})
    assert old in kids(published(door))
    door.clock.advance(86401)
    assert old not in kids(published(door))
    assert door.admin.post("/jws/verify", {"key": "tokens", "jws": token}).status == 200
    found = {one["version"]: (one["status"], one["published"]) for one in versions(door.admin, "tokens")}
    assert found == {1: ("retired", False), 2: ("active", True), 3: ("pending", True)}


def test_due_rings_rotate_by_themselves(door: Door) -> None:
    make(door.admin, "tokens", rotation_period=3600)
    next_kid = versions(door.admin, "tokens")[1]["kid"]
    door.edge.state.keyring.maintain()
    assert door.admin.get("/elastic-jwks/tokens").json["active_version"] == 1
    door.clock.advance(3601)
    door.edge.state.keyring.maintain()
    ring = door.admin.get("/elastic-jwks/tokens").json
    assert (ring["active_version"], ring["kid"]) == (2, next_kid)


@pytest.mark.parametrize(
    ("algorithm", "use"), [("HS256", "sig"), ("A256KW", "enc"), ("A128CBC-HS256", "enc"), ("A256GCMKW", "enc")]
)
def test_a_secret_is_never_published(door: Door, algorithm: str, use: str) -> None:
    ring = make(door.admin, "secret", algorithm, use=use)
    assert (ring["kty"], ring["jwks_url"]) == ("oct", None)
    everything = published(door)
    assert everything.json == {"keys": []}
    assert published(door, f"/jwks/{ring['tenant']}/{ring['id']}/jwks.json").json == {"keys": []}
    for one in versions(door.admin, "secret"):
        assert (one["jwk"], one["pem"], one["published"]) == (None, None, False)
    assert '"k"' not in everything.text


def test_only_public_members_are_published(door: Door) -> None:
    for name, algorithm, use in (
        ("rsa", "PS256/RSA-2048", "sig"),
        ("okp", "EdDSA/Ed25519", "sig"),
        ("ed448", "Ed448", "sig"),
        ("akp", "ML-DSA-44", "sig"),
        ("box", "ECDH-ES+A256KW/X25519", "enc"),
    ):
        make(door.admin, name, algorithm, use=use)
    found = published(door)
    assert len(found.json["keys"]) == 10
    secret = {"d", "p", "q", "dp", "dq", "qi", "k", "priv", "oth"}
    assert not any(secret & set(one) for one in found.json["keys"])
    assert {one["use"] for one in found.json["keys"]} == {"sig", "enc"}
    assert all(one["alg"] and one["kid"] for one in found.json["keys"])
    jose.JwkSet.parse(found.body)


def test_published_sets_are_cacheable(door: Door) -> None:
    make(door.admin, "tokens")
    found = published(door)
    assert found.headers.get("content-type") == "application/jwk-set+json"
    assert found.headers.get("cache-control") == "public, max-age=300, must-revalidate"
    assert found.headers.get("access-control-allow-origin") == "*"
    etag = found.headers.get("etag")
    assert published(door, **{"If-None-Match": etag}).status == 304
    door.admin.post("/elastic-jwks/tokens/rotate", {})
    assert published(door, **{"If-None-Match": etag}).status == 200


def test_a_set_is_answered_from_memory_while_it_is_fresh(door: Door) -> None:
    make(door.admin, "tokens")
    sets = door.edge.state.published
    assert sets.cached("", "") is None
    first = published(door)
    assert sets.cached("", "").body == first.body
    door.clock.advance(2.6)
    assert sets.cached("", "") is None  # nothing has looked whether it is still so
    published(door)
    door.clock.advance(2)
    sets.refresh()
    door.clock.advance(2)
    assert sets.cached("", "") is not None
    door.admin.post("/elastic-jwks/tokens/rotate", {"force": True})
    assert sets.cached("", "") is None  # a change made here shows at once
    published(door)
    door.clock.advance(200)
    sets.refresh()
    assert sets.cached("", "") is None  # nobody has asked for long


def test_another_replica_s_change_shows(door: Door) -> None:
    make(door.admin, "tokens")
    other = door.definition.build(door.edge.resources)
    assert len(kids(published(door))) == 2
    other.keyring.rotate(door.tenant_id, "tokens", "somebody")
    door.clock.advance(1)
    door.edge.state.published.refresh()
    assert len(kids(published(door))) == 3
    other.keyring.revoke(door.tenant_id, "tokens", 1, "somebody")
    door.clock.advance(3)
    assert len(kids(published(door))) == 2


def test_sets_of_tenants_and_rings(door: Door) -> None:
    ring = make(door.admin, "tokens")
    other, tenant = door.tenant("other")
    theirs = make(other, "tokens", "ES384")
    assert len(published(door).json["keys"]) == 2
    for name in ("other", theirs["tenant"]):
        found = published(door, f"/jwks/{name}/jwks.json")
        assert {one["alg"] for one in found.json["keys"]} == {"ES384"}
    assert published(door, f"/jwks/other/{theirs['id']}/jwks.json").status == 200
    assert published(door, "/jwks/other/tokens/jwks.json").status == 200
    for place in (f"/jwks/other/{ring['id']}/jwks.json", "/jwks/nobody/tokens/jwks.json", "/jwks/nobody/jwks.json"):
        missing = published(door, place)
        assert (missing.status, missing.json["detail"]) == (404, "there is no such set of keys")
    assert tenant


def test_versions_end(door: Door) -> None:
    make(door.admin, "tokens")
    first = door.admin.post("/jws/sign", {"key": "tokens", "text": "a"}).json["jws"]
    door.admin.post("/elastic-jwks/tokens/rotate", {})
    base = "/elastic-jwks/tokens/versions/1"
    assert door.admin.get(base).json["status"] == "retired"
    assert door.admin.post(f"{base}/disable").json["status"] == "disabled"
    refused = door.admin.post("/jws/verify", {"key": "tokens", "jws": first})
    assert (refused.status, refused.json["detail"]) == (409, "version 1 is disabled")
    assert door.admin.post(f"{base}/enable").json["status"] == "retired"
    assert door.admin.post("/jws/verify", {"key": "tokens", "jws": first}).status == 200
    ended = door.admin.post(f"{base}/revoke", {"reason": "lost"}).json
    assert (ended["status"], ended["reason"], ended["published"]) == ("revoked", "lost", False)
    assert door.admin.post(f"{base}/enable").status == 409
    assert door.admin.post("/jws/verify", {"key": "tokens", "jws": first}).json["detail"] == "version 1 is revoked"
    assert door.admin.post(f"{base}/destroy", {}).json["status"] == "destroyed"
    assert door.admin.post("/elastic-jwks/tokens/versions/2/destroy", {}).status == 409  # the active one
    assert door.admin.get("/elastic-jwks/tokens/versions/99").status == 404


def test_a_full_ring_rotates_no_more(door: Door) -> None:
    make(door.admin, "tokens", max_materials=2)
    assert door.admin.post("/elastic-jwks/tokens/rotate", {}).status == 200
    full = door.admin.post("/elastic-jwks/tokens/rotate", {})
    assert full.status == 409
    assert "destroy one first" in full.json["detail"]
    door.admin.post("/elastic-jwks/tokens/versions/1/destroy", {})
    assert door.admin.post("/elastic-jwks/tokens/rotate", {}).status == 200


def test_uses_are_counted(door: Door) -> None:
    make(door.admin, "tokens")
    items = [{"key": "tokens", "payload": b64e(str(number).encode())} for number in range(5)]
    made = door.admin.post("/jws/sign/batch", {"operations": items}).json["results"]
    token = door.admin.post("/jws/sign", items[0]).json["jws"]
    checks = [{"key": "tokens", "jws": one["result"]["jws"]} for one in made]
    door.admin.post("/jws/verify/batch", {"operations": checks})
    door.admin.post("/jws/verify", {"key": "tokens", "jws": token})
    found = versions(door.admin, "tokens")[0]
    assert (found["protected"], found["processed"]) == (6, 6)


def test_what_a_ring_cannot_be(door: Door) -> None:
    def status(**body: Any) -> int:
        return door.admin.post("/elastic-jwks", {"name": "x", "algorithm": "ES256", **body}).status

    assert status(algorithm="none") == 400
    assert status(algorithm="RSA1_5", use="enc") == 400
    assert status(algorithm="ES256/RSA-2048") == 422
    assert status(algorithm="ES256", use="enc") == 422
    assert status(algorithm="HKDF-SHA256") == 422
    assert status(algorithm="A256SIV", use="enc") == 422
    assert status(algorithm="A256SIV/oct", use="enc") == 422
    assert status(name="a/b") == 422
    assert status(name="0" * 32) == 422
    assert status(max_materials=1) == 422
    assert status(rotation_period=599) == 422
    assert status(colour="red") == 422
    assert status(labels={"a": 1}) == 422
    assert door.admin.get("/elastic-jwks").json["total"] == 0


def test_scopes(door: Door) -> None:
    make(door.admin, "tokens")
    reader, signer = door.client("jose:read"), door.client("jose:sign")
    assert reader.get("/elastic-jwks/tokens").status == 200
    assert reader.post("/elastic-jwks", {"name": "x", "algorithm": "ES256"}).status == 403
    assert reader.post("/jws/sign", {"key": "tokens", "text": "a"}).status == 403
    made = signer.post("/jws/sign", {"key": "tokens", "text": "a"})
    assert made.status == 200
    assert signer.post("/jws/verify", {"key": "tokens", "jws": made.json["jws"]}).status == 403
    assert signer.post("/jwk/generate", {"algorithm": "EC-P256"}).status == 403
    assert signer.post("/jws/sign/stream", raw=b"{}", content_type="application/x-ndjson").status == 200
    assert reader.post("/jws/sign/stream", raw=b"{}", content_type="application/x-ndjson").status == 403
    assert door.anonymous.post("/jws/sign", {"key": "tokens", "text": "a"}).status == 401


def test_the_browser_door_has_the_same_rings(door: Door) -> None:
    session, _ = door.login()
    ring = make(session, "tokens")
    assert door.admin.get("/elastic-jwks/tokens").json == ring
    assert session.post("/jws/sign", {"key": "tokens", "text": "a"}).status == 200
