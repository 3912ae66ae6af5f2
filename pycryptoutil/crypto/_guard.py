"""Refuses a Rust core that was built from other sources than those that lie beside it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

SKIP: Final = "PYCRYPTOUTIL_SKIP_CORE_DIGEST"


def source_digest(crate: Path) -> str:
    """Hash the crate's sources as core-rs/build.rs does."""
    rust = sorted((path for path in (crate / "src").rglob("*.rs")), key=lambda path: path.relative_to(crate).parts)
    names = [path.relative_to(crate).as_posix() for path in rust] + ["build.rs", "Cargo.toml", "../Cargo.lock"]
    digest = hashlib.sha256()
    for name in names:
        path = crate / name
        content = path.read_bytes() if path.is_file() else b""
        digest.update(name.encode() + b"\0" + str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()


def check(built_from: str, package: Path) -> None:
    """Raise ImportError if ``package`` lies in a source tree whose Rust sources have another digest."""
    crate = package.parent / "core-rs"
    if os.environ.get(SKIP) or not (crate / "src" / "lib.rs").is_file():
        return
    if source_digest(crate) != built_from:
        message = "pycryptoutil._core was built from other Rust sources than those in core-rs: run `make setup`"
        raise ImportError(message)
