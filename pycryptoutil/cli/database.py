"""``db upgrade`` and ``db current``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from pycryptoutil.cli import options, output

if TYPE_CHECKING:
    from pycryptoutil.service.config import Configuration, Inputs
    from pycryptoutil.storage import Database

_SERVICE = click.argument("service", default="suite")


@click.group()
def db() -> None:
    """Bring the database to this version's schema, or show where it is.

    ``run`` upgrades by itself; these are for those who would rather do it apart.
    """


@contextmanager
def opened(configuration: Configuration) -> Iterator[Database]:
    """Open the configured database, with its directory made."""
    from pycryptoutil.service import prepare

    prepare.data_directory(configuration.data_dir)
    database = prepare.database(configuration)
    try:
        yield database
    finally:
        database.close()


@db.command()
@_SERVICE
@options.configuration_options
@output.json_option
def upgrade(service: str, inputs: Inputs, as_json: bool) -> None:
    """Apply the migrations that are due, in one transaction."""
    from pycryptoutil.service import prepare

    configuration = options.load(service, inputs)
    with opened(configuration) as database, output.progress("migrating", quiet=as_json):
        applied = prepare.migrate_now(configuration, database)
    if as_json:
        output.write_json({"applied": applied})
    else:
        click.echo(f"applied: {', '.join(applied)}" if applied else "nothing to do")


@db.command()
@_SERVICE
@options.configuration_options
@output.json_option
def current(service: str, inputs: Inputs, as_json: bool) -> None:
    """Show which revisions the database is at, and whether this version works with it (exit code 4 if not)."""
    from pycryptoutil.service import prepare
    from pycryptoutil.storage import migrate

    configuration = options.load(service, inputs)
    with opened(configuration) as database:
        revisions = migrate.current(database)
        rows = [{"revision": revision} for revision in revisions]
        output.table(rows, ("revision",), as_json=as_json)
        migrate.check(database, prepare.packages(configuration))
