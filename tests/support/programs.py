"""Other people's programs: found or told about, run with their output kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_13 = Path(os.environ.get("PYCRYPTOUTIL_DEBIAN13", ROOT / ".interop" / "debian13"))


def missing(reason: str) -> None:
    """Fail in CI, skip elsewhere: what is not there must not look as if it had passed."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason)
    pytest.skip(reason)


def need(*names: str) -> None:
    """Ask for programs of this machine."""
    for name in names:
        if shutil.which(name) is None:
            missing(f"{name} is not installed")


@dataclass(frozen=True)
class Done:
    """How a program ended, and what it said."""

    command: Sequence[str]
    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Both outputs."""
        return (self.out + self.err).decode("utf-8", "replace")


def run(*command: str | Path, stdin: bytes = b"", code: int | None = 0, cwd: Path | None = None) -> Done:
    """Run a program to its end; its exit code must be ``code`` (None: any)."""
    line = [str(part) for part in command]
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    ended = subprocess.run(line, input=stdin, capture_output=True, timeout=120, check=False, cwd=cwd, env=clean)
    done = Done(line, ended.returncode, ended.stdout, ended.stderr)
    assert code is None or done.code == code, f"{' '.join(line)}: exit code {done.code}\n{done.text}"
    return done


class Debian13:
    """Programs of the debootstrap folder, run by chroot; files are copied in, the loopback network is the same."""

    def __init__(self) -> None:
        """Skip, or fail in CI, where the folder is not there or chroot is not allowed."""
        if not (DEBIAN_13 / ".complete").exists():
            missing(f"{DEBIAN_13} is not there: bash tests/interop/prepare_debian13.sh")
        if os.geteuid() != 0:
            missing("chroot needs root")
        self._inside = Path("/tmp") / f"interop-{uuid.uuid4().hex[:10]}"
        self.folder = DEBIAN_13 / self._inside.relative_to("/")
        self.folder.mkdir(parents=True)

    def put(self, name: str, content: bytes) -> str:
        """Copy a file in; return its name inside."""
        (self.folder / name).write_bytes(content)
        return str(self._inside / name)

    def run(self, *command: str, stdin: bytes = b"", code: int | None = 0) -> Done:
        """Run a program of it."""
        return run("chroot", DEBIAN_13, *command, stdin=stdin, code=code)

    def close(self) -> None:
        """Remove what was copied in."""
        shutil.rmtree(self.folder, ignore_errors=True)
