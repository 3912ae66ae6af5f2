"""``ca webhook``: who is told of what happens in the CA."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from pycryptoutil.cli import exits, output
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import CommandError

_SERVICE: Final = "pki-ca"
_TYPES: Final = (
    "certificate.issued",
    "certificate.revoked",
    "certificate.released",
    "certificate.expiring",
    "crl.published",
    "authority.created",
    "authority.status",
    "approval.requested",
    "approval.decided",
)
_COLUMNS: Final = ("id", "url", "types", "status", "failures", "paused_until", "description")
_DELIVERIES: Final = ("id", "type", "occurred_at", "status", "attempts", "answer", "error", "due_at")


def _path(*parts: str) -> str:
    from urllib.parse import quote

    return "/" + "/".join(quote(part, safe="") for part in ("webhooks", *parts))


@click.group()
def webhook() -> None:
    """Webhooks: URLs that are told of events, signed and retried."""


@webhook.command("add")
@click.argument("target", metavar="URL")
@click.option("--type", "types", multiple=True, type=click.Choice(_TYPES), help="Repeatable; by default all.")
@click.option("--description", default="", help="For people.")
@click.option("--secret-stdin", is_flag=True, help="Read the secret (whsec_…) from standard input; else one is made.")
@administrator_options
def add(
    administrator: Administrator, target: str, types: tuple[str, ...], description: str, secret_stdin: bool
) -> None:
    """Have events told to URL. The secret that signs them is shown now and never again."""
    secret = sys.stdin.readline().strip() if secret_stdin else None
    body = {"url": target, "types": types, "description": description, "secret": secret}
    made = administrator.client(_SERVICE).post(_path(), body)
    if administrator.as_json:
        output.write_json(made)
        return
    administrator.show({name: made[name] for name in ("id", "url", "types", "secret")})
    click.echo("The secret is not shown again: keep it now.", err=True)


@webhook.command("list")
@administrator_options
def list_(administrator: Administrator) -> None:
    """Every webhook, newest first, without secrets."""
    administrator.show_table(administrator.client(_SERVICE).get(_path())["items"], _COLUMNS)


@webhook.command()
@click.argument("identifier", metavar="ID")
@administrator_options
def show(administrator: Administrator, identifier: str) -> None:
    """One webhook, without its secret."""
    administrator.show(administrator.client(_SERVICE).get(_path(identifier)))


@webhook.command()
@click.argument("identifier", metavar="ID")
@administrator_options
def delete(administrator: Administrator, identifier: str) -> None:
    """Delete a webhook, with what was not delivered."""
    administrator.client(_SERVICE).delete(_path(identifier))
    administrator.done(f"{identifier} is told of nothing more")


@webhook.command()
@click.argument("identifier", metavar="ID")
@administrator_options
def enable(administrator: Administrator, identifier: str) -> None:
    """Let a webhook be told again, such as one that has answered 410 Gone."""
    administrator.done(f"{identifier} is active", administrator.client(_SERVICE).post(_path(identifier, "enable")))


@webhook.command()
@click.argument("identifier", metavar="ID")
@administrator_options
def disable(administrator: Administrator, identifier: str) -> None:
    """Stop telling a webhook."""
    administrator.done(f"{identifier} is disabled", administrator.client(_SERVICE).post(_path(identifier, "disable")))


@webhook.command()
@click.argument("identifier", metavar="ID")
@click.option("--status", type=click.Choice(["pending", "delivered", "dead"]))
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@administrator_options
def deliveries(administrator: Administrator, identifier: str, status: str | None, limit: int) -> None:
    """What was and is to be delivered, newest first; ``dead`` was given up."""
    from itertools import islice

    found = administrator.client(_SERVICE).pages(_path(identifier, "deliveries"), limit=min(limit, 200), status=status)
    administrator.show_table(list(islice(found, limit)), _DELIVERIES)


@webhook.command()
@click.argument("identifier", metavar="ID")
@click.argument("delivery")
@administrator_options
def redeliver(administrator: Administrator, identifier: str, delivery: str) -> None:
    """Deliver an event once more that was given up, or delivered."""
    _wait(
        administrator,
        identifier,
        administrator.client(_SERVICE).post(_path(identifier, "deliveries", delivery, "redeliver")),
    )


@webhook.command()
@click.argument("identifier", metavar="ID")
@administrator_options
def test(administrator: Administrator, identifier: str) -> None:
    """Send a test event and say how it was answered."""
    _wait(administrator, identifier, administrator.client(_SERVICE).post(_path(identifier, "test")))


def _wait(administrator: Administrator, identifier: str, made: dict[str, Any]) -> None:
    """Follow one delivery until it was tried."""
    from pycryptoutil.clock import SystemClock

    clock = SystemClock()
    client = administrator.client(_SERVICE)
    end = clock.monotonic() + 60
    found = made
    while found["status"] == "pending" and not found["attempts"] and clock.monotonic() < end:
        clock.sleep(0.1)
        recent = client.get(_path(identifier, "deliveries"), limit=200)["items"]
        found = next((one for one in recent if one["id"] == made["id"]), found)
    if found["status"] == "delivered":
        administrator.done(f"{found['message_id']} was answered with HTTP {found['answer']}", found)
        return
    raise CommandError(f"{found['message_id']} was not delivered: {found['error'] or 'not tried yet'}", exits.FAILED)
