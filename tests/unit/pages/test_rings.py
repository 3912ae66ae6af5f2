"""The pages of rings: made, rotated when the next key is known, revoked, and what they refuse."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import urlsplit

import pytest

from pycryptoutil.keyring import KeyStatus, VersionStatus
from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.services.jose_ja import SERVICE
from tests.support.door import Caller
from tests.unit.pages.conftest import Console, log_in, person

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def service() -> ServiceDefinition:
    return SERVICE


def make(console: Console, name: str = "tokens", **fields: str) -> str:
    """Make a ring by the form; return its page."""
    made = console.send("/rings/new", **{"name": name, "use": "sig", "algorithm": "ES256", **fields})
    assert made.status == 303, made.text
    return made.headers.get("location").removeprefix("/browser").partition("?")[0]


def published(console: Console, page: str) -> list[str]:
    """Follow the page's link to the published set; return its kids."""
    found = re.search(r'<a href="([^"]+)">JWK Set of this ring', console.get(page).text)
    assert found is not None
    answer = Caller(console.door, "").get(urlsplit(html.unescape(found[1])).path)
    assert answer.status == 200
    return [one["kid"] for one in json.loads(answer.body)["keys"]]


def test_a_ring_lives_and_ends_by_its_pages(console: Console) -> None:
    assert console.get("/").headers.get("location") == "/browser/rings"
    assert "No ring yet" in console.get("/rings").text
    ring, tenant = console.door.edge.state.keyring, console.door.tenant_id
    page = make(console, description=HOSTILE, rotation_days="90", max_materials="9", read_revoked="true")
    key = ring.get(tenant, "tokens")
    assert (key.policy.rotation_period, key.policy.max_versions, key.policy.read_revoked) == (90 * 86400, 9, True)
    for path in ("/rings", page):
        text = console.get(path).text
        assert "<script>" not in text
        assert html.escape(HOSTILE).replace("&quot;", "&#34;") in text
    kids = [one.kid for one in ring.versions(tenant, key.id)]
    assert published(console, page) == kids  # the active one, and the next one
    assert all(kid in console.get(page).text for kid in kids)

    assert console.send(f"{page}/rotate").headers.get("location") == f"/browser{page}?done=rotated"
    console.door.clock.advance(5)
    assert console.send(f"{page}/rotate", force="true").status == 303
    early = console.send(f"{page}/rotate")
    assert early.status == 422
    assert "relying parties may not have it yet" in early.text
    console.door.clock.advance(console.door.edge.state.settings.publish_ahead_seconds)
    assert console.send(f"{page}/rotate").status == 303
    assert ring.get(tenant, key.id).active_version == 4
    assert len(published(console, page)) == 5

    assert console.send(f"{page}/versions/1/disable").status == 303
    assert console.send(f"{page}/versions/1/enable").status == 303
    assert console.send(f"{page}/versions/1/revoke", reason=HOSTILE).status == 303
    first = ring.version(tenant, key.id, 1)
    assert (first.status, first.reason) == (VersionStatus.REVOKED, HOSTILE)
    assert "<script>" not in console.get(page).text
    assert kids[0] not in published(console, page)  # at once: the set in memory is forgotten
    assert console.send(f"{page}/versions/1/revoke").status == 422
    assert console.send(f"{page}/disable").status == 303
    assert console.send(f"{page}/enable").status == 303
    assert console.send(f"{page}/delete").status == 303
    assert "It will be destroyed in 7 days" in console.get(page).text
    assert console.send(f"{page}/restore").status == 303
    assert ring.get(tenant, key.id).status is KeyStatus.DISABLED


def test_use_is_drawn_by_version(console: Console) -> None:
    page = make(console)
    assert "No version has been used yet." in console.get(page).text
    for _ in range(3):
        sent = console.door.admin.post("/jws/sign", {"key": "tokens", "payload": "aGk"})
        assert sent.status == 200, sent.text
    assert "Use by version from v1 to v2. In all: Protected 3, Read 0." in console.get(page).text
    assert console.send(f"{page}/rotate").status == 303
    assert "About 3 objects hang on older versions: none of them is accepted" in console.get(page).text


def test_secrets_are_not_published(console: Console) -> None:
    text = console.get(make(console, "secrets", algorithm="HS256")).text
    assert "its keys are secrets" in text
    assert "JWK Set of this ring" not in text


def test_a_wrong_ring_shows_the_form_again(console: Console) -> None:
    make(console)
    offered = re.findall(r'<option value="([^"]+)"', console.get("/rings/new").text)
    assert {"ES256", "ML-DSA-65", "A256GCM", "ECDH-ES+A256KW/X25519"} <= set(offered)
    assert not [name for name in offered if "SIV" in name]  # sm-kms has them
    cases: tuple[tuple[dict[str, str], str], ...] = (
        ({"name": ""}, "Fill this in."),
        ({"use": "dance"}, "f-use"),
        ({"name": "tokens"}, "complaints"),
        ({"name": "a/b?c"}, "complaints"),
        ({"algorithm": "A256GCM"}, "complaints"),
        ({"algorithm": "A256SIV", "use": "enc"}, "complaints"),
        ({"rotation_days": "0"}, "f-rotation_days"),
        ({"max_materials": "1"}, "f-max_materials"),
    )
    for fields, message in cases:
        form = {"name": "x", "use": "sig", "algorithm": "ES256", "description": "for the web", **fields}
        answer = console.send("/rings/new", **form)
        assert answer.status == 422, fields
        assert message in answer.text
        assert 'value="for the web"' in answer.text


def test_nobody_uses_what_is_not_theirs(console: Console) -> None:
    page = make(console)
    reader = person(console.door, "reader", "jose:read")
    text = reader.get(page).text
    for word in ("/rotate", "/versions/1/revoke", "/disable", "/delete"):
        assert word not in text
        assert reader.send(f"{page}{word}", force="true").status == 403
    assert reader.send("/rings/new", name="x", use="sig", algorithm="ES256").status == 403
    assert console.send(f"{page}/rotate", "wrong token", force="true").status == 403
    assert console.send(f"{page}/versions/1/revoke", "wrong token").status == 403
    assert person(console.door, "signer", "jose:sign").get("/rings").status == 403
    assert console.door.edge.state.keyring.get(console.door.tenant_id, "tokens").active_version == 1
    _, made = console.door.tenant("other")
    stranger = log_in(console.door, f"other/{made['username']}", made["password"])
    assert stranger.get(page).status == 404
    assert stranger.send(f"{page}/versions/1/revoke").status == 404
    assert "tokens" not in stranger.get("/rings").text
