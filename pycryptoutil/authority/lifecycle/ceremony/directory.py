"""The files of a ceremony. What the transcript says is written first; the rest can be made from it again."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pycryptoutil_protocols import pem
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.authority.lifecycle.ceremony import transcript
from pycryptoutil.authority.lifecycle.ceremony.custody import Custodian
from pycryptoutil.authority.lifecycle.ceremony.transcript import Entry

ROOT: Final = "root.pem"
KEY: Final = "root.key.enc"
TRANSCRIPT: Final = "transcript.jsonl"
CRL: Final = "root.crl"
ISSUED: Final = "issued"
SHARES: Final = "shares"
_MAX_CERTIFICATE: Final = 64 * 1024
_MAX_TRANSCRIPT: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Ceremony:
    """A ceremony as its transcript tells it."""

    folder: Path
    root: Certificate
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """What the root is called in a service: part of the URLs in the certificates that it issues."""
        return str(self.entries[0].details["name"])

    @property
    def distribution_url(self) -> str:
        """Where its certificate and its CRL will be published; empty: not said in certificates."""
        return str(self.entries[0].details["distribution_url"])

    @property
    def threshold(self) -> int:
        """How many custodians must come together."""
        return int(self.entries[0].details["threshold"])

    @property
    def custodians(self) -> tuple[Custodian, ...]:
        """Who holds a share."""
        return tuple(Custodian(one["name"], one["share_sha256"]) for one in self.entries[0].details["custodians"])

    @property
    def issued(self) -> dict[str, str]:
        """Serial in hex → certificate in base64, oldest first."""
        found = [one.details for one in self.entries if one.action == "issue"]
        return {one["serial"]: one["certificate"] for one in found}

    @property
    def crls(self) -> list[dict[str, object]]:
        """What each CRL says, oldest first."""
        return [dict(one.details) for one in self.entries if one.action == "crl"]

    @property
    def head(self) -> str:
        """The last entry's hash in hex, to be kept elsewhere."""
        return self.entries[-1].hash.hex()


def read(folder: Path) -> Ceremony:
    """Read a ceremony and check its transcript; Fault(NOT_FOUND, MALFORMED, BAD_SIGNATURE)."""
    root = decode_certificate(pem.decode_body(_read(folder / ROOT), _MAX_CERTIFICATE, ("CERTIFICATE",)))
    text = _read(folder / TRANSCRIPT, _MAX_TRANSCRIPT)
    entries = transcript.read(text, root.spki)
    if not entries or entries[0].action != "init" or not text.endswith(b"\n"):
        raise transcript.broken(max(len(entries), 1), "the transcript does not begin with init, or breaks off")
    return Ceremony(folder, root, entries)


def _read(path: Path, limit: int = 1 << 20) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(limit + 1)
    except FileNotFoundError:
        text = f"{path} is missing: is this the directory of a ceremony?"
        raise Fault(FaultKind.NOT_FOUND, text, text) from None
    except OSError as error:
        raise unusable(path, error) from None
    if len(found) > limit:
        raise Fault(FaultKind.TOO_LARGE, f"{path} is too large", f"{path} is too large")
    return found


def locked_key(folder: Path) -> bytes:
    """Return the encrypted key; Fault(NOT_FOUND)."""
    return _read(folder / KEY)


def create(folder: Path) -> None:
    """Make a directory for a new ceremony; Fault(CONFLICT) unless it is empty or not there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            text = f"{folder} is not empty"
            raise Fault(FaultKind.CONFLICT, text, text)
        for name in (ISSUED, SHARES):
            (folder / name).mkdir(mode=0o700)
    except OSError as error:
        raise unusable(folder, error) from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let nobody else write here meanwhile; Fault(BUSY)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unusable(folder, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = f"{folder} is in use"
            raise Fault(FaultKind.BUSY, text, text) from None
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append(folder: Path, entry: Entry) -> None:
    """Add an entry to the transcript, durably; Fault(STORAGE_FULL)."""
    write(folder / TRANSCRIPT, entry.line(), os.O_APPEND | os.O_CREAT)


def write(path: Path, content: bytes, flags: int = os.O_CREAT | os.O_TRUNC) -> None:
    """Write a file that only its owner reads, durably."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  the descriptor was opened with its mode
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unusable(path, error) from None


def unusable(path: Path, error: OSError) -> Fault:
    """Return the fault of a file that cannot be read or written."""
    text = f"{path}: {error.strerror}"
    return Fault(FaultKind.STORAGE_FULL, text, text)
