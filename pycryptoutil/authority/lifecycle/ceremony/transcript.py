"""What was done with a root key: entries chained by their hashes, each signed by the root key itself.

``hash(n) = SHA-256(hash(n-1) || canonical JSON of entry n)``. A tail that was cut off leaves a chain that holds:
whoever wants to notice that keeps the last hash, which every step prints, somewhere else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import policy
from pycryptoutil.crypto.keys import verify
from pycryptoutil.crypto.signer import KeySigner
from pycryptoutil.storage import canonical_json

GENESIS: Final = bytes(32)
_CONTEXT: Final = b"pycryptoutil ceremony transcript\n"
_MAX_ENTRY: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. ``action`` is ``init``, ``issue`` or ``crl``; ``custodians`` are those whose shares were given."""

    seq: int
    at: datetime
    action: str
    custodians: tuple[str, ...]
    details: Mapping[str, Any]
    previous: bytes = field(repr=False)
    hash: bytes
    signature: bytes = field(repr=False)

    def line(self) -> bytes:
        """Return the line that is kept."""
        document = _body(self.seq, self.at, self.action, self.custodians, self.details) | {
            "previous": self.previous.hex(),
            "hash": self.hash.hex(),
            "signature": base64.b64encode(self.signature).decode("ascii"),
        }
        return canonical_json(document).encode("ascii") + b"\n"


def append(
    entries: Sequence[Entry],
    signer: KeySigner,
    at: datetime,
    action: str,
    custodians: tuple[str, ...],
    details: Mapping[str, Any],
) -> Entry:
    """Return the next entry, signed."""
    seq, previous = len(entries) + 1, entries[-1].hash if entries else GENESIS
    digest = _digest(previous, _body(seq, at, action, custodians, details))
    return Entry(seq, at, action, custodians, details, previous, digest, signer.sign(_CONTEXT + digest))


def read(text: bytes, spki: bytes) -> tuple[Entry, ...]:
    """Return the entries; Fault(BAD_SIGNATURE) names the first that is not as it was written."""
    entries: list[Entry] = []
    signature_algorithm = policy.default_signature(_algorithm(spki))
    for number, line in enumerate(text.splitlines(), 1):
        entry = _entry(line, number)
        previous = entries[-1].hash if entries else GENESIS
        body = _body(entry.seq, entry.at, entry.action, entry.custodians, entry.details)
        if entry.seq != number or entry.previous != previous or entry.hash != _digest(previous, body):
            raise broken(number, "it is not as it was written, or one before it is missing")
        try:
            verify(spki, signature_algorithm, _CONTEXT + entry.hash, entry.signature)
        except Fault:
            raise broken(number, "its signature is not the root key's") from None
        entries.append(entry)
    return tuple(entries)


def broken(number: int, what: str) -> Fault:
    """Return the fault of a transcript that does not hold."""
    text = f"entry {number} of the transcript: {what}"
    return Fault(FaultKind.BAD_SIGNATURE, text, text)


def _algorithm(spki: bytes) -> str:
    return policy.check_public_key(spki).algorithm


def _entry(line: bytes, number: int) -> Entry:
    if len(line) > _MAX_ENTRY:
        raise broken(number, "it is too long")
    try:
        document = json.loads(line)
        return Entry(
            seq=int(document["seq"]),
            at=datetime.fromisoformat(document["at"]),
            action=str(document["action"]),
            custodians=tuple(map(str, document["custodians"])),
            details=dict(document["details"]),
            previous=bytes.fromhex(document["previous"]),
            hash=bytes.fromhex(document["hash"]),
            signature=base64.b64decode(document["signature"], validate=True),
        )
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise broken(number, "it is not an entry") from None


def _body(
    seq: int, at: datetime, action: str, custodians: tuple[str, ...], details: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": at.isoformat(),
        "action": action,
        "custodians": list(custodians),
        "details": dict(details),
    }


def _digest(previous: bytes, body: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(previous + canonical_json(body).encode("ascii")).digest()
