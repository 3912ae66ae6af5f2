"""Certificates by their ARI identifiers, and which order may replace them (RFC 9773)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pycryptoutil_protocols.acme import renewal
from pycryptoutil_protocols.acme.messages import Identifier
from pycryptoutil_protocols.acme.problems import AcmeFault, Problem, ProblemType, malformed
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority import serials, store
from pycryptoutil.authority.acme.context import Caller, Core, not_yours
from pycryptoutil.authority.acme.model import Place
from pycryptoutil.authority.acme.store import orders
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.store import CertificateRow


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a client is told of a certificate."""

    document: dict[str, Any]
    retry_after: int


def find_certificate(core: Core, place: Place, text: str) -> CertificateRow:
    """Return the certificate of an identifier; malformed, Fault(NOT_FOUND)."""
    wanted = renewal.decode_certificate_id(text)
    with core.room.database.read(place.tenant_id) as reader:
        for ca in store.all_authorities(reader):
            if decode_certificate(ca.certificate).subject_key_identifier != wanted.key_identifier:
                continue
            for row in certificates.by_serial(reader, serials.to_hex(wanted.serial), ca.id):
                if row.der:
                    return row
    raise Fault(FaultKind.NOT_FOUND, f"no certificate {text[:100]!r}", "there is no such certificate")


def renewal_info(core: Core, place: Place, text: str) -> Renewal:
    """Say when to renew (section 4.2): in time, or at once what was revoked or has a revoked issuer."""
    row = find_certificate(core, place, text)
    since = _replace_since(core, place, row)
    document = renewal.window(row.not_before, row.not_after, replace_since=since)
    return Renewal(document, int(core.rules.renewal_poll.total_seconds()))


def _replace_since(core: Core, place: Place, row: CertificateRow) -> datetime | None:
    if row.revoked_at is not None:
        return row.revoked_at
    with core.room.database.read(place.tenant_id) as reader:
        by_id = {one.id: one for one in store.all_authorities(reader)}
        ca = by_id.get(row.authority_id)
        while ca is not None and ca.parent_id:
            serial = serials.to_hex(decode_certificate(ca.certificate).serial)
            for above in certificates.by_serial(reader, serial, ca.parent_id):
                if above.revoked_at is not None:
                    return above.revoked_at
            ca = by_id.get(ca.parent_id)
    return None


def find_predecessor(core: Core, caller: Caller, text: str, identifiers: Sequence[Identifier]) -> None:
    """Check that an order may replace a certificate (section 5): this account's, for one of these names at least."""
    try:
        row = find_certificate(core, caller.place, text)
    except Fault as fault:
        if isinstance(fault, AcmeFault):
            raise
        raise malformed("replaces names no certificate of this CA") from None
    with core.room.database.read(caller.place.tenant_id) as reader:
        order = orders.order_of_serial(reader, row.serial, caller.account.id)
    if order is None:
        raise not_yours()
    if not {(one.type, one.value) for one in identifiers} & {(kind, value) for kind, value in order.identifiers}:
        problem = Problem(ProblemType.MALFORMED, "the order shares no identifier with the certificate that it replaces")
        raise AcmeFault(problem)
