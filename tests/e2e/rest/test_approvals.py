"""Requests that wait for people, over REST: asked, listed, decided, and by whom not."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pycryptoutil.crypto.x509 import pem
from tests.support.authority import csr
from tests.support.door import Answer, Door

PROFILE = """name: waiting
title: Two people agree
approvals: 2
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256]}
names: {types: [dns], required: true}
key_usage: {default: [digitalSignature]}
extended_key_usage: [clientAuth]
"""


def ask(door: Door, name: str = "a.example.com", **body: Any) -> Answer:
    """The same request every time, which makes repeats."""
    if "csr" not in body and "generate_key" not in body:
        body["csr"] = pem(csr(name), "CERTIFICATE REQUEST")
    return door.admin.post("/certificates", {"profile": "waiting", **body})


def put(door: Door) -> None:
    assert door.admin.put("/profiles/waiting", raw=PROFILE.encode(), content_type="application/yaml").status == 200


def test_two_people_agree(door: Door) -> None:
    put(door)
    request = pem(csr("a.example.com"), "CERTIFICATE REQUEST")
    asked = ask(door, csr=request)
    assert (asked.status, asked.json["state"], asked.json["needed"]) == (202, "pending", 2)
    assert int(asked.headers.get("retry-after")) > 0
    identifier = asked.json["id"]
    assert ask(door, csr=request).json["id"] == identifier, "a repeat is the same request"
    assert asked.json["csr"] == request
    listed = door.admin.get("/approvals?state=pending").json["items"]
    assert [(one["id"], one["sans"], one["protocol"]) for one in listed] == [
        (identifier, ["dns:a.example.com"], "rest")
    ]

    own = door.admin.post(f"/approvals/{identifier}/approve", {})
    assert (own.status, "asks" in own.json["detail"]) == (403, True)
    people = [door.client("pki:read", "approvals:decide") for _ in range(3)]
    first = people[0].post(f"/approvals/{identifier}/approve", {"comment": "known to me"})
    assert (first.status, first.json["state"], first.json["approvals"]) == (200, "pending", 1)
    again = people[0].post(f"/approvals/{identifier}/approve", {})
    assert (again.status, again.json["approvals"]) == (200, 1), "saying it twice counts once"
    assert people[0].post(f"/approvals/{identifier}/reject", {}).status == 409
    door.clock.advance(1)
    second = people[1].post(f"/approvals/{identifier}/approve", {})
    assert (second.json["state"], second.json["approvals"]) == ("issued", 2)
    assert people[2].post(f"/approvals/{identifier}/approve", {}).status == 409

    given = ask(door, csr=request)
    assert (given.status, given.json["serial"]) == (200, second.json["serial"])
    leaf = x509.load_pem_x509_certificate(given.json["certificate"].encode())
    assert f"{leaf.serial_number:x}" == second.json["serial"]
    shown = door.admin.get(f"/approvals/{identifier}").json
    assert [(one["decision"], one["comment"]) for one in shown["decisions"]] == [
        ("approve", "known to me"),
        ("approve", ""),
    ]
    actions = [one["action"] for one in door.admin.get("/audit/events?limit=50").json["items"]]
    assert actions.count("approval.approve") == 2
    assert {"approval.request", "certificate.issue"} <= set(actions)


def test_a_rejection_ends_it(door: Door) -> None:
    put(door)
    request = pem(csr("a.example.com"), "CERTIFICATE REQUEST")
    identifier = ask(door, csr=request).json["id"]
    judge = door.client("pki:read", "approvals:decide")
    told = judge.post(f"/approvals/{identifier}/reject", {"comment": "who is that?"})
    assert (told.status, told.json["state"]) == (200, "rejected")
    again = ask(door, csr=request)
    assert (again.status, "who is that?" in again.json["detail"]) == (403, True)
    door.clock.advance(25 * 3600)
    assert ask(door, csr=request).status == 202, "some time later it is a new request"
    assert door.admin.get("/approvals?state=rejected").json["items"][0]["id"] == identifier


def test_a_key_made_here_waits_too(door: Door) -> None:
    put(door)
    body = {"generate_key": True, "sans": ["k.example.com"]}
    asked = ask(door, **body)
    assert (asked.status, "private_key" in asked.json) == (202, False)
    for _ in range(2):
        judge = door.client("pki:read", "approvals:decide")
        assert judge.post(f"/approvals/{asked.json['id']}/approve", {}).status == 200
    given = ask(door, **body)
    assert given.status == 200
    key = load_pem_private_key(given.json["private_key"].encode(), None)
    leaf = x509.load_pem_x509_certificate(given.json["certificate"].encode())
    assert key.public_key() == leaf.public_key()


def test_what_cannot_be_issued_any_more_has_failed(door: Door) -> None:
    put(door)
    identifier = ask(door).json["id"]
    judges = [door.client("pki:read", "approvals:decide") for _ in range(2)]
    judges[0].post(f"/approvals/{identifier}/approve", {})
    narrowed = PROFILE.replace("names: {types: [dns]", "names: {types: [email]")
    assert door.admin.put("/profiles/waiting", raw=narrowed.encode(), content_type="application/yaml").status == 200
    ended = judges[1].post(f"/approvals/{identifier}/approve", {})
    assert (ended.status, ended.json["state"], ended.json["serial"]) == (200, "failed", None)
    assert ended.json["reason"]
    assert door.admin.get("/certificates?profile=waiting").json["items"] == []


def test_it_waits_so_long(door: Door) -> None:
    put(door)
    identifier = ask(door).json["id"]
    door.clock.advance(15 * 86400)
    assert door.admin.get(f"/approvals/{identifier}").json["state"] == "expired"
    judge = door.client("pki:read", "approvals:decide")
    assert judge.post(f"/approvals/{identifier}/approve", {}).status == 409
    door.edge.state.authority.maintain()
    assert [one["id"] for one in door.admin.get("/approvals?state=expired").json["items"]] == [identifier]


def test_who_may_and_what_is_wrong(door: Door) -> None:
    put(door)
    identifier = ask(door).json["id"]
    reader = door.client("pki:read")
    assert reader.get(f"/approvals/{identifier}").status == 200
    for decision in ("approve", "reject"):
        assert reader.post(f"/approvals/{identifier}/{decision}", {}).status == 403
    judge = door.client("pki:read", "approvals:decide")
    assert judge.post("/approvals/nothing/approve", {}).status == 404
    assert judge.post(f"/approvals/{identifier}/approve", {"comment": "x" * 501}).status == 422
    assert judge.post(f"/approvals/{identifier}/approve", {"odd": 1}).status == 422
    for query in ("state=odd", "cursor=x", "limit=0"):
        assert door.admin.get(f"/approvals?{query}").status == 422, query
    stranger, _ = door.tenant("other")
    assert stranger.get(f"/approvals/{identifier}").status == 404
    assert stranger.post(f"/approvals/{identifier}/approve", {}).status == 404
    assert stranger.get("/approvals").json["items"] == []
    # what the policy refuses is refused at once, and waits for nobody
    refused = ask(door, csr=pem(csr("a.example.com", cn="b.example.com"), "CERTIFICATE REQUEST"))
    assert refused.status in {400, 403, 422}


def test_lists_go_by_pages(door: Door) -> None:
    put(door)
    for n in range(5):
        ask(door, f"p{n}.example.com")
        door.clock.advance(1)
    first = door.admin.get("/approvals?limit=3").json
    second = door.admin.get(f"/approvals?limit=3&cursor={first['next']}").json
    names = [one["sans"][0] for one in first["items"] + second["items"]]
    assert names == [f"dns:p{n}.example.com" for n in (4, 3, 2, 1, 0)]
    assert second["next"] is None
