"""``config show`` and ``config check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pycryptoutil.cli import options, output

if TYPE_CHECKING:
    from pycryptoutil.service.config import Inputs

_SERVICE = click.argument("service", default="suite")


@click.group()
def config() -> None:
    """Show or check configuration without starting.

    \b
    Precedence, highest first: command line, environment (CRYPTOUTIL_SECTION_KEY), --config files (later ones win),
    profile, default. Any secret may be file:///run/secrets/NAME. services.NAME.SECTION overrides one service.
    """  # noqa: D301  click reads the backspace


@config.command()
@_SERVICE
@click.option("--changed", is_flag=True, help="Only what is not a default.")
@options.configuration_options
@output.json_option
def show(service: str, changed: bool, inputs: Inputs, as_json: bool) -> None:
    """Print the effective configuration with the origin of each value; secrets are masked."""
    loaded = options.load(service, inputs)
    rows = [
        {"key": entry.key, "value": entry.value, "origin": entry.origin}
        for entry in loaded.effective
        if not changed or entry.origin != "default"
    ]
    output.table(rows, ("key", "value", "origin"), as_json=as_json)


@config.command()
@_SERVICE
@options.configuration_options
@output.json_option
def check(service: str, inputs: Inputs, as_json: bool) -> None:
    """Validate configuration without starting: exit code 0, or 3 and the first error."""
    from pycryptoutil.service import prepare

    loaded = options.load(service, inputs)
    prepare.check_secrets(loaded)
    if as_json:
        output.write_json({"valid": True, "services": list(loaded.services), "profile": loaded.settings.profile})
    else:
        click.echo(f"valid: {', '.join(loaded.services)} with profile {loaded.settings.profile}")


@config.command()
@_SERVICE
@output.json_option
def variables(service: str, as_json: bool) -> None:
    """List every environment variable with the key that it sets."""
    from pycryptoutil.service import catalogue
    from pycryptoutil.service.config import schema_of

    table = schema_of(catalogue.select(service)).table
    rows = [{"variable": leaf.variable, "key": ".".join(key)} for key, leaf in table.items()]
    output.table(rows, ("variable", "key"), as_json=as_json)
