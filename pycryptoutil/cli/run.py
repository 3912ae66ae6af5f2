"""``run``: start services and stay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pycryptoutil.cli import options

if TYPE_CHECKING:
    from pycryptoutil.service.config import Inputs


@click.command()
@click.argument("service", metavar="SERVICE|suite")
@click.option(
    "--ready-file", type=click.Path(path_type=Path, dir_okay=False), help="Written when all listeners are ready."
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes on one public port  [default: 1]")
@options.configuration_options
def run(service: str, ready_file: Path | None, workers: int | None, inputs: Inputs) -> int:
    """Start a service (pki-ca), a product (pki), or the whole suite, in the foreground.

    \b
    SIGTERM, SIGINT   drain: finish requests in flight, then exit 0; a second one stops at once
    SIGHUP            load certificates, secrets and the logging level anew

    On the first start of a new database one tenant and one administrator are made; the one-time secret lies in
    admin.json in the data directory.
    """  # noqa: D301  click reads the backspace
    from dataclasses import replace

    from pycryptoutil.service.config import Given

    given: dict[tuple[str, ...], object] = {
        ("process", "ready_file"): None if ready_file is None else str(ready_file.expanduser().absolute()),
        ("process", "workers"): workers,
    }
    extra = {
        key: Given(value, f"command line --{key[1].replace('_', '-')}")
        for key, value in given.items()
        if value is not None
    }
    configuration = options.load(service, replace(inputs, command_line={**inputs.command_line, **extra}))

    from pycryptoutil.service import lifecycle

    return lifecycle.run(configuration)
