"""Taking over a CA that another program has run: its key, its chain, its numbers, what it has issued and revoked.

Serials and CRL numbers do not go back: serials are new random ones, and those brought in stay taken; the CRL number
given is one that every later CRL exceeds. What cannot be read is reported, row by row, and keeps nothing else from
coming in. All of it may be repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from pycryptoutil_protocols import oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import same_name
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.authority import names, serials, store
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.crl import store as crl_store
from pycryptoutil.authority.extensions import decode_basic_constraints, key_usage_bits
from pycryptoutil.authority.lifecycle import foreign
from pycryptoutil.authority.lifecycle import store as lifecycle
from pycryptoutil.authority.lifecycle.linking import Request
from pycryptoutil.authority.model import AuthorityStatus, CertificateState, RevocationReason
from pycryptoutil.authority.room import Room, load_profile
from pycryptoutil.authority.signers import make
from pycryptoutil.authority.store import AUTHORITY_KEYS, AuthorityRow
from pycryptoutil.crypto import policy, x509
from pycryptoutil.crypto.keys import PrivateKey, load_pkcs8
from pycryptoutil.crypto.signed import check_issued_by
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

MAX_ROWS: Final = 500
PROFILE: Final = "imported"
_MAX_NUMBER: Final = 1 << 62
_MAX_SERIAL_BITS: Final = 160
_OCSP: Final = make.PURPOSES[make.OCSP]
_KEY_CERT_SIGN, _CRL_SIGN = 5, 6


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """A CA to take over. ``chain`` is above it, its issuer first (DER); ``key`` is PKCS#8, DER.

    ``crl_number`` is the last one that was given out.
    """

    name: str
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    crl_number: int = 0


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A certificate that the CA has issued. ``der`` empty: it is lost, and only its status is known."""

    serial: str
    not_after: datetime
    subject: str = ""
    revoked_at: datetime | None = None
    reason: RevocationReason | None = None
    invalidity_date: datetime | None = None
    der: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that did not come in as it was, and why."""

    serial: str
    text: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of some rows. ``changed``: known ones that were revoked since."""

    added: int
    changed: int
    known: int
    problems: tuple[Problem, ...]


# -- the CA ------------------------------------------------------------------------------------------------------------


def begin(room: Room, tenant_id: str, order: ImportOrder, actor: str, request_id: str = "") -> AuthorityRow:
    """Take over key and chain; Fault(INVALID, CONFLICT, BAD_SIGNATURE, WEAK_KEY). Again: what is known stays."""
    request = Request(actor, request_id, room.clock.now())
    certificate, above = decode_certificate(order.certificate), [decode_certificate(one) for one in order.chain]
    key = load_pkcs8(order.key)
    _check(certificate, key, above, order, request)
    with room.vault.new_keys() as made:
        algorithm = _OCSP.algorithm(room.settings, key.algorithm)
        signer = made.generate(_OCSP.name, algorithm, order.name)
        with room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"authorities:{tenant_id}")
            parent = None
            for number, one in reversed(list(enumerate(above, 1))):
                suffix = "-root" if number == len(above) else f"-above{number}"
                parent = foreign.ensure(uow, one, f"{order.name[: 63 - len(suffix)]}{suffix}", parent, request)
            row = foreign.ensure(uow, certificate, order.name, parent, request)
            if row.offline:
                sealed = room.vault.seal(key, store.aad(AUTHORITY_KEYS, tenant_id, row.id))
                signature = policy.default_signature(key.algorithm)
                row = replace(
                    row,
                    sealed_key=sealed,
                    status=AuthorityStatus.ACTIVE,
                    key_algorithm=key.algorithm,
                    signature_algorithm=signature,
                )
                lifecycle.give_key(uow, row)
                make.add(room, uow, row, signer, _OCSP)
                made.keep()
            crl_store.raise_number(uow, row.id, order.crl_number)
            details = {
                "id": row.id,
                "parent": parent.name if parent is not None else "",
                "spki_sha256": row.spki_sha256,
                "crl_number": order.crl_number,
            }
            audit.append(uow, AuditEvent("authority.import", actor, row.name, "success", details, request_id))
    return row


def _check(
    certificate: Certificate, key: PrivateKey, above: Sequence[Certificate], order: ImportOrder, request: Request
) -> None:
    constraints, usage = certificate.extension(oids.BASIC_CONSTRAINTS), certificate.extension(oids.KEY_USAGE)
    bits = key_usage_bits(usage.value) if usage is not None else frozenset({_KEY_CERT_SIGN, _CRL_SIGN})
    problems = (
        (constraints is None or not decode_basic_constraints(constraints.value)[0], "it is not a CA's", "certificate"),
        (not bits >= {_KEY_CERT_SIGN, _CRL_SIGN}, "it may not sign certificates and CRLs", "certificate"),
        (not certificate.subject_key_identifier, "it has no subject key identifier", "certificate"),
        (request.now >= certificate.not_after, "it has expired", "certificate"),
        (certificate.spki != key.public_spki, "the private key is not its key", "private_key"),
        (not 0 <= order.crl_number < _MAX_NUMBER, "the CRL number is too great to be kept", "crl_number"),
    )
    for wrong, text, pointer in problems:
        if wrong:
            said = f"the CA certificate: {text}"
            raise Fault(FaultKind.INVALID, said, said, pointer=pointer)
    path = [certificate, *above]
    for below, issuer in zip(path, [*above, path[-1]], strict=True):
        check_issued_by(below, issuer)  # the last one is its own issuer: a chain without its root is refused


# -- what it has issued ------------------------------------------------------------------------------------------------


def add(
    room: Room,
    tenant_id: str,
    name: str,
    rows: Sequence[ImportedRow],
    profile: str,
    actor: str,
    request_id: str = "",
) -> Taken:
    """Bring in what a CA has issued, at most :data:`MAX_ROWS` at once; Fault(NOT_FOUND, TOO_LARGE).

    ``profile`` is what the certificates are renewed under; empty: they are not.
    """
    if len(rows) > MAX_ROWS:
        text = f"at most {MAX_ROWS} certificates at once"
        raise Fault(FaultKind.TOO_LARGE, text, text)
    request = Request(actor, request_id, room.clock.now())
    with room.database.unit_of_work(tenant_id) as uow:
        ca = room.find(store.all_authorities(uow), name)
        if profile and load_profile(uow, profile).is_ca:
            text = f"the profile {profile} is for certificate authorities"
            raise Fault(FaultKind.INVALID, text, text, pointer="profile")
        taken = _add(uow, ca, rows, profile or PROFILE, request)
        details = {"added": taken.added, "changed": taken.changed, "known": taken.known}
        details["problems"] = len(taken.problems)
        event = AuditEvent("authority.import.certificates", actor, ca.name, "success", details, request_id)
        audit.append(uow, event)
    return taken


def _add(uow: UnitOfWork, ca: AuthorityRow, rows: Sequence[ImportedRow], profile: str, request: Request) -> Taken:
    issuer = decode_certificate(ca.certificate)
    problems: list[Problem] = []
    ready: dict[str, CertificateRow] = {}
    for row in rows:
        try:
            made = _row(uow.tenant_id, ca, issuer, row, profile, request, problems)
        except Fault as fault:
            problems.append(Problem(row.serial[:100], fault.public or fault.detail))
            continue
        if made.serial in ready:
            problems.append(Problem(row.serial, "the serial is given twice"))
        else:
            ready[made.serial] = made
    known = certificates.states(uow, ca.id, ready)
    new = [row for serial, row in ready.items() if serial not in known]
    lifecycle.insert_certificates(uow, new)
    changed = 0
    for one in new:
        if one.revoked_at is not None:
            certificates.append_event(uow, ca.id, one.serial, request.now.replace(microsecond=0))
    for serial in known:
        changed += _catch_up(uow, ca, ready[serial], request)
    return Taken(len(new), changed, len(known) - changed, tuple(problems))


def _catch_up(uow: UnitOfWork, ca: AuthorityRow, row: CertificateRow, request: Request) -> bool:
    """Revoke a known certificate that was revoked where it came from; nothing becomes good again."""
    (present,) = certificates.by_serial(uow, row.serial, ca.id)
    if row.revoked_at is None or present.revoked_at is not None:
        return False
    reason = RevocationReason.of_code(row.reason or 0)
    if not certificates.set_revocation(uow, present, row.revoked_at, reason, row.invalidity_date):
        return False
    certificates.append_event(uow, ca.id, row.serial, request.now.replace(microsecond=0))
    return True


def _row(
    tenant_id: str,
    ca: AuthorityRow,
    issuer: Certificate,
    row: ImportedRow,
    profile: str,
    request: Request,
    problems: list[Problem],
) -> CertificateRow:
    """Return a row to store; Fault says why there is none. A lost or foreign certificate leaves its status here."""
    serial = _serial(row.serial)
    certificate = None
    if row.der:
        try:
            certificate = _decode(row.der, serial, issuer)
        except Fault as fault:
            if row.revoked_at is None:
                raise
            said = f"only its revocation was taken: {fault.public or fault.detail}"
            problems.append(Problem(row.serial, said))
    elif row.revoked_at is None:
        problems.append(Problem(row.serial, "only its status was taken: the certificate is missing"))
    return CertificateRow(
        tenant_id=tenant_id,
        authority_id=ca.id,
        serial=serial,
        state=CertificateState.ISSUED,
        subject=x509.name_text(certificate.subject) if certificate is not None else row.subject[:1000],
        names=_names(certificate) if certificate is not None else "",
        spki_sha256=x509.fingerprint(certificate.spki) if certificate is not None else "",
        profile=profile,
        not_before=certificate.not_before if certificate is not None else min(ca.not_before, row.not_after),
        not_after=certificate.not_after if certificate is not None else row.not_after,
        tbs_sha256=hashlib.sha256(certificate.tbs).hexdigest() if certificate is not None else "",
        requester=request.actor,
        credential_id="",
        protocol=foreign.PROTOCOL,
        created_at=request.now,
        revoked_at=row.revoked_at,
        reason=(row.reason or RevocationReason.UNSPECIFIED).code if row.revoked_at is not None else None,
        invalidity_date=row.invalidity_date if row.revoked_at is not None else None,
        der=certificate.der if certificate is not None else None,
    )


def _serial(text: str) -> str:
    try:
        serial = serials.normal_hex(text)
    except ValueError:
        serial = "0"
    if not 0 < int(serial, 16).bit_length() <= _MAX_SERIAL_BITS:
        wrong = "the serial is not a positive number of at most 160 bits"
        raise Fault(FaultKind.INVALID, wrong, wrong)
    return serial


def _decode(der: bytes, serial: str, issuer: Certificate) -> Certificate:
    certificate = decode_certificate(der)
    if serials.to_hex(certificate.serial) != serial:
        text = "the certificate has another serial"
        raise Fault(FaultKind.INVALID, text, text)
    if not same_name(certificate.issuer, issuer.subject):
        text = "the certificate has another issuer"
        raise Fault(FaultKind.INVALID, text, text)
    try:
        check_issued_by(certificate, issuer)
    except Fault as fault:
        if fault.kind is not FaultKind.BAD_ALGORITHM:  # of old ones, with SHA-1, only the name is compared
            raise
    return certificate


def _names(certificate: Certificate) -> str:
    found = []
    for one in certificate.sans:
        try:
            found.append(str(names.from_general_name(one)))
        except Fault:  # a kind or a form of name that is not issued here
            found.append(f"other:{one.der.hex()[:200]}")
    return "\n".join(found)
