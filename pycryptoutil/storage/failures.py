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


_POSTGRESQL_STATES: Final = {
    "23505": _conflict,  # unique
    "23503": _conflict,  # foreign key
    "23P01": _conflict,  # exclusion
    "25006": unavailable,  # read-only: a standby that was promoted away from us
    "53100": _full,  # disk full
    "53300": unavailable,  # too many connections
    "57P01": unavailable,  # the server is stopped
    "57P02": unavailable,
    "57P03": unavailable,
    "57P04": unavailable,
    "57P05": unavailable,
}
_POSTGRESQL_CLASSES: Final = {
    "08": unavailable,  # connection
    "28": unavailable,  # authentication
    "3D": unavailable,  # no such database
    "40": busy,  # serialization failure, deadlock: not retried here, since a unit may have had effects
    "53": busy,  # resources
    "55": busy,  # lock timeout
    "57": busy,  # statement timeout
    "58": unavailable,  # input and output of the server
    "XX": unavailable,  # damage in the server
}


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
    if not state and isinstance(error, psycopg.DataError):  # the driver itself: PostgreSQL's text has no NUL
        return Fault(FaultKind.INVALID, detail, "a text has a NUL character")
    if not state:
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return unavailable(f"{type(error).__name__}: connection lost or refused") if lost else _internal(detail)
    make = _POSTGRESQL_STATES.get(state) or _POSTGRESQL_CLASSES.get(state[:2]) or _internal
    return make(detail)


def fault_of(error: BaseException) -> Fault | None:
    """Return the Fault of a driver's or SQLAlchemy's error, None for anything else."""
    if isinstance(error, PoolTimeoutError):
        return busy("every database connection is in use")
    if isinstance(error, DBAPIError):
        of_driver = fault_of(error.orig) if error.orig is not None else None
        return of_driver or _internal(type(error).__name__)
    if isinstance(error, psycopg.Error):
        return _from_postgresql(error)
    if isinstance(error, sqlite3.Error):
        return _from_sqlite(error)
    return _internal(f"{type(error).__name__}: {error}") if isinstance(error, SQLAlchemyError) else None
