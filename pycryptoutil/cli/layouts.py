"""How other programs lay out a CA in a directory: that of ``openssl ca`` and that of step-ca."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pycryptoutil_protocols import pem
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.cli.exits import CommandError

_MAX_FILE: Final = 256 * 1024
_FIELDS: Final = 6
_KEYS: Final = ("private/cakey.pem", "cakey.pem", "private/ca.key.pem", "private/ca.key", "ca.key")
_CERTIFICATES: Final = ("cacert.pem", "certs/ca.cert.pem", "ca.pem", "ca.crt")
_CHAINS: Final = ("chain.pem", "certs/ca-chain.cert.pem", "ca-chain.pem")
_REASONS: Final = {
    "unspecified": "unspecified",
    "keyCompromise": "keyCompromise",
    "CACompromise": "cACompromise",
    "affiliationChanged": "affiliationChanged",
    "superseded": "superseded",
    "cessationOfOperation": "cessationOfOperation",
    "certificateHold": "certificateHold",
    "removeFromCRL": "unspecified",
    "holdInstruction": "certificateHold",
    "keyTime": "keyCompromise",
    "CAkeyTime": "cACompromise",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A certificate that the CA has issued; times as RFC 3339 text. ``path`` is where it should be."""

    serial: str
    not_after: str
    subject: str = ""
    revoked_at: str | None = None
    reason: str | None = None
    invalidity_date: str | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A CA as it was found. ``key`` may be encrypted. ``notes`` say what was not read, and why."""

    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    key: bytes = field(repr=False)
    crl_number: int
    rows: tuple[Row, ...] = field(repr=False)
    problems: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


def openssl_ca(folder: Path) -> Layout:
    """Read a directory of ``openssl ca``; CommandError without key or certificate. A bad line is just a problem."""
    certificate = _certificates(_first(folder, _CERTIFICATES, "the CA's certificate"))
    chain = next((path for name in _CHAINS if (path := folder / name).is_file()), None)
    above = (
        tuple(one for one in _certificates(chain) if one != certificate[0]) if chain is not None else certificate[1:]
    )
    rows: list[Row] = []
    problems: list[tuple[str, str]] = []
    index = folder / "index.txt"
    if not index.is_file():
        raise CommandError(f"{index}: there is no such file: is this a directory of openssl ca?")
    for number, line in enumerate(index.read_text("utf-8", "replace").splitlines(), 1):
        if line.strip():
            try:
                rows.append(_index_row(folder, line))
            except ValueError as error:
                problems.append((f"index.txt line {number}", str(error)))
    listed = {row.path.name for row in rows if row.path is not None}
    found = sorted(path.name for path in (folder / "newcerts").glob("*.pem"))
    problems += [(f"newcerts/{name}", "it is not in index.txt") for name in found if name not in listed]
    key = _first(folder, _KEYS, "the CA's private key").read_bytes()
    return Layout(certificate[0], above, key, _crl_number(folder), tuple(rows), tuple(problems))


def step_ca(folder: Path) -> Layout:
    """Read what step-ca keeps in files: certificates and key. Its database is a program's own, and is not read."""
    issuing = _certificates(_first(folder, ("certs/intermediate_ca.crt",), "the intermediate certificate"))
    root = _certificates(_first(folder, ("certs/root_ca.crt",), "the root certificate"))
    key = _first(folder, ("secrets/intermediate_ca_key",), "the intermediate key").read_bytes()
    note = (
        "step-ca's database (db/) is not read: certificates that it has issued are unknown here, and so are revocations"
    )
    return Layout(issuing[0], (*issuing[1:], root[0]), key, 0, (), (), (note,))


def _first(folder: Path, names: tuple[str, ...], what: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CommandError(f"{folder}: {what} is missing; looked for {', '.join(names)}")


def _certificates(path: Path) -> tuple[bytes, ...]:
    from pycryptoutil.crypto.x509 import certificates_of

    try:
        return certificates_of(path.read_bytes())
    except (OSError, Fault):
        raise CommandError(f"{path}: is not a certificate") from None


def _crl_number(folder: Path) -> int:
    """Return the last number that was given out: the file has the next one, in hex."""
    path = folder / "crlnumber"
    if not path.is_file():
        return 0
    try:
        return max(0, int(path.read_text().strip(), 16) - 1)
    except ValueError:
        raise CommandError(f"{path}: is not a number in hex") from None


def _index_row(folder: Path, line: str) -> Row:
    """Read status, expiry, revocation, serial, file, subject, with tabs between; ValueError says what is wrong."""
    parts = line.split("\t")
    if len(parts) != _FIELDS:
        raise ValueError(f"{len(parts)} fields instead of {_FIELDS}")
    status, expiry, revocation, serial, name, subject = parts
    if status not in {"V", "R", "E"}:
        raise ValueError(f"the status {status[:10]!r} is not V, R or E")
    if not serial or any(digit not in "0123456789abcdefABCDEF" for digit in serial):
        raise ValueError(f"the serial {serial[:50]!r} is not hex")
    if (status == "R") is not bool(revocation):
        raise ValueError("a revocation date without status R, or the other way round")
    path = folder / "newcerts" / (f"{serial}.pem" if name in ("", "unknown") else Path(name).name)
    revoked_at = reason = invalidity = None
    if revocation:
        at, reason, invalidity = _revocation(revocation)
        revoked_at = at.isoformat()
    return Row(serial, _time(expiry).isoformat(), subject[:1000], revoked_at, reason, invalidity, path)


def _revocation(text: str) -> tuple[datetime, str, str | None]:
    at, *more = text.split(",")
    reason = _REASONS.get(more[0] if more else "unspecified")
    if reason is None:
        raise ValueError(f"the reason {more[0][:40]!r} is not known")
    timed = len(more) > 1 and more[0] in {"keyTime", "CAkeyTime"}
    return _time(at), reason, _time(more[1]).isoformat() if timed else None


def _time(text: str) -> datetime:
    form = {13: "%y%m%d%H%M%SZ", 15: "%Y%m%d%H%M%SZ"}.get(len(text))
    if form is None:
        raise ValueError(f"{text[:20]!r} is not a time")
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{text[:20]!r} is not a time") from None


def documents(rows: tuple[Row, ...], problems: list[tuple[str, str]]) -> Iterator[dict[str, object]]:
    """Yield rows as the API takes them, each with its certificate where that is there; the rest is a problem."""
    from base64 import b64encode

    names = ("serial", "not_after", "subject", "revoked_at", "reason", "invalidity_date")
    for row in rows:
        document: dict[str, object] = {name: getattr(row, name) for name in names}
        if row.path is not None and row.path.is_file():
            encoded = _one(row.path)
            if encoded is None:
                problems.append((row.serial, f"{row.path.name} is not a certificate"))
            else:
                document["certificate"] = b64encode(encoded).decode("ascii")
        yield document


def _one(path: Path) -> bytes | None:
    """Return the certificate of a file that may have text before it; None if there is none."""
    try:
        content = path.read_bytes()
        if len(content) > _MAX_FILE:
            return None
        start = content.find(b"-----BEGIN CERTIFICATE-----")
        return pem.decode_body(content[start:] if start >= 0 else content, _MAX_FILE, ("CERTIFICATE",))
    except (OSError, Fault):
        return None
