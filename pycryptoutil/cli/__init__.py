"""The command line. Commands are named in a table and imported when they are called, so that ``--help`` is quick."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from pycryptoutil.cli.exits import EPILOGUE, USAGE, CommandError

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module:attribute, what --help says)
    "run": ("pycryptoutil.cli.run:run", "Start a service, a product, or the whole suite."),
    "livez": ("pycryptoutil.cli.health:livez", "Ask a service whether it is alive."),
    "readyz": ("pycryptoutil.cli.health:readyz", "Ask a service whether it is ready, check by check."),
    "shutdown": ("pycryptoutil.cli.health:shutdown", "Drain a service and stop its process."),
    "config": ("pycryptoutil.cli.configuration:config", "Show or check configuration without starting."),
    "db": ("pycryptoutil.cli.database:db", "Bring the database to this version's schema, or show where it is."),
    "barrier": ("pycryptoutil.cli.barrier:barrier", "Unseal, seal and rotate the keys at rest."),
    "audit": ("pycryptoutil.cli.audit:audit", "Prove or export the audit chain."),
    "tenant": ("pycryptoutil.cli.principals:tenant", "Tenants of the installation."),
    "user": ("pycryptoutil.cli.principals:user", "People who may sign in."),
    "client": ("pycryptoutil.cli.principals:client", "Programs that authenticate by id and secret."),
    "token": ("pycryptoutil.cli.principals:token", "API tokens."),
    "ca": ("pycryptoutil.cli.ca:ca", "The certificate authority's administrator."),
    "jose": ("pycryptoutil.cli.jose:jose", "Rings of JSON Web Keys: sign, verify, encrypt, decrypt, tokens."),
    "kms": ("pycryptoutil.cli.kms:kms", "Keys: create, use, rotate, rewrap, revoke, back up."),
    "tour": ("pycryptoutil.cli.tour:tour", "Walk through a running suite, step by step."),
    "openapi": ("pycryptoutil.cli.openapi:openapi", "Write the OpenAPI documents."),
    "version": ("pycryptoutil.cli.version:version", "Show versions of the program and what it is built on."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the table's order."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command for one that there is not."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1, 0.5)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from pycryptoutil import __version__

        click.echo(f"pycryptoutil {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup, epilog=EPILOGUE, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """PKI, key management, JOSE and identity servers in one install."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; every expected failure is one line on standard error and an exit code that means something."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:  # noqa: PLR0911  one return for each kind of failure
    try:
        result: Any = cli.main(arguments, prog_name="pycryptoutil", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        return 130
    except CommandError as error:
        click.echo(f"error: {error}", err=True)
        return error.code
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output went away, as head(1) does
        sys.stderr.close()
        return 0
    except Exception as error:
        if os.environ.get("PYCRYPTOUTIL_TRACEBACK"):
            raise
        from pycryptoutil.cli.failures import explain

        told = explain(error)
        click.echo(f"error: {told}", err=True)
        return told.code
