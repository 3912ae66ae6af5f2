"""Sign the audit chains' heads, and prove or export a chain.

Heads are signed with an Ed25519 key derived from the barrier's static key: the same on every replica and through every
rotation, in no table. Its public half is an auditor's to keep; with it, and with heads kept elsewhere, a chain can be
checked without the barrier. Events are never deleted by the program, so the seven years of certificates are kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier
from pycryptoutil.crypto.keys import PrivateKey, PublicKey
from pycryptoutil.service import store
from pycryptoutil.storage import SYSTEM_TENANT, Database, Reader, audit
from pycryptoutil.storage.audit import AuditRecord, SignedHead, Verified

ALGORITHM = "ed25519"
PUBLIC_KEY_FILE = "audit-head.pem"
_PURPOSE = "audit head signature v1"
_PKCS8_ED25519 = bytes.fromhex("302e020100300506032b657004220420")  # RFC 8410 section 7, before the 32-byte seed
_PAGE = 200

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HeadKey:
    """The key heads are signed with."""

    private: PrivateKey = field(repr=False)
    spki: bytes
    id: str

    @classmethod
    def of(cls, barrier: Barrier) -> HeadKey:
        """Derive it; Fault(SEALED) while keys are away."""
        seed = barrier.pepper(_PURPOSE).derive(b"ed25519 seed").export()
        private = PrivateKey.from_pkcs8(_PKCS8_ED25519 + seed)
        spki = private.public_spki
        return cls(private, spki, key_id(spki))

    def sign(self, message: bytes) -> bytes:
        """Sign a head's message."""
        return self.private.sign(ALGORITHM, message)


def key_id(spki: bytes) -> str:
    """Return the name of a head key: half of its public key's SHA-256, in hex."""
    return hashlib.sha256(spki).hexdigest()[:32]


def verifier(spki: bytes) -> Callable[[SignedHead], None]:
    """Return what checks heads against a public key; Fault(BAD_SIGNATURE)."""
    public, wanted = PublicKey.from_spki(spki), key_id(spki)

    def check(head: SignedHead) -> None:
        if head.algorithm != ALGORITHM or not hmac.compare_digest(head.key_id, wanted):
            text = f"audit chain of tenant {head.tenant_id}: the head of event {head.seq} is signed by another key"
            raise Fault(FaultKind.BAD_SIGNATURE, text, text)
        public.verify(ALGORITHM, head.message(), head.signature)

    return check


def tenants(database: Database) -> Iterator[str]:
    """Yield the id of every chain: the installation's own, then each tenant's."""
    yield SYSTEM_TENANT
    after = ""
    while True:
        with database.read(SYSTEM_TENANT) as reader:
            rows = store.list_tenants(reader, after, _PAGE)
        yield from (row.tenant_id for row in rows)
        if len(rows) < _PAGE:
            return
        after = rows[-1].name


def sign_heads(database: Database, barrier: Barrier) -> int:
    """Sign every head that has moved since its last signature; return how many."""
    if barrier.sealed:
        return 0
    key, signed = HeadKey.of(barrier), 0
    for tenant_id in tenants(database):
        with database.unit_of_work(tenant_id) as uow:
            if audit.sign_head(uow, key.sign, algorithm=ALGORITHM, key_id=key.id) is not None:
                signed += 1
    return signed


def verify(database: Database, tenant_id: str, spki: bytes | None, kept_heads: Sequence[SignedHead] = ()) -> Verified:
    """Prove one chain, and its signed heads where a public key is given.

    Fault(BAD_SIGNATURE) names the first event that is not as it was written. ``kept_heads`` were stored elsewhere.
    """
    check = verifier(spki) if spki is not None else None
    with database.read(tenant_id) as reader:
        return audit.verify(reader, tenant_id, check, kept_heads)


def newest_head(database: Database, tenant_id: str) -> SignedHead | None:
    """Return the last signed head of a chain."""
    with database.read(tenant_id) as reader:
        return max(audit.signed_heads(reader, tenant_id), key=lambda head: head.seq, default=None)


def document(record: AuditRecord) -> dict[str, Any]:
    """Return one event as exported: with what is needed to prove the chain from the export alone."""
    return {
        "tenant_id": record.tenant_id,
        "seq": record.seq,
        "id": record.id,
        "occurred_at": record.occurred_at.isoformat(timespec="microseconds"),
        "action": record.event.action,
        "actor": record.event.actor,
        "target": record.event.target,
        "outcome": record.event.outcome,
        "request_id": record.event.request_id,
        "details": record.event.details,
        "previous_hash": record.previous_hash.hex(),
        "hash": record.hash.hex(),
    }


def export_lines(reader: Reader, tenant_id: str, after: int = 0) -> Iterator[str]:
    """Yield one JSON object a line, oldest first, in bounded memory."""
    for record in audit.export(reader, tenant_id, after):
        yield json.dumps(document(record), ensure_ascii=False, separators=(",", ":"))


def public_key_pem(spki: bytes) -> str:
    """Write a public key as PEM."""
    text = base64.b64encode(spki).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"


def public_key_from_pem(pem: str) -> bytes:
    """Read a PEM public key; Fault(MALFORMED)."""
    body = pem.partition("-----BEGIN PUBLIC KEY-----")[2].partition("-----END PUBLIC KEY-----")[0]
    try:
        found = base64.b64decode("".join(body.split()), validate=True)
    except ValueError:
        found = b""
    if not found:
        raise Fault(FaultKind.MALFORMED, "not a PEM public key", "this is not a PEM public key")
    return found
