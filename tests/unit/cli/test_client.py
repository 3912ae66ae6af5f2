"""The administrator's client: finding a suite, and telling failures in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner

from pycryptoutil.cli import exits
from pycryptoutil.cli.client import Administrator, ApiClient, Running, administrator_options, find, problem
from pycryptoutil.cli.exits import CommandError


def ready_file(folder: Path, **changes: Any) -> Path:
    document = {
        "services": {"pki-ca": {"public": "https://127.0.0.1:1", "admin": "https://127.0.0.1:2", "pid": 1}},
        "trust_bundle": str(folder / "ca.pem"),
        "admin_credentials": str(folder / "admin.json"),
        "data_dir": str(folder),
        **changes,
    }
    path = folder / "ready.json"
    path.write_text(json.dumps(document))
    return path


def client(answer: httpx.Response | Exception) -> ApiClient:
    def respond(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ApiClient(httpx.Client(transport=httpx.MockTransport(respond)), "https://suite.test/service/api/v1")


def test_ready_file_tells_services(tmp_path: Path) -> None:
    running = find(ready_file(tmp_path), None, None)
    assert running.url("pki-ca", "admin") == "https://127.0.0.1:2"
    assert running.service() == "pki-ca"
    with pytest.raises(CommandError, match="learn-ps is not running here; there is: pki-ca"):
        running.service("learn-ps")
    with pytest.raises(CommandError, match="no plain listener"):
        running.url("pki-ca", "plain")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"services": {}}', "\x00"])
def test_file_that_is_no_ready_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ready.json"
    path.write_text(content)
    with pytest.raises(CommandError, match="is not a ready-file") as caught:
        Running.read(path)
    assert caught.value.code == exits.UNREACHABLE


def test_no_ready_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such ready-file: is the suite running"):
        Running.read(tmp_path / "none.json")


def test_credentials_are_read_and_not_shown(tmp_path: Path) -> None:
    secret = {"tenant": "t", "client_id": "c", "client_secret": "hunter2", "username": "u", "password": "hunter3"}
    (tmp_path / "admin.json").write_text(json.dumps(secret))
    found = Administrator(Running.read(ready_file(tmp_path)), None).credentials
    assert (found.client_id, found.client_secret) == ("c", "hunter2")
    assert "hunter" not in repr(found)
    (tmp_path / "admin.json").write_text("{}")
    with pytest.raises(CommandError, match="holds no client_id and client_secret") as caught:
        _ = Administrator(Running.read(ready_file(tmp_path)), None).credentials
    assert caught.value.code == exits.DENIED


def test_problem_document_is_one_line_with_request_id() -> None:
    body = {
        "title": "Bad Request",
        "detail": "The request is not valid.\nReally.",
        "request_id": "abc123",
        "errors": [{"pointer": "#/names/0", "detail": "is not a name"}],
    }
    error = problem(httpx.Response(400, json=body))
    assert str(error) == "400 The request is not valid. Really. (#/names/0 is not a name) [request abc123]"
    assert error.code == exits.FAILED


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, exits.DENIED), (403, exits.DENIED), (404, exits.NOT_FOUND), (503, exits.NOT_READY), (409, exits.FAILED)],
)
def test_status_decides_the_exit_code(status: int, code: int) -> None:
    with pytest.raises(CommandError) as caught:
        client(httpx.Response(status, text="<html>", headers={"x-request-id": "r1"})).get("/x")
    assert caught.value.code == code
    assert "[request r1]" in str(caught.value)


def test_terminal_is_not_driven_by_a_peer() -> None:
    error = problem(httpx.Response(400, json={"detail": "\x1b[2Jgone", "request_id": "\x07"}))
    assert "\x1b" not in str(error)
    assert "\x07" not in str(error)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (httpx.ConnectError("refused"), "cannot connect"),
        (httpx.ConnectError("CERTIFICATE_VERIFY_FAILED"), "not trusted by the bundle"),
        (httpx.ReadTimeout("x"), "no answer in 60 s"),
    ],
)
def test_unreachable(raised: Exception, told: str) -> None:
    with pytest.raises(CommandError, match=told) as caught:
        client(raised).get("/x")
    assert caught.value.code == exits.UNREACHABLE


def test_answer_that_is_not_json() -> None:
    with pytest.raises(CommandError, match="is not JSON"):
        client(httpx.Response(200, text="hello")).get("/x")


def test_pages_follow_the_cursor() -> None:
    seen: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params.get("cursor", ""))
        last = seen[-1] == "b"
        return httpx.Response(200, json={"items": [len(seen)], "next": None if last else chr(96 + len(seen))})

    http = httpx.Client(transport=httpx.MockTransport(respond))
    assert list(ApiClient(http, "https://x.test").pages("/things", kind=None)) == [1, 2, 3]
    assert seen == ["", "a", "b"]


def test_words_are_said_once() -> None:
    body = {"detail": "'a b' is not a DNS name", "errors": [{"pointer": "sans", "detail": "'a b' is not a DNS name"}]}
    assert str(problem(httpx.Response(422, json=body))) == "422 'a b' is not a DNS name"


def test_bundle_replaces_the_one_of_the_ready_file(tmp_path: Path) -> None:
    assert find(ready_file(tmp_path), None, tmp_path / "mine.pem").trust_bundle == tmp_path / "mine.pem"


@pytest.mark.parametrize(
    ("arguments", "environment", "asked"),
    [
        (["--url", "https://127.0.0.1:9"], {"PYCRYPTOUTIL_READY_FILE": "ready.json"}, "https://127.0.0.1:9"),
        (["--ready-file", "ready.json"], {"PYCRYPTOUTIL_URL": "https://127.0.0.1:9"}, "https://127.0.0.1:1"),
        (
            [],
            {"PYCRYPTOUTIL_READY_FILE": "ready.json", "PYCRYPTOUTIL_URL": "https://127.0.0.1:9"},
            "https://127.0.0.1:1",
        ),
    ],
)
def test_what_is_asked_for_beats_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], environment: dict[str, str], asked: str
) -> None:
    ready_file(tmp_path)
    monkeypatch.chdir(tmp_path)

    @click.command()
    @administrator_options
    def where(administrator: Administrator) -> None:
        click.echo(administrator.running.url("pki-ca"))

    environment = {"PYCRYPTOUTIL_CA_BUNDLE": "ca.pem", **environment}
    answered = CliRunner().invoke(where, arguments, env=environment)
    assert answered.output.strip() == asked
    both = CliRunner().invoke(where, ["--ready-file", "ready.json", "--url", "https://127.0.0.1:9"], env=environment)
    assert both.exit_code == exits.USAGE
