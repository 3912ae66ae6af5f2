"""Webhooks and revocation of many, by the command line against a running suite."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.authority import csr, new_key
from tests.support.pki import Ca
from tests.support.suite import until

Got = list[tuple[str, dict[str, object]]]


@pytest.fixture
def receiver() -> Iterator[tuple[str, Got]]:
    """A URL, and what it was told."""
    got: Got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append((body["type"], body["data"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", got
    server.shutdown()
    server.server_close()


def test_a_compromised_key_is_revoked_and_told(ca: Ca, tmp_path: Path, receiver: tuple[str, Got]) -> None:
    suite, (url, got) = ca.suite, receiver
    hook = suite.cli_json("ca", "webhook", "add", url, "--type", "certificate.revoked", "--description", "ops")
    assert hook["secret"].startswith("whsec_")
    assert hook["secret"] not in suite.cli("ca", "webhook", "list").stdout + suite.log_text()
    assert "204" in suite.cli("ca", "webhook", "test", hook["id"]).stdout
    assert [kind for kind, _ in got] == ["webhook.test"]
    key = new_key()
    (tmp_path / "r.der").write_bytes(csr("k.example.test", key=key))
    (tmp_path / "key.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    serials = [
        suite.cli_json("ca", "issue", "--csr", tmp_path / "r.der", "--profile", "tls-server")["serial"]
        for _ in range(3)
    ]
    held = suite.cli_json("ca", "revoke-key", serials[0], "--reason", "certificateHold")
    assert sorted(held["serials"]) == sorted(serials)
    said = suite.cli("ca", "revoke-key", "--public-key", tmp_path / "key.pem").stdout
    assert "3 certificates revoked" in said
    until(lambda: len(got) == 7, "the webhook to be told")
    told = [data["serial"] for kind, data in got if data.get("reason") == "keyCompromise"]
    assert sorted(map(str, told)) == sorted(serials)

    def delivered() -> list[dict[str, object]]:
        rows: list[dict[str, object]] = suite.cli_json(
            "ca", "webhook", "deliveries", hook["id"], "--status", "delivered"
        )
        return rows if len(rows) == 7 else []

    rows = until(delivered, "every delivery to be settled")
    suite.cli("ca", "webhook", "redeliver", hook["id"], rows[0]["id"])
    assert len(got) == 8
    suite.cli("ca", "webhook", "disable", hook["id"])
    suite.cli("ca", "webhook", "test", hook["id"], code=1)
    suite.cli("ca", "webhook", "enable", hook["id"])
    suite.cli("ca", "webhook", "delete", hook["id"])
    suite.cli("ca", "webhook", "show", hook["id"], code=7)
    suite.cli("ca", "revoke-key", code=2)
    suite.cli("ca", "revoke-key", "abcdef", code=7)


def test_what_somebody_has_enrolled_is_revoked(ca: Ca, tmp_path: Path) -> None:
    suite = ca.suite
    (tmp_path / "r.der").write_bytes(csr("q.example.test"))
    serial = suite.cli_json("ca", "issue", "--csr", tmp_path / "r.der", "--profile", "tls-server")["serial"]
    requester = suite.cli_json("ca", "certificates", "show", serial)["requester"]
    found = suite.cli_json("ca", "revoke-requester", requester, "--reason", "affiliationChanged")
    assert serial in found["serials"]
    assert suite.cli_json("ca", "revoke-requester", requester)["serials"] == []
