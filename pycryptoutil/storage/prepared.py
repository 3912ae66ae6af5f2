"""Statements that are asked all the time, compiled once.

SQLAlchemy spends about 50 µs on each execution of a statement whose text it knows already; SQLite answers most of ours
in 5. A :class:`Prepared` statement keeps its text, the order of its parameters and the conversions of both, and on
SQLite goes to the driver with them. On PostgreSQL, where the way there takes longer than that, SQLAlchemy runs it.
Either way it is written as any other statement and its rows look the same.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import BindParameter, Delete, Dialect, Insert, Select, Update

Statement = Select[Any] | Insert | Update | Delete
Convert = Callable[[Any], Any]


class Found(Protocol):
    """What comes back, from either way; a row has its columns as attributes and ``_asdict``."""

    @property
    def rowcount(self) -> int:
        """How many rows a change has touched."""

    def __iter__(self) -> Iterator[Any]: ...

    def all(self) -> Sequence[Any]:
        """Return every row."""

    def first(self) -> Any:
        """Return the first row, or None."""

    def one_or_none(self) -> Any:
        """Return the only row, or None."""

    def scalar_one_or_none(self) -> Any:
        """Return the only row's first column, or None."""


class Prepared:
    """One statement with named parameters. Make it at module level: what it compiles, it keeps.

    Every parameter without a value of its own must be given; an INSERT without ``values`` has all columns of its table.
    """

    __slots__ = ("_compiled", "statement")

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self._compiled: Compiled | None = None

    def compiled(self, dialect: Dialect) -> Compiled:
        """Return it as SQLite's driver takes it; two threads may both make it, and make the same."""
        found = self._compiled
        if found is None:
            found = self._compiled = Compiled(self.statement, dialect)
        return found


class Compiled:
    """Text, parameters in order, and the conversions."""

    __slots__ = ("_binds", "_converts", "_fixed", "_row", "text")

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        if compiled.post_compile_params or compiled.positiontup is None:
            message = "a prepared statement has no list parameters: its text must not depend on their number"
            raise TypeError(message)
        self.text = str(compiled)
        binds: dict[str, BindParameter[Any]] = {name: compiled.binds[name] for name in compiled.positiontup}
        self._binds = tuple((name, _bind_processor(binds[name], dialect)) for name in compiled.positiontup)
        converts = dict(self._binds)
        self._fixed = {
            name: bind.value if (convert := converts[name]) is None else convert(bind.value)
            for name, bind in binds.items()
            if not bind.required
        }
        columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        self._row: Any = namedtuple("Row", [str(column.key) for column in columns]) if columns else None
        processors = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._converts = tuple((at, convert) for at, convert in enumerate(processors) if convert is not None)

    def run(self, connection: sqlite3.Connection, given: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Rows:
        """Execute, once or for each of several, and fetch every row."""
        if not isinstance(given, Mapping):
            return Rows([], connection.executemany(self.text, [self._values(one) for one in given]).rowcount)
        cursor = connection.execute(self.text, self._values(given))
        rows = cursor.fetchall() if self._row is not None else ()
        return Rows([self._made(row) for row in rows], cursor.rowcount)

    def _values(self, given: Mapping[str, Any]) -> list[Any]:
        fixed = self._fixed
        values = []
        for name, convert in self._binds:
            if name in given:
                value = given[name]
                values.append(value if convert is None else convert(value))
            else:
                values.append(fixed[name])
        return values

    def _made(self, row: Sequence[Any]) -> Any:
        if not self._converts:
            return self._row._make(row)
        values = list(row)
        for at, convert in self._converts:
            values[at] = convert(values[at])
        return self._row._make(values)


def _bind_processor(bind: BindParameter[Any], dialect: Dialect) -> Convert | None:
    return bind.type.dialect_impl(dialect).bind_processor(dialect)


class Rows:
    """Rows that were fetched: the part of SQLAlchemy's results that is used."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> Sequence[Any]:
        """Return every row."""
        return self._rows

    def first(self) -> Any:
        """Return the first row, or None."""
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> Any:
        """Return the only row, or None."""
        if len(self._rows) > 1:
            message = "more than one row where one was expected"
            raise LookupError(message)
        return self.first()

    def scalar_one_or_none(self) -> Any:
        """Return the only row's first column, or None."""
        row = self.one_or_none()
        return None if row is None else row[0]
