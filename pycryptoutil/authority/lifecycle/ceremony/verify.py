"""Whether a ceremony's transcript holds, and whether the files beside it are those that it speaks of."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from pathlib import Path

from pycryptoutil_protocols import pem
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.authority.lifecycle.ceremony import directory, transcript
from pycryptoutil.authority.lifecycle.ceremony.directory import Ceremony
from pycryptoutil.authority.lifecycle.ceremony.transcript import Entry
from pycryptoutil.crypto.signed import check_issued_by, check_signed, decode_crl

_MAX_FILE = 16 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in order. ``missing`` are files that the transcript can make again."""

    ceremony: Ceremony
    issued: int
    crls: int
    missing: tuple[str, ...]


def verify(folder: Path, head: str = "") -> Report:
    """Check everything; Fault(BAD_SIGNATURE) says what does not hold. ``head``: a hash that was kept elsewhere."""
    ceremony = directory.read(folder)
    root = ceremony.root
    check_issued_by(root, root)
    if base64.b64decode(ceremony.entries[0].details["certificate"]) != root.der:
        raise transcript.broken(1, f"{directory.ROOT} is another certificate")
    number = 0
    for entry in ceremony.entries[1:]:
        number = _check_entry(root, entry, number)
    if head and not any(hmac.compare_digest(one.hash.hex(), head.strip().lower()) for one in ceremony.entries):
        raise transcript.broken(len(ceremony.entries), "the entry that was kept is not in it: its tail was cut off")
    missing = _check_files(ceremony)
    return Report(ceremony, len(ceremony.issued), len(ceremony.crls), missing)


def _check_entry(root: Certificate, entry: Entry, number: int) -> int:
    """Check what one entry has signed; return the last CRL number."""
    try:
        match entry.action:
            case "issue":
                check_issued_by(decode_certificate(base64.b64decode(entry.details["certificate"])), root)
            case "crl":
                crl = decode_crl(base64.b64decode(entry.details["crl"]))
                check_signed(crl.der, root.spki)
                if crl.number is None or crl.number <= number or crl.number != entry.details["number"]:
                    raise transcript.broken(entry.seq, "its CRL number is not greater than the one before")
                return crl.number
            case _:
                raise transcript.broken(entry.seq, "nobody knows what it did")
    except (KeyError, ValueError, TypeError):
        raise transcript.broken(entry.seq, "it is not complete") from None
    return number


def _check_files(ceremony: Ceremony) -> tuple[str, ...]:
    expected = {f"{directory.ISSUED}/{serial}.pem": text for serial, text in ceremony.issued.items()}
    if ceremony.crls:
        expected[directory.CRL] = str(ceremony.crls[-1]["crl"])
    present = {
        str(path.relative_to(ceremony.folder))
        for path in (*(ceremony.folder / directory.ISSUED).glob("*"), ceremony.folder / directory.CRL)
        if path.is_file()
    }
    if unknown := sorted(present - expected.keys()):
        text = f"{', '.join(unknown[:5])}: not in the transcript"
        raise Fault(FaultKind.BAD_SIGNATURE, text, text)
    for name in sorted(present):
        if pem.decode_body((ceremony.folder / name).read_bytes(), _MAX_FILE) != base64.b64decode(expected[name]):
            text = f"{name}: is not what the transcript says"
            raise Fault(FaultKind.BAD_SIGNATURE, text, text)
    return tuple(sorted(expected.keys() - present))
