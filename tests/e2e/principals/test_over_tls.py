"""Doors, sessions and pages of a running service, over TLS, by a client that is none of ours."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pycryptoutil.clock import SystemClock
from tests.support.suite import StartSuite, Suite, make_suite

SERVICE = "learn-ps"
API = "/browser/api/v1"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """One pet store for all tests of this file."""
    made = make_suite(tmp_path_factory.mktemp("suite"), SERVICE)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def browser_of(running: Suite) -> Callable[[], httpx.Client]:
    """Make a browser: it keeps cookies and says where its requests come from."""

    def make() -> httpx.Client:
        url = running.url(SERVICE)
        return running.http(SERVICE, headers={"Origin": url, "Sec-Fetch-Site": "same-origin"})

    return make


@pytest.fixture
def browser(browser_of: Callable[[], httpx.Client]) -> Iterator[httpx.Client]:
    with browser_of() as client:
        yield client


def log_in(client: httpx.Client, suite: Suite) -> dict[str, Any]:
    answer = client.post(f"{API}/login", json={"username": "admin", "password": suite.credentials["password"]})
    assert answer.status_code == 200, answer.text
    client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    found: dict[str, Any] = answer.json()
    return found


def test_a_browser_logs_in_works_and_logs_out(browser: httpx.Client, running: Suite) -> None:
    assert browser.get(f"{API}/me").status_code == 401
    log_in(browser, running)
    assert browser.get(f"{API}/me").json()["name"] == "admin"
    made = browser.post(f"{API}/pets", json={"name": "Tom", "species": "cat", "price_cents": 1, "stock": 1})
    assert made.status_code == 201
    assert browser.get(f"{API}/pets/{made.json()['id']}").headers["etag"] == '"1"'
    token = browser.headers.pop("X-CSRF-Token")
    assert browser.post(f"{API}/logout").status_code == 403
    assert browser.post(f"{API}/logout", headers={"X-CSRF-Token": token}).status_code == 204
    assert browser.get(f"{API}/me").status_code == 401


def test_basic_bearer_and_nothing(running: Suite) -> None:
    given = running.credentials
    with running.http(SERVICE) as client:
        basic = (given["client_id"], given["client_secret"])
        assert client.get("/service/api/v1/me", auth=basic).json()["kind"] == "client"
        made = client.post("/service/api/v1/tokens", auth=basic, json={"name": "t", "scopes": ["pets:read"]})
        bearer = {"Authorization": f"Bearer {made.json()['token']}"}
        assert client.get("/service/api/v1/pets", headers=bearer).status_code == 200
        assert client.get("/service/api/v1/orders", headers=bearer).status_code == 403
        nobody = client.get("/service/api/v1/pets", auth=None, headers={"Authorization": "Bearer pcu_x"})
        assert nobody.status_code == 401
        assert "Bearer" in nobody.headers["www-authenticate"]


def test_pages_by_a_client_without_scripts(browser: httpx.Client, running: Suite) -> None:
    for path in ("/browser/", "/browser/login", "/browser/docs", "/browser/static/style.css"):
        assert browser.get(path).status_code == 200
    form = {"username": "admin", "password": running.credentials["password"], "next": "/browser/docs"}
    answer = browser.post("/browser/login", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/browser/docs")
    home = browser.get("/browser/").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', home)
    assert token is not None
    out = browser.post("/browser/logout", data={"csrf_token": token[1]})
    assert (out.status_code, out.headers["location"]) == (303, "/browser/login")


def test_the_document_is_served_at_both_doors(running: Suite) -> None:
    with running.http(SERVICE) as client:
        one = client.get("/service/api/v1/openapi.json", auth=None)
        two = client.get("/browser/api/v1/openapi.json", auth=None)
    assert one.json() == two.json()
    assert one.json()["openapi"].startswith("3.1")


def test_nothing_secret_is_in_the_log(browser: httpx.Client, running: Suite) -> None:
    log_in(browser, running)
    cookie = browser.cookies["__Host-session"]
    browser.post(f"{API}/login", json={"username": "admin", "password": "a wrong password"})
    text = running.log_text()
    secrets = [running.credentials["password"], running.credentials["client_secret"]]
    for secret in (*secrets, cookie, browser.headers["X-CSRF-Token"], "a wrong password"):
        assert secret not in text


def _issue(name: str, issuer: x509.Certificate | None, signer: Any, *, ca: bool) -> tuple[x509.Certificate, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above = issuer.subject if issuer else subject
    now = SystemClock().now()
    made = (
        x509.CertificateBuilder(above, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer or key, hashes.SHA256())
    )
    return made, key


def test_a_client_certificate_over_tls(suite: StartSuite, tmp_path: Path) -> None:
    root, root_key = _issue("Client CA", None, None, ca=True)
    leaf, leaf_key = _issue("client", root, root_key, ca=False)
    (tmp_path / "ca.pem").write_bytes(root.public_bytes(Encoding.PEM))
    pair = tmp_path / "client.pem"
    key = leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pair.write_bytes(leaf.public_bytes(Encoding.PEM) + key)
    tls = {"client_policy": "verify-if-given", "client_ca": str(tmp_path / "ca.pem"), "client_revocation": False}
    running = suite(tmp_path, SERVICE, {"public": {"tls": tls}})
    given = running.credentials
    with running.http(SERVICE) as client:
        basic = (given["client_id"], given["client_secret"])
        body = {"certificate": leaf.public_bytes(Encoding.PEM).decode()}
        bound = client.post(f"/service/api/v1/principals/{given['client_id']}/certificates", auth=basic, json=body)
        assert bound.status_code == 201, bound.text
    with running.http(SERVICE, certificate=pair) as client:
        me = client.get("/service/api/v1/me").json()
    assert (me["kind"], me["id"]) == ("certificate", given["client_id"])
    stranger, stranger_key = _issue("client", None, None, ca=False)
    key = stranger_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pair.write_bytes(stranger.public_bytes(Encoding.PEM) + key)
    with running.http(SERVICE, certificate=pair) as client, pytest.raises(httpx.TransportError):
        client.get("/service/api/v1/me")


def test_curl_enters(running: Suite) -> None:
    given = running.credentials
    command = ["curl", "--silent", "--fail-with-body", "--cacert", str(running.trust_bundle)]
    command += ["-u", f"{given['client_id']}:{given['client_secret']}"]
    done = subprocess.run(
        [*command, f"{running.url(SERVICE)}/service/api/v1/me"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"kind":"client"' in done.stdout
