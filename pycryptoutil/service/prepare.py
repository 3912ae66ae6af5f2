"""What comes before any listener: the data directory, the database, its migrations. Each failure is one clear line."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier, SealedColumn
from pycryptoutil.barrier.sources import SecretFileSource
from pycryptoutil.clock import Clock, SystemClock
from pycryptoutil.errors import StartupError
from pycryptoutil.service.config import Configuration
from pycryptoutil.storage import Database, migrate


def data_directory(path: Path) -> None:
    """Make the data directory (0700) and prove that it can be written; StartupError if not."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = path.stat().st_mode
        if mode & (stat.S_IWOTH | stat.S_IWGRP) and not mode & stat.S_ISVTX:
            raise StartupError(f"data directory {path} is writable by others: chmod go-w it")
        probe = path / f".writable.{secrets.token_hex(8)}"
        probe.touch(mode=0o600)
        probe.unlink()
    except FileExistsError:
        raise StartupError(f"data directory {path} is not a directory") from None
    except OSError as error:
        raise StartupError(f"data directory {path} is not writable: {error.strerror}") from None


def ready_file(path: Path) -> None:
    """Remove what a killed process left, and prove that a new one can be written; StartupError if not."""
    probe = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    if not path.parent.is_dir():  # a folder made for a mistyped path would hide the mistake
        raise StartupError(f"ready-file {path} cannot be written: there is no directory {path.parent}")
    try:
        probe.touch(mode=0o600)
        probe.unlink()
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StartupError(f"ready-file {path} cannot be written: {error.strerror}") from None


def packages(configuration: Configuration) -> tuple[str, ...]:
    """Return the packages whose migrations this process needs, beside the template's own."""
    found = (package for definition in configuration.definitions for package in definition.migrations)
    return tuple(dict.fromkeys(found))


def database(configuration: Configuration, clock: Clock | None = None) -> Database:
    """Open the configured database."""
    settings = configuration.settings
    url = settings.database.url_in(configuration.data_dir)
    return Database.open(url, clock=clock or SystemClock(), pool_size=settings.database.pool_size)


def migrate_now(configuration: Configuration, opened: Database) -> list[str]:
    """Bring the database to this version; StartupError if it cannot be reached or is a newer version's."""
    try:
        return list(migrate.upgrade(opened, packages(configuration)))
    except Fault as fault:
        raise StartupError(f"database: {_why(fault)}") from None


def _why(fault: Fault) -> str:
    match fault.kind:
        case FaultKind.UNAVAILABLE:
            return f"cannot be reached: {fault.detail}"
        case FaultKind.STORAGE_FULL:
            return "the disk is full"
        case _:
            return fault.detail


def barrier(configuration: Configuration, opened: Database, clock: Clock | None = None) -> Barrier:
    """Open the barrier; StartupError or ConfigurationError if its secret is missing or not the right one."""
    try:
        return Barrier.open(opened, configuration.settings.barrier, clock or SystemClock(), configuration.data_dir)
    except Fault as fault:
        raise StartupError(f"barrier: {_why(fault)}") from None


def check_secrets(configuration: Configuration) -> None:
    """Look at what the start will read beyond configuration itself; ConfigurationError if it is not there."""
    settings = configuration.settings.barrier
    if settings.mode == "file":
        SecretFileSource(settings.secret_file).check()


def sealed_columns(configuration: Configuration) -> tuple[SealedColumn, ...]:
    """Return every column of sealed values that these services have."""
    found = (column for definition in configuration.definitions for column in definition.sealed_columns)
    return tuple(dict.fromkeys(found))
