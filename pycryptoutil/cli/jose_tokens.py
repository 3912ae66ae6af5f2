"""``jose token``, ``validate``, ``inspect`` and ``sdjwt``: tokens by policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from pycryptoutil.cli import output
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import CommandError
from pycryptoutil.cli.jose_io import SERVICE, many, read_json, read_object, read_text
from pycryptoutil.cli.jose_objects import key_options

_MANY: Final = click.option("--many", "in_bulk", is_flag=True, help="Each line is one; the rate is told at the end.")


def _claims(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None  # the service tells what is wrong, by its place


@click.command()
@click.argument("name")
@click.option("--typ", help="Of the header.  [default: the policy's]")
@click.option("--encrypt-to", help="A ring to encrypt to, after signing.")
@_MANY
@administrator_options
def token(administrator: Administrator, name: str, typ: str | None, encrypt_to: str | None, in_bulk: bool) -> None:
    """Create a JWT of the claims on standard input, completed by the ring's policy (iss, aud, exp, nbf, iat, jti)."""
    common: dict[str, Any] = {"key": name, "typ": typ}
    common |= {"encrypt": {"key": encrypt_to}} if encrypt_to else {}
    if in_bulk:
        many(
            administrator,
            "/jwt/create/stream",
            lambda line: common | {"claims": _claims(line)},
            lambda found: click.echo(found["token"]),
        )
        return
    made = administrator.client(SERVICE).post("/jwt/create", common | {"claims": read_json("the claims")})
    output.write_json(made) if administrator.as_json else click.echo(made["token"])


def _policy(
    issuers: tuple[str, ...], audiences: tuple[str, ...], required: tuple[str, ...], typ: str
) -> dict[str, Any]:
    policy: dict[str, Any] = {"audiences": list(audiences), "typ": typ}
    policy |= {"issuers": list(issuers)} if issuers else {}
    return policy | ({"required": list(required)} if required else {})


@click.command()
@key_options
@click.option("--issuer", "issuers", multiple=True, help="Accepted iss. Repeatable.  [default: the ring's]")
@click.option("--audience", "audiences", multiple=True, help="Who we are. Repeatable.")
@click.option("--require", "required", multiple=True, help="A claim that must be there. Repeatable.  [default: exp]")
@click.option("--typ", default="", help="The type that it must have.")
@click.option("--decrypt-by", help="The ring that the token is encrypted for.")
@_MANY
@administrator_options
def validate(
    administrator: Administrator,
    keys: dict[str, Any],
    issuers: tuple[str, ...],
    audiences: tuple[str, ...],
    required: tuple[str, ...],
    typ: str,
    decrypt_by: str | None,
    in_bulk: bool,
) -> None:
    """Validate a JWT on standard input, and write its claims. Exit code 1 if it is not good."""
    common = keys | {"policy": _policy(issuers, audiences, required, typ)}
    common |= {"decrypt_key": decrypt_by} if decrypt_by else {}
    if in_bulk:
        many(
            administrator,
            "/jwt/validate/stream",
            lambda line: common | {"token": line.decode("utf-8", "replace")},
            lambda found: click.echo(json.dumps(found["claims"], separators=(",", ":"))),
        )
        return
    found = administrator.client(SERVICE).post("/jwt/validate", common | {"token": read_text()})
    output.write_json(found if administrator.as_json else found["claims"])


@click.command()
@administrator_options
def inspect(administrator: Administrator) -> None:
    """Show what a JWT on standard input says of itself. Nothing is verified."""
    output.write_json(administrator.client(SERVICE).post("/jwt/inspect", {"token": read_text()}))


# -- SD-JWT ------------------------------------------------------------------------------------------------------------


@click.group()
def sdjwt() -> None:
    """Selective disclosure (RFC 9901). A path is written as /address/city, an index as a number."""


def _path(text: str) -> list[str | int]:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in text.removeprefix("/").split("/")]
    if not all(parts):
        raise click.UsageError(f"{text!r} is no path of a claim")
    return [int(part) if part.isdecimal() else part for part in parts]


def _written(path: list[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _write(administrator: Administrator, made: dict[str, Any]) -> None:
    output.write_json(made) if administrator.as_json else click.echo(made["sd_jwt"])


@sdjwt.command()
@click.argument("name")
@click.option("--disclosable", multiple=True, required=True, metavar="PATH", help="A claim to be hidden. Repeatable.")
@click.option("--holder", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The holder's public JWK.")
@click.option("--decoys", type=click.IntRange(0), default=0)
@click.option("--typ", default="", help="Such as dc+sd-jwt.")
@administrator_options
def issue(
    administrator: Administrator, name: str, disclosable: tuple[str, ...], holder: Path | None, decoys: int, typ: str
) -> None:
    """Issue an SD-JWT of the claims on standard input."""
    body = {
        "key": name,
        "claims": read_json("the claims"),
        "disclosable": [_path(one) for one in disclosable],
        "holder": None if holder is None else read_object(holder),
        "decoys": decoys,
        "typ": typ,
    }
    _write(administrator, administrator.client(SERVICE).post("/sd-jwt/issue", body))


@sdjwt.command()
@administrator_options
def paths(administrator: Administrator) -> None:
    """Show what the SD-JWT on standard input lets its holder disclose. Nothing is verified."""
    found = administrator.client(SERVICE).post("/sd-jwt/inspect", {"sd_jwt": read_text()})["disclosable"]
    rows = [{"path": _written(one["path"]), "value": one["value"]} for one in found]
    administrator.show_table(rows, ("path", "value"))


@sdjwt.command()
@click.option("--disclose", multiple=True, metavar="PATH", help="A claim to show. Repeatable.")
@click.option("--holder-key", help="The ring of the holder's key, for key binding.")
@click.option("--audience", default="", help="The verifier, for key binding.")
@click.option("--nonce", default="", help="The verifier's, for key binding.")
@administrator_options
def present(
    administrator: Administrator, disclose: tuple[str, ...], holder_key: str | None, audience: str, nonce: str
) -> None:
    """Make a presentation of the SD-JWT on standard input."""
    body: dict[str, Any] = {"sd_jwt": read_text(), "disclose": [_path(one) for one in disclose]}
    body |= {"holder_key": holder_key, "audience": audience, "nonce": nonce}
    _write(administrator, administrator.client(SERVICE).post("/sd-jwt/present", body))


@sdjwt.command("verify")
@key_options
@click.option("--issuer", "issuers", multiple=True, help="Accepted iss. Repeatable.  [default: the ring's]")
@click.option("--accepted-audience", "audiences", multiple=True, help="aud of the token. Repeatable.")
@click.option("--require", "required", multiple=True, help="A claim that must be there. Repeatable.  [default: exp]")
@click.option("--typ", default="", help="The type that it must have.")
@click.option("--audience", default="", help="Ours, in the holder's proof.")
@click.option("--nonce", default="", help="Ours, in the holder's proof.")
@administrator_options
def verify_presentation(
    administrator: Administrator,
    keys: dict[str, Any],
    issuers: tuple[str, ...],
    audiences: tuple[str, ...],
    required: tuple[str, ...],
    typ: str,
    audience: str,
    nonce: str,
) -> None:
    """Verify the presentation on standard input, and write its claims; with --audience and --nonce, bound to them."""
    if bool(audience) != bool(nonce):
        raise CommandError("--audience and --nonce go together")
    body = keys | {"sd_jwt": read_text(), "policy": _policy(issuers, audiences, required, typ)}
    body |= {"key_binding": {"audience": audience, "nonce": nonce}} if audience else {}
    found = administrator.client(SERVICE).post("/sd-jwt/verify", body)
    output.write_json(found if administrator.as_json else found["claims"])


COMMANDS: Final = (token, validate, inspect, sdjwt)
