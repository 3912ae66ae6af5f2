"""An order on its way into the database and back, and what makes two orders the same."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import store
from pycryptoutil.authority.credentials import store as credentials
from pycryptoutil.authority.enrolment.store import EnrolmentRow
from pycryptoutil.authority.issuance import Issuance, joined_digest
from pycryptoutil.authority.model import Credential, IssueOrder
from pycryptoutil.storage import Reader

_OCTETS = ("csr", "spki", "previous_certificate", "extensions")
_TIMES = ("not_before", "not_after")
_PLAIN = ("subject", "must_staple", "protocol")


def document(order: IssueOrder) -> dict[str, Any]:
    """Return what the order says, as JSON; CA, profile and credential have columns of their own."""
    found: dict[str, Any] = {"sans": list(order.sans)}
    found |= {name: getattr(order, name) for name in _PLAIN}
    for name in _OCTETS:
        value = getattr(order, name)
        found[name] = base64.b64encode(value).decode("ascii") if value is not None else None
    for name in _TIMES:
        value = getattr(order, name)
        found[name] = value.isoformat() if value is not None else None
    return found


def csr_of(document: Mapping[str, Any]) -> bytes:
    """Return the CSR of a stored order, if it has one."""
    return base64.b64decode(document["csr"] or "")


def restore(reader: Reader, row: EnrolmentRow, now: datetime) -> IssueOrder:
    """Return the order of a request; Fault(FORBIDDEN) if its credential was withdrawn, NOT_FOUND without the CA."""
    ca = store.authority_by_id(reader, row.authority_id)
    if ca is None:
        raise Fault(FaultKind.NOT_FOUND, f"no CA {row.authority_id}", "there is no such certificate authority any more")
    values: dict[str, Any] = {name: row.document[name] for name in _PLAIN}
    for name in _OCTETS:
        value = row.document[name]
        values[name] = base64.b64decode(value) if value is not None else None
    for name in _TIMES:
        value = row.document[name]
        values[name] = datetime.fromisoformat(value) if value is not None else None
    if values["not_before"] is not None and values["not_before"] < now:
        values["not_before"] = None  # passed while it waited: the certificate begins when it is issued
    return IssueOrder(
        authority=ca.name,
        profile=row.profile,
        sans=tuple(row.document["sans"]),
        credential=_credential(reader, row),
        **values,
    )


def _credential(reader: Reader, row: EnrolmentRow) -> Credential | None:
    if not row.credential_id:
        return None
    found = credentials.by_id(reader, row.credential_id)
    if found is None or found.credential.status != "active":
        text = "the enrolment credential was withdrawn"
        raise Fault(FaultKind.FORBIDDEN, f"enrolment {row.id}: {text}", text)
    return found.credential


def digest(i: Issuance, generated: str | None) -> str:
    """Return what makes two requests the same. ``generated``: the algorithm of a key that is made here, else None.

    The CSR's signature is left out, and its attributes but the extensions: who asks again may sign again, and over
    another channel binding.
    """
    order = i.order
    parts = (
        i.requester.encode(),
        i.ca.id.encode(),
        i.profile.name.encode(),
        *_request(i.csr),
        b"" if generated is not None else hashlib.sha256(i.spki).digest(),
        b"generated " + generated.encode() if generated is not None else b"",
        (order.subject or "").encode(),
        order.extensions or b"",
        "\n".join(order.sans).encode(),
        f"{order.not_before} {order.not_after} {order.must_staple} {order.protocol}".encode(),
        order.idempotency_key.encode(),
        hashlib.sha256(order.previous_certificate or b"").digest(),
    )
    return joined_digest(parts)


def _request(csr: CertificationRequest | None) -> tuple[bytes, bytes]:
    if csr is None:
        return b"", b""
    return csr.subject, hashlib.sha256(csr.extensions_der).digest()
