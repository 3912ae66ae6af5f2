"""``ca import``: a CA that another program has run, taken over by the running pki-ca."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Final

import click

from pycryptoutil.cli.client import Administrator, administrator_options

SERVICE: Final = "pki-ca"
_BATCH: Final = 200
_SHOWN: Final = 20
_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("import")
@click.argument("name")
@click.option("--openssl-ca", type=_FOLDER, help="A directory of openssl ca: index.txt, crlnumber, newcerts/, keys.")
@click.option("--step-ca", type=_FOLDER, help="A directory of step-ca: certs/ and secrets/; its database is not read.")
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Of the private key; without one it is asked for, or read from standard input.",
)
@click.option("--chain", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM of the CAs above.")
@click.option("--certificate-profile", help="What imported certificates are renewed under; by default they are not.")
@administrator_options
def import_(
    administrator: Administrator,
    name: str,
    openssl_ca: Path | None,
    step_ca: Path | None,
    passphrase_file: Path | None,
    chain: Path | None,
    certificate_profile: str | None,
) -> None:
    """Take over a CA under NAME: key, chain, CRL number, and what it has issued and revoked. May be repeated."""
    from pycryptoutil.cli import layouts
    from pycryptoutil.crypto import private_files, x509

    if (openssl_ca is None) is (step_ca is None):
        raise click.UsageError("give --openssl-ca or --step-ca")
    found = layouts.openssl_ca(openssl_ca) if openssl_ca is not None else layouts.step_ca(step_ca or Path())
    above = found.chain
    if chain is not None:
        above = tuple(one for one in x509.certificates_of(chain.read_bytes()) if one != found.certificate)
    passphrase = _passphrase(passphrase_file) if private_files.needs_passphrase(found.key) else None
    key = private_files.read_private_key(found.key, passphrase)
    for note in found.notes:
        click.echo(note, err=True)
    client = administrator.client(SERVICE)
    body = {
        "name": name,
        "certificate": x509.pem(found.certificate),
        "chain": [x509.pem(one) for one in above],
        "private_key": x509.pem(key, "PRIVATE KEY"),
        "crl_number": found.crl_number,
    }
    made = client.post("/authority-imports", body)
    problems = list(found.problems)
    counts = {"added": 0, "changed": 0, "known": 0}
    documents = layouts.documents(found.rows, problems)
    while items := list(islice(documents, _BATCH)):
        body = {"profile": certificate_profile, "items": items}
        done = client.post(f"/authority-imports/{made['name']}/certificates", body)
        for kind in counts:
            counts[kind] += done[kind]
        problems += [(one["serial"], one["problem"]) for one in done["problems"]]
    for where, text in problems[:_SHOWN]:
        click.echo(f"{where}: {text}", err=True)
    if len(problems) > _SHOWN:
        click.echo(f"… and {len(problems) - _SHOWN} more", err=True)
    told = f"{made['name']} is taken over: {counts['added']} certificates added, {counts['changed']} revoked since, "
    said = {"authority": made, **counts, "problems": [{"where": where, "problem": text} for where, text in problems]}
    administrator.done(f"{told}{counts['known']} known, {len(problems)} problems", said)


def _passphrase(path: Path | None) -> bytes:
    """Return the key's passphrase: never an argument, which other users of the machine see."""
    if path is not None:
        return path.read_bytes().rstrip(b"\r\n")
    if sys.stdin.isatty():
        return str(click.prompt("passphrase of the private key", hide_input=True)).encode()
    return sys.stdin.readline().rstrip("\r\n").encode()
