"""docs/learn-ps.md: the service that it builds is built from its own blocks, and passes the test that it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "learn-ps.md"
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

CONFTEST = """
from pathlib import Path

import pycryptoutil.services

pytest_plugins = ["tests.support.databases"]
pycryptoutil.services.__path__.append(str(Path(__file__).parent / "pycryptoutil" / "services"))
"""


def files() -> dict[str, str]:
    """Return path -> content of the blocks that are files."""
    return {name: text for language, name, text in _BLOCK.findall(PAGE.read_text()) if language == "python"}


def test_every_python_block_is_a_file_and_passes_the_linter(tmp_path: Path) -> None:
    found = files()
    assert "" not in found
    assert len(found) == 8
    for name, text in found.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--ignore", "I001,INP001", "."]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_service_passes_its_own_test_on_both_databases(tmp_path: Path) -> None:
    for name, text in files().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider"]
    command += [f"--rootdir={tmp_path}", "-c", str(tmp_path / "pytest.ini"), str(tmp_path / "tests")]
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT} {ROOT / 'protocols'}\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b14 passed", done.stdout), done.stdout
