"""Keys, signatures and certificates. The only room that imports the Rust core, and the only algorithm policy."""

from __future__ import annotations

from pycryptoutil.crypto import _guard

_guard.check()

from pycryptoutil._core import BUILD_DIGEST as CORE_DIGEST  # noqa: E402  only after the guard

__all__ = ["CORE_DIGEST"]
