"""A process of Node with packages of npm in ``.interop/node``, which is made when it is first needed.

Node itself comes from npm too: a distribution's is too old for what is tested (ML-DSA needs 24.7).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[2]
FOLDER = _ROOT / ".interop" / "node"


def _missing(message: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


class NodePeer:
    """Answers requests line by line."""

    def __init__(self, script: Path, *packages: str) -> None:
        npm = shutil.which("npm")
        if npm is None:
            _missing("npm is not installed")
            raise AssertionError
        node = FOLDER / "node_modules" / ".bin" / "node"
        names = [package.rpartition("@")[0] for package in packages]
        if not node.exists() or not all((FOLDER / "node_modules" / name).is_dir() for name in names):
            FOLDER.mkdir(parents=True, exist_ok=True)
            manifest = FOLDER / "package.json"
            if not manifest.exists():  # what it names already stays installed
                manifest.write_text('{"private":true,"type":"module"}')
            command = [npm, "install", "--no-audit", "--no-fund", "--silent", "node@24", *packages]
            made = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
            if made.returncode:
                _missing(f"npm did not install {names}: {made.stderr[-300:]}")
        copy = FOLDER / script.name  # modules are found from where the script lies
        copy.write_text(script.read_text())
        self._process = subprocess.Popen([node, copy], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, action: str, **request: Any) -> Any:
        """Return the answer, or raise ValueError with the peer's error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"action": action, **request}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)
