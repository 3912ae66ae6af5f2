"""Certificates given out and revoked (RFC 8555 sections 7.4.2 and 7.6, RFC 8739 section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols.acme import jws, messages
from pycryptoutil_protocols.acme.jws import Signed
from pycryptoutil_protocols.acme.messages import OrderStatus
from pycryptoutil_protocols.acme.problems import AcmeFault, Problem, ProblemType, malformed, refused
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralNameKind
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.authority import serials
from pycryptoutil.authority import store as tables
from pycryptoutil.authority.acme import chains
from pycryptoutil.authority.acme.context import Caller, Core, not_yours
from pycryptoutil.authority.acme.model import Place
from pycryptoutil.authority.acme.store import orders as store
from pycryptoutil.authority.acme.store.rows import OrderRow
from pycryptoutil.authority.certificates import records, revoke
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.lifecycle import publication
from pycryptoutil.authority.model import RevocationReason

_REASONS: Final = frozenset(
    {
        RevocationReason.UNSPECIFIED,
        RevocationReason.KEY_COMPROMISE,
        RevocationReason.AFFILIATION_CHANGED,
        RevocationReason.SUPERSEDED,
        RevocationReason.CESSATION_OF_OPERATION,
        RevocationReason.PRIVILEGE_WITHDRAWN,
    }
)


@dataclass(frozen=True, slots=True)
class Chain:
    """A certificate as it is given out: DER, leaf first, without the root; and how many other chains there are."""

    certificates: tuple[bytes, ...] = field(repr=False)
    not_before: datetime
    not_after: datetime
    alternates: int = 0


def of_order(core: Core, caller: Caller, order_id: str, number: int = 0) -> Chain:
    """Return the certificate of this account's order; ``number`` counts other chains than the usual one from 1."""
    with core.room.database.read(caller.place.tenant_id) as reader:
        row = store.order(reader, order_id)
    if row is None or row.account_id != caller.account.id or not row.serial or row.auto_renewal is not None:
        raise not_yours()
    return _chain(core, row, number)


def _chain(core: Core, row: OrderRow, number: int = 0) -> Chain:
    with core.room.database.read(row.tenant_id) as reader:
        rows = tables.all_authorities(reader)
        ids = records.ids_of(core.room, rows, row.authority)
        found = [one for one in certificates.by_serial(reader, row.serial) if one.authority_id in ids]
    if not found or found[0].der is None:
        raise Fault(FaultKind.NOT_FOUND, f"order {row.id}: no certificate {row.serial}", "no such certificate")
    leaf = found[0]
    above = records.issuers(core.room, row.tenant_id, leaf.authority_id)
    with core.room.database.read(row.tenant_id) as reader:
        ca = next(one for one in rows if one.id == leaf.authority_id)
        others = chains.alternates((found[0].der, *above), publication.certificates(reader, ca, rows))
    if number > len(others):
        raise Fault(FaultKind.NOT_FOUND, f"order {row.id}: no chain {number}", "there is no such chain")
    usual = (found[0].der, *(above[:-1] if len(above) > 1 else above))
    return Chain(others[number - 1] if number else usual, leaf.not_before, leaf.not_after, len(others))


def current(core: Core, place: Place, caller: Caller | None, order_id: str) -> Chain:
    """Return an auto-renewal's present certificate; without an account where the order lets anybody have it."""
    with core.room.database.read(place.tenant_id) as reader:
        row = store.order(reader, order_id)
    if row is None or row.auto_renewal is None or not row.serial:
        raise not_yours()
    wanted = messages.auto_renewal(row.auto_renewal)
    if (caller is None and not wanted.allow_get) or (caller is not None and caller.account.id != row.account_id):
        raise not_yours()
    if row.status == OrderStatus.CANCELED:
        raise AcmeFault(Problem(ProblemType.AUTO_RENEWAL_CANCELED, "the auto-renewal was canceled"), FaultKind.CONFLICT)
    found = _chain(core, row)
    if core.now >= wanted.end or core.now > found.not_after:
        raise AcmeFault(Problem(ProblemType.AUTO_RENEWAL_EXPIRED, "the auto-renewal has ended"), FaultKind.EXPIRED)
    return found


# -- revocation --------------------------------------------------------------------------------------------------------


def revoke_by_account(core: Core, caller: Caller, payload: Mapping[str, Any]) -> None:
    """Revoke for the account that ordered a certificate, or that may have all of its names certified."""
    request = messages.revocation_request(payload)
    row = _find(core, caller.place, request.certificate)
    with core.room.database.read(caller.place.tenant_id) as reader:
        ordered = store.order_of_serial(reader, row.serial, caller.account.id) is not None
        held = set() if ordered else store.valid_names(reader, caller.account.id, core.now)
    if not ordered and not _covers(held, decode_certificate(request.certificate)):
        raise not_yours()
    _revoke(core, caller.place, row, request.reason, caller.actor, caller.request_id)


def revoke_by_key(core: Core, place: Place, signed: Signed, request_id: str) -> None:
    """Revoke for whoever holds the certificate's own key."""
    if signed.jwk is None:
        raise malformed("a revocation names its account by kid, or carries the certificate's key as jwk")
    jws.verify(signed, signed.jwk)
    request = messages.revocation_request(signed.document())
    row = _find(core, place, request.certificate)
    if decode_certificate(request.certificate).spki != signed.jwk.spki:
        raise not_yours()
    _revoke(core, place, row, request.reason, f"certificate:{row.serial}", request_id)


def _find(core: Core, place: Place, encoded: bytes) -> CertificateRow:
    """Return the row of a certificate that this tenant issued, octet for octet."""
    try:
        serial = serials.to_hex(decode_certificate(encoded).serial)
    except Fault:
        raise malformed("the certificate is malformed") from None
    with core.room.database.read(place.tenant_id) as reader:
        for row in certificates.by_serial(reader, serial):
            if row.der == encoded:
                return row
    raise Fault(FaultKind.NOT_FOUND, f"no certificate {serial}", "the certificate was not issued here")


def _covers(held: set[tuple[str, str, bool]], certificate: Certificate) -> bool:
    kinds = {GeneralNameKind.DNS: "dns", GeneralNameKind.IP: "ip"}
    wanted = {
        (kinds.get(one.kind, ""), one.value.lower().removeprefix("*."), one.value.startswith("*."))
        for one in certificate.sans
    }
    return bool(wanted) and wanted <= held


def _revoke(core: Core, place: Place, row: CertificateRow, code: int, actor: str, request_id: str) -> None:
    try:
        reason = RevocationReason.of_code(code)
    except ValueError:
        reason = RevocationReason.CERTIFICATE_HOLD  # it is refused as well
    if reason not in _REASONS:
        raise refused(ProblemType.BAD_REVOCATION_REASON, "this reason for a revocation is not accepted")
    with core.room.database.read(place.tenant_id) as reader:
        by_id = {one.id: one.name for one in tables.all_authorities(reader)}
        renewed = store.auto_renewed(reader, row.serial)
    if renewed:  # RFC 8739 section 3.3: the order is canceled instead
        problem = Problem(ProblemType.AUTO_RENEWAL_REVOCATION_NOT_SUPPORTED, "cancel the auto-renewal instead")
        raise AcmeFault(problem, FaultKind.FORBIDDEN)
    if row.revoked_at is not None:
        raise _revoked()
    try:
        revoke.revoke(core.room, place.tenant_id, row.serial, reason, None, actor, request_id,
                      by_id.get(row.authority_id, ""))  # fmt: skip
    except Fault as fault:
        if fault.kind is FaultKind.CONFLICT:
            raise _revoked() from None
        raise


def _revoked() -> AcmeFault:
    return AcmeFault(Problem(ProblemType.ALREADY_REVOKED, "the certificate is revoked already"), FaultKind.CONFLICT)
