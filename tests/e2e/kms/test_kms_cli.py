"""``pycryptoutil kms`` against a running service, as one types it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pycryptoutil import jose
from pycryptoutil.cli import exits
from tests.support import forkserver
from tests.support.suite import ROOT, Suite, environment, make_suite


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """One key manager for all of these tests."""
    made = make_suite(tmp_path_factory.mktemp("kms"), "sm-kms")
    try:
        yield made.start()
    finally:
        made.close()


def kms(running: Suite, *words: str | Path, stdin: bytes = b"", code: int = 0) -> bytes:
    env = environment(PYCRYPTOUTIL_READY_FILE=str(running.ready_file))
    done = forkserver.run(["kms", *words], data=stdin, env=env)
    assert done.returncode == code, done.stderr.decode()
    return done.stdout if code == 0 else done.stderr


def test_what_the_issue_promises(running: Suite, tmp_path: Path) -> None:
    made = json.loads(kms(running, "create", "invoices", "--purpose", "encrypt", "--json"))
    assert (made["name"], made["algorithm"], made["active_version"]) == ("invoices", "A256GCM", 1)
    file = bytes(range(256)) * 1024  # four full segments
    sealed = kms(running, "encrypt", "invoices", stdin=file)
    assert kms(running, "decrypt", "invoices", stdin=sealed) == file
    kms(running, "rotate", "invoices")
    versions = json.loads(kms(running, "versions", "invoices", "--json"))
    assert [one["status"] for one in versions] == ["retired", "active"]
    new = kms(running, "rewrap", "invoices", stdin=sealed)
    assert new.split(b"\n", 1)[0] != sealed.split(b"\n", 1)[0]
    assert new.split(b"\n", 1)[1] == sealed.split(b"\n", 1)[1]
    kms(running, "revoke", "invoices", "--version", "1")
    refused = kms(running, "decrypt", "invoices", stdin=sealed, code=exits.FAILED)
    assert b"version 1 is revoked" in refused
    assert kms(running, "decrypt", "invoices", stdin=new) == file


def test_the_reader_in_the_docs_reads_it(running: Suite, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "kms.md").read_text()
    [source] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(source.splitlines()) < 50
    reader = tmp_path / "reader.py"
    reader.write_text(source)
    credentials = running.ready["admin_credentials"]
    kms(running, "create", "docs", "--purpose", "encrypt")
    for size in (0, 1, 65535, 65536, 65537, 200_000):
        file = b"x" * size
        sealed = kms(running, "encrypt", "docs", stdin=file)
        words = [sys.executable, str(reader), running.url("sm-kms"), str(running.trust_bundle), credentials, "docs"]
        done = subprocess.run(words, input=sealed, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == file
    touched = subprocess.run(words, input=sealed[:-20], capture_output=True, check=False, timeout=60)
    assert touched.returncode == 1


def test_plain_jwe_and_additional_data(running: Suite) -> None:
    kms(running, "create", "small", "--purpose", "encrypt")
    for options in ([], ["--jwe"]):
        sealed = kms(running, "encrypt", "small", "--aad", "invoice 7", *options, stdin=b"hello")
        assert kms(running, "decrypt", "small", "--aad", "invoice 7", stdin=sealed) == b"hello"
        for wrong in (["--aad", "invoice 8"], []):
            assert b"400" in kms(running, "decrypt", "small", *wrong, stdin=sealed, code=exits.FAILED)
        moved = kms(running, "rewrap", "small", "--aad", "invoice 7", "--new-aad", "x", *[], stdin=sealed)
        assert kms(running, "decrypt", "small", "--aad", "x", stdin=moved) == b"hello"
    assert kms(running, "decrypt", "small", stdin=kms(running, "encrypt", "small", "--jwe", stdin=b"")) == b""
    assert kms(running, "show", "nothing", code=exits.NOT_FOUND)


def test_keys_that_wrap_open_envelopes_too(running: Suite) -> None:
    kms(running, "create", "wrapping", "--purpose", "wrap", "--algorithm", "RSA-OAEP-256/RSA-2048")
    sealed = kms(running, "encrypt", "wrapping", stdin=b"hello")
    assert kms(running, "decrypt", "wrapping", stdin=sealed) == b"hello"


def test_signatures_macs_and_data_keys(running: Suite, tmp_path: Path) -> None:
    kms(running, "create", "signing", "--purpose", "sign", "--algorithm", "ES384")
    token = kms(running, "sign", "signing", stdin=b"hello")
    assert kms(running, "verify", "signing", stdin=token) == b"hello"
    payload = tmp_path / "payload"
    payload.write_bytes(b"hello")
    for options in (["--raw"], ["--detached"]):
        signature = kms(running, "sign", "signing", *options, stdin=b"hello")
        given = ["--payload", payload, *(["--raw"] if options == ["--raw"] else [])]
        assert kms(running, "verify", "signing", *given, stdin=signature) == b"hello"
        payload.write_bytes(b"other")
        kms(running, "verify", "signing", *given, stdin=signature, code=exits.FAILED)
        payload.write_bytes(b"hello")
    payload.write_bytes(hashlib.sha384(b"hello").digest())
    signature = kms(running, "sign", "signing", "--prehashed", stdin=payload.read_bytes())
    assert (
        kms(running, "verify", "signing", "--prehashed", "--payload", payload, stdin=signature) == payload.read_bytes()
    )
    payload.write_bytes(b"hello")
    assert kms(running, "verify", "signing", "--raw", "--payload", payload, stdin=signature) == b"hello"
    kms(running, "create", "macs", "--purpose", "mac")
    mac = kms(running, "mac", "macs", stdin=b"hello").decode().strip()
    kms(running, "mac", "macs", "--verify", mac, stdin=b"hello")
    kms(running, "mac", "macs", "--verify", mac, stdin=b"other", code=exits.FAILED)
    made = json.loads(kms(running, "datakey", "wrapping", "--wrapped-only", "--json"))
    assert "plaintext" not in made


def _key_files(folder: Path) -> tuple[Path, Path, jose.JwkPrivate]:
    key = jose.generate("EC-P256", alg="ECDH-ES+A256KW")
    assert isinstance(key, jose.JwkPrivate)
    public, private = folder / "public.json", folder / "private.json"
    public.write_text(json.dumps(key.public.members()))
    private.write_text(json.dumps(key.export()))
    return public, private, key


def test_keys_come_in_and_go_out(running: Suite, tmp_path: Path) -> None:
    public, private, key = _key_files(tmp_path)
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"kty": "oct", "k": "A" * 43}))
    kms(running, "create", "own", "--purpose", "encrypt", "--no-material", "--exportable")
    for wrap in ("RSA-OAEP-256", "ML-KEM-1024+A256KW"):
        kms(running, "import", "own", secret, "--wrap", wrap)
    token = kms(running, "export", "own", "--version", "1", "--recipient", public)
    exported: Any = jose.parse(jose.decrypt(key, token.strip()).plaintext)
    assert exported.export()["k"] == "A" * 43
    secret.write_text(json.dumps({"kty": "oct", "k": "AAAA"}))
    assert b"another kind" in kms(running, "import", "own", secret, code=exits.FAILED)
    sealed = kms(running, "encrypt", "own", stdin=b"hello")
    saved = kms(running, "backup", "own", "--recovery-key", public)
    kms(running, "restore", "--recovery-key", public, stdin=saved, code=exits.FAILED)
    assert b"2 there already" in kms(running, "restore", "--recovery-key", private, stdin=saved)
    assert kms(running, "decrypt", "own", stdin=sealed) == b"hello"


@pytest.mark.parametrize("change", ["cut", "cut at a segment", "turned", "line", "longer", "twice"])
def test_an_envelope_that_was_touched_does_not_open(running: Suite, change: str) -> None:
    if change == "cut":
        kms(running, "create", "envelopes", "--purpose", "encrypt")
    sealed = kms(running, "encrypt", "envelopes", stdin=b"a" * 65536 + b"b" * 65536 + b"c")
    one, two, rest = sealed.split(b"\n", 2)
    size = 65536 + 16
    parts = [rest[at : at + size] for at in range(0, len(rest), size)]
    assert [len(part) for part in parts] == [size, size, 17]
    body = {
        "cut": rest[:-1],
        "cut at a segment": b"".join(parts[:2]),
        "turned": parts[1] + parts[0] + parts[2],
        "line": rest,
        "longer": rest + b"x",
        "twice": parts[0] + rest,
    }[change]
    if change == "line":
        two = two.replace(b" 65536 ", b" 65537 ")
    said = kms(running, "decrypt", "envelopes", stdin=b"\n".join((one, two, body)), code=exits.INTEGRITY)
    assert b"not what was encrypted" in said


def test_the_progress_of_a_tool_is_not_in_its_output(running: Suite, tmp_path: Path) -> None:
    kms(running, "create", "files", "--purpose", "encrypt")
    plain, sealed, back = (tmp_path / name for name in ("plain", "sealed", "back"))
    plain.write_bytes(b"x" * 1_000_000)
    kms(running, "encrypt", "files", "-i", plain, "-o", sealed)
    kms(running, "decrypt", "files", "-i", sealed, "-o", back)
    assert back.read_bytes() == plain.read_bytes()
    back.unlink()
    sealed.write_bytes(sealed.read_bytes()[:-1])
    kms(running, "decrypt", "files", "-i", sealed, "-o", back, code=exits.INTEGRITY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "sealed"]
