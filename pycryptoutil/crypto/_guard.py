"""Refuses a Rust core that was built from other sources than those that lie beside it.

In an installed wheel there are no sources, and nothing to compare. ``PYCRYPTOUTIL_SKIP_CORE_DIGEST=1`` skips the check.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
SKIP: Final = "PYCRYPTOUTIL_SKIP_CORE_DIGEST"


def source_digest(core: Path) -> str:
    """Return the hex SHA-256 over the sources under ``core``, the same as core-rs/build.rs."""
    files = sorted((core / "src").rglob("*.rs"), key=lambda path: path.relative_to(core).parts)
    digest = hashlib.sha256()
    for path in [*files, core / "build.rs", core / "Cargo.toml", core.parent / "Cargo.lock"]:
        name = "../Cargo.lock" if path.name == "Cargo.lock" else path.relative_to(core).as_posix()
        content = path.read_bytes() if path.exists() else b""
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def check(root: Path = _ROOT) -> None:
    """Raise ImportError if the core is missing, or stale in a source checkout."""
    try:
        from pycryptoutil import _core
    except ImportError as error:
        message = f"the Rust core cannot be loaded ({error}): run `make setup`"
        raise ImportError(message) from error
    core = root / "core-rs"
    if os.environ.get(SKIP) == "1" or not (core / "build.rs").exists():
        return
    if source_digest(core) != _core.BUILD_DIGEST:
        message = "the Rust core was built from other sources than core-rs/: run `make setup`"
        raise ImportError(message)
