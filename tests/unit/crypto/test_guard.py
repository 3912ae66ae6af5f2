"""A binary that was built from other sources refuses to load."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pycryptoutil import _core
from pycryptoutil.crypto import _guard

ROOT = Path(__file__).resolve().parents[3]


def test_the_binary_is_of_these_sources() -> None:
    assert _guard.source_digest(ROOT / "core-rs") == _core.BUILD_DIGEST


def test_a_changed_source_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_guard.SKIP, raising=False)
    shutil.copytree(ROOT / "core-rs", tmp_path / "core-rs", ignore=shutil.ignore_patterns("target", "corpus"))
    shutil.copy(ROOT / "Cargo.lock", tmp_path)
    _guard.check(tmp_path)
    source = tmp_path / "core-rs" / "src" / "py" / "mod.rs"
    source.write_text(source.read_text() + "\n")
    with pytest.raises(ImportError, match="make setup"):
        _guard.check(tmp_path)
    monkeypatch.setenv(_guard.SKIP, "1")
    _guard.check(tmp_path)


def test_without_sources_nothing_is_compared(tmp_path: Path) -> None:
    _guard.check(tmp_path)


def test_only_the_crypto_room_imports_the_core() -> None:
    found = {
        path.relative_to(ROOT).parts[1]
        for path in (ROOT / "pycryptoutil").rglob("*.py")
        if "import _core" in path.read_text() or "pycryptoutil._core" in path.read_text()
    }
    assert found == {"crypto"}


def test_the_stub_names_what_the_binary_has() -> None:
    """Mypy's stubtest compares names, signatures and kinds."""
    run = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "pycryptoutil._core", "--ignore-disjoint-bases"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
