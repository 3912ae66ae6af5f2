"""Options of commands that read configuration themselves (run, config, db, and offline barrier and audit commands)."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pycryptoutil.service.config import Configuration, Inputs

R = TypeVar("R")


def configuration_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``--profile``, ``--config``, ``--data-dir`` and ``--set``; it receives ``inputs``."""

    @click.option("--profile", type=click.Choice(("dev", "test", "prod")), help="Built-in settings to start from.")
    @click.option(
        "--config",
        "files",
        multiple=True,
        type=click.Path(path_type=Path),
        help="YAML file; repeatable, later ones win.",
    )
    @click.option("--data-dir", type=click.Path(path_type=Path), help="Where this process keeps its data.")
    @click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key, such as public.port=8443.")
    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> R:
        given = {"profile": options.pop("profile"), "data_dir": options.pop("data_dir")}
        files, assignments = options.pop("files"), options.pop("assignments")
        options["inputs"] = inputs(files, assignments, given)
        return command(*args, **options)

    return wrapped


def inputs(files: Sequence[Path], assignments: Sequence[str], given: dict[str, Any]) -> Inputs:
    """Collect where configuration is to be read from. ``given`` holds options by dotted key; None is not given."""
    from pycryptoutil.service.config import Given, Inputs

    command_line = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator or not key:
            raise click.UsageError(f"--set {key}: write KEY=VALUE")
        command_line[tuple(key.strip().split("."))] = Given(value, f"command line --set {key}")
    for key, value in given.items():
        if value is not None:
            option = key.rpartition(".")[2].replace("_", "-")
            written = str(value) if isinstance(value, Path) else value
            command_line[tuple(key.split("."))] = Given(written, f"command line --{option}")
    absolute = tuple(path.expanduser().absolute() for path in files)
    return Inputs(absolute, dict(os.environ), command_line)


def load(selection: str, sources: Inputs) -> Configuration:
    """Load the configuration of what ``selection`` names."""
    from pycryptoutil.service import catalogue
    from pycryptoutil.service.config import load as load_configuration

    return load_configuration(catalogue.select(selection), sources)
