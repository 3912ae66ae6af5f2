"""docs/learn-ps.md: its commands, run as they stand in a copy of the tree."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.suite import ROOT, environment, until

PAGE = ROOT / "docs" / "learn-ps.md"
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """Return (name, text) of the page's blocks of one language."""
    return [(name, text) for found, name, text in _BLOCK.findall(PAGE.read_text()) if found == language]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout as a reader has it, with the service that the page builds."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pycryptoutil", tmp_path / "pycryptoutil", ignore=ignored)
    for name, text in blocks("python"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    script = tmp_path / ".venv" / "bin" / "pycryptoutil"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pycryptoutil "$@"\n')
    script.chmod(0o755)
    return tmp_path


def surroundings(tree: Path) -> dict[str, str]:
    ports = {"CRYPTOUTIL_PUBLIC_PORT": "0", "CRYPTOUTIL_ADMIN_PORT": "0"}
    return {**environment(**ports), "PYTHONPATH": os.pathsep.join([str(tree), str(ROOT / "protocols")])}


@contextmanager
def running(tree: Path, command: str) -> Iterator[None]:
    """Run the page's own command until the block ends."""
    ready, log = tree / ".dev" / "ready.json", tree / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"], cwd=tree, env=surroundings(tree), stdout=output, stderr=output
        )
    try:
        until(lambda: ready.exists() or process.poll() is not None, "the ready-file")
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, log.read_text()
    assert not ready.exists()


def shell(tree: Path, script: str) -> str:
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=tree, env=surroundings(tree), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{(tree / 'log').read_text()}"
    return done.stdout


def test_every_command_of_the_page_does_what_it_says(tree: Path) -> None:
    commands = blocks("sh")
    (start,) = [text for name, text in commands if name == "start"]
    first = "".join(text for name, text in commands if not name)
    notes_start, *notes = [text for name, text in commands if name == "notes"]
    with running(tree, start):
        said = shell(tree, first)
    assert '"total_cents":2500' in said
    assert '"stock":1' in said
    with running(tree, notes_start):
        setup = first[: first.index('api "$URL/service/api/v1/me"')]
        said = shell(tree, setup.replace("services learn-ps public", "services notes public") + "".join(notes))
    assert "two bottles" in said
    (write,) = [text for name, text in commands if name == "openapi"]
    assert "docs/openapi/notes.json" in shell(tree, write)
    assert (tree / "docs" / "openapi" / "notes.json").exists()
