"""What a driver's error becomes."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from psycopg import errors
from pycryptoutil_protocols.faults import FaultKind
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pycryptoutil.storage.failures import fault_of


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("text")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "NAME"
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlite_error(sqlite3.SQLITE_FULL), FaultKind.STORAGE_FULL),
        (sqlite_error(sqlite3.SQLITE_BUSY), FaultKind.BUSY),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), FaultKind.BUSY),
        (sqlite_error(sqlite3.SQLITE_LOCKED), FaultKind.BUSY),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), FaultKind.UNAVAILABLE),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), FaultKind.UNAVAILABLE),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), FaultKind.UNAVAILABLE),
        (sqlite_error(sqlite3.SQLITE_CONSTRAINT_UNIQUE), FaultKind.CONFLICT),
        (sqlite_error(sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY), FaultKind.CONFLICT),
        (sqlite_error(sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY), FaultKind.CONFLICT),
        (sqlite_error(sqlite3.SQLITE_CONSTRAINT_NOTNULL), FaultKind.INTERNAL),
        (errors.UniqueViolation(), FaultKind.CONFLICT),
        (errors.ForeignKeyViolation(), FaultKind.CONFLICT),
        (errors.NotNullViolation(), FaultKind.INTERNAL),
        (errors.SerializationFailure(), FaultKind.BUSY),
        (errors.DeadlockDetected(), FaultKind.BUSY),
        (errors.LockNotAvailable(), FaultKind.BUSY),
        (errors.QueryCanceled(), FaultKind.BUSY),
        (errors.DiskFull(), FaultKind.STORAGE_FULL),
        (errors.TooManyConnections(), FaultKind.UNAVAILABLE),
        (errors.OutOfMemory(), FaultKind.BUSY),
        (errors.AdminShutdown(), FaultKind.UNAVAILABLE),
        (errors.CrashShutdown(), FaultKind.UNAVAILABLE),
        (errors.CannotConnectNow(), FaultKind.UNAVAILABLE),
        (errors.ConnectionFailure(), FaultKind.UNAVAILABLE),
        (errors.InvalidPassword(), FaultKind.UNAVAILABLE),
        (errors.ReadOnlySqlTransaction(), FaultKind.UNAVAILABLE),
        (errors.IoError(), FaultKind.UNAVAILABLE),
        (errors.UndefinedTable(), FaultKind.INTERNAL),
        (psycopg.OperationalError("gone"), FaultKind.UNAVAILABLE),
        (psycopg.ProgrammingError("x"), FaultKind.INTERNAL),
        (psycopg.DataError("NUL"), FaultKind.INVALID),
        (errors.StringDataRightTruncation(), FaultKind.INTERNAL),
        (PoolTimeoutError(), FaultKind.BUSY),
    ],
)
def test_kinds(error: Exception, kind: FaultKind) -> None:
    fault = fault_of(error)
    assert fault is not None
    assert fault.kind is kind
    assert (fault.retry_after is not None) == (kind in {FaultKind.UNAVAILABLE, FaultKind.BUSY, FaultKind.STORAGE_FULL})


def test_other_errors_are_not_the_databases() -> None:
    assert fault_of(KeyError("x")) is None
