"""Cross-certificates: a CA of somebody else's, certified by one of ours, within limits (RFC 5280 section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pycryptoutil_protocols import oids
from pycryptoutil_protocols.csr import decode_csr
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import Name, decode_name, same_name
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.authority import internal, issue, store
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.extensions import decode_basic_constraints
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.lifecycle import store as lifecycle
from pycryptoutil.authority.lifecycle.linking import Request
from pycryptoutil.authority.lifecycle.store import LinkKind, LinkRow
from pycryptoutil.authority.model import AuthorityStatus, IssueOrder
from pycryptoutil.authority.names import refused
from pycryptoutil.authority.profile import NameConstraintSet, Profile
from pycryptoutil.authority.room import Room, generations, load_profile
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto import policy, x509
from pycryptoutil.crypto.signed import check_issued_by
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

_DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class CrossOrder:
    """A foreign CA, by its certificate or by a request (DER). Name constraints are added to those of the profile.

    Without any, ``unconstrained`` has to say that this is meant. ``days`` 0: the profile's default; it ends with the
    foreign certificate at the latest.
    """

    certificate: bytes | None = field(default=None, repr=False)
    csr: bytes | None = field(default=None, repr=False)
    profile: str = "intermediate-ca"
    days: int = 0
    path_length: int | None = None
    permitted_names: tuple[str, ...] = ()
    excluded_names: tuple[str, ...] = ()
    unconstrained: bool = False


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whom it is for."""

    name: Name
    spki: bytes
    key_identifier: bytes
    certificate: Certificate | None


def certify(room: Room, tenant_id: str, authority: str, order: CrossOrder, actor: str, request_id: str = "") -> LinkRow:
    """Certify a foreign CA; Fault(POLICY, INVALID, BAD_POP, BAD_SIGNATURE, EXPIRED, CONFLICT, NOT_FOUND)."""
    request = Request(actor, request_id, room.clock.now())
    subject = _subject(order, request)
    info = policy.check_public_key(subject.spki)
    with room.database.read(tenant_id) as reader:
        rows = store.all_authorities(reader)
        ca = room.find(rows, authority)
        profile = load_profile(reader, order.profile)
    _check(ca, subject, profile, info.algorithm, order, rows)
    i = Issuance(
        room=room,
        order=IssueOrder(profile=profile.name, protocol="internal"),
        actor=actor,
        request_id=request_id,
        now=request.now,
        rows=rows,
        ca=ca,
        profile=profile,
        key=room.keys.of(ca),
        spki=subject.spki,
        key_algorithm=info.algorithm,
        subject=subject.name,
        key_identifier=subject.key_identifier,
        constraints=NameConstraintSet(
            permitted=(*profile.name_constraints.permitted, *order.permitted_names),
            excluded=(*profile.name_constraints.excluded, *order.excluded_names),
        ),
    )
    default = profile.certificate_authority.path_length if profile.certificate_authority else None
    i.path_length = order.path_length if order.path_length is not None else default
    seconds = order.days * _DAY
    if subject.certificate is not None:
        left = int((subject.certificate.not_after - request.now.replace(microsecond=0)).total_seconds())
        seconds = min(seconds or int(profile.validity.default.total_seconds()), left)
    with room.database.unit_of_work(tenant_id) as uow:
        if not store.authority_is_active(uow, ca.id):
            raise Fault(FaultKind.CONFLICT, f"CA {ca.name} is disabled", "the certificate authority is disabled")
        issue.refuse_revoked_authority(uow, ca, rows)
        if certificates.key_is_compromised(uow, i.spki_sha256):
            raise Fault(FaultKind.WEAK_KEY, "the key was revoked as compromised", "the key is known to be compromised")
        internal.certify(i, uow, seconds)
        text = x509.name_text(subject.name.der)
        row = LinkRow(tenant_id, ca.id, i.serial_hex, LinkKind.CROSS, "", text, i.not_after, i.der, request.now)
        lifecycle.insert_link(uow, row)
        details = {"serial": row.serial, "subject": text[:300], "spki_sha256": i.spki_sha256, "profile": profile.name}
        audit.append(uow, AuditEvent("authority.cross-certify", actor, ca.name, "success", details, request_id))
    return row


def listing(room: Room, tenant_id: str, authority: str) -> Sequence[LinkRow]:
    """Return the cross-certificates that a CA has issued, by any of its keys, oldest first; Fault(NOT_FOUND)."""
    with room.database.read(tenant_id) as reader:
        rows = store.all_authorities(reader)
        ids = generations(room.find(rows, authority), rows)
        return [one for one in lifecycle.links_of(reader, authority_ids=ids) if one.kind is LinkKind.CROSS]


def _subject(order: CrossOrder, request: Request) -> _Subject:
    if (order.certificate is None) is (order.csr is None):
        text = "either a certificate or a certification request is needed"
        raise Fault(FaultKind.INVALID, text, text)
    if order.csr is not None:
        wanted = x509.verify_csr(order.csr)
        return _Subject(decode_name(decode_csr(order.csr).subject), wanted.spki, x509.ski(wanted.spki), None)
    found = decode_certificate(order.certificate or b"")
    constraints = found.extension(oids.BASIC_CONSTRAINTS)
    if constraints is None or not decode_basic_constraints(constraints.value)[0]:
        text = "the certificate is not a CA's"
        raise Fault(FaultKind.INVALID, text, text, pointer="certificate")
    if same_name(found.subject, found.issuer):
        check_issued_by(found, found)
    if not found.not_before <= request.now < found.not_after:
        text = "the certificate is not valid now"
        raise Fault(FaultKind.EXPIRED, text, text, pointer="certificate")
    # certificates of the foreign CA name its key by this identifier, whatever it was made from
    identifier = found.subject_key_identifier or x509.ski(found.spki)
    return _Subject(decode_name(found.subject), found.spki, identifier, found)


def _check(
    ca: AuthorityRow,
    subject: _Subject,
    profile: Profile,
    algorithm: str,
    order: CrossOrder,
    rows: list[AuthorityRow],
) -> None:
    constraints = profile.name_constraints
    limited = bool(constraints.permitted or constraints.excluded or order.permitted_names or order.excluded_names)
    own = [row.name for row in rows if same_name(decode_certificate(row.certificate).subject, subject.name.der)]
    problems = (
        (ca.status is not AuthorityStatus.ACTIVE, f"{ca.name} is {ca.status.value}", ""),
        (not profile.is_ca, f"the profile {profile.name} is not for certificate authorities", "profile"),
        (not subject.name.rdns, "the foreign CA has no name", ""),
        (bool(own), f"{', '.join(own)} has this name: its own keys are linked by a rollover", ""),
        (not profile.allows_key(algorithm), f"the profile {profile.name} does not allow keys of {algorithm}", ""),
        (
            not limited and not order.unconstrained,
            "neither the profile nor the order constrains the names; say unconstrained if that is meant",
            "permitted_names",
        ),
    )
    for wrong, text, pointer in problems:
        if wrong:
            raise refused(text, pointer)
