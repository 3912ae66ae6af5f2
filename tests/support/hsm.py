"""Tokens of SoftHSM2: one store of them for a test process, a token for each who asks."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto.pkcs11 import Token, TokenConfig
from pycryptoutil.crypto.pkcs11.module import module
from tests.support.programs import missing, need

PIN = "271828-secret"
_PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib/libsofthsm2.so")


def library() -> str:
    """Where SoftHSM2's library is; skips, or fails in CI, without it."""
    pytest.importorskip("pkcs11")
    need("softhsm2-util")
    found = next((place for place in _PLACES if Path(place).exists()), None)
    if found is None:
        missing("libsofthsm2.so is not installed")
    return str(found)


@dataclass
class SoftHsm:
    """A store of tokens."""

    library: str
    folder: Path

    @property
    def tokens(self) -> Path:
        """The folder that the tokens are in."""
        return self.folder / "tokens"

    @property
    def configuration(self) -> Path:
        """What SOFTHSM2_CONF names."""
        return self.folder / "softhsm2.conf"

    def write(self) -> SoftHsm:
        """Make the store."""
        self.tokens.mkdir(parents=True)
        self.configuration.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        return self

    def make(self, label: str = "", pin: str = PIN) -> str:
        """Make a token; return its label."""
        label = label or f"ca-{uuid.uuid4().hex[:8]}"
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "so-secret-1"],
            env={**os.environ, "SOFTHSM2_CONF": str(self.configuration)}, check=True, capture_output=True,
        )  # fmt: skip
        self.restart()
        return label

    def restart(self) -> None:
        """Have this process look anew: a library sees other tokens only when it starts."""
        loaded = module(self.library, SystemClock())
        loaded.lost(loaded._epoch)
        loaded._failure = None

    def token(self, label: str, pin: str = PIN, sessions: int = 8) -> Token:
        """A handle to a token."""
        return Token(TokenConfig(self.library, label, pin, sessions), SystemClock())

    @contextmanager
    def away(self, *, store: bool = True) -> Iterator[None]:
        """Take every token out, with the whole store or from it, and put them back."""
        elsewhere = self.folder / "away"
        self.tokens.rename(elsewhere)
        if not store:
            self.tokens.mkdir()
        try:
            yield
        finally:
            if not store:
                self.tokens.rmdir()
            elsewhere.rename(self.tokens)


@contextmanager
def soft_hsm(folder: Path) -> Iterator[SoftHsm]:
    """Make a store, and have this process use it."""
    made = SoftHsm(library(), folder).write()
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(made.configuration)
    made.restart()
    try:
        yield made
    finally:
        if before is None:
            os.environ.pop("SOFTHSM2_CONF")
        else:
            os.environ["SOFTHSM2_CONF"] = before
        made.restart()
