"""Issuance, step by step. The two tables at the end of this file are the order in which everything happens.

What only decides is done before the unit of work, so that the one writer of SQLite is not kept waiting; what writes is
one unit: the serial is in the database before anything is signed, and nobody is answered before all of it is durable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from pycryptoutil_protocols import algorithms, der
from pycryptoutil_protocols.csr import CertificationRequest, decode_csr, verify_csr
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName, Name, decode_general_names, decode_name
from pycryptoutil_protocols.oids import SUBJECT_ALT_NAME
from pycryptoutil_protocols.x509 import (
    Extension,
    decode_certificate,
    decode_extensions,
    decode_tbs,
    encode_extensions,
    find_extension,
)

from pycryptoutil.authority import extensions, lint, names, serials, store, subject
from pycryptoutil.authority.certificates import records
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.credentials import store as credentials
from pycryptoutil.authority.events import EventType, emit
from pycryptoutil.authority.extensions import Issuer, Parts, Wanted
from pycryptoutil.authority.keys import CaKey
from pycryptoutil.authority.model import CertificateState, IssuedCertificate, IssueOrder
from pycryptoutil.authority.names import San
from pycryptoutil.authority.oids import NAME_CONSTRAINTS
from pycryptoutil.authority.profile import NameConstraintSet, Profile, format_duration
from pycryptoutil.authority.room import Room, chain, generations, load_profile
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto import policy, x509
from pycryptoutil.storage import Reader, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

EMPTY_NAME: Final = Name((), b"\x30\x00")
_UNSET: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_LATEST_START: Final = timedelta(days=90)
_REFUSALS: Final = frozenset(
    {
        FaultKind.POLICY,
        FaultKind.FORBIDDEN,
        FaultKind.WEAK_KEY,
        FaultKind.BAD_ALGORITHM,
        FaultKind.BAD_POP,
        FaultKind.CONFLICT,
    }
)


@dataclass(slots=True)
class Issuance:
    """One certificate on its way. Each step fills in what the next ones read."""

    room: Room
    order: IssueOrder
    actor: str
    request_id: str
    now: datetime
    rows: list[AuthorityRow] = field(repr=False)
    ca: AuthorityRow = field(repr=False)
    profile: Profile = field(repr=False)
    key: CaKey = field(repr=False)
    csr: CertificationRequest | None = None
    spki: bytes = b""
    key_algorithm: str = ""
    sans: tuple[San, ...] = ()
    subject: Name = field(default_factory=lambda: EMPTY_NAME)
    wanted: Wanted = field(default_factory=Wanted)
    not_before: datetime = field(default_factory=lambda: _UNSET)
    not_after: datetime = field(default_factory=lambda: _UNSET)
    self_signed: bool = False
    path_length: int | None = None
    constraints: NameConstraintSet = field(default_factory=NameConstraintSet)
    serial: bytes = b""
    extensions: tuple[Extension, ...] = ()
    tbs: bytes = field(default=b"", repr=False)
    der: bytes = field(default=b"", repr=False)
    writes: tuple[Callable[[Issuance, UnitOfWork], None], ...] = ()  # what is left, where it is not WRITES
    enrolment: str = ""  # the approved request that this is issued for
    key_identifier: bytes = b""  # of the subject; empty: made from its key
    earlier: IssuedCertificate | None = field(default=None, repr=False)  # what a repeat is answered with

    @property
    def requester(self) -> str:
        """Who the certificate is for, in audit and lists."""
        return self.order.credential.actor if self.order.credential is not None else self.actor

    @property
    def serial_hex(self) -> str:
        """The serial as stored."""
        return serials.to_hex(self.serial)

    @property
    def spki_sha256(self) -> str:
        """The key's digest as stored."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def tbs_sha256(self) -> str:
        """What the audit event promises to sign."""
        return hashlib.sha256(self.tbs).hexdigest()

    @property
    def repeat_digest(self) -> str:
        """What makes two requests the same: requester, CA, profile, all that is asked for, and idempotency key."""
        order = self.order
        request = order.csr or order.spki or b""
        parts = (
            self.requester.encode(),
            self.ca.id.encode(),
            self.profile.name.encode(),
            hashlib.sha256(request).digest(),
            (order.subject or "").encode(),
            "\n".join(order.sans).encode(),
            f"{order.not_before} {order.not_after} {order.must_staple}".encode(),
            order.extensions or b"",
            order.idempotency_key.encode(),
            # the same key and names may be renewed twice: the second time is no repeat of the first
            hashlib.sha256(order.previous_certificate or b"").digest(),
        )
        return joined_digest(parts)

    def issued(self) -> IssuedCertificate:
        """Return the answer."""
        return IssuedCertificate(
            serial=self.serial_hex,
            der=self.der,
            chain=chain(self.ca, self.rows),
            authority=self.ca.name,
            profile=self.profile.name,
            subject=x509.name_text(self.subject.der),
            sans=tuple(map(str, self.sans)),
            not_before=self.not_before,
            not_after=self.not_after,
        )


def joined_digest(parts: Sequence[bytes]) -> str:
    """SHA-256 in hex over parts that cannot run into each other."""
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()


def _refused(text: str, pointer: str = "") -> Fault:
    return Fault(FaultKind.POLICY, text, text, pointer=pointer)


# -- deciding ----------------------------------------------------------------------------------------------------------


def read_request(i: Issuance) -> None:
    """Decode the CSR and prove possession of its key, unless the order brings a key of its own."""
    if i.order.csr is not None:
        known = i.order.request
        i.csr = known if known is not None and known.der == i.order.csr else decode_csr(i.order.csr)
    if i.order.spki is not None:
        i.spki = i.order.spki
    elif i.csr is not None:
        policy.check_request_signature(i.csr.signature_algorithm)
        verify_csr(i.csr)
        i.spki = i.csr.spki
    else:
        raise Fault(FaultKind.INVALID, "an order with neither CSR nor key", "a certification request is needed")


def check_kind(i: Issuance) -> None:
    """Refuse what the profile is not for."""
    if i.profile.kind != "x509":
        raise _refused(f"the profile {i.profile.name} is for SSH certificates, not for X.509", "profile")
    if i.profile.is_ca or i.profile.ocsp_no_check:
        raise _refused(f"the profile {i.profile.name} is used by the CA itself, and not for requests", "profile")


def check_binding(i: Issuance) -> None:
    """Hold a credential to the profile, the CA and the protocols that it was made for."""
    credential = i.order.credential
    if credential is not None:
        if credential.profile != i.profile.name or credential.authority != i.ca.name:
            text = f"the credential is for the profile {credential.profile} of {credential.authority}"
            raise Fault(FaultKind.FORBIDDEN, f"{credential.username}: {text}", text, pointer="profile")
        if credential.protocols and i.order.protocol not in credential.protocols:
            text = f"the credential is not for {i.order.protocol}"
            raise Fault(FaultKind.FORBIDDEN, f"{credential.username}: {text}", text)


def check_key(i: Issuance) -> None:
    """Ask the algorithm policy, then the profile."""
    info = policy.check_public_key(i.spki)
    i.key_algorithm = info.algorithm
    rules = i.profile.keys
    if not i.profile.allows_key(info.algorithm):
        allowed = ", ".join(rules.algorithms)
        raise _refused(f"the profile {i.profile.name} does not allow keys of {info.algorithm} (allowed: {allowed})")
    if info.algorithm.startswith("RSA") and not rules.rsa_minimum <= info.bits <= rules.rsa_maximum:
        text = f"the profile {i.profile.name} asks for RSA keys of {rules.rsa_minimum} to {rules.rsa_maximum} bits"
        raise Fault(FaultKind.WEAK_KEY, f"{info.bits} bits: {text}", text)


def collect_names(i: Issuance) -> None:
    """Take the names of the order, or else of the CSR, or else of the common name where the profile says so."""
    requested = names.unique(map(names.from_general_name, _asked_sans(i)))
    i.sans = names.unique(map(names.parse_name, i.order.sans)) or requested
    i.subject = _asked_subject(i)
    if not i.sans and i.profile.names.from_common_name:
        i.sans = names.unique(names.guess_name(text) for text in i.subject.common_names)
    # the CSR's own names obey the policy too, even where the order replaces them
    for candidates in dict.fromkeys((i.sans, requested or i.sans)):
        names.check_names(candidates, i.profile.names)


def _asked_extensions(i: Issuance) -> tuple[Extension, ...]:
    if i.order.extensions is not None:
        return decode_extensions(der.read(i.order.extensions))
    return i.csr.extensions if i.csr is not None else ()


def _asked_sans(i: Issuance) -> tuple[GeneralName, ...]:
    if i.order.extensions is None:
        return i.csr.sans if i.csr is not None else ()
    found = find_extension(_asked_extensions(i), SUBJECT_ALT_NAME)
    return decode_general_names(found.value) if found is not None else ()


def _asked_subject(i: Issuance) -> Name:
    if i.order.subject is not None:
        return decode_name(x509.name_der(i.order.subject))
    return i.csr.name if i.csr is not None else i.subject


def compose_subject(i: Issuance) -> None:
    """Make the subject by the profile, then hold the names of the result to the credential and to the CA."""
    i.subject = subject.compose(i.subject, i.profile, i.sans, i.order.credential)
    if i.order.credential is not None:
        subject.check_credential(i.order.credential, i.subject, i.sans)
    constraints = i.key.certificate.extension(NAME_CONSTRAINTS)
    if constraints is not None:
        extensions.check_name_constraints(i.sans, extensions.decode_name_constraints(constraints.value))


def check_renewal(i: Issuance) -> None:
    """Give a renewal no name and no purpose that the certificate it renews does not have."""
    if i.order.previous_certificate is None:
        return
    previous = decode_certificate(i.order.previous_certificate)
    with i.room.database.read(i.ca.tenant_id) as reader:
        known = certificates.by_serial(reader, serials.to_hex(previous.serial))
    known = [row for row in known if row.authority_id in generations(i.ca, i.rows)]
    if not known or known[0].der != previous.der:
        raise Fault(FaultKind.FORBIDDEN, "renewal of a certificate not issued here", "the certificate is not ours")
    if known[0].revoked_at is not None:
        raise Fault(FaultKind.FORBIDDEN, "renewal of a revoked certificate", "the certificate to renew is revoked")
    if known[0].profile != i.profile.name:
        text = f"the certificate to renew is of the profile {known[0].profile}, not {i.profile.name}"
        raise Fault(FaultKind.FORBIDDEN, text, text, pointer="profile")
    held = {names.from_general_name(name) for name in previous.sans}
    if beyond := [str(name) for name in i.sans if name not in held]:
        raise _refused(f"a renewal cannot add names: {', '.join(beyond[:5])}", "sans")
    before = {(one.oid, one.text) for rdn in decode_name(previous.subject).rdns for one in rdn}
    if any((one.oid, one.text) not in before for rdn in i.subject.rdns for one in rdn):
        raise _refused("a renewal cannot change the subject", "subject")


def check_extensions(i: Issuance) -> None:
    """Read what the CSR asks for; what the profile does not let it bring is refused, not dropped."""
    i.wanted = extensions.check_requested(_asked_extensions(i), i.profile)
    if i.order.must_staple:
        if i.profile.must_staple == "never":
            raise _refused(f"the profile {i.profile.name} does not allow must-staple", "must_staple")
        i.wanted = Wanted(must_staple=True, copied=i.wanted.copied)


def fix_validity(i: Issuance) -> None:
    """Choose the dates: never beyond the profile, never beyond the issuer; what is asked for is given or refused."""
    rules = i.profile.validity
    now = i.now.replace(microsecond=0)
    start = i.order.not_before.replace(microsecond=0) if i.order.not_before is not None else now - rules.backdate
    if start < now - rules.backdate or start > now + _LATEST_START:
        raise _refused("notBefore is too far away from now", "not_before")
    start = max(start, i.key.certificate.not_before)
    longest = rules.maximum_at(start)
    limit = i.key.certificate.not_after
    if i.order.not_after is None:
        end = min(start + min(rules.default, longest) - _SECOND, limit)
    else:
        end = i.order.not_after.replace(microsecond=0)
        if end > limit:
            raise _refused("notAfter is beyond that of the issuing CA", "not_after")
        if end - start + _SECOND > longest:
            text = f"the profile {i.profile.name} allows {format_duration(longest)} at most"
            raise _refused(text, "not_after")
    if end - start + _SECOND < min(rules.minimum, rules.default):
        raise _refused("the certificate would live too shortly, or its issuer ends too soon", "not_after")
    i.not_before, i.not_after = start, end


def build_tbs(i: Issuance) -> None:
    """Draw the serial and encode what will be signed."""
    i.serial = serials.new_serial(i.room.instance)
    key_identifier = i.key_identifier or x509.ski(i.spki)
    parts = Parts(
        profile=i.profile,
        issuer=Issuer(
            key_identifier=key_identifier if i.self_signed else i.key.certificate.subject_key_identifier,
            ocsp_url=i.room.urls.ocsp(i.ca.public_id),
            crl_url=i.room.crl_url(i.ca, i.serial),
            delta_url=i.room.delta_url(i.ca),
            issuer_url=i.room.urls.issuer(i.ca.public_id),
        ),
        key_algorithm=i.key_algorithm,
        key_identifier=key_identifier,
        names=i.sans,
        empty_subject=not i.subject.rdns,
        wanted=i.wanted,
        path_length=i.path_length,
        constraints=i.constraints,
    )
    i.extensions = extensions.build(parts)
    i.tbs = i.key.signer.tbs(
        i.serial,
        int(i.not_before.timestamp()),
        int(i.not_after.timestamp()),
        i.subject.der,
        i.spki,
        encode_extensions(i.extensions),
    )


def lint_tbs(i: Issuance) -> None:
    """Read back what was encoded, and hold it to the rules."""
    decoded = decode_tbs(i.tbs)
    lint.check(
        lint.Subject(
            certificate=decoded,
            profile=i.profile,
            issuer=None if i.self_signed else i.key.certificate,
            key_algorithm=i.key_algorithm,
            signature_algorithm=algorithms.signature_identifier(i.key.signature_algorithm),
            now=i.now,
        )
    )


# -- writing -----------------------------------------------------------------------------------------------------------


def ask_again(i: Issuance, uow: UnitOfWork) -> None:
    """Look again at what may have changed since: the CA's status, and whether the key was compromised."""
    standing = certificates.standing(uow, i.ca.id, i.spki_sha256)
    if not standing.active:
        raise Fault(FaultKind.CONFLICT, f"CA {i.ca.name} is disabled", "the certificate authority is disabled")
    refuse_revoked_authority(uow, i.ca, i.rows)
    if standing.compromised:
        raise Fault(FaultKind.WEAK_KEY, "the key was revoked as compromised", "the key is known to be compromised")


def refuse_revoked_authority(reader: Reader, ca: AuthorityRow, rows: list[AuthorityRow]) -> None:
    """Raise Fault(CONFLICT) below a CA that is revoked or on hold: nobody would accept what it issues."""
    revoked = records.revoked_authority(reader, ca, rows)
    if revoked is not None:
        text = "the certificate authority, or one above it, is revoked"
        raise Fault(FaultKind.CONFLICT, f"CA {revoked.name} is revoked", text)


def spend_credential(i: Issuance, uow: UnitOfWork) -> None:
    """Count one use of the credential; the database decides between concurrent requests.

    What was approved has counted when it was asked for.
    """
    credential = i.order.credential
    if credential is not None and not i.enrolment and not credentials.use(uow, credential.id, i.now):
        text = "the enrolment credential is used up, has expired or was withdrawn"
        raise Fault(FaultKind.FORBIDDEN, f"{credential.username}: {text}", text)


def reserve_serial(i: Issuance, uow: UnitOfWork) -> None:
    """INSERT first: two certificates of one serial cannot be."""
    certificates.reserve(
        uow,
        CertificateRow(
            tenant_id=uow.tenant_id,
            authority_id=i.ca.id,
            serial=i.serial_hex,
            state=CertificateState.RESERVED,
            subject=x509.name_text(i.subject.der),
            names="\n".join(map(str, i.sans)),
            spki_sha256=i.spki_sha256,
            profile=i.profile.name,
            not_before=i.not_before,
            not_after=i.not_after,
            tbs_sha256=i.tbs_sha256,
            requester=i.requester,
            credential_id=i.order.credential.id if i.order.credential is not None else "",
            protocol=i.order.protocol,
            created_at=i.now,
        ),
    )


def remember_answer(i: Issuance, uow: UnitOfWork) -> None:
    """Keep what a repeat is answered with."""
    if i.order.idempotency_key:
        window = timedelta(hours=i.room.settings.idempotency_hours)
        certificates.remember(uow, i.repeat_digest, i.ca.id, i.serial_hex, i.now, window)


def audit_intent(i: Issuance, uow: UnitOfWork) -> None:
    """Say what will be signed, in the same unit: what cannot be audited is not signed."""
    audit.append(
        uow,
        AuditEvent(
            "certificate.issue",
            i.requester,
            f"{i.ca.name}/{i.serial_hex}",
            details={
                "profile": i.profile.name,
                "protocol": i.order.protocol,
                "tbs_sha256": i.tbs_sha256,
                "spki_sha256": i.spki_sha256,
                "not_after": i.not_after.isoformat(),
                "renews": hashlib.sha256(i.order.previous_certificate or b"").hexdigest()
                if i.order.previous_certificate
                else "",
            }
            | ({"enrolment": i.enrolment} if i.enrolment else {}),
            request_id=i.request_id,
        ),
    )


def sign(i: Issuance, _uow: UnitOfWork) -> None:
    """Sign exactly what was linted."""
    i.der = i.key.signer.sign(i.tbs)


def compare(i: Issuance, _uow: UnitOfWork) -> None:
    """Refuse to hand out anything but what was linted, under a signature that holds."""
    tbs, _, signature = der.read(i.der).children()
    if tbs.encoded != i.tbs:
        raise Fault(FaultKind.INTERNAL, f"serial {i.serial_hex}: what was signed is not what was linted")
    try:
        i.key.public.verify(i.key.signature_algorithm, tbs.encoded, signature.bits())
    except Fault as fault:
        raise Fault(FaultKind.INTERNAL, f"serial {i.serial_hex}: own signature: {fault.detail}") from None


def keep(i: Issuance, uow: UnitOfWork) -> None:
    """Store the certificate under its reserved serial."""
    if not certificates.complete(uow, i.ca.id, i.serial_hex, i.der):
        raise Fault(FaultKind.INTERNAL, f"serial {i.serial_hex} is not reserved any more")


def tell(i: Issuance, uow: UnitOfWork) -> None:
    """Tell who has subscribed, once all of this is durable."""
    data = {"serial": i.serial_hex, "authority": i.ca.name, "profile": i.profile.name,
            "subject": x509.name_text(i.subject.der), "sans": list(map(str, i.sans)),
            "not_before": i.not_before.isoformat(), "not_after": i.not_after.isoformat(),
            "requester": i.requester, "protocol": i.order.protocol}  # fmt: skip
    emit(uow, EventType.CERTIFICATE_ISSUED, data)


DECISIONS: Final[tuple[Callable[[Issuance], None], ...]] = (
    read_request,
    check_kind,
    check_binding,
    check_key,
    collect_names,
    compose_subject,
    check_renewal,
    check_extensions,
    fix_validity,
    build_tbs,
    lint_tbs,
)

WRITES: Final[tuple[Callable[[Issuance, UnitOfWork], None], ...]] = (
    ask_again,
    spend_credential,
    reserve_serial,
    remember_answer,
    audit_intent,
    sign,
    compare,
    keep,
    tell,
)


def run(room: Room, tenant_id: str, order: IssueOrder, actor: str, request_id: str) -> IssuedCertificate:
    """Issue one certificate; a refusal is audited too. Fault(POLICY) where approval is needed first."""
    return run_begun(begin(room, tenant_id, order, actor, request_id))


def run_begun(i: Issuance) -> IssuedCertificate:
    """Issue what :func:`begin` has looked up."""
    order = i.order
    if i.earlier is not None:
        return i.earlier
    with refusals_audited(i):
        if i.profile.approvals:
            raise _refused(f"certificates of the profile {i.profile.name} are issued after approval only", "profile")
        try:
            decide(i)
            precertify(i)
            with i.room.database.unit_of_work(i.ca.tenant_id) as uow:
                write(i, uow)
        except Fault as fault:
            # another thread or replica was serving the same request, and may have spent the credential for it
            raced = fault.kind in {FaultKind.CONFLICT, FaultKind.FORBIDDEN}
            if raced and order.idempotency_key:
                with i.room.database.read(i.ca.tenant_id) as reader:
                    earlier = _repeated(i, reader)
                if earlier is not None:
                    return earlier
            raise
    return i.issued()


def begin(room: Room, tenant_id: str, order: IssueOrder, actor: str, request_id: str) -> Issuance:
    """Look up the CA, the profile and what a repeat is answered with; Fault(NOT_FOUND, SEALED)."""
    with room.database.read(tenant_id) as reader:
        rows = store.all_authorities(reader)
        ca = room.find(rows, order.authority)
        profile = load_profile(reader, order.profile or room.settings.default_profile)
        i = Issuance(room, order, actor, request_id, room.clock.now(), rows, ca, profile, room.keys.of(ca))
        i.earlier = _repeated(i, reader) if order.idempotency_key else None
    return i


def decide(i: Issuance) -> None:
    """Run every decision; afterwards it is known what would be signed."""
    for step in DECISIONS:
        step(i)


def precertify(i: Issuance) -> None:
    """Get timestamps of CT logs, where the profile asks for any: slow, and outside of any unit of work."""
    if i.profile.ct.logs:
        from pycryptoutil.authority import transparency  # it is made of these steps

        transparency.precertify(i)


def write(i: Issuance, uow: UnitOfWork) -> None:
    """Run every write in the caller's unit: the certificate is signed, and durable when the unit is."""
    for step in i.writes or WRITES:
        step(i, uow)


@contextmanager
def refusals_audited(i: Issuance) -> Iterator[None]:
    """Audit what the block refuses, outside of its own unit of work."""
    try:
        yield
    except Fault as fault:
        if fault.kind in _REFUSALS:
            _audit_refusal(i, fault)
        raise


def _repeated(i: Issuance, reader: Reader) -> IssuedCertificate | None:
    found = certificates.remembered(reader, i.repeat_digest, i.now)
    row = next(iter(certificates.by_serial(reader, found[1], found[0])), None) if found is not None else None
    # a certificate revoked since is no answer to a retry: whoever asks again wants one that works
    if row is None or row.revoked_at is not None:
        return None
    return records.answer(row, i.ca.name, chain(i.ca, i.rows), repeated=True)


def _audit_refusal(i: Issuance, fault: Fault) -> None:
    with i.room.database.unit_of_work(i.ca.tenant_id) as uow:
        audit.append(
            uow,
            AuditEvent(
                "certificate.issue",
                i.requester,
                f"{i.ca.name}/{i.profile.name}",
                "failure",
                {"kind": fault.kind.value, "protocol": i.order.protocol, "where": fault.pointer},
                i.request_id,
            ),
        )
