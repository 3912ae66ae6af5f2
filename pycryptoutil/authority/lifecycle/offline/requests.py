"""A key for a CA that is certified elsewhere, and the request to be taken there."""

from __future__ import annotations

from dataclasses import dataclass

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import decode_name
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority import hierarchy, store, subject
from pycryptoutil.authority.crl import series
from pycryptoutil.authority.lifecycle import rollover
from pycryptoutil.authority.lifecycle import store as lifecycle
from pycryptoutil.authority.lifecycle.offline import store as offline
from pycryptoutil.authority.lifecycle.offline.store import RequestRow
from pycryptoutil.authority.lifecycle.store import RolloverState
from pycryptoutil.authority.model import AuthorityOrder, AuthorityStatus
from pycryptoutil.authority.profile_file import built_in_profiles
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.store import REQUEST_KEYS, AuthorityRow
from pycryptoutil.crypto import policy, x509
from pycryptoutil.crypto.signed import build_csr
from pycryptoutil.crypto.signer import KeySigner
from pycryptoutil.storage import Reader, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent


@dataclass(frozen=True, slots=True)
class RequestOrder:
    """A CA to ask for. With ``replaces`` it is the next key of that CA, whose subject it has; ``name`` is not given."""

    name: str = ""
    subject: str = ""
    key_algorithm: str = "EC-P256"
    replaces: str = ""


def create(room: Room, tenant_id: str, order: RequestOrder, actor: str, request_id: str = "") -> RequestRow:
    """Make a key and a request for it; Fault(CONFLICT) if the name is taken, INVALID, POLICY."""
    with room.database.read(tenant_id) as reader:
        rows = store.all_authorities(reader)
        old = room.find(rows, order.replaces) if order.replaces else None
        name, encoded = _identity(reader, order, rows, old)
    if series.of_name(name) is not None:
        text = "a name may not end as the URLs of delta CRLs and of CRL shards do"
        raise Fault(FaultKind.INVALID, text, text, pointer="name")
    wanted = AuthorityOrder(name, x509.name_text(encoded), parent="offline", key_algorithm=order.key_algorithm)
    with room.vault.new_keys() as made:
        plan = hierarchy.make_plan(room, wanted, made)
        signature = policy.default_signature(plan.key.algorithm)
        row = RequestRow(
            id=plan.id,
            tenant_id=tenant_id,
            name=name,
            public_id=plan.public_id,
            subject=x509.name_text(encoded),
            csr=build_csr(KeySigner(plan.key, signature), encoded),
            sealed_key=room.vault.seal(plan.key, store.aad(REQUEST_KEYS, tenant_id, plan.id)),
            key_algorithm=plan.key.algorithm,
            signature_algorithm=signature,
            spki_sha256=x509.fingerprint(plan.key.public_spki),
            replaces=old.id if old is not None else "",
            created_at=room.clock.now(),
            created_by=actor,
        )
        with room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"authorities:{tenant_id}")
            taken = {one.name for one in store.all_authorities(uow)} | {one.name for one in offline.all_requests(uow)}
            if name in taken:
                text = f"there is a certificate authority {name!r} already, or a request for one"
                raise Fault(FaultKind.CONFLICT, text, text, pointer="name")
            offline.insert(uow, row)
            _audit(uow, "authority.request", row, actor, request_id)
        made.keep()
    return row


def _identity(
    reader: Reader, order: RequestOrder, rows: list[AuthorityRow], old: AuthorityRow | None
) -> tuple[str, bytes]:
    """Return name and subject (DER)."""
    if old is None:
        profile = built_in_profiles()["intermediate-ca"]
        if not order.name or not order.subject:
            text = "a name and a subject are needed"
            raise Fault(FaultKind.INVALID, text, text, pointer="name")
        return order.name, subject.compose(decode_name(x509.name_der(order.subject)), profile, (), None).der
    prepared = [
        one for one in lifecycle.all_rollovers(reader) if one.old_id == old.id and one.state is RolloverState.PREPARED
    ]
    waiting = [one for one in offline.all_requests(reader) if one.replaces == old.id]
    if old.status is not AuthorityStatus.ACTIVE or not old.parent_id or prepared or waiting:
        text = f"{old.name} is not active, is a root, or waits for its next key already"
        raise Fault(FaultKind.CONFLICT, text, text, pointer="replaces")
    generation = max(row.generation for row in rows if row.first == old.first) + 1
    name = rollover.free_name(old.name, generation, {row.name for row in rows})
    return name, decode_certificate(old.certificate).subject


def listing(room: Room, tenant_id: str) -> list[RequestRow]:
    """Return what waits, oldest first."""
    with room.database.read(tenant_id) as reader:
        return offline.all_requests(reader)


def get(room: Room, tenant_id: str, name: str) -> RequestRow:
    """Return one by its name; Fault(NOT_FOUND)."""
    found = next((one for one in listing(room, tenant_id) if one.name == name), None)
    if found is None:
        text = f"no certificate authority {name[:64]!r} waits for a certificate"
        raise Fault(FaultKind.NOT_FOUND, text, text)
    return found


def delete(room: Room, tenant_id: str, name: str, actor: str, request_id: str = "") -> None:
    """Give one up: its key is destroyed."""
    row = get(room, tenant_id, name)
    with room.database.unit_of_work(tenant_id) as uow:
        offline.delete(uow, row.id)
        _audit(uow, "authority.request.delete", row, actor, request_id)
    room.vault.destroy(row.sealed_key, store.aad(REQUEST_KEYS, tenant_id, row.id))


def _audit(uow: UnitOfWork, action: str, row: RequestRow, actor: str, request_id: str) -> None:
    details = {"id": row.id, "algorithm": row.key_algorithm, "spki_sha256": row.spki_sha256}
    audit.append(uow, AuditEvent(action, actor, row.name, "success", details, request_id))
