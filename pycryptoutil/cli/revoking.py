"""``ca revoke``, ``release``, ``revoke-key`` and ``revoke-requester``: changes of certificates' status."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from pycryptoutil.cli import output
from pycryptoutil.cli.client import Administrator, administrator_options

SERVICE: Final = "pki-ca"
_BATCH: Final = 500
REASONS: Final = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "privilegeWithdrawn",
)


def _path(*parts: str) -> str:
    from urllib.parse import quote

    return "/" + "/".join(quote(part, safe="") for part in parts)


def rfc3339(_ctx: click.Context, _parameter: click.Parameter, value: Any) -> str | None:
    """Write a time given on the command line as RFC 3339; without an offset it is UTC."""
    if value is None:
        return None
    from datetime import UTC

    return str((value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat())


TIME: Final = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ"])


@click.command()
@click.argument("serial_hex")
@click.option("--reason", type=click.Choice(REASONS), default="unspecified", show_default=True)
@click.option("--invalidity-date", type=TIME, callback=rfc3339, help="Since when the key is suspected.")
@click.option("--authority", help="Which CA's, where imported CAs share a serial.")
@administrator_options
def revoke(
    administrator: Administrator, serial_hex: str, reason: str, invalidity_date: str | None, authority: str | None
) -> None:
    """Revoke a certificate; with the reason certificateHold it can be released again."""
    body = {"reason": reason, "invalidity_date": invalidity_date}
    _changed(administrator, _path("certificates", serial_hex, "revoke"), body, authority)


@click.command()
@click.argument("serial_hex")
@click.option("--authority", help="Which CA's, where imported CAs share a serial.")
@administrator_options
def release(administrator: Administrator, serial_hex: str, authority: str | None) -> None:
    """Release a certificate that is on hold."""
    _changed(administrator, _path("certificates", serial_hex, "unhold"), None, authority)


def _changed(administrator: Administrator, path: str, body: dict[str, Any] | None, authority: str | None) -> None:
    found = administrator.client(SERVICE).post(path, body, authority=authority)
    said = found["status"] if found["reason"] is None else f"{found['status']} ({found['reason']})"
    administrator.done(f"{found['serial']} is {said}", found)


@click.command("revoke-key")
@click.argument("serial_hex", required=False)
@click.option("--authority", help="Which CA's, where imported CAs share a serial.")
@click.option("--spki", help="SHA-256 of the key's SubjectPublicKeyInfo, in hex, instead of a serial.")
@click.option(
    "--public-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The key itself, PEM or DER, instead of a serial.",
)
@click.option("--reason", type=click.Choice(REASONS), default="keyCompromise", show_default=True)
@click.option("--invalidity-date", type=TIME, callback=rfc3339, help="Since when the key is suspected.")
@administrator_options
def revoke_key(
    administrator: Administrator,
    serial_hex: str | None,
    authority: str | None,
    spki: str | None,
    public_key: Path | None,
    reason: str,
    invalidity_date: str | None,
) -> None:
    """Revoke every certificate of a key, which SERIAL_HEX, a digest or a file names.

    Interrupted, it is simply run again.
    """
    if sum(one is not None for one in (serial_hex, spki, public_key)) != 1:
        raise click.UsageError("give one of SERIAL_HEX, --spki and --public-key")
    body = {
        "serial": serial_hex,
        "authority": authority,
        "spki_sha256": spki.replace(":", "") if spki is not None else None,
        "public_key": _key_text(public_key) if public_key is not None else None,
        "reason": reason,
        "invalidity_date": invalidity_date,
    }
    _many(administrator, "/certificates/revoke-by-key", body)


@click.command("revoke-requester")
@click.argument("requester")
@click.option("--reason", type=click.Choice(REASONS), default="unspecified", show_default=True)
@click.option("--invalidity-date", type=TIME, callback=rfc3339, help="Since when they are suspected.")
@administrator_options
def revoke_requester(administrator: Administrator, requester: str, reason: str, invalidity_date: str | None) -> None:
    """Revoke every certificate of REQUESTER, such as credential:enroll-…, that has not expired.

    Interrupted, it is simply run again.
    """
    body = {"requester": requester, "reason": reason, "invalidity_date": invalidity_date}
    _many(administrator, "/certificates/revoke-by-requester", body)


def _key_text(path: Path) -> str:
    import base64

    raw = path.read_bytes()
    return raw.decode("ascii", "replace") if raw.lstrip().startswith(b"-----BEGIN") else base64.b64encode(raw).decode()


def _many(administrator: Administrator, path: str, body: dict[str, Any]) -> None:
    client = administrator.client(SERVICE)
    serials: list[str] = []
    cursor: str | None = ""
    with output.progress("revoking", quiet=administrator.as_json) as progressed:
        while cursor is not None:
            found = client.post(path, {**body, "cursor": cursor, "limit": _BATCH})
            serials += found["serials"]
            cursor = found["next"]
            progressed(len(serials))
    done = "held" if body["reason"] == "certificateHold" else "revoked"
    administrator.done(f"{len(serials)} certificates {done}", {"serials": serials, "reason": body["reason"]})


COMMANDS: Final = (revoke, release, revoke_key, revoke_requester)
