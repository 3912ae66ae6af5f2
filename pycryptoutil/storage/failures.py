"""What a driver's error means to everybody else."""

from __future__ import annotations

import sqlite3
from typing import Final

import psycopg
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

DATABASE_AWAY: Final = "the database is not available"
_AWAY_RETRY = 5
_BUSY_RETRY = 1

_SQLITE_UNIQUE = frozenset(
    {
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_ROWID,
        sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
    }
)
_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_PRIMARY_CODE = 0xFF


def unavailable(detail: str) -> Fault:
    """The database cannot be reached now; the peer may come again."""
    return Fault(FaultKind.UNAVAILABLE, detail, DATABASE_AWAY, retry_after=_AWAY_RETRY)


def busy(detail: str) -> Fault:
    """Others hold what is needed; the same request may succeed in a second."""
    return Fault(FaultKind.BUSY, detail, "the database is busy", retry_after=_BUSY_RETRY)


def _full(detail: str) -> Fault:
    return Fault(FaultKind.STORAGE_FULL, detail, "no space is left for this", retry_after=60)


def _conflict(detail: str) -> Fault:
    return Fault(FaultKind.CONFLICT, detail, "this exists already or is in use")


def _internal(detail: str) -> Fault:
    return Fault(FaultKind.INTERNAL, detail)


def _from_sqlite(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", 0)
    primary = code & _PRIMARY_CODE
    detail = f"{getattr(error, 'sqlite_errorname', 'sqlite')}: {error}"
    if code in _SQLITE_UNIQUE:
        return _conflict(detail)
    if primary == sqlite3.SQLITE_FULL:
        return _full(detail)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return busy(detail)
    if primary in _SQLITE_AWAY:
        return unavailable(detail)
    return _internal(detail)


def _from_postgresql(error: psycopg.Error) -> Fault:
    state = error.sqlstate or ""
    # the driver's own text may quote row values, which have no place in a log: only names are taken from it
    names = [name for name in (error.diag.table_name, error.diag.constraint_name) if name]
    detail = " ".join([state or type(error).__name__, error.diag.message_primary or "", *names]).strip()
    match state[:2]:
        case "":
            if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
                return unavailable(f"{type(error).__name__}: connection lost or refused")
            return _internal(detail)
        case "23":
            return _conflict(detail) if state in {"23505", "23503", "23P01"} else _internal(detail)
        case "40":
            return busy(detail)  # serialization failure, deadlock: not retried here, a unit may have had effects
        case "08" | "28" | "3D":
            return unavailable(detail)
        case "53":
            if state == "53100":
                return _full(detail)
            return unavailable(detail) if state == "53300" else busy(detail)
        case "55" | "57":
            away = {"57P01", "57P02", "57P03", "57P04", "57P05"}
            return unavailable(detail) if state in away else busy(detail)
        case "58" | "XX":
            return unavailable(detail)
        case _:
            # a standby that was promoted away from us refuses writes
            return unavailable(detail) if state == "25006" else _internal(detail)


def fault_of(error: BaseException) -> Fault | None:
    """Return the Fault of a driver's or SQLAlchemy's error, None for anything else."""
    if isinstance(error, PoolTimeoutError):
        return busy("every database connection is in use")
    if isinstance(error, DBAPIError):
        original = error.orig
        if isinstance(original, psycopg.Error | sqlite3.Error):
            return fault_of(original)
        return unavailable(str(original)) if error.connection_invalidated else _internal(type(error).__name__)
    if isinstance(error, psycopg.Error):
        return _from_postgresql(error)
    if isinstance(error, sqlite3.Error):
        return _from_sqlite(error)
    if isinstance(error, SQLAlchemyError):
        return _internal(f"{type(error).__name__}: {error}")
    return None
