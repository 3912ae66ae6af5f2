"""A barrier over a fresh database of either kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import FixedClock
from pycryptoutil.storage import Database

YEAR = 365 * 86400.0


@dataclass(frozen=True)
class Options:
    """The section ``barrier`` of the settings."""

    mode: str = "dev"
    shares: int = 5
    threshold: int = 3
    secret_file: Path | str | None = None
    root_lifetime: float = YEAR
    intermediate_lifetime: float = YEAR / 4
    content_lifetime: float = 7 * 86400.0
    content_uses: int = 1 << 24


class Instances:
    """Several instances of the program on one database."""

    def __init__(self, url: str, data_dir: Path, clock: FixedClock) -> None:
        self.url = url
        self.data_dir = data_dir
        self.clock = clock
        self.options = Options()
        self.opened: list[Database] = []
        self.database = self.connect()

    def connect(self) -> Database:
        database = Database.open(self.url, clock=self.clock)
        self.opened.append(database)
        return database

    def open(self, mode: str | None = None, data_dir: Path | None = None, **changes: object) -> Barrier:
        """Start one."""
        if mode is not None:
            changes["mode"] = mode
        self.options = replace(self.options, **changes)  # type: ignore[arg-type]
        return Barrier.open(self.connect(), self.options, self.clock, data_dir or self.data_dir)

    def shares(self) -> list[str]:
        """Read the newest shares file, as the operator does."""
        files = sorted(self.data_dir.glob("unseal-shares-*.txt"), key=lambda path: path.stat().st_mtime_ns)
        return [line for line in files[-1].read_text().splitlines() if not line.startswith("#")]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def instances(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Instances]:
    instances = Instances(database_url, tmp_path / "data", clock)
    yield instances
    for database in instances.opened:
        database.close()


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("0123456789abcdef0123456789abcdef\n")
    path.chmod(0o600)
    return path


Make = Callable[..., Barrier]
