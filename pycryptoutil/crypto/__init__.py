"""Keys, signatures and certificates. The only room that imports the Rust core, and the only algorithm policy."""

from __future__ import annotations

from pycryptoutil.crypto import _guard

_guard.check()
