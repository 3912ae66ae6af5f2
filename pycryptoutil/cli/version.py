"""``version``."""

from __future__ import annotations

import platform
from importlib import metadata

import click

import pycryptoutil
from pycryptoutil.cli import output

_PARTS = ("pycryptoutil-protocols", "cryptography", "twisted", "sqlalchemy", "pydantic")


@click.command()
@output.json_option
def version(as_json: bool) -> None:
    """Show versions of the program and what it is built on."""
    row: dict[str, object] = {"pycryptoutil": pycryptoutil.__version__}
    try:
        from pycryptoutil.crypto import CORE_DIGEST, policy

        row.update(core=CORE_DIGEST[:16], fips=policy.FIPS)
    except ImportError:
        row["core"] = "missing: run make setup"
    row["python"] = platform.python_version()
    for part in _PARTS:
        try:
            row[part] = metadata.version(part)
        except metadata.PackageNotFoundError:
            row[part] = None
    output.record(row, as_json=as_json)
