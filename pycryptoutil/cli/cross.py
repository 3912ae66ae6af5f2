"""``ca cross-certify``: a foreign CA, certified by one of ours within limits."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from pycryptoutil.cli.client import Administrator, administrator_options

SERVICE: Final = "pki-ca"
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


def _path(name: str) -> str:
    from urllib.parse import quote

    return f"/certificate-authorities/{quote(name, safe='')}/cross-certificates"


def _pem(path: Path | None, label: str) -> str | None:
    from pycryptoutil_protocols import pem

    if path is None:
        return None
    found = path.read_bytes()
    return found.decode("ascii", "replace") if b"-----BEGIN" in found else pem.encode_pem(label, found).decode()


@click.command("cross-certify")
@click.argument("name")
@click.option("--certificate", type=_FILE, help="The foreign CA's certificate, PEM or DER.")
@click.option("--csr", type=_FILE, help="Or a request of it, PEM or DER.")
@click.option("--profile", default="intermediate-ca", show_default=True, help="A profile for CAs.")
@click.option("--days", type=click.IntRange(1, 10958), help="Its life; it ends with the foreign one at the latest.")
@click.option("--path-length", type=click.IntRange(0, 10), help="How many CAs there may be below.")
@click.option("--permit", multiple=True, help="Name constraint, such as dns:partner.example.")
@click.option("--exclude", multiple=True, help="Name constraint.")
@click.option("--unconstrained", is_flag=True, help="Let it certify any name.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the certificate there.")
@administrator_options
def cross_certify(
    administrator: Administrator,
    name: str,
    certificate: Path | None,
    csr: Path | None,
    profile: str,
    days: int | None,
    path_length: int | None,
    permit: tuple[str, ...],
    exclude: tuple[str, ...],
    unconstrained: bool,
    out: Path | None,
) -> None:
    """Certify a foreign CA by the CA NAME."""
    if (certificate is None) is (csr is None):
        raise click.UsageError("give --certificate or --csr")
    body = {
        "certificate": _pem(certificate, "CERTIFICATE"),
        "csr": _pem(csr, "CERTIFICATE REQUEST"),
        "profile": profile,
        "validity_days": days,
        "path_length": path_length,
        "permitted_names": permit,
        "excluded_names": exclude,
        "unconstrained": unconstrained,
    }
    made = administrator.client(SERVICE).post(_path(name), body)
    if out is not None:
        out.write_text(made["certificate"])
        administrator.done(f"wrote {out}: serial {made['serial']}, until {made['not_after']}", made)
    elif administrator.as_json:
        administrator.show(made)
    else:
        click.echo(made["certificate"], nl=False)


@click.command("cross-certificates")
@click.argument("name")
@administrator_options
def cross_certificates(administrator: Administrator, name: str) -> None:
    """What the CA NAME has cross-certified."""
    rows = list(administrator.client(SERVICE).pages(_path(name)))
    administrator.show_table(rows, ("serial", "subject", "not_after", "created_at"))


CROSS: Final = (cross_certify, cross_certificates)
