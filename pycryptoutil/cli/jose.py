"""``jose``: rings of JSON Web Keys, and everything that is done with them, over the REST API of a running jose-ja."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from pycryptoutil.cli import jose_jwk, jose_objects, jose_tokens, output
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.jose_io import SERVICE, path
from pycryptoutil.cli.jose_speed import speed

_COLUMNS: Final = ("name", "algorithm", "use", "status", "kid", "active_version", "rotates_at")
_VERSION_COLUMNS: Final = (
    "version",
    "kid",
    "status",
    "published",
    "created_at",
    "activated_at",
    "protected",
    "processed",
)
_SIGNS: Final = re.compile(r"(HS|RS|PS|ES)[0-9]|Ed|ML-DSA")


@click.group()
def jose() -> None:
    """Rings of JSON Web Keys; JWS, JWE, JWT and SD-JWT by them."""


def _ring(name: str, *more: str) -> str:
    return path("elastic-jwks", name, *more)


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("name", "kid", "algorithm", "use", "status", "active_version", "jwks_url")}


def _show(administrator: Administrator, row: dict[str, Any]) -> None:
    administrator.show(row if administrator.as_json else _brief(row))


@jose.command()
@click.argument("name")
@click.option(
    "--algorithm", required=True, help="Such as ES256, RS256/RSA-4096, EdDSA, ML-DSA-65, ECDH-ES+A256KW/X25519."
)
@click.option("--use", type=click.Choice(["sig", "enc"]), help="Follows from the algorithm, unless given.")
@click.option("--description", default="")
@click.option(
    "--max-materials", type=click.IntRange(0), default=0, help="How many keys it may hold.  [default: any number]"
)
@click.option(
    "--rotation-period", type=click.IntRange(0), default=0, help="Seconds between rotations.  [default: none]"
)
@click.option("--issuer", help="iss of its tokens.  [default: the service's URL]")
@click.option("--audience", multiple=True, help="aud of its tokens. Repeatable.")
@click.option("--lifetime", type=click.IntRange(1), help="Seconds from iat to exp of its tokens.")
@administrator_options
def create(
    administrator: Administrator,
    name: str,
    algorithm: str,
    use: str | None,
    description: str,
    max_materials: int,
    rotation_period: int,
    issuer: str | None,
    audience: tuple[str, ...],
    lifetime: int | None,
) -> None:
    """Make a ring with its first key. The next key is made, and published, too."""
    policy = {
        key: value
        for key, value in {"issuer": issuer, "audience": list(audience), "lifetime": lifetime}.items()
        if value
    }
    body = {
        "name": name,
        "algorithm": algorithm,
        "use": use or ("sig" if _SIGNS.match(algorithm) else "enc"),
        "description": description,
        "max_materials": max_materials,
        "rotation_period": rotation_period,
        "token_policy": policy or None,
    }
    _show(administrator, administrator.client(SERVICE).post("/elastic-jwks", body))


@jose.command("list")
@click.option("--use", type=click.Choice(["sig", "enc"]))
@click.option("--status", type=click.Choice(["enabled", "disabled", "deleted", "destroyed"]))
@click.option("--algorithm")
@click.option("--name", help="Part of the name.")
@administrator_options
def list_(administrator: Administrator, /, **conditions: str | None) -> None:
    """Every ring."""
    rows = list(administrator.client(SERVICE).pages("/elastic-jwks", limit=200, **conditions))
    administrator.show_table(rows, _COLUMNS)


@jose.command()
@click.argument("name")
@administrator_options
def show(administrator: Administrator, name: str) -> None:
    """One ring."""
    administrator.show(administrator.client(SERVICE).get(_ring(name)))


@jose.command()
@click.argument("name")
@administrator_options
def versions(administrator: Administrator, name: str) -> None:
    """Every key of a ring."""
    rows = administrator.client(SERVICE).get(_ring(name, "versions"))["items"]
    administrator.show_table(rows, _VERSION_COLUMNS)


@jose.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Though relying parties may not have seen the next key yet.")
@administrator_options
def rotate(administrator: Administrator, name: str, force: bool) -> None:
    """Make the next key the active one, and publish the one after it."""
    _show(administrator, administrator.client(SERVICE).post(_ring(name, "rotate"), {"force": force}))


def _switched(administrator: Administrator, name: str, version: int | None, to: str) -> None:
    client = administrator.client(SERVICE)
    if version is None:
        _show(administrator, client.patch(_ring(name), {"status": to}))
        return
    verb = {"enabled": "enable", "disabled": "disable"}[to]
    found = client.post(_ring(name, "versions", str(version), verb))
    administrator.done(f"version {version} of {name} is {found['status']}", found)


_VERSION: Final = click.option("--version", type=click.IntRange(1), help="One key of it.")


@jose.command()
@click.argument("name")
@_VERSION
@administrator_options
def enable(administrator: Administrator, name: str, version: int | None) -> None:
    """Let a ring, or one key of it, be used again."""
    _switched(administrator, name, version, "enabled")


@jose.command()
@click.argument("name")
@_VERSION
@administrator_options
def disable(administrator: Administrator, name: str, version: int | None) -> None:
    """Refuse every use of a ring, or of one key of it."""
    _switched(administrator, name, version, "disabled")


@jose.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(1), required=True)
@click.option("--reason", default="")
@administrator_options
def revoke(administrator: Administrator, name: str, version: int, reason: str) -> None:
    """Revoke a key for good: nothing is signed, verified, encrypted or decrypted by it any more."""
    found = administrator.client(SERVICE).post(_ring(name, "versions", str(version), "revoke"), {"reason": reason})
    administrator.done(f"version {version} of {name} is {found['status']}", found)


@jose.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(1), required=True)
@click.option("--reason", default="")
@administrator_options
def destroy(administrator: Administrator, name: str, version: int, reason: str) -> None:
    """Overwrite a key that is not the active one."""
    found = administrator.client(SERVICE).post(_ring(name, "versions", str(version), "destroy"), {"reason": reason})
    administrator.done(f"version {version} of {name} is {found['status']}", found)


@jose.command()
@click.argument("name")
@administrator_options
def delete(administrator: Administrator, name: str) -> None:
    """Delete a ring: unusable at once, restorable until its waiting period ends."""
    client = administrator.client(SERVICE)
    client.delete(_ring(name))
    administrator.done(f"{name} is deleted; `jose restore` takes it back for a time")


@jose.command()
@click.argument("name")
@administrator_options
def restore(administrator: Administrator, name: str) -> None:
    """Take a deletion back; the ring is disabled then."""
    _show(administrator, administrator.client(SERVICE).post(_ring(name, "restore")))


@jose.command()
@click.argument("name", required=False)
@administrator_options
def jwks(administrator: Administrator, name: str | None) -> None:
    """The published set: of the default tenant, or of one ring."""
    place = "/.well-known/jwks.json"
    if name is not None:
        ring = administrator.client(SERVICE).get(_ring(name))
        place = path("jwks", ring["tenant"], ring["id"], "jwks.json")
    output.write_json(administrator.anonymous(SERVICE).get(place))


for _command in (*jose_objects.COMMANDS, *jose_tokens.COMMANDS, *jose_jwk.COMMANDS, speed):
    jose.add_command(_command)
