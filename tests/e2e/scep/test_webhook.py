"""Challenges that somebody else judges."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pycryptoutil_protocols.csr import decode_csr
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.scep.messages import FailInfo, PkiStatus
from pydantic import ValidationError

from pycryptoutil.authority.scep import ScepRules, Webhook
from pycryptoutil.services.pki_ca.scep.settings import ScepSettings, WebhookSettings
from tests.e2e.scep.conftest import PACKAGES
from tests.support.authority import TENANT
from tests.support.databases import Databases
from tests.support.scep import ScepWorld, leaf, open_scep


@dataclass
class Judge:
    """What is answered next, and what was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b'{"allow": true}'
    asked: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture(scope="module")
def _judge() -> Iterator[Judge]:
    found = Judge()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append((dict(self.headers), body))
            self.send_response(found.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/judge?a=b"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def judge(_judge: Judge) -> Judge:
    """The one judge, who allows everything again and has been asked nothing."""
    _judge.status, _judge.body = 200, b'{"allow": true}'
    _judge.asked.clear()
    return _judge


@pytest.fixture(scope="module")
def hooked(
    _judge: Judge, _sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ScepWorld]:
    rules = ScepRules(webhooks=(Webhook("tls-client", "", _judge.url, "hook secret", 5.0),))
    with open_scep(_sqlite_databases.fresh(PACKAGES), tmp_path_factory.mktemp("hooked"), rules=rules) as world:
        yield world


def test_asks_and_believes(hooked: ScepWorld, judge: Judge) -> None:
    device = hooked.device("their secret", label="tls-client")
    found = leaf(device.enrol())
    record = hooked.service.certificate(TENANT, f"{found.serial_number:x}")
    assert record.requester == "scep:webhook:tls-client"
    ((headers, body),) = judge.asked
    expected = hmac.new(b"hook secret", body, hashlib.sha256).hexdigest()
    assert headers["X-Signature"] == f"sha256={expected}"
    asked: dict[str, Any] = json.loads(body)
    assert decode_csr(base64.b64decode(asked.pop("csr"))).challenge_password == "their secret"
    assert asked == {
        "challenge": "their secret",
        "transaction_id": device.enrol_request().transaction_id,
        "profile": "tls-client",
        "authority": "issuing",
        "subject": "CN=device.example.test",
        "names": ["dns:device.example.test"],
        "time": hooked.clock.now().isoformat(),
    }


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"allow": false, "reason": "no"}'),
        (200, b'{"allow": 1}'),
        (200, b'{"allow": "true"}'),
        (200, b"[true]"),
        (200, b"not JSON"),
        (200, b"[" * 50_000),
        (302, b'{"allow": true}'),
        (403, b'{"allow": true}'),
        (204, b""),
    ],
)
def test_anything_but_a_yes_is_a_no(hooked: ScepWorld, judge: Judge, status: int, body: bytes) -> None:
    judge.status, judge.body = status, body
    answer = hooked.device("their secret", label="tls-client", number=6).enrol()
    assert (answer.status, answer.fail_info) == (PkiStatus.FAILURE, FailInfo.BAD_REQUEST)
    assert len(judge.asked) == 1  # no redirect is followed


def test_is_not_asked_about_others(hooked: ScepWorld, judge: Judge) -> None:
    made = hooked.credential("tls-client")
    leaf(hooked.device(made.password, label="tls-client").enrol())
    answer = hooked.device("their secret", label="tls-server").enrol()
    assert answer.fail_info is FailInfo.BAD_REQUEST
    assert judge.asked == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_who_cannot_be_asked_is_asked_later(hooked: ScepWorld, judge: Judge, status: int) -> None:
    judge.status = status
    device = hooked.device("their secret", label="tls-client", number=7)
    with pytest.raises(Fault) as caught:
        device.enrol()
    assert caught.value.kind is FaultKind.UNAVAILABLE
    judge.status = 200
    leaf(device.enrol())


def test_a_webhook_that_is_gone(empty: str, tmp_path: Path) -> None:
    rules = ScepRules(webhooks=(Webhook("tls-client", "", "http://127.0.0.1:9/", "", 0.5),))
    with open_scep(empty, tmp_path, rules=rules) as world, pytest.raises(Fault) as caught:
        world.device("their secret", label="tls-client").enrol()
    assert caught.value.kind is FaultKind.UNAVAILABLE
    assert "their secret" not in repr(caught.value) + caught.value.detail


@pytest.mark.parametrize("url", ["http://judge.example/", "ftp://localhost/", "https:///", "judge", "http://10.0.0.1/"])
def test_webhooks_are_asked_over_tls(url: str) -> None:
    with pytest.raises(ValidationError):
        WebhookSettings(profile="device", url=url)


def test_settings_say_it() -> None:
    settings = ScepSettings.model_validate(
        {
            "signing_time_window": 0,
            "challenges": [{"profile": "device", "secret": "long enough"}],
            "webhooks": [{"profile": "device", "url": "https://judge.example/x", "secret": "s"}],
        }
    )
    rules = settings.rules()
    assert rules.clock_skew is None
    assert (rules.challenges[0].secret, rules.webhooks[0].url) == ("long enough", "https://judge.example/x")
    assert "long enough" not in repr(rules) + repr(settings)
    with pytest.raises(ValidationError):
        ScepSettings.model_validate({"challenges": [{"profile": "device", "secret": "short"}]})
