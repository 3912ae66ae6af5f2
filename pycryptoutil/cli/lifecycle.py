"""``ca``: what becomes of a CA in its life, over the REST API of a running pki-ca."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from pycryptoutil.cli import output
from pycryptoutil.cli.backup import backup, restore
from pycryptoutil.cli.ceremony import ceremony
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.cross import CROSS
from pycryptoutil.cli.takeover import import_

SERVICE: Final = "pki-ca"
_ROLLOVER_COLUMNS: Final = ("state", "old", "new", "algorithm", "not_after", "created_at", "activated_at", "ended_at")


def _path(*parts: str) -> str:
    from urllib.parse import quote

    return "/" + "/".join(quote(part, safe="") for part in parts)


# -- rollover ----------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("name")
@click.option(
    "--step",
    type=click.Choice(("prepare", "activate", "retire", "cancel", "show")),
    default="prepare",
    show_default=True,
    help="prepare: make and publish the next key; activate: let it issue; retire: publish the old one no more.",
)
@click.option("--key-algorithm", help="Of the new key; by default the old one's. Only with prepare.")
@click.option("--days", type=click.IntRange(1, 10958), help="Life of the new certificate. Only with prepare.")
@click.option("--offline-parent", is_flag=True, help="With prepare: make key and request only, to be signed elsewhere.")
@administrator_options
def rollover(
    administrator: Administrator,
    name: str,
    step: str,
    key_algorithm: str | None,
    days: int | None,
    offline_parent: bool,
) -> None:
    """Give a CA a new key, step by step: prepare, then activate, then retire."""
    if step != "prepare" and (key_algorithm or days):
        raise click.UsageError("--key-algorithm and --days belong to --step prepare")
    if offline_parent:
        if step != "prepare" or days:
            raise click.UsageError("--offline-parent belongs to --step prepare; how long it lives is said there")
        request(administrator, {"replaces": name, "key_algorithm": key_algorithm or "EC-P256"})
        return
    client, path = administrator.client(SERVICE), _path("certificate-authorities", name, "rollover")
    if step == "show":
        administrator.show_table([_row(one) for one in client.pages(path)], _ROLLOVER_COLUMNS)
        return
    if step == "prepare":
        done = client.post(path, {"key_algorithm": key_algorithm, "validity_days": days})
    else:
        done = client.post(f"{path}/{step}")
    old, new = done["old"], done["new"]
    told = {
        "prepare": f"{new['name']} is published as the next key of {old['name']}, and does not issue yet",
        "activate": f"{new['name']} issues with its new key; the old one is {old['name']}",
        "retire": f"{old['name']} is not published any more, and goes on answering for what it has issued",
        "cancel": f"{new['name']} is given up",
    }[step]
    administrator.done(told, done)


def _row(one: dict[str, Any]) -> dict[str, Any]:
    new = one["new"]
    return {
        **{name: one[name] for name in ("state", "created_at", "activated_at", "ended_at")},
        "old": one["old"]["name"],
        "new": new["name"],
        "algorithm": new["key_algorithm"],
        "not_after": new["not_after"],
    }


# -- offline parents ---------------------------------------------------------------------------------------------------


def request(administrator: Administrator, body: dict[str, Any]) -> None:
    """Make a request for an offline parent, and show it."""
    made = administrator.client(SERVICE).post("/certificate-authority-requests", body)
    if administrator.as_json:
        output.write_json(made)
        return
    click.echo(f"{made['name']} waits for its certificate; its request:", err=True)
    click.echo(made["csr"], nl=False)


@click.command()
@click.argument("name")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the request there.")
@administrator_options
def csr(administrator: Administrator, name: str, out: Path | None) -> None:
    """The request (PKCS#10) of a CA that waits for its certificate from elsewhere."""
    found = administrator.client(SERVICE).get(_path("certificate-authority-requests", name))
    if out is not None:
        out.write_text(found["csr"])
        administrator.done(f"wrote {out}", found)
    elif administrator.as_json:
        output.write_json(found)
    else:
        click.echo(found["csr"], nl=False)


@click.group()
def requests() -> None:
    """CAs that wait for a certificate from elsewhere."""


@requests.command("list")
@administrator_options
def list_requests(administrator: Administrator) -> None:
    """Every one of them."""
    rows = list(administrator.client(SERVICE).pages("/certificate-authority-requests"))
    administrator.show_table(rows, ("name", "subject", "key_algorithm", "created_at", "created_by"))


@requests.command("delete")
@click.argument("name")
@administrator_options
def delete_request(administrator: Administrator, name: str) -> None:
    """Give one up, and its key."""
    administrator.client(SERVICE).delete(_path("certificate-authority-requests", name))
    administrator.done(f"{name} is given up")


COMMANDS: Final = (rollover, csr, requests, ceremony, import_, backup, restore, *CROSS)
