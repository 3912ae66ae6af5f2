"""``jose sign``, ``verify``, ``encrypt`` and ``decrypt``: from standard input, one object or many lines."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from pycryptoutil.cli import output
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.jose_io import (
    SERVICE,
    b64,
    many,
    parse_object,
    read_object,
    read_octets,
    read_text,
    unb64,
    write_object,
    write_octets,
)

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_MANY: Final = click.option("--many", "in_bulk", is_flag=True, help="Each line is one; the rate is told at the end.")
_SERIALIZATION: Final = click.option(
    "--serialization", type=click.Choice(["compact", "flattened", "general"]), default="compact", show_default=True
)


def key_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command a ring's NAME, ``--jwk`` and ``--jwks``; it receives ``keys`` as bodies take them."""

    @click.argument("name", required=False)
    @click.option("--jwk", type=_FILE, help="A public JWK, instead of a ring.")
    @click.option("--jwks", type=_FILE, help="A set of public JWKs, instead of a ring.")
    @functools.wraps(command)
    def wrapped(*args: Any, name: str | None, jwk: Path | None, jwks: Path | None, **options: Any) -> Any:
        given = {"key": name, "jwk": jwk and read_object(jwk), "jwks": jwks and read_object(jwks)}
        keys = {kind: value for kind, value in given.items() if value is not None}
        if len(keys) != 1:
            raise click.UsageError("give one of NAME, --jwk and --jwks")
        return command(*args, keys=keys, **options)

    return wrapped


def _header(pairs: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise click.UsageError(f"--header {pair}: write NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _is_object(payload: bytes) -> bool:
    try:
        return isinstance(json.loads(payload), dict)
    except (ValueError, RecursionError):
        return False


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--typ", help="Of the header.  [default: JWT for a JSON object, otherwise none]")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A protected parameter. Repeatable.")
@click.option("--detached", is_flag=True, help="Without the payload.")
@click.option("--unencoded", is_flag=True, help='The payload as it is, "b64": false (RFC 7797).')
@_SERIALIZATION
@_MANY
@administrator_options
def sign(
    administrator: Administrator,
    names: tuple[str, ...],
    typ: str | None,
    headers: tuple[str, ...],
    detached: bool,
    unencoded: bool,
    serialization: str,
    in_bulk: bool,
) -> None:
    """Sign standard input by JWS. Several rings sign together in the general serialisation."""

    def body(payload: bytes) -> dict[str, Any]:
        kind = typ if typ is not None else ("JWT" if _is_object(payload) else "")
        header = ({"typ": kind} if kind else {}) | _header(headers)
        whose: dict[str, Any] = {"key": names[0], "header": header}
        if len(names) > 1:
            whose = {"signers": [{"key": name, "header": header} for name in names]}
        options = {"detached": detached, "encoded": not unencoded, "serialization": serialization}
        return whose | options | {"payload": b64(payload)}

    if len(names) > 1 and serialization != "general":
        raise click.UsageError("several rings sign with --serialization general")
    if in_bulk:
        many(administrator, "/jws/sign/stream", body, lambda found: write_object(found["jws"]))
        return
    made = administrator.client(SERVICE).post("/jws/sign", body(read_octets()))
    output.write_json(made) if administrator.as_json else write_object(made["jws"])


@click.command()
@key_options
@click.option("--payload", type=_FILE, help="What was signed, if it is detached.")
@click.option("--alg", "algs", multiple=True, help="Accept only this one. Repeatable.")
@click.option("--any", "require_any", is_flag=True, help="One good signature of several is enough.")
@_MANY
@administrator_options
def verify(
    administrator: Administrator,
    keys: dict[str, Any],
    payload: Path | None,
    algs: tuple[str, ...],
    require_any: bool,
    in_bulk: bool,
) -> None:
    """Verify a JWS on standard input, and write what was signed. Exit code 1 if it is not good."""
    common: dict[str, Any] = keys | {"require": "any" if require_any else "all"}
    common |= {"algs": list(algs)} if algs else {}
    common |= {"payload": b64(payload.read_bytes())} if payload is not None else {}
    if in_bulk:
        many(
            administrator,
            "/jws/verify/stream",
            lambda line: common | {"jws": parse_object(line.decode("utf-8", "replace"))},
            lambda found: write_octets(unb64(found["payload"]).rstrip(b"\n") + b"\n"),
        )
        return
    found = administrator.client(SERVICE).post("/jws/verify", common | {"jws": parse_object(read_text())})
    output.write_json(found) if administrator.as_json else write_octets(unb64(found["payload"]))


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option("--jwk", "jwks", type=_FILE, multiple=True, help="A public JWK to encrypt to. Repeatable.")
@click.option("--alg", help="Where the key leaves it open.")
@click.option("--enc", help="Content encryption.  [default: A256GCM, or the key's]")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A protected parameter. Repeatable.")
@click.option("--aad", help="Additional data (UTF-8); JSON serialisations only.")
@_SERIALIZATION
@_MANY
@administrator_options
def encrypt(
    administrator: Administrator,
    names: tuple[str, ...],
    jwks: tuple[Path, ...],
    alg: str | None,
    enc: str | None,
    headers: tuple[str, ...],
    aad: str | None,
    serialization: str,
    in_bulk: bool,
) -> None:
    """Encrypt standard input by JWE. Several recipients go together in the general serialisation."""
    recipients = [{"key": name, "alg": alg} for name in names]
    recipients += [{"jwk": read_object(file), "alg": alg} for file in jwks]
    if not recipients:
        raise click.UsageError("give NAME or --jwk")
    common: dict[str, Any] = recipients[0] if len(recipients) == 1 else {"recipients": recipients}
    common = common | {"enc": enc, "header": _header(headers), "serialization": serialization}
    common |= {} if aad is None else {"aad": b64(aad.encode())}
    if in_bulk:
        many(
            administrator,
            "/jwe/encrypt/stream",
            lambda line: common | {"payload": b64(line)},
            lambda found: write_object(found["jwe"]),
        )
        return
    made = administrator.client(SERVICE).post("/jwe/encrypt", common | {"payload": b64(read_octets())})
    output.write_json(made) if administrator.as_json else write_object(made["jwe"])


@click.command()
@click.argument("name")
@click.option("--aad", help="Additional data (UTF-8) that the object must have.")
@_MANY
@administrator_options
def decrypt(administrator: Administrator, name: str, aad: str | None, in_bulk: bool) -> None:
    """Decrypt a JWE on standard input."""
    common: dict[str, Any] = {"key": name} | ({} if aad is None else {"aad": b64(aad.encode())})
    if in_bulk:
        many(
            administrator,
            "/jwe/decrypt/stream",
            lambda line: common | {"jwe": parse_object(line.decode("utf-8", "replace"))},
            lambda found: write_octets(unb64(found["payload"]) + b"\n"),
        )
        return
    found = administrator.client(SERVICE).post("/jwe/decrypt", common | {"jwe": parse_object(read_text())})
    output.write_json(found) if administrator.as_json else write_octets(unb64(found["payload"]))


COMMANDS: Final = (sign, verify, encrypt, decrypt)
