"""``ca ceremony``: an offline root in a directory. All but ``import`` need no database, no service and no network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pycryptoutil.cli import exits, output
from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import CommandError

if TYPE_CHECKING:
    from datetime import datetime

    from pycryptoutil.authority.lifecycle.ceremony import Made
    from pycryptoutil.crypto.pkcs11 import TokenConfig

SERVICE: Final = "pki-ca"
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_MAX_SHARE: Final = 1000


def _now() -> datetime:
    from pycryptoutil.clock import SystemClock

    return SystemClock().now()


@click.group()
def ceremony() -> None:
    """An offline root: made, used and proved in a directory, its key held by M of N custodians."""


@ceremony.command()
@click.argument("directory", type=_FOLDER)
@click.option("--subject", required=True, help="RFC 4514, such as 'CN=Offline Root,O=Example'.")
@click.option("--custodian", "custodians", multiple=True, required=True, help="Who holds a share. Repeatable.")
@click.option("--threshold", type=click.IntRange(2, 20), required=True, help="How many of them must come together.")
@click.option("--algorithm", default="EC-P384", show_default=True)
@click.option("--days", type=click.IntRange(1, 10958), help="Life of the root; by default 20 years.")
@click.option("--name", default="offline-root", show_default=True, help="What the service will call it.")
@click.option("--distribution-url", default="", help="Where the service publishes, such as http://pki.example.com.")
@click.option("--hsm-module", default="", help="Make the key in a PKCS#11 token of this library; see --hsm-token.")
@click.option("--hsm-token", default="", help="The token's label.")
@click.option("--hsm-pin", type=_FILE, help="File with the token's PIN, which the custodians will share.")
@output.json_option
def init(
    directory: Path,
    subject: str,
    custodians: tuple[str, ...],
    threshold: int,
    algorithm: str,
    days: int | None,
    name: str,
    distribution_url: str,
    hsm_module: str,
    hsm_token: str,
    hsm_pin: Path | None,
    as_json: bool,
) -> None:
    """Make the root's key and certificate in an empty DIRECTORY, and a share for each custodian."""
    from pycryptoutil.authority.lifecycle.ceremony import InitOrder, initialise

    order = InitOrder(subject, custodians, threshold, algorithm, days or 0, name, distribution_url)
    made, shares = initialise(directory, order, _now(), _token(hsm_module, hsm_token, hsm_pin))
    files = {one.custodian.name: str(directory / "shares" / f"{n}.share") for n, one in enumerate(shares, 1)}
    if as_json:
        output.write_json(_told(made) | {"shares": files})
        return
    for custodian, path in files.items():
        click.echo(f"share of {custodian}: {path}")
    click.echo("hand each to its custodian and delete it here: they are kept nowhere else")
    if hsm_pin is not None:
        click.echo(f"delete {hsm_pin} too: together, the custodians have the PIN")
    _say(made)


def _token(module: str, label: str, pin: Path | None) -> TokenConfig | None:
    from pycryptoutil.crypto.pkcs11 import TokenConfig

    if not module and not label and pin is None:
        return None
    if not module or not label or pin is None:
        raise click.UsageError("--hsm-module, --hsm-token and --hsm-pin belong together")
    return TokenConfig(str(Path(module).absolute()), label, pin.read_text("utf-8").rstrip("\r\n"), sessions=1)


@ceremony.command()
@click.argument("directory", type=_FOLDER)
@click.option("--csr", type=_FILE, help="An online CA's request, from 'ca create --offline-parent'.")
@click.option("--crl", is_flag=True, help="Make the root's CRL.")
@click.option("--share", "files", type=_FILE, multiple=True, help="A custodian's share; without any, standard input.")
@click.option("--path-length", type=click.IntRange(0, 10), help="How many CAs may be below it  [default: 0]")
@click.option("--days", type=click.IntRange(1, 10958), help="Life of what is signed.")
@click.option("--permit", multiple=True, help="Name constraint, such as dns:example.com.")
@click.option("--exclude", multiple=True, help="Name constraint.")
@click.option("--revoke", multiple=True, metavar="SERIAL[:REASON]", help="With --crl: a certificate to revoke.")
@output.json_option
def sign(
    directory: Path,
    csr: Path | None,
    crl: bool,
    files: tuple[Path, ...],
    path_length: int | None,
    days: int | None,
    permit: tuple[str, ...],
    exclude: tuple[str, ...],
    revoke: tuple[str, ...],
    as_json: bool,
) -> None:
    """Certify an online CA (--csr) or make the root's CRL (--crl), with enough custodians' shares."""
    from pycryptoutil_protocols import pem

    from pycryptoutil.authority.lifecycle import ceremony as rooms
    from pycryptoutil.authority.model import RevocationReason

    if (csr is None) is not crl:
        raise click.UsageError("give --csr or --crl")
    if crl and (path_length is not None or permit or exclude):
        raise click.UsageError("--path-length, --permit and --exclude belong to --csr")
    if csr is not None and revoke:
        raise click.UsageError("--revoke belongs to --crl")
    pairs = [one.partition(":") for one in revoke]
    try:
        revoked = tuple((serial, RevocationReason(reason or "unspecified")) for serial, _, reason in pairs)
    except ValueError as error:
        raise click.UsageError(f"--revoke: {error}") from None
    shares = _shares(files)
    if csr is not None:
        labels = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
        encoded = pem.decode_body(csr.read_bytes(), 64 * 1024, labels)
        order = rooms.SignOrder(encoded, path_length or 0, days or 0, permit, exclude)
        made = rooms.sign_csr(directory, order, shares, _now())
    else:
        made = rooms.sign_crl(directory, rooms.CrlOrder(days or 180, revoked), shares, _now())
    if as_json:
        output.write_json(_told(made))
    else:
        _say(made)


def _shares(files: tuple[Path, ...]) -> list[str]:
    """Return the shares given: an argument would be visible to other users of the machine."""
    if files:
        return [path.read_text("utf-8", "replace")[:_MAX_SHARE].strip() for path in files]
    if sys.stdin.isatty():
        found: list[str] = []
        while text := click.prompt(f"share {len(found) + 1} (empty: no more)", "", hide_input=True, show_default=False):
            found.append(text)
        return found
    return [line.strip()[:_MAX_SHARE] for line in sys.stdin if line.strip() and not line.startswith("#")]


@ceremony.command()
@click.argument("directory", type=_FOLDER)
@click.option("--head", default="", help="The last hash that was kept elsewhere: shows that nothing was cut off.")
@output.json_option
def verify(directory: Path, head: str, as_json: bool) -> None:
    """Check the transcript, every signature in it, and the files beside it."""
    from pycryptoutil_protocols.faults import Fault, FaultKind

    from pycryptoutil.authority.lifecycle.ceremony import verify as check

    try:
        report = check(directory, head)
    except Fault as fault:
        if fault.kind is FaultKind.BAD_SIGNATURE:
            raise CommandError(fault.public or "the transcript does not hold", exits.INTEGRITY) from None
        raise
    entries = report.ceremony.entries
    found = {"entries": len(entries), "issued": report.issued, "crls": report.crls, "head": report.ceremony.head}
    if as_json:
        output.write_json(found | {"missing": list(report.missing), "transcript": [_entry(one) for one in entries]})
        return
    for one in entries:
        who = ", ".join(one.custodians)
        click.echo(f"{one.seq:4}  {one.at.isoformat(timespec='seconds')}  {one.action:6} {_what(one)}  ({who})")
    for name in report.missing:
        click.echo(f"{name} is missing; its content is in the transcript", err=True)
    click.echo(f"{len(entries)} entries hold; head {report.ceremony.head}")


def _entry(one: Any) -> dict[str, Any]:
    said = {"at": one.at.isoformat(), "custodians": list(one.custodians), "what": _what(one)}
    return {"seq": one.seq, "action": one.action, "hash": one.hash.hex()} | said


def _what(one: Any) -> str:
    details = one.details
    if one.action == "crl":
        return f"number {details['number']}, {len(details['revoked'])} revoked"
    return f"{details['subject']}" + (f" serial {details['serial']}" if one.action == "issue" else "")


@ceremony.command("import")
@click.argument("directory", type=_FOLDER)
@click.option("--name", help="What the service calls the root; by default as it was said at init.")
@administrator_options
def import_(administrator: Administrator, directory: Path, name: str | None) -> None:
    """Bring root certificate, CA certificates and CRL of a ceremony into the running service."""
    from pycryptoutil_protocols import pem

    from pycryptoutil.authority.lifecycle.ceremony import verify as check

    found = check(directory).ceremony
    issued = [f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----" for text in found.issued.values()]
    crl = f"-----BEGIN X509 CRL-----\n{found.crls[-1]['crl']}\n-----END X509 CRL-----" if found.crls else None
    body = {
        "name": name or found.name,
        "root": pem.encode_pem("CERTIFICATE", found.root.der).decode(),
        "certificates": issued,
        "crl": crl,
    }
    done = administrator.client(SERVICE).post("/offline-authorities", body)
    told = [f"{one} works under {done['root']}" for one in done["authorities"]]
    told += [f"CRL {done['crl_number']} of {done['root']} is published"] if done["crl_number"] else []
    told += [f"certificate {one} is for a key that is not here" for one in done["unknown"]]
    administrator.done("\n".join(told) or f"nothing new of {done['root']}", done)


def _told(made: Made) -> dict[str, Any]:
    return {"file": str(made.path), "entry": made.entry.seq, "head": made.entry.hash.hex()}


def _say(made: Made) -> None:
    click.echo(f"wrote {made.path}")
    click.echo(f"transcript entry {made.entry.seq}, head {made.entry.hash.hex()}")
