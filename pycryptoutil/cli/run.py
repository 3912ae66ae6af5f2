"""``run``: start services and stay."""

from __future__ import annotations

import subprocess
import sys
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
@click.option("--tour", is_flag=True, help="Walk through the suite once it is ready, in this terminal; then go on.")
@options.configuration_options
def run(service: str, ready_file: Path | None, workers: int | None, tour: bool, inputs: Inputs) -> int:
    """Start a service (pki-ca), a product (pki), or the whole suite, in the foreground.

    \b
    SIGTERM, SIGINT   drain: finish requests in flight, then exit 0; a second one stops at once
    SIGHUP            load certificates, secrets and the logging level anew

    On the first start of a new database one tenant and one administrator are made; the one-time secret lies in
    admin.json in the data directory.
    """  # noqa: D301  click reads the backspace
    from dataclasses import replace

    from pycryptoutil.cli import first_process

    first_process.stand_aside()  # before anything is imported that starts a thread or takes its time

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
    if tour and ready_file is None:
        raise click.UsageError("--tour needs --ready-file")
    if tour:  # one terminal for both: the walk is to be read, and each of its requests is shown by the walk itself
        extra.setdefault(("logging", "level"), Given("warning", "command line --tour"))
    configuration = options.load(service, replace(inputs, command_line={**extra, **inputs.command_line}))

    from pycryptoutil.service import lifecycle

    guide = _guide(ready_file) if tour and ready_file is not None else None
    try:
        code = lifecycle.run(configuration)
    finally:
        if guide is not None and guide.poll() is None:
            guide.terminate()
            guide.wait()
    return code if guide is None or guide.returncode <= 0 else guide.returncode


def _guide(ready_file: Path) -> subprocess.Popen[bytes]:
    """Start the tour beside us: a process of its own, because workers are forked and threads do not survive that."""
    import os

    place = ("--ready-file", str(ready_file.expanduser().absolute()), "--wait", "120", "--of", str(os.getpid()))
    return subprocess.Popen([sys.executable, "-m", "pycryptoutil", "tour", *place])  # noqa: S603  our own words
