"""``tenant``, ``user``, ``client`` and ``token``: who may enter, over the API of a running suite."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import NOT_FOUND, CommandError

R = TypeVar("R")

_SCOPES = click.option("--scope", "scopes", multiple=True, help="What it may do; repeatable. 'admin' is everything.")
_TENANTS = ("id", "name", "status", "created_at")
_PRINCIPALS = ("id", "name", "display_name", "scopes", "status", "expires_at")
_TOKENS = ("id", "name", "scopes", "created_at", "expires_at", "revoked_at")
_BINDINGS = ("id", "match", "value", "created_at")
_DAY = 86400


def _expiry(command: Callable[..., R]) -> Callable[..., R]:
    return click.option("--days", type=click.IntRange(1, 7300), help="Expires after so many days.")(command)


def _seconds(days: int | None) -> dict[str, int]:
    return {} if days is None else {"expires_in": days * _DAY}


def _find(administrator: Administrator, kind: str, name: str) -> dict[str, Any]:
    """Return a principal by name or id."""
    for row in administrator.client().pages("/principals", kind=kind, limit=200):
        if name in {row["id"], row["name"]}:
            found: dict[str, Any] = row
            return found
    raise CommandError(f"there is no {kind} {name!r}", NOT_FOUND)


def _password(prompt: str) -> str:
    """Read a password from the terminal without echo, or from a pipe; never from an argument."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


# --- tenants


@click.group()
def tenant() -> None:
    """Tenants of the installation. Only administrators of the default tenant manage them."""


@tenant.command("list")
@administrator_options
def list_tenants(administrator: Administrator) -> None:
    """List tenants by name."""
    administrator.show_table(list(administrator.client().pages("/tenants", limit=200)), _TENANTS)


@tenant.command("add")
@click.argument("name")
@click.option(
    "--administrator", "username", default="admin", show_default=True, help="Name of its first administrator."
)
@administrator_options
def add_tenant(administrator: Administrator, name: str, username: str) -> None:
    """Make a tenant and its administrator, whose secrets are shown this once."""
    administrator.show(administrator.client().post("/tenants", {"name": name, "administrator": username}))


def _set_tenant(administrator: Administrator, name: str, status: str) -> None:
    client = administrator.client()
    found = next((row for row in client.pages("/tenants", limit=200) if name in {row["id"], row["name"]}), None)
    if found is None:
        raise CommandError(f"there is no tenant {name!r}", NOT_FOUND)
    changed = client.patch(f"/tenants/{found['id']}", {"status": status})
    administrator.done(f"{found['name']} is {status}", changed)


@tenant.command("disable")
@click.argument("name")
@administrator_options
def disable_tenant(administrator: Administrator, name: str) -> None:
    """Let nobody of a tenant (name or id) enter, from the next request on."""
    _set_tenant(administrator, name, "disabled")


@tenant.command("enable")
@click.argument("name")
@administrator_options
def enable_tenant(administrator: Administrator, name: str) -> None:
    """Let a disabled tenant (name or id) enter again."""
    _set_tenant(administrator, name, "active")


# --- users and clients


@click.group()
def user() -> None:
    """People who may sign in, of the administrator's tenant."""


@click.group()
def client() -> None:
    """Programs that authenticate by id and secret, of the administrator's tenant."""


def _common(group: click.Group, kind: str) -> None:
    """Give both groups what is the same for them."""

    @group.command("list")
    @administrator_options
    def list_them(administrator: Administrator) -> None:
        rows = list(administrator.client().pages("/principals", kind=kind, limit=200))
        administrator.show_table(rows, _PRINCIPALS)

    @group.command("set")
    @click.argument("name")
    @_SCOPES
    @click.option("--display-name", help="How people call it.")
    @click.option("--status", type=click.Choice(("active", "disabled")), help="Disabled, it may not enter.")
    @administrator_options
    def set_it(
        administrator: Administrator, name: str, scopes: tuple[str, ...], display_name: str | None, status: str | None
    ) -> None:
        body: dict[str, Any] = {"display_name": display_name, "status": status, "scopes": list(scopes) or None}
        body = {member: value for member, value in body.items() if value is not None}
        if not body:
            raise click.UsageError("give --scope, --display-name or --status")
        found = _find(administrator, kind, name)
        administrator.show(administrator.client().patch(f"/principals/{found['id']}", body))

    @group.command("delete")
    @click.argument("name")
    @administrator_options
    def delete_it(administrator: Administrator, name: str) -> None:
        found = _find(administrator, kind, name)
        administrator.client().delete(f"/principals/{found['id']}")
        administrator.done(f"deleted {found['name']}", {"deleted": found["id"]})

    @group.command("bind")
    @click.argument("name")
    @click.argument("certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False))
    @click.option("--key", "any_of_key", is_flag=True, help="Any certificate of the same key, not this one only.")
    @administrator_options
    def bind_it(administrator: Administrator, name: str, certificate: Path, any_of_key: bool) -> None:
        found = _find(administrator, kind, name)
        match = "spki-sha256" if any_of_key else "certificate-sha256"
        body = {"certificate": certificate.read_text("utf-8"), "match": match}
        administrator.show(administrator.client().post(f"/principals/{found['id']}/certificates", body))

    @group.command("bindings")
    @click.argument("name")
    @administrator_options
    def list_bindings(administrator: Administrator, name: str) -> None:
        found = _find(administrator, kind, name)
        administrator.show_table(
            administrator.client().get(f"/principals/{found['id']}/certificates")["items"], _BINDINGS
        )

    @group.command("unbind")
    @click.argument("name")
    @click.argument("binding_id")
    @administrator_options
    def unbind_it(administrator: Administrator, name: str, binding_id: str) -> None:
        found = _find(administrator, kind, name)
        administrator.client().delete(f"/principals/{found['id']}/certificates/{binding_id}")
        administrator.done("unbound", {"deleted": binding_id})

    texts = {
        list_them: f"List {kind}s by name.",
        set_it: f"Change a {kind} (name or id); --scope replaces all its scopes. Counts from the next request on.",
        delete_it: f"Remove a {kind} with its tokens, sessions and certificate bindings.",
        bind_it: f"Let a client certificate (PEM file) stand for a {kind}.",
        list_bindings: f"List the client certificates that stand for a {kind}.",
        unbind_it: "Let a client certificate stand for nobody.",
    }
    for command, text in texts.items():
        command.help = text


_common(user, "user")
_common(client, "client")


@user.command("add")
@click.argument("name")
@_SCOPES
@_expiry
@click.option("--display-name", default="", help="How people call them.")
@administrator_options
def add_user(
    administrator: Administrator, name: str, scopes: tuple[str, ...], days: int | None, display_name: str
) -> None:
    """Make a user; the password is asked for, or read as one line from standard input."""
    body = {
        "kind": "user",
        "name": name,
        "password": _password(f"password of {name}"),
        "display_name": display_name,
        "scopes": list(scopes),
        **_seconds(days),
    }
    made = administrator.client().post("/principals", body)
    made.pop("client_secret", None)
    administrator.show(made)


@user.command("password")
@click.argument("name")
@administrator_options
def set_password(administrator: Administrator, name: str) -> None:
    """Set a user's password, asked for or read from standard input; ends their sessions."""
    found = _find(administrator, "user", name)
    body = {"password": _password(f"new password of {name}")}
    administrator.client().post(f"/principals/{found['id']}/secret", body)
    administrator.done(f"the password of {found['name']} is changed", {"changed": found["id"]})


@user.command("hash")
@administrator_options
def hash_password(administrator: Administrator) -> None:
    """Hash a password for realms.file.users, asked for or read from standard input; nothing is stored.

    The hash is keyed by the installation's barrier: it works in the installation that made it only.
    """
    administrator.show(_hashed(administrator, {"password": _password("password")}))


@client.command("hash")
@administrator_options
def hash_secret(administrator: Administrator) -> None:
    """Make a secret for realms.file.clients with its hash, shown this once; nothing is stored.

    The hash is keyed by the installation's barrier: it works in the installation that made it only.
    """
    administrator.show(_hashed(administrator, {}))


def _hashed(administrator: Administrator, body: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = administrator.client().post("/secret-hashes", body)
    return {name: value for name, value in made.items() if value is not None}


@client.command("add")
@_SCOPES
@_expiry
@click.option("--display-name", default="", help="How people call it.")
@administrator_options
def add_client(administrator: Administrator, scopes: tuple[str, ...], days: int | None, display_name: str) -> None:
    """Make a client; its id is its name in HTTP Basic, and its secret is shown this once."""
    body = {"kind": "client", "display_name": display_name, "scopes": list(scopes), **_seconds(days)}
    administrator.show(administrator.client().post("/principals", body))


@client.command("secret")
@click.argument("name")
@administrator_options
def new_secret(administrator: Administrator, name: str) -> None:
    """Make a client a new secret, shown this once; the old one ends."""
    found = _find(administrator, "client", name)
    administrator.show(administrator.client().post(f"/principals/{found['id']}/secret", {}))


# --- tokens


@click.group()
def token() -> None:
    """API tokens of the administrator's client."""


@token.command("list")
@administrator_options
def list_tokens(administrator: Administrator) -> None:
    """List tokens, without the tokens themselves."""
    administrator.show_table(list(administrator.client().pages("/tokens", limit=200)), _TOKENS)


@token.command("add")
@click.argument("name")
@_SCOPES
@_expiry
@administrator_options
def add_token(administrator: Administrator, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a token, shown this once; it expires after 90 days unless --days says otherwise."""
    if not scopes:
        click.echo(
            "warning: without --scope this token may only ask who it is; give --scope, such as ca:read", err=True
        )
    body = {"name": name, "scopes": list(scopes), **_seconds(days)}
    administrator.show(administrator.client().post("/tokens", body))


@token.command("revoke")
@click.argument("token_id")
@administrator_options
def revoke_token(administrator: Administrator, token_id: str) -> None:
    """Revoke a token at once."""
    administrator.client().delete(f"/tokens/{token_id}")
    administrator.done("revoked", {"revoked": token_id})
