"""ACME over a real listener: what the edge does with it. What the protocol does is in tests/unit/acme."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.acme import AcmeClient, Reply
from tests.support.authority import csr
from tests.support.pki import Ca
from tests.support.suite import StartSuite, Suite, until


def client_of(suite: Suite, label: str = "tls-server") -> AcmeClient:
    http = suite.http()

    def send(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        answer = http.request(method, url, content=body, headers=dict(headers))
        links = {name: str(link["url"]) for name, link in answer.links.items()}
        return Reply(answer.status_code, answer.headers, answer.content, links)

    return AcmeClient(send, f"{suite.url()}/acme/{label}/directory")


def test_the_edge(ca: Ca) -> None:
    client = client_of(ca.suite)
    assert client.register().status == 201
    assert client.get(client.directory["newNonce"], "HEAD").status == 200
    assert client.get(client.directory["newNonce"]).status == 204
    url = client.directory["newOrder"]
    assert client.get(url).status == 405
    assert client.get(url).problem == "malformed"
    for kind in ("application/json", "text/plain", ""):
        reply = client.raw(url, b"{}", kind)
        assert (reply.status, reply.problem) == (415, "malformed")
    reply = client.raw(url, b"x" * 200_000)
    assert (reply.status, reply.problem) == (413, "malformed")
    assert client.get(f"{ca.suite.url()}/acme/nobody/directory").problem == "malformed"
    assert client.get(f"{ca.suite.url()}/acme/tls-server/nothing").status == 404


def test_it_is_not_on_the_plain_listener(ca: Ca) -> None:
    assert ca.suite.http(listener="plain").get("/acme/tls-server/directory").status_code == 404


def test_disabled_it_is_not_there(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path, "pki-ca", {"pki_ca": {"acme": {"enabled": False}}})
    assert running.http().get("/acme/tls-server/directory").status_code == 404


@pytest.mark.parametrize("workers", [2])
def test_several_workers_and_a_kill_while_validating(suite: StartSuite, tmp_path: Path, workers: int) -> None:
    """The first answer is never given; the suite is killed meanwhile, and after the restart the job goes on."""
    asked = threading.Semaphore(0)
    answers: dict[str, bytes] = {}
    held = threading.Event()

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.release()
            if not answers:
                held.wait(60)
            body = answers.get(self.path.rpartition("/")[2], b"")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    web = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
    settings = {"http_ports": [web.server_port], "timeout_seconds": 2, "retry_seconds": 1, "attempts": 20}
    running = suite(tmp_path, "pki-ca", {"pki_ca": {"acme": settings}}, workers=workers)
    client = client_of(running)
    client.register()
    order = client.order("killed.test")
    challenge = client.challenge(client.authorizations(order)[0], "http-01")
    client.post(challenge["url"], {})
    assert asked.acquire(timeout=60)
    running.kill()
    running.start()
    answers[challenge["token"]] = client.key_authorization(challenge).encode()
    held.set()
    again = client_of(running)
    again.key, path = client.key, order.headers["location"].partition("/acme/")[2]
    again.register(onlyReturnExisting=True)
    url = f"{running.url()}/acme/{path}"
    until(lambda: again.post(url).json["status"] == "ready", "validated after the restart", 120)
    done = again.finalize(again.post(url), csr("killed.test"))
    assert done.json["status"] == "valid"
    web.shutdown()
    web.server_close()
