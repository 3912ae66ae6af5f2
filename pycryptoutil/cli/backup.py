"""``ca backup`` and ``ca restore``: a CA in a file that only the holder of a recovery key can read, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

from pycryptoutil.cli.client import Administrator, administrator_options
from pycryptoutil.cli.exits import CommandError

SERVICE: Final = "pki-ca"
HEADER: Final = "pycryptoutil CA backup 1"
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_MAX_PARTS: Final = 1_000_000


@click.command()
@click.argument("name")
@click.option("--recipient", type=_FILE, required=True, help="Certificate or public key of the recovery key, PEM.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to standard output.")
@administrator_options
def backup(administrator: Administrator, name: str, recipient: Path, out: Path | None) -> None:
    """Write a backup of a CA: its keys, chain and numbers, and all that it has issued and revoked."""
    from urllib.parse import quote

    client, path = administrator.client(SERVICE), f"/certificate-authorities/{quote(name, safe='')}/backup"
    lines = [HEADER]
    cursor: str | None = ""
    while cursor is not None and len(lines) < _MAX_PARTS:
        found = client.post(path, {"recipient": recipient.read_text(), "cursor": cursor})
        lines.append(found["part"])
        cursor = found["cursor"]
    text = "\n".join([*lines, f"end {len(lines) - 1}", ""])
    if out is None:
        click.echo(text, nl=False)
    else:
        out.touch(mode=0o600)
        out.write_text(text)
        administrator.done(f"wrote {len(lines) - 1} parts to {out}", {"file": str(out), "parts": len(lines) - 1})


@click.command()
@click.argument("file", type=_FILE)
@click.option("--key", "key_file", type=_FILE, required=True, help="The recovery key, PEM; it stays on this machine.")
@click.option("--passphrase-file", type=_FILE, help="Of the recovery key; else it is asked for, or standard input.")
@click.option("--override-stale", is_flag=True, help="Add what is missing, though more is known here than there.")
@click.option("--replace", is_flag=True, help="Put a CA of the same name aside that has issued nothing yet.")
@administrator_options
def restore(
    administrator: Administrator,
    file: Path,
    key_file: Path,
    passphrase_file: Path | None,
    override_stale: bool,
    replace: bool,
) -> None:
    """Bring a CA back from a backup. May be repeated after an interruption."""
    from base64 import b64encode

    client = administrator.client(SERVICE)
    documents = _decrypted(file, key_file, passphrase_file)
    added, name = 0, ""
    notes: list[str] = []
    for number, document in enumerate([*documents, documents[0]]):
        body: dict[str, Any] = {"document": b64encode(document).decode("ascii"), "replace": replace}
        body |= {"override": override_stale, "finish": number == len(documents)}
        done = client.post("/authority-restores", body)
        added += done["added"]
        name = done["name"]
        notes += [note for note in done["notes"] if note not in notes]
    for note in notes:
        click.echo(note, err=True)
    said = {"authority": name, "added": added, "parts": len(documents), "notes": notes}
    administrator.done(f"{name} is back: {added} rows of {len(documents)} parts were not here", said)


def _decrypted(file: Path, key_file: Path, passphrase_file: Path | None) -> list[bytes]:
    """Read and decrypt every part before anything is sent; a file that breaks off is told."""
    from base64 import b64decode

    from pycryptoutil.authority.lifecycle.backup import document
    from pycryptoutil.crypto import private_files
    from pycryptoutil.crypto.keys import PrivateKey

    lines = file.read_text("ascii", "replace").splitlines()
    parts = lines[1:-1]
    if not parts or lines[0] != HEADER or lines[-1] != f"end {len(parts)}":
        raise CommandError(f"{file}: is not a backup, or breaks off")
    encoded = key_file.read_bytes()
    passphrase = _passphrase(passphrase_file) if private_files.needs_passphrase(encoded) else None
    key = PrivateKey.from_pkcs8(private_files.read_private_key(encoded, passphrase))
    try:
        return [document.decrypt(b64decode(part, validate=True), key) for part in parts]
    except ValueError:
        raise CommandError(f"{file}: is not a backup: a line is not base64") from None


def _passphrase(path: Path | None) -> bytes:
    if path is not None:
        return path.read_bytes().rstrip(b"\r\n")
    if sys.stdin.isatty():
        return str(click.prompt("passphrase of the recovery key", hide_input=True)).encode()
    return sys.stdin.readline().rstrip("\r\n").encode()
