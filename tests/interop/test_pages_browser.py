"""The pages in Chromium: from login to revocation, without JavaScript, and with axe finding nothing on any of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.node import NodePeer
from tests.support.pki import Ca
from tests.support.programs import need

pytestmark = pytest.mark.interop
CA_PAGES = (
    "/login",
    "/dashboard",
    "/certificates",
    "/certificates?status=odd",
    "/approvals",
    "/credentials",
    "/credentials/new",
    "/profiles",
    "/profiles/tls-server",
    "/profiles/tls-server/edit",
    "/new-profile",
    "/authorities",
    "/webhooks",
    "/webhooks/new",
    "/authorities/issuing",
    "/audit",
    "/audit/verification",
    "/account",
    "/docs",
    "/certificates/ffff",
)
KEY_PAGES = ("/keys", "/keys/new", "/key-approvals", "/audit")
RING_PAGES = ("/rings", "/rings/new", "/rings/axe-signs", "/rings/axe-secrets", "/rings?status=odd")


@pytest.fixture(scope="module")
def browser() -> Iterator[NodePeer]:
    need("chromium")
    peer = NodePeer(Path(__file__).with_name("pages_peer.mjs"), "playwright-core@1", "axe-core@4")
    yield peer
    peer.ask("close")
    peer.close()


@pytest.fixture(scope="module")
def serial(ca: Ca) -> str:
    """A certificate to be looked at."""
    names = ["dns:shop.pages.test", "dns:www.shop.pages.test"]
    return str(ca.issue("internal-tls", subject="CN=shop.pages.test", sans=names)["serial"])


def log_in(browser: NodePeer, ca: Ca, service: str = "pki-ca", **options: object) -> str:
    """Open a new browser, log in by the form, and return where the pages are."""
    browser.ask("open", executable=shutil.which("chromium"), **options)
    base = f"{ca.suite.url(service)}/browser"
    browser.ask("goto", url=f"{base}/login")
    browser.ask("fill", selector="#username", value="admin")
    browser.ask("fill", selector="#password", value=ca.suite.credentials["password"])
    browser.ask("click", selector="main button[type=submit]")
    return base


@pytest.mark.parametrize("javascript", [True, False])
def test_from_login_to_revocation(browser: NodePeer, ca: Ca, javascript: bool) -> None:
    name = f"revoked-{javascript}.pages.test".lower()
    made = ca.issue("internal-tls", subject=f"CN={name}", sans=[f"dns:{name}"])
    base = log_in(browser, ca, javascript=javascript)
    assert browser.ask("url") == f"{base}/dashboard"
    assert "What runs out next" in browser.ask("text")
    browser.ask("click", selector=".side a[href='/browser/certificates']")
    browser.ask("fill", selector="#f-name", value=name.upper())
    browser.ask("click", selector=".filters button")
    assert browser.ask("count", selector="tbody tr") == 1
    browser.ask("click", selector="tbody th a")
    assert f"dns:{name}" in browser.ask("text")
    browser.ask("click", selector="details.act summary")
    browser.ask("select", selector="#f-reason", value="superseded")
    browser.ask("click", selector="button.danger")
    assert "The certificate is revoked." in browser.ask("text", selector="[role=status]")
    assert ca.record(made["serial"]).json()["reason"] == "superseded"
    browser.ask("click", selector=".who button")
    assert browser.ask("url") == f"{base}/login"
    browser.ask("goto", url=f"{base}/dashboard")
    assert browser.ask("url") == f"{base}/login?next=/browser/dashboard"
    assert browser.ask("refused") == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_axe_finds_nothing(browser: NodePeer, ca: Ca, serial: str, scheme: str, width: int) -> None:
    found = {}
    for name, algorithm in (("axe-signs", "ES256"), ("axe-secrets", "HS256")):
        made = ca.suite.api("jose-ja").post("elastic-jwks", json={"name": name, "algorithm": algorithm})
        assert made.status_code in {201, 409}, made.text
    pages = {"pki-ca": (*CA_PAGES, f"/certificates/{serial}"), "sm-kms": KEY_PAGES, "jose-ja": RING_PAGES}
    for service, paths in pages.items():
        base = log_in(browser, ca, service, scheme=scheme, width=width)
        for path in paths:
            browser.ask("goto", url=f"{base}{path}")
            violations = browser.ask("axe")
            if browser.ask("overflows"):
                violations = [*violations, "wider than the window"]
            if violations:
                found[service + path] = violations
        assert browser.ask("refused") == []
    assert found == {}


def test_the_keyboard_gets_past_the_navigation(browser: NodePeer, ca: Ca) -> None:
    base = log_in(browser, ca)
    browser.ask("goto", url=f"{base}/certificates")
    browser.ask("press", key="Tab")
    assert browser.ask("focused") == "Skip to the content"
    browser.ask("press", key="Enter")
    assert browser.ask("url").endswith("#content")


def test_a_key_is_made_rotated_and_a_version_revoked(browser: NodePeer, ca: Ca) -> None:
    base = log_in(browser, ca, "sm-kms", javascript=False)
    assert browser.ask("url") == f"{base}/keys"
    browser.ask("goto", url=f"{base}/keys/new")
    browser.ask("fill", selector="#f-name", value="pages-key")
    browser.ask("select", selector="#f-purpose", value="sign")
    browser.ask("click", selector="main .form button[type=submit]")
    assert "The key is made" in browser.ask("text", selector="[role=status]")
    browser.ask("click", selector="form.gap button")
    assert "A new version is active." in browser.ask("text", selector="[role=status]")
    browser.ask("click", selector="tbody tr:last-child details.act summary")
    browser.ask("fill", selector="#reason-1", value="lost")
    browser.ask("click", selector="tbody tr:last-child button.danger")
    assert "The version is revoked" in browser.ask("text", selector="[role=status]")
    assert "lost" in browser.ask("text", selector="table")


def test_a_ring_is_made_rotated_without_waiting_and_a_key_revoked(browser: NodePeer, ca: Ca) -> None:
    base = log_in(browser, ca, "jose-ja", javascript=False)
    assert browser.ask("url") == f"{base}/rings"
    browser.ask("goto", url=f"{base}/rings/new")
    browser.ask("fill", selector="#f-name", value="pages-ring")
    browser.ask("select", selector="#f-algorithm", value="ES384")
    browser.ask("click", selector="main .form button[type=submit]")
    assert "The ring is made" in browser.ask("text", selector="[role=status]")
    browser.ask("click", selector="form.gap button")
    assert "The next key is active" in browser.ask("text", selector="[role=status]")
    browser.ask("click", selector="form.gap button")
    assert "relying parties may not have it yet" in browser.ask("text", selector="[role=alert]")
    browser.ask("click", selector="#f-force")
    browser.ask("click", selector="form.gap button")
    assert "The next key is active" in browser.ask("text", selector="[role=status]")
    browser.ask("click", selector="tbody tr:last-child details.act summary")
    browser.ask("fill", selector="#reason-1", value="lost")
    browser.ask("click", selector="tbody tr:last-child button.danger")
    assert "The version is revoked" in browser.ask("text", selector="[role=status]")
    browser.ask("click", selector=".facts a[href$='/jwks.json']")
    assert browser.ask("text").count('"kid"') == 3  # of four, one is revoked
    assert browser.ask("refused") == []
