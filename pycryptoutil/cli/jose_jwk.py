"""``jose generate``, ``thumbprint``, ``convert`` and ``check``: tools for keys that the service does not keep."""

from __future__ import annotations

from typing import Any, Final

import click

from pycryptoutil.cli import output
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import CommandError
from pycryptoutil.cli.jose_io import SERVICE, b64, read_json, read_octets, unb64, write_octets


@click.command()
@click.argument("algorithm")
@click.option("--alg", default="", help="What the JWK is for, such as ES256.")
@click.option("--use", type=click.Choice(["sig", "enc"]), default=None)
@click.option("--kid", help="Its name.  [default: the thumbprint]")
@administrator_options
def generate(administrator: Administrator, algorithm: str, alg: str, use: str | None, kid: str | None) -> None:
    """Make a JWK (EC-P256, RSA-3072, Ed25519, X25519, ML-DSA-65, HS256 …) and write it: the secret in the open."""
    body = {"algorithm": algorithm, "alg": alg, "use": use or "", "kid": kid}
    made = administrator.client(SERVICE).post("/jwk/generate", body)
    output.write_json(made if administrator.as_json else made["jwk"])


@click.command()
@click.option("--uri", is_flag=True, help="As a URI (RFC 9278).")
@administrator_options
def thumbprint(administrator: Administrator, uri: bool) -> None:
    """Thumbprint of the JWK on standard input (RFC 7638)."""
    found = administrator.client(SERVICE).post("/jwk/thumbprint", {"jwk": read_json("the JWK")})
    output.write_json(found) if administrator.as_json else click.echo(found["uri" if uri else "thumbprint"])


@click.command()
@click.option(
    "--to", type=click.Choice(["jwk", "pem", "der"]), default=None, help="[default: pem of a JWK, jwk of others]"
)
@click.option("--alg", default="", help="Of the JWK.")
@click.option("--use", type=click.Choice(["sig", "enc"]), default=None, help="Of the JWK.")
@click.option("--kid", default="", help="Of the JWK.")
@administrator_options
def convert(administrator: Administrator, to: str | None, alg: str, use: str | None, kid: str) -> None:
    """Bring the key on standard input (JWK, PEM or DER) into another form."""
    given = read_octets()
    body: dict[str, Any] = {"alg": alg, "use": use or "", "kid": kid}
    if given.lstrip().startswith(b"{"):
        body["jwk"] = _json(given)
    elif b"-----BEGIN" in given:
        body["pem"] = given.decode("ascii", "replace")
    else:
        body["der"] = b64(given)
    found = administrator.client(SERVICE).post("/jwk/convert", body)
    wanted = to or ("pem" if "jwk" in body else "jwk")
    if administrator.as_json:
        output.write_json(found)
    elif wanted == "der":
        write_octets(unb64(found["der"]))
    elif wanted == "pem":
        click.echo(found["pem"], nl=False)
    else:
        output.write_json(found["jwk"])


def _json(given: bytes) -> Any:
    import json

    try:
        return json.loads(given)
    except ValueError:
        raise CommandError("the JWK on standard input is not JSON") from None


@click.command()
@administrator_options
def check(administrator: Administrator) -> None:
    """Validate the JWK or JWK Set on standard input. Exit code 1 if it is not good."""
    given = read_json("the JWK")
    kind = "jwks" if isinstance(given, dict) and "keys" in given else "jwk"
    rows = administrator.client(SERVICE).post("/jwk/validate", {kind: given})["keys"]
    administrator.show_table(rows, ("kty", "algorithm", "kind", "kid", "alg", "use", "thumbprint"))


COMMANDS: Final = (generate, thumbprint, convert, check)
