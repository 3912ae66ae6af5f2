"""Making a backup, part by part: the CA first, with its keys and what is above it, then what it has issued.

All generations of a CA go together. A key in a token does not leave it: such a CA cannot be backed up so.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority import serials, store
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.lifecycle import store as lifecycle
from pycryptoutil.authority.lifecycle.backup import document
from pycryptoutil.authority.lifecycle.backup import store as backup
from pycryptoutil.authority.lifecycle.rollover import SSH_PURPOSES
from pycryptoutil.authority.lifecycle.store import LinkRow, RolloverRow
from pycryptoutil.authority.room import Room, above
from pycryptoutil.authority.store import SIGNER_KEYS, AuthorityRow, SignerRow
from pycryptoutil.crypto.keys import PrivateKey
from pycryptoutil.crypto.signer import KeySigner
from pycryptoutil.http.paging import decode_cursor, encode_cursor
from pycryptoutil.storage import Reader, audit
from pycryptoutil.storage.audit import AuditEvent

ROW: Final = tuple(name for name in AuthorityRow.__slots__ if name not in {"tenant_id", "sealed_key"})
SIGNER: Final = tuple(name for name in SignerRow.__slots__ if name not in {"tenant_id", "sealed_key"})
CERTIFICATE: Final = tuple(name for name in CertificateRow.__slots__ if name != "tenant_id")
ROLLOVER: Final = tuple(name for name in RolloverRow.__slots__ if name != "tenant_id")
LINK: Final = tuple(name for name in LinkRow.__slots__ if name != "tenant_id")
_AT_ONCE: Final = 200
_ROOM: Final = 400_000  # octets of rows in a part, before two rounds of base64


@dataclass(frozen=True, slots=True)
class Part:
    """One part, CMS in DER; ``cursor`` gets the next one, and is empty after the last."""

    der: bytes = field(repr=False)
    cursor: str


def part(
    room: Room, tenant_id: str, name: str, recipient: bytes, cursor: str, actor: str, request_id: str = ""
) -> Part:
    """Return the part of a backup at ``cursor``; an empty one begins. Fault(NOT_FOUND, POLICY, BAD_ALGORITHM)."""
    to, fingerprint = document.recipient(recipient)
    position = decode_cursor(cursor, 4)
    with room.database.read(tenant_id) as reader:
        rows = store.all_authorities(reader)
        ca = room.find(rows, name)
        line = [row for row in rows if row.first == ca.first]
        if position is None:
            identifier, index = uuid.uuid4().hex, "0"
            payload = _authority(room, reader, ca, line, rows)
            following = encode_cursor(identifier, "1", "", "")
        else:
            identifier, index, *after = position
            payload, following = _certificates(reader, line, identifier, index, (after[0], after[1]))
    key = _key(room, ca)
    payload |= {"version": document.VERSION, "backup": identifier, "index": int(index), "authority": ca.id}
    payload |= {"last": not following}
    der = document.write(payload, KeySigner(key, ca.signature_algorithm), to)
    if position is None:
        with room.database.unit_of_work(tenant_id) as uow:
            details = {"backup": identifier, "recipient": fingerprint, "keys": len(line)}
            audit.append(uow, AuditEvent("authority.backup", actor, ca.name, "success", details, request_id))
    return Part(der, following)


def _key(room: Room, row: AuthorityRow) -> PrivateKey:
    key = room.keys.open(row)
    if not isinstance(key, PrivateKey):
        text = f"the key of {row.name} is in a token, and does not leave it: back up the token"
        raise Fault(FaultKind.POLICY, text, text)
    return key


def _authority(
    room: Room, reader: Reader, ca: AuthorityRow, line: list[AuthorityRow], rows: list[AuthorityRow]
) -> dict[str, Any]:
    ids = {row.id for row in line}
    higher = {one.id: one for row in line for one in above(row, rows) if one.id not in ids}
    rollovers = [one for one in lifecycle.all_rollovers(reader) if one.old_id in ids]
    links = lifecycle.links_of(reader, authority_ids=ids)
    return {
        "kind": "authority",
        "made_at": room.clock.now().isoformat(),
        "name": ca.name,
        "generations": [
            document.values(row, ROW)
            | {
                "key": document.text(_key(room, row).export_pkcs8()),
                "extent": asdict(backup.extent(reader, row.id)),
                "scopes": backup.all_scopes(reader, row.id),
                "ssh": _ssh(room, reader, row),
            }
            for row in line
        ],
        "above": [document.values(row, ROW) for row in higher.values()],
        "above_certificates": [
            document.values(one, CERTIFICATE) for row in (*line, *higher.values()) for one in _own(reader, row)
        ],
        "rollovers": [document.values(one, ROLLOVER) for one in rollovers],
        "links": [document.values(one, LINK) for one in links],
        "profiles": store.profile_documents(reader),
    }


def _own(reader: Reader, row: AuthorityRow) -> list[CertificateRow]:
    """Return the row of a CA's certificate at its issuer, which tells whether it is revoked."""
    serial = serials.to_hex(decode_certificate(row.certificate).serial)
    return certificates.by_serial(reader, serial, row.parent_id or row.id)


def _ssh(room: Room, reader: Reader, row: AuthorityRow) -> list[dict[str, Any]]:
    found = []
    for purpose in SSH_PURPOSES:
        for signer in store.signers_of(reader, row.id, purpose):
            key = room.barrier.open_key(signer.sealed_key, store.aad(SIGNER_KEYS, row.tenant_id, signer.id))
            found.append(document.values(signer, SIGNER) | {"key": document.text(key.export_pkcs8())})
    return found


def _certificates(
    reader: Reader, line: list[AuthorityRow], identifier: str, index: str, after: tuple[str, str]
) -> tuple[dict[str, Any], str]:
    ids = {row.id for row in line}
    rows = backup.some(reader, ids, after, _AT_ONCE + 1)
    taken: list[CertificateRow] = []
    size = 0
    for row in rows[:_AT_ONCE]:
        size += len(row.der or b"") * 4 // 3 + len(row.subject) + len(row.names) + 800
        if taken and size > _ROOM:
            break
        taken.append(row)
    more = len(taken) < len(rows)
    following = encode_cursor(identifier, str(int(index) + 1), taken[-1].authority_id, taken[-1].serial) if more else ""
    return {"kind": "certificates", "items": [document.values(row, CERTIFICATE) for row in taken]}, following
