"""``ca hsm``: what is in the configured PKCS#11 token; read by this process, so where the service runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pycryptoutil.cli import exits, options, output
from pycryptoutil.cli.exits import CommandError

if TYPE_CHECKING:
    from pycryptoutil.service.config import Inputs


@click.group()
def hsm() -> None:
    """The token that the certificate authority's keys are in."""


@hsm.command()
@options.configuration_options
@output.json_option
def status(inputs: Inputs, as_json: bool) -> None:
    """Show the token, its mechanisms and its keys (exit code 7 without one, 5 if it is away)."""
    from pycryptoutil_protocols.faults import Fault

    from pycryptoutil.clock import SystemClock
    from pycryptoutil.crypto.pkcs11 import list_tokens

    clock = SystemClock()
    settings = options.load("pki-ca", inputs).own["pki-ca"].hsm  # type: ignore[attr-defined]  # PkiCaSettings
    token = settings.open(clock)
    if token is None:
        raise CommandError("no token is configured: pki_ca.hsm.module is not set", exits.NOT_FOUND)
    try:
        tokens = list_tokens(settings.module, clock)
        found = token.status()
    except Fault as fault:  # who runs this may know all of it
        raise CommandError(fault.detail, exits.UNREACHABLE) from None
    keys = [{"id": identifier, "label": label, "kind": kind} for identifier, label, kind in found.keys]
    about = {
        "module": settings.module,
        "tokens": tokens,
        "token": found.label,
        "manufacturer": found.manufacturer,
        "model": found.model,
        "serial": found.serial,
        "new_keys": list(settings.keys),
        "mechanisms": list(found.mechanisms),
    }
    if as_json:
        output.write_json({**about, "keys": keys})
        return
    output.record(about)
    click.echo()
    output.table(keys, ("id", "label", "kind"))
