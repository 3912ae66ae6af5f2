"""``barrier``: over the admin listener of a running service; ``init`` and ``rewrap`` on the database itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from pycryptoutil.cli import options, output
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import CommandError

if TYPE_CHECKING:
    from pycryptoutil.service.config import Inputs

_LEVELS = ("root", "intermediate", "content", "unseal")
_SERVICE = click.option("--service", default="", help="Whose admin listener to ask  [default: the first service]")


@click.group()
def barrier() -> None:
    """Unseal, seal and rotate the keys at rest."""


@barrier.command()
@_SERVICE
@administrator_options
def status(administrator: Administrator, service: str) -> None:
    """Show whether the barrier is sealed, how many shares it waits for, and the key generations."""
    administrator.show(administrator.admin_listener(service).get("/barrier"))


@barrier.command()
@_SERVICE
@administrator_options
def unseal(administrator: Administrator, service: str) -> None:
    """Give unseal shares, one a line on standard input; asked for on a terminal, without echo.

    A share is never an argument: arguments are visible to other users of the machine.
    """
    client = administrator.admin_listener(service)
    state: dict[str, Any] = client.get("/barrier")
    if not state["sealed"]:
        administrator.done("the barrier is open already", state)
        return
    if state.get("mode") != "shamir":
        state = client.post("/barrier/unseal", {})
    elif sys.stdin.isatty():
        while state["sealed"]:
            prompt = f"share {state['progress'] + 1} of {state['threshold']}"
            state = client.post("/barrier/unseal", {"share": click.prompt(prompt, hide_input=True)})
    else:
        given = [line.strip() for line in sys.stdin if line.strip() and not line.startswith("#")]
        if not given:
            raise CommandError("no share on standard input")
        for share in given:
            state = client.post("/barrier/unseal", {"share": share})
            if not state["sealed"]:
                break
    told = "the barrier is open" if not state["sealed"] else f"{state['progress']} of {state['threshold']} shares given"
    administrator.done(told, state)


@barrier.command()
@_SERVICE
@administrator_options
def seal(administrator: Administrator, service: str) -> None:
    """Drop every key from memory: requests are answered 503 until the barrier is unsealed again."""
    state = administrator.admin_listener(service).post("/barrier/seal")
    administrator.done("the barrier is sealed", state)


@barrier.command()
@click.argument("level", type=click.Choice(_LEVELS))
@_SERVICE
@administrator_options
def rotate(administrator: Administrator, level: str, service: str) -> None:
    """Make a new key at a level and below it; old keys stay for reading. 'unseal' makes new shares."""
    state = administrator.admin_listener(service).post("/barrier/rotate", {"level": level})
    if administrator.as_json:
        output.write_json(state)
        return
    click.echo(f"rotated {level}")
    if level == "unseal" and state.get("shares_file"):
        click.echo(f"new shares are in {state['shares_file']}: hand them out, then delete it")


@barrier.command()
@options.configuration_options
@output.json_option
def init(inputs: Inputs, as_json: bool) -> None:
    """Make the keys of a new database before its first start; with shamir, tells where the shares lie."""
    from dataclasses import asdict

    from pycryptoutil.cli.database import opened
    from pycryptoutil.service import prepare

    configuration = options.load("suite", inputs)
    with opened(configuration) as database:
        prepare.migrate_now(configuration, database)
        state = asdict(prepare.barrier(configuration, database).status())
    if as_json:
        output.write_json(state)
    elif state["shares_file"]:
        click.echo(f"{state['shares']} shares are in {state['shares_file']}; any {state['threshold']} of them unseal")
        click.echo("hand each to a different keeper, then delete the file: they are shown nowhere else")
    else:
        click.echo(f"mode {state['mode']}: {'sealed' if state['sealed'] else 'ready'}")


@barrier.command()
@options.configuration_options
@output.json_option
def rewrap(inputs: Inputs, as_json: bool) -> None:
    """Bring every sealed value under the content key in use. May be stopped and started again.

    Needs the unseal secret (modes dev and file). With shamir, a running suite does the same in the background.
    """
    from pycryptoutil.cli.database import opened
    from pycryptoutil.service import prepare

    configuration = options.load("suite", inputs)
    with opened(configuration) as database:
        found = prepare.barrier(configuration, database)
        columns = prepare.sealed_columns(configuration)
        with output.progress("rewrapping", quiet=as_json) as progressed:
            count = found.rewrap(columns, lambda _column, done, total: progressed(done, total))
    if as_json:
        output.write_json({"rewrapped": count})
    else:
        click.echo(f"rewrapped {count} values")
