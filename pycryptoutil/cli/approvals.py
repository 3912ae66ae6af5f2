"""``ca approvals``: requests for certificates that wait for people."""

from __future__ import annotations

from typing import Final

import click

from pycryptoutil.cli.client import Administrator, administrator_options

_SERVICE: Final = "pki-ca"
_COLUMNS: Final = (
    "id",
    "state",
    "profile",
    "protocol",
    "requester",
    "subject",
    "sans",
    "approvals",
    "needed",
    "created_at",
)


@click.group()
def approvals() -> None:
    """Requests under profiles that ask for approval."""


@approvals.command("list")
@click.option(
    "--state",
    type=click.Choice(["pending", "issued", "rejected", "failed", "cancelled", "expired", "all"]),
    default="pending",
    show_default=True,
)
@click.option("--profile")
@click.option("--protocol", type=click.Choice(["est", "scep", "cmp", "cmc", "acme", "rest"]))
@click.option("--requester", help="Such as credential:enroll-….")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@administrator_options
def list_(administrator: Administrator, /, state: str, limit: int, **conditions: str | None) -> None:
    """Requests, newest first."""
    from itertools import islice

    wanted = None if state == "all" else state
    found = administrator.client(_SERVICE).pages("/approvals", limit=min(limit, 200), state=wanted, **conditions)
    administrator.show_table(list(islice(found, limit)), _COLUMNS)


@approvals.command()
@click.argument("identifier", metavar="ID")
@administrator_options
def show(administrator: Administrator, identifier: str) -> None:
    """One request, with what was decided on it."""
    administrator.show(administrator.client(_SERVICE).get(_path(identifier)))


@approvals.command()
@click.argument("identifier", metavar="ID")
@click.option("--comment", default="", help="For the audit.")
@administrator_options
def approve(administrator: Administrator, identifier: str, comment: str) -> None:
    """Agree to a request; the last approval that it needs issues the certificate."""
    found = administrator.client(_SERVICE).post(f"{_path(identifier)}/approve", {"comment": comment})
    said = (
        f"certificate {found['serial']}"
        if found["serial"]
        else f"approved by {found['approvals']} of {found['needed']}"
    )
    if found["state"] == "failed":
        said = f"it cannot be issued any more: {found['reason']}"
    administrator.done(f"{identifier} is {found['state']}: {said}", found)


@approvals.command()
@click.argument("identifier", metavar="ID")
@click.option("--comment", default="", help="Told to the client.")
@administrator_options
def reject(administrator: Administrator, identifier: str, comment: str) -> None:
    """Refuse a request: one rejection ends it."""
    found = administrator.client(_SERVICE).post(f"{_path(identifier)}/reject", {"comment": comment})
    administrator.done(f"{identifier} is {found['state']}", found)


def _path(identifier: str) -> str:
    from urllib.parse import quote

    return f"/approvals/{quote(identifier, safe='')}"
