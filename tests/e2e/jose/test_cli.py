"""``pycryptoutil jose`` against a running service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pycryptoutil.cli import exits
from pycryptoutil.jose import JwkSet, verify
from tests.support import forkserver
from tests.support.databases import Databases
from tests.support.suite import Suite, environment, make_suite


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """jose-ja alone, for all tests of the module."""
    made = make_suite(tmp_path_factory.mktemp("jose"), "jose-ja")
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def cli(running: Suite) -> Callable[..., str]:
    """Run one command of ``jose``; return what it printed."""

    def run(*arguments: str | Path, stdin: str = "", code: int = 0) -> str:
        return running.cli("jose", *arguments, stdin=stdin, code=code).stdout

    return run


def test_the_lines_of_the_documentation(running: Suite, cli: Callable[..., str]) -> None:
    cli("create", "tokens", "--algorithm", "ES256")
    token = cli("sign", "tokens", stdin='{"sub":"a"}\n')
    assert token.count("\n") == 1
    keys = running.http("jose-ja").get("/.well-known/jwks.json")
    assert keys.headers["content-type"] == "application/jwk-set+json"
    found = verify(JwkSet.parse(keys.content), token.strip())
    assert found.payload == b'{"sub":"a"}\n'  # what was signed, octet by octet
    assert found.header == {"alg": "ES256", "kid": found.key.kid, "typ": "JWT"}
    assert json.loads(cli("jwks")) == keys.json()
    assert len(json.loads(cli("jwks", "tokens"))["keys"]) == 2
    assert cli("verify", "tokens", stdin=token) == '{"sub":"a"}\n'
    assert "tokens" in cli("list")
    assert len(cli("versions", "tokens").splitlines()) == 3
    cli("rotate", "tokens")
    refused = running.cli("jose", "rotate", "tokens", code=exits.FAILED)
    assert "relying parties may not have it yet" in refused.stderr
    cli("rotate", "tokens", "--force")
    assert cli("verify", "tokens", stdin=token) == '{"sub":"a"}\n'
    cli("revoke", "tokens", "--version", "1", "--reason", "lost")
    refused = running.cli("jose", "verify", "tokens", stdin=token, code=exits.FAILED)
    assert "version 1 is revoked" in refused.stderr
    assert refused.stdout == ""


def test_pipes(cli: Callable[..., str], tmp_path: Path) -> None:
    cli("create", "sign", "--algorithm", "EdDSA/Ed25519")
    cli("create", "box", "--algorithm", "ECDH-ES+A256KW/X25519")
    cli("create", "wrap", "--algorithm", "A256KW")
    text = "a text\nof lines\n"
    for name in ("box", "wrap"):
        for more in ((), ("--serialization", "flattened", "--aad", "x"), ("--serialization", "general")):
            back = more[2:] if "--aad" in more else ()
            assert cli("decrypt", name, *back, stdin=cli("encrypt", name, *more, stdin=text)) == text
    both = cli("encrypt", "box", "wrap", "--serialization", "general", stdin=text)
    assert cli("decrypt", "box", stdin=both) == cli("decrypt", "wrap", stdin=both) == text
    (tmp_path / "text").write_text(text)
    detached = cli("sign", "sign", "--detached", "--unencoded", stdin=text)
    assert ".." in detached
    assert cli("verify", "sign", "--payload", tmp_path / "text", stdin=detached) == text
    (tmp_path / "keys.json").write_text(cli("jwks", "sign"))
    assert cli("verify", "--jwks", tmp_path / "keys.json", stdin=cli("sign", "sign", stdin=text)) == text
    several = cli("sign", "sign", "sign", "--serialization", "general", stdin=text)
    assert cli("verify", "sign", stdin=several) == text
    claims = json.loads(cli("validate", "sign", stdin=cli("token", "sign", stdin='{"sub":"a"}')))
    assert claims["sub"] == "a"
    nested = cli("token", "sign", "--encrypt-to", "box", stdin='{"sub":"a"}')
    assert json.loads(cli("validate", "sign", "--decrypt-by", "box", stdin=nested))["sub"] == "a"
    assert json.loads(cli("inspect", stdin=nested))["encrypted"] is True
    made = cli("sdjwt", "issue", "sign", "--disclosable", "/name", "--disclosable", "/to/city",
               stdin='{"sub":"a","name":"N","to":{"city":"C"}}')  # fmt: skip
    assert "/to/city" in cli("sdjwt", "paths", stdin=made)
    shown = cli("sdjwt", "present", "--disclose", "/to/city", stdin=made)
    found = json.loads(cli("sdjwt", "verify", "sign", stdin=shown))
    assert (found["to"], "name" in found) == ({"city": "C"}, False)
    key = cli("generate", "EC-P256")
    pem = cli("convert", stdin=key)
    assert pem.startswith("-----BEGIN PRIVATE KEY-----")
    kid = cli("thumbprint", stdin=key).strip()
    assert json.loads(cli("convert", "--kid", kid, stdin=pem)) == json.loads(key)
    assert kid in cli("check", stdin=key)


def test_many_lines(running: Suite, cli: Callable[..., str]) -> None:
    cli("create", "bulk", "--algorithm", "ES256")
    cli("create", "bulkbox", "--algorithm", "A256KW")
    lines = "".join(f'{{"sub":"user-{number}"}}\n' for number in range(3000))
    signed = running.cli("jose", "sign", "bulk", "--many", stdin=lines)
    assert signed.stderr.startswith("3000 lines in ")
    assert cli("verify", "bulk", "--many", stdin=signed.stdout) == lines
    assert cli("decrypt", "bulkbox", "--many", stdin=cli("encrypt", "bulkbox", "--many", stdin=lines)) == lines
    tokens = cli("token", "bulk", "--many", stdin=lines)
    subjects = [json.loads(line)["sub"] for line in cli("validate", "bulk", "--many", stdin=tokens).splitlines()]
    assert subjects == [f"user-{number}" for number in range(3000)]
    spoiled = signed.stdout.splitlines()
    spoiled[1] = "a.b.c"
    failed = running.cli("jose", "verify", "bulk", "--many", stdin="\n".join(spoiled), code=exits.FAILED)
    assert len(failed.stdout.splitlines()) == 2999
    assert "line 2: " in failed.stderr
    rows = [
        json.loads(line) for line in cli("verify", "bulk", "--many", "--json", stdin="a.b.c\n", code=1).splitlines()
    ]
    assert rows[0]["problem"]["status"] == 400


def test_portions_of_a_long_run(running: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    from pycryptoutil.cli import jose_io

    monkeypatch.setattr(jose_io, "STREAM_LINES", 7)
    running.cli("jose", "create", "portions", "--algorithm", "EdDSA/Ed25519")
    claims = '{"sub":"a\u2028b\x85c"}\n' * 3
    tokens = running.cli("jose", "token", "portions", "--many", stdin=claims).stdout
    assert len(running.cli("jose", "validate", "portions", "--many", stdin=tokens).stdout.split("\n")) == 4
    lines = "".join(f"{number}\n" for number in range(50))
    signed = running.cli("jose", "sign", "portions", "--many", stdin=lines).stdout
    assert running.cli("jose", "verify", "portions", "--many", stdin=signed).stdout == lines


def test_wrong_usage(running: Suite) -> None:
    def code(*arguments: str, stdin: str = "") -> int:
        return running.cli("jose", *arguments, stdin=stdin, code=None).returncode

    assert code("verify", stdin="a") == exits.USAGE
    assert code("encrypt", stdin="a") == exits.USAGE
    assert code("sign", "a", "b", stdin="a") == exits.USAGE
    assert code("sign", "nothing", stdin="a") == exits.NOT_FOUND
    assert code("create", "x", "--algorithm", "none") == exits.FAILED
    assert code("token", "x", stdin="{") == exits.FAILED
    assert code("thumbprint", stdin="{}") == exits.FAILED


def test_octets_survive_a_real_pipe(running: Suite) -> None:
    """A process of its own, whose standard streams are octets."""
    running.cli("jose", "create", "octets", "--algorithm", "A256GCM")
    given = bytes(range(256)) * 10

    def run(*arguments: str, data: bytes) -> bytes:
        env = environment(PYCRYPTOUTIL_READY_FILE=str(running.ready_file))
        done = forkserver.run(["jose", *arguments], data=data, env=env)
        done.check_returncode()
        return done.stdout

    assert run("decrypt", "octets", data=run("encrypt", "octets", data=given)) == given


def test_two_workers_share_one_database(databases: Databases, tmp_path: Path) -> None:
    """What one worker rotates and revokes, the other one knows: by its gate at once, in its published set soon."""
    made = make_suite(tmp_path, "jose-ja", workers=2, database_url=databases.empty())
    try:
        running = made.start()
        running.cli("jose", "create", "tokens", "--algorithm", "ES256")
        token = running.cli("jose", "sign", "tokens", stdin="a").stdout.strip()
        answers: list[Any] = []

        def ask() -> None:
            for _ in range(8):  # connections fall to both workers
                with running.api("jose-ja") as client:
                    answers.append(client.post("jws/verify", json={"key": "tokens", "jws": token}))

        ask()
        assert {one.status_code for one in answers} == {200}
        running.cli("jose", "revoke", "tokens", "--version", "1")
        answers.clear()
        ask()
        assert {(one.status_code, one.json()["detail"]) for one in answers} == {(409, "version 1 is revoked")}
    finally:
        made.close()
