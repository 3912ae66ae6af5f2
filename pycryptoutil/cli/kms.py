"""``kms``: keys of sm-kms, over the REST API."""

from __future__ import annotations

from typing import Any, Final

import click

from pycryptoutil.cli import kms_files, kms_transfer
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.kms_files import SERVICE, key_path

_PURPOSES: Final = ("encrypt", "sign", "mac", "wrap", "derive", "encapsulate")
_KEY_COLUMNS: Final = ("name", "purpose", "algorithm", "status", "active_version", "latest_version", "rotated_at")
_VERSION_COLUMNS: Final = ("version", "status", "kid", "created_at", "protected", "processed", "outstanding")
_APPROVAL_COLUMNS: Final = ("id", "action", "key", "version", "state", "requested_by", "approved_by", "needed")


@click.group()
def kms() -> None:
    """Keys: create, use, rotate, rewrap, revoke, import, export, back up."""


for _command in (*kms_files.COMMANDS, *kms_transfer.COMMANDS):
    kms.add_command(_command)


@kms.command()
@click.argument("name")
@click.option("--purpose", type=click.Choice(_PURPOSES), required=True)
@click.option("--algorithm", help="Such as A256GCM, ES384, RS256/RSA-4096; the purpose's usual one unless given.")
@click.option("--description", default="")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE")
@click.option("--rotate-every", type=click.IntRange(60), metavar="SECONDS", help="Rotate by itself.")
@click.option("--importable", is_flag=True, help="Versions may be imported.")
@click.option("--exportable", is_flag=True, help="Versions may be exported; cannot be given later.")
@click.option("--no-material", is_flag=True, help="No version yet: the first one is imported.")
@click.option("--quorum", type=click.IntRange(0, 20), default=0, help="Approvals that destroying and exporting need.")
@administrator_options
def create(administrator: Administrator, /, name: str, labels: tuple[str, ...], **options: Any) -> None:
    """Make a key and its first version."""
    pairs = [text.partition("=") for text in labels]
    if any(not equals for _, equals, _ in pairs):
        raise click.UsageError("--label is NAME=VALUE")
    body = {
        "name": name,
        "purpose": options["purpose"],
        "description": options["description"],
        "labels": {label: value for label, _, value in pairs},
        "import_allowed": options["importable"] or options["no_material"],
        "export_allowed": options["exportable"],
        "generate": not options["no_material"],
        "quorum": options["quorum"],
    }
    body |= {"algorithm": options["algorithm"]} if options["algorithm"] else {}
    body |= {"rotation_period": options["rotate_every"]} if options["rotate_every"] else {}
    made = administrator.client(SERVICE).post("/elastic-keys", body)
    administrator.done(f"{name}: {made['algorithm']} for {made['purpose']}, id {made['id']}", made)


@kms.command("list")
@click.option("--name", help="A part of the name.")
@click.option("--purpose", type=click.Choice(_PURPOSES))
@click.option("--status", type=click.Choice(["enabled", "disabled", "deleted", "destroyed"]))
@administrator_options
def list_(administrator: Administrator, /, **wanted: str | None) -> None:
    """Every key."""
    administrator.show_table(list(administrator.client(SERVICE).pages("/elastic-keys", **wanted)), _KEY_COLUMNS)


@kms.command()
@click.argument("name")
@administrator_options
def show(administrator: Administrator, name: str) -> None:
    """One key."""
    administrator.show(administrator.client(SERVICE).get(key_path(name)), name)


@kms.command()
@click.argument("name")
@administrator_options
def versions(administrator: Administrator, name: str) -> None:
    """A key's versions, how often each was used, and about how many objects hang on it."""
    rows = administrator.client(SERVICE).get(key_path(name, "versions"))["items"]
    shown = rows if administrator.as_json else [row | row["usage"] for row in rows]
    administrator.show_table(shown, _VERSION_COLUMNS)


@kms.command()
@click.argument("name")
@administrator_options
def rotate(administrator: Administrator, name: str) -> None:
    """Make the next version the active one; older ones still read."""
    made = administrator.client(SERVICE).post(key_path(name, "rotate"))
    administrator.done(f"{name}: version {made['version']} is active", made)


@kms.command()
@click.argument("name")
@click.option("--version", type=int, required=True)
@click.option("--reason", default="", help="Shown with the version, and in the audit trail.")
@administrator_options
def revoke(administrator: Administrator, name: str, version: int, reason: str) -> None:
    """Revoke a version for good, on every replica at once."""
    done = administrator.client(SERVICE).post(key_path(name, "versions", str(version), "revoke"), {"reason": reason})
    administrator.done(f"{name}: version {version} is revoked", done)


def _simple(verb: str, text: str, said: str) -> None:
    def command(administrator: Administrator, name: str, version: int | None) -> None:
        place = key_path(name, verb) if version is None else key_path(name, "versions", str(version), verb)
        found = administrator.client(SERVICE).post(place)
        which = name if version is None else f"{name}: version {version}"
        administrator.done(f"{which} is {said}", found)

    command.__doc__ = text
    option = click.option("--version", type=int, help="One version, instead of the key.")
    kms.command(verb)(click.argument("name")(option(administrator_options(command))))


_simple("enable", "Let a disabled key or version be used again.", "enabled")
_simple("disable", "Refuse every use of a key or version until it is enabled.", "disabled")


@kms.command()
@click.argument("name")
@click.option("--days", type=click.FloatRange(1 / 24, 365), default=30.0, show_default=True, help="Waiting period.")
@click.option("--approval", default="", help="The approval, where the key has a quorum.")
@administrator_options
def delete(administrator: Administrator, name: str, days: float, approval: str) -> None:
    """Delete a key: unusable at once, destroyed after the waiting period, restorable until then."""
    found = administrator.client(SERVICE).delete(
        key_path(name), waiting_period=int(days * 86400), approval=approval or None
    )
    administrator.done(f"{name} is deleted, and will be destroyed at {found['delete_at']}", found)


@kms.command()
@click.argument("name")
@administrator_options
def undelete(administrator: Administrator, name: str) -> None:
    """Take a deletion back; the key is disabled then."""
    found = administrator.client(SERVICE).post(key_path(name, "restore"))
    administrator.done(f"{name} is restored, and disabled", found)


@kms.command()
@click.argument("name")
@click.option("--version", type=int, help="One version, instead of the key.")
@click.option("--reason", default="")
@click.option("--approval", default="", help="The approval, where the key has a quorum.")
@click.confirmation_option(prompt="Destroy key material for good?")
@administrator_options
def destroy(administrator: Administrator, name: str, version: int | None, reason: str, approval: str) -> None:
    """Destroy a disabled or deleted key, or a version that is not active, for good."""
    place = key_path(name, "destroy") if version is None else key_path(name, "versions", str(version), "destroy")
    found = administrator.client(SERVICE).post(place, {"reason": reason, "approval": approval})
    administrator.done(f"{name if version is None else f'{name}: version {version}'} is destroyed", found)


@kms.group()
def approval() -> None:
    """What needs the approval of several: ask, vote, reject."""


@approval.command("list")
@administrator_options
def list_approvals(administrator: Administrator) -> None:
    """The newest requests."""
    administrator.show_table(administrator.client(SERVICE).get("/key-approvals")["items"], _APPROVAL_COLUMNS)


@approval.command("request")
@click.argument("name")
@click.option("--action", type=click.Choice(["destroy", "export", "backup"]), required=True)
@click.option("--version", type=int, default=0, help="One version; the whole key unless given.")
@click.option("--recipient", default="", help="RFC 7638 thumbprint of the key that an export or backup goes to.")
@administrator_options
def request_approval(administrator: Administrator, /, name: str, **body: Any) -> None:
    """Ask for an approval."""
    made = administrator.client(SERVICE).post(key_path(name, "approvals"), body)
    administrator.done(f"{made['id']} waits for {made['needed']} approvals", made)


def _vote(verb: str, text: str) -> None:
    def command(administrator: Administrator, identifier: str) -> None:
        found = administrator.client(SERVICE).post(f"/key-approvals/{identifier}/{verb}")
        administrator.done(f"{identifier} is {found['state']}", found)

    command.__doc__ = text
    approval.command(verb)(click.argument("identifier")(administrator_options(command)))


_vote("approve", "Vote for a request of somebody else.")
_vote("reject", "End a request.")
