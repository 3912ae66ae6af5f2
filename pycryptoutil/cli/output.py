"""Answers for people (rich tables) and for programs (``--json``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console


class Progressed(Protocol):
    """Told how far the work is."""

    def __call__(self, done: int, of: int | None = None) -> None:
        """``of``: the whole, if it became known."""


def _unseen(done: int, of: int | None = None) -> None:
    """Show nothing."""


Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Give a command ``--json``, passed as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


def console() -> Console:
    """Standard output as rich knows it; plain when it is no terminal."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() else 200  # a pipe must not cut columns
    return Console(width=wide, highlight=False, soft_wrap=not sys.stdout.isatty())


def write_json(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def text(value: Any) -> str:
    """Write a value for a table's cell; control characters are escaped, since values may come from peers."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value)
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    said = str(value)
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in said)


def _line(cells: Iterable[Any]) -> str:
    """Join cells by tabs for ``cut`` and ``awk``: whole, whatever their width, and a row is one line."""
    return "\t".join(text(cell).replace("\n", "\\n") for cell in cells)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool = False, title: str = "") -> None:
    """Print rows: as a table of these columns (tab-separated into a pipe or file), or whole as a JSON list."""
    if as_json:
        write_json(list(rows))
        return
    if not sys.stdout.isatty():
        click.echo(_line(columns))
        for row in rows:
            click.echo(_line(row.get(column) for column in columns))
        return
    from rich.table import Table
    from rich.text import Text

    view = Table(title=title or None, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in columns:
        view.add_column(column.replace("_", " "), overflow="fold")
    count = 0
    for row in rows:
        view.add_row(*(Text(text(row.get(column))) for column in columns))
        count += 1
    if count:
        console().print(view)
    else:
        click.echo("none")


def record(row: Mapping[str, Any], *, as_json: bool = False, title: str = "") -> None:
    """Print one object, a member a line."""
    if as_json:
        write_json(row)
        return
    if not sys.stdout.isatty():
        for name, value in row.items():
            click.echo(_line((name, value)))
        return
    from rich.table import Table
    from rich.text import Text

    view = Table(title=title or None, box=None, pad_edge=False, show_header=False, title_justify="left")
    view.add_column(style="bold")
    view.add_column(overflow="fold")
    for name, value in row.items():
        view.add_row(name.replace("_", " "), Text(text(value)))
    console().print(view)


@contextmanager
def progress(label: str, *, total: int | None = None, quiet: bool = False) -> Iterator[Progressed]:
    """Show long work on standard error, if that is a terminal; call the result with (done, total)."""
    if quiet or not sys.stderr.isatty():
        yield _unseen
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)

        def progressed(done: int, of: int | None = None) -> None:
            bar.update(task, completed=done, total=total if of is None else of)

        yield progressed
