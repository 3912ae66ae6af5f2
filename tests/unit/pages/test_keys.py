"""The pages of keys: made, rotated, revoked, and what they refuse."""

from __future__ import annotations

import html
import re

import pytest

from pycryptoutil.keyring import KeyStatus, VersionStatus
from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.services.sm_kms import SERVICE
from tests.unit.pages.conftest import Console, log_in, person

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def service() -> ServiceDefinition:
    return SERVICE


def make(console: Console, name: str = "invoices", **fields: str) -> str:
    """Make a key by the form; return its page."""
    made = console.send("/keys/new", name=name, purpose=fields.pop("purpose", "encrypt"), **fields)
    assert made.status == 303, made.text
    return made.headers.get("location").removeprefix("/browser").partition("?")[0]


def test_a_key_lives_and_ends_by_its_pages(console: Console) -> None:
    assert "No key yet" in console.get("/keys").text
    ring, tenant = console.door.edge.state.keyring, console.door.tenant_id
    page = make(console, description=HOSTILE, rotation_days="90", quorum="2", read_revoked="true")
    key = ring.get(tenant, "invoices")
    assert (key.policy.rotation_period, key.policy.quorum, key.policy.read_revoked) == (90 * 86400, 2, True)
    for path in ("/keys", page):
        text = console.get(path).text
        assert "<script>" not in text
        assert html.escape(HOSTILE).replace("&quot;", "&#34;") in text
    assert console.send(f"{page}/rotate").status == 303
    assert ring.get(tenant, key.id).active_version == 2
    assert console.send(f"{page}/versions/1/disable").status == 303
    assert console.send(f"{page}/versions/1/enable").status == 303
    assert console.send(f"{page}/versions/1/revoke", reason="the laptop was lost").status == 303
    first = ring.version(tenant, key.id, 1)
    assert (first.status, first.reason) == (VersionStatus.REVOKED, "the laptop was lost")
    assert "the laptop was lost" in console.get(page).text
    again = console.send(f"{page}/versions/1/revoke")
    assert again.status == 422
    assert 'role="alert"' in again.text
    assert console.send(f"{page}/versions/2/revoke", reason="x" * 301).status == 422
    assert console.send(f"{page}/versions/9/revoke").status in {404, 422}
    assert console.send(f"{page}/disable").status == 303
    assert console.send(f"{page}/enable").status == 303
    assert ring.get(tenant, key.id).status is KeyStatus.ENABLED


def test_a_deletion_can_be_taken_back(console: Console) -> None:
    page = make(console)
    assert console.send(f"{page}/delete").status == 303
    assert "It will be destroyed in 30 days" in console.get(page).text
    assert "/rotate" not in console.get(page).text
    assert console.send(f"{page}/rotate").status == 422
    assert console.send(f"{page}/restore").status == 303
    assert "Enable invoices" in console.get(page).text


def test_use_is_drawn_by_version(console: Console) -> None:
    page = make(console)
    assert "No version has been used yet." in console.get(page).text
    for _ in range(3):
        sent = console.door.admin.post("/elastic-keys/invoices/encrypt", {"operations": [{"plaintext": "aGk"}]})
        assert sent.status == 200, sent.text
    text = console.get(page).text
    assert "Use by version from v1 to v1. In all: Protected 3, Read 0." in text
    assert re.search(r'<th scope="row">v1</th><td class="right">3</td><td class="right">0</td>', text)


def test_a_wrong_key_shows_the_form_again(console: Console) -> None:
    make(console)
    cases: tuple[tuple[dict[str, str], str], ...] = (
        ({"purpose": "encrypt"}, "Fill this in."),
        ({"name": "x", "purpose": "dance"}, "f-purpose"),
        ({"name": "invoices", "purpose": "encrypt"}, "complaints"),
        ({"name": "a/b?c", "purpose": "encrypt"}, "complaints"),
        ({"name": "x", "purpose": "sign", "algorithm": "A256GCM"}, "complaints"),
        ({"name": "x", "purpose": "sign", "rotation_days": "0"}, "f-rotation_days"),
    )
    for fields, message in cases:
        answer = console.send("/keys/new", description="for the web", **fields)
        assert answer.status == 422, fields
        assert message in answer.text
        assert 'value="for the web"' in answer.text
    assert console.get("/keys?status=odd").status == 422
    assert "No key fits" in console.get("/keys?name=nothing").text


def test_nobody_uses_what_is_not_theirs(console: Console) -> None:
    page = make(console)
    reader = person(console.door, "reader", "keys:read")
    text = reader.get(page).text
    for word in ("/rotate", "/revoke", "/disable", "/delete"):
        assert word not in text
        assert reader.send(f"{page}{word}" if word != "/revoke" else f"{page}/versions/1/revoke").status == 403
    assert reader.send("/keys/new", name="x", purpose="sign").status == 403
    assert console.send(f"{page}/rotate", "wrong token").status == 403
    assert console.door.edge.state.keyring.get(console.door.tenant_id, "invoices").active_version == 1
    _, made = console.door.tenant("other")
    stranger = log_in(console.door, f"other/{made['username']}", made["password"])
    assert stranger.get(page).status == 404
    assert "invoices" not in stranger.get("/keys").text


def test_a_quorum_votes(console: Console) -> None:
    assert "Nothing needs a quorum" in console.get("/key-approvals").text
    make(console, quorum="1")
    asked = console.door.admin.post("/elastic-keys/invoices/approvals", {"action": "destroy", "version": 1})
    assert asked.status == 201, asked.text
    shown = console.get("/key-approvals").text
    assert "destroy version 1 of" in shown
    assert "invoices" in shown
    vote = f"/key-approvals/{asked.json['id']}/vote"
    assert console.send(vote, decision="perhaps").status == 422
    assert console.send(vote, decision="approve").headers.get("location") == "/browser/key-approvals?done=approved"
    assert "1 of 1" in console.get("/key-approvals").text
    assert person(console.door, "reader", "keys:read").send(vote, decision="reject").status == 403
