"""What an administrator's commands tell, against a running suite."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from pycryptoutil.clock import SystemClock
from tests.support import programs
from tests.support.suite import StartSuite, Suite, until

PASSWORD = "correct horse battery"
TLS_FILES = {"certificate": "pem", "private_key": "key"}


def test_a_token_without_scopes_is_warned_of(shared_suite: Suite) -> None:
    done = shared_suite.cli("token", "add", "idle", "--json")
    assert "warning: without --scope" in done.stderr
    assert json.loads(done.stdout)["scopes"] == []
    assert shared_suite.cli("token", "add", "busy", "--scope", "pets:read", "--json").stderr == ""


def test_piped_tables_keep_cells_whole(shared_suite: Suite) -> None:
    shared_suite.cli("token", "add", "x" * 150, "--scope", "pets:read")
    lines = shared_suite.cli("token", "list").stdout.splitlines()
    assert lines[0].split("\t")[:2] == ["id", "name"]
    assert "x" * 150 in {line.split("\t")[1] for line in lines}


def test_an_advertised_name_that_leads_nowhere_from_here(suite: StartSuite, tmp_path: Path) -> None:
    """As in a container behind a balancer: the program's own commands reach it where it is bound, by that name."""
    running = suite(tmp_path, "learn-ps", {"public": {"url": "https://pets.example.test:9999/"}})
    address = running.ready["services"]["learn-ps"]
    assert address["public"] == "https://pets.example.test:9999"
    assert address["local"].startswith("https://127.0.0.1:")
    assert running.cli_json("token", "list") == []
    assert "alive" in running.cli("livez", "learn-ps").stdout
    with running.http() as other:  # the name is verified, not skipped: the leaf is of the advertised one
        other.base_url = httpx.URL(address["local"])
        named = {"sni_hostname": "other.example.test"}
        with pytest.raises(httpx.ConnectError):
            other.get("/service/api/v1/health", extensions=named)
        named["sni_hostname"] = "pets.example.test"
        assert other.get("/service/api/v1/health", extensions=named).status_code == 200


def test_every_worker_leaves_the_admin_listener_trusted(suite: StartSuite, tmp_path: Path) -> None:
    """The public certificate is given and the admin one made: only worker 0 knows the anchors of both."""
    programs.need("openssl")
    programs.run(programs.ROOT / "deploy" / "secrets" / "make.sh", tmp_path / "secrets")
    given = {name: str(tmp_path / "secrets" / f"public.{end}") for name, end in TLS_FILES.items()}
    running = suite(tmp_path / "suite", "learn-ps", {"public": {"tls": given}}, workers=2)
    assert "alive" in running.cli("livez", "learn-ps").stdout
    assert running.cli_json("token", "list") == []


def test_hashes_for_the_file_realm(suite: StartSuite, tmp_path: Path) -> None:
    first = suite(tmp_path, "learn-ps")
    made = first.cli("user", "hash", "--json", stdin=f"{PASSWORD}\n")
    assert PASSWORD not in made.stdout + made.stderr
    robot = first.cli_json("client", "hash")
    assert first.stop() == 0
    realm = {
        "users": [{"username": "root", "password": json.loads(made.stdout)["hash"], "scopes": ["admin"]}],
        "clients": [{"client_id": "robot", "client_secret": robot["hash"], "scopes": ["pets:read"]}],
    }
    again = suite(tmp_path, "learn-ps", {"realms": {"file": realm}})
    assert again.http(auth=("robot", robot["client_secret"])).get("/service/api/v1/pets").status_code == 200
    page = again.http(headers={"Origin": again.url()})
    login = page.post("/browser/login", data={"username": "root", "password": PASSWORD})
    assert (login.status_code, login.headers["location"]) == (303, "/browser/")


def test_the_root_leads_to_the_pages(shared_suite: Suite) -> None:
    answer = shared_suite.http("learn-ps").get("/", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/browser/")


def test_workers_and_services_count_failed_logins_together(suite: StartSuite, tmp_path: Path) -> None:
    """Four tables of one pair's five guesses would allow twenty; together they allow five."""
    running = suite(tmp_path, "suite", {"rate_limit": {"enabled": True}}, workers=2)
    wrong = (running.basic[0], "wrong")

    def guess(service: str) -> int:
        with running.http(service, auth=wrong, headers={"Connection": "close"}) as client:
            return client.get("/service/api/v1/me").status_code

    answers = []
    for number in range(20):
        answers.append(guess("pki-ca" if number % 2 else "learn-ps"))
        SystemClock().sleep(0.05)  # the others are told at once, but not before the answer
    assert answers.count(401) < 10, answers
    assert answers[-1] == 429
    until(lambda: {guess("pki-ca") for _ in range(6)} == {429}, "every worker refuses")
