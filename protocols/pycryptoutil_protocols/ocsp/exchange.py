"""What an OCSP responder answers: a pure decision over the request, the recorded statuses, the time and the policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

from .messages import CertId, CertStatus, OcspRequest, SingleStatus

_CERTIFICATE_HOLD = 6
_UNSPECIFIED = 0
_HASHES = ("sha1", "sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA that the responder speaks for: hash name → (issuerNameHash, issuerKeyHash)."""

    hashes: Mapping[str, tuple[bytes, bytes]]

    @classmethod
    def of(cls, name: bytes, spki: bytes) -> Issuer:
        """Hash a CA's DER subject name and the bits of its key (RFC 6960 section 4.1.1)."""
        key = algorithms.key_info(spki).key
        return cls({one: (algorithms.digest(one, name), algorithms.digest(one, key)) for one in _HASHES})

    def issued(self, cert_id: CertId) -> bool:
        """Tell whether a CertID names this issuer."""
        return self.hashes.get(cert_id.hash_algorithm) == (cert_id.issuer_name_hash, cert_id.issuer_key_hash)


@dataclass(frozen=True, slots=True)
class Status:
    """What the store knows of one issued certificate; ``reason`` is RFC 5280's CRLReason, -1 for none."""

    revoked: bool
    revoked_at: int = 0  # Unix
    reason: int = -1
    not_after: int = 0  # Unix; 0 when not known


@dataclass(frozen=True, slots=True)
class Policy:
    """How a responder answers; durations in seconds.

    ``extended_revoke``: a serial that was never issued is answered ``revoked`` (RFC 6960 section 4.4.8) instead of
    ``unknown``. ``archive_cutoff``: how long past its expiry a certificate's status is kept (section 4.4.4), 0 to say
    nothing of it. ``backdate`` puts thisUpdate that far into the past, for clients whose clock is slow.
    """

    validity: int = 3600
    backdate: int = 0
    echo_nonce: bool = True
    max_requests: int = 64
    extended_revoke: bool = False
    archive_cutoff: int = 0
    require_signature: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The arguments of the core's ``OcspSigner.sign``, and whether the result may be kept and served again."""

    singles: tuple[SingleStatus, ...]
    produced_at: int
    nonce: bytes | None
    extensions: bytes = b""
    cacheable: bool = False
    this_update: int = 0
    next_update: int = 0
    counts: Mapping[CertStatus, int] = field(default_factory=dict)


def check_request(request: OcspRequest, issuer: Issuer, policy: Policy) -> None:
    """Refuse what this responder cannot answer at all, before anything is looked up."""
    if len(request.cert_ids) > policy.max_requests:
        raise Fault(FaultKind.TOO_LARGE, f"{len(request.cert_ids)} certificates asked about", "too many certificates")
    if policy.require_signature and not request.signed:
        raise Fault(FaultKind.UNAUTHENTICATED, "unsigned OCSP request", "requests must be signed")
    if request.acceptable_responses and oids.OCSP_BASIC not in request.acceptable_responses:
        raise Fault(FaultKind.UNSUPPORTED, "basic response is not acceptable to the client", "only basic responses")
    if not any(issuer.issued(cert_id) for cert_id in request.cert_ids):
        raise Fault(FaultKind.FORBIDDEN, "no certificate of this issuer is asked about", "not this responder's issuer")


def serials(request: OcspRequest, issuer: Issuer, policy: Policy | None = None) -> tuple[int, ...]:
    """Check the request and return the serial numbers to look up, each once."""
    check_request(request, issuer, policy or Policy())
    return tuple(dict.fromkeys(one.serial for one in request.cert_ids if issuer.issued(one) and one.serial > 0))


def answer(
    request: OcspRequest, issuer: Issuer, statuses: Mapping[int, Status], now: datetime, policy: Policy
) -> Answer:
    """Decide the whole response; ``statuses`` has an entry for each serial that was issued."""
    check_request(request, issuer, policy)
    moment = int(now.timestamp())
    this_update, next_update = moment - policy.backdate, moment + policy.validity
    singles: list[SingleStatus] = []
    counts: dict[CertStatus, int] = dict.fromkeys(CertStatus, 0)
    extended = False
    for cert_id in request.cert_ids:
        known = statuses.get(cert_id.serial) if issuer.issued(cert_id) else None
        if known is not None:
            single = _known(cert_id.der, known, this_update, next_update, policy)
        elif issuer.issued(cert_id) and policy.extended_revoke:
            extended = True  # RFC 6960 section 2.2: the epoch and certificateHold
            single = (cert_id.der, CertStatus.REVOKED, 0, _CERTIFICATE_HOLD, this_update, next_update, b"")
        else:
            single = (cert_id.der, CertStatus.UNKNOWN, 0, -1, this_update, next_update, b"")
        counts[CertStatus(single[1])] += 1
        singles.append(single)
    nonce = request.nonce if policy.echo_nonce else None
    extensions = extended_revoke_extension() if extended else b""
    plain = len(singles) == 1 and nonce is None
    return Answer(tuple(singles), moment, nonce, extensions, plain, this_update, next_update, counts)


def _known(cert_id: bytes, status: Status, this_update: int, next_update: int, policy: Policy) -> SingleStatus:
    cutoff = b""
    if policy.archive_cutoff:
        cutoff = archive_cutoff_extension(this_update - policy.archive_cutoff)
    if not status.revoked:
        return cert_id, CertStatus.GOOD, 0, -1, this_update, next_update, cutoff
    reason = -1 if status.reason == _UNSPECIFIED else status.reason  # RFC 5280 section 5.3.1: absent, not zero
    return cert_id, CertStatus.REVOKED, status.revoked_at, reason, this_update, next_update, cutoff


def presign(
    cert_ids: Iterable[tuple[bytes, Status]], now: datetime, policy: Policy
) -> tuple[tuple[SingleStatus, ...], int]:
    """Return the arguments of ``OcspSigner.sign_many`` for certificates that nobody has asked about yet."""
    moment = int(now.timestamp())
    this_update, next_update = moment - policy.backdate, moment + policy.validity
    return tuple(_known(one, status, this_update, next_update, policy) for one, status in cert_ids), moment


def archive_cutoff_extension(moment: int) -> bytes:
    """DER Extension id-pkix-ocsp-archive-cutoff (RFC 6960 section 4.4.4)."""
    return Extension(oids.OCSP_ARCHIVE_CUTOFF, False, der.generalized_time(moment)).encode()


def extended_revoke_extension() -> bytes:
    """DER Extension id-pkix-ocsp-extended-revoke (RFC 6960 section 4.4.8)."""
    return Extension(oids.OCSP_EXTENDED_REVOKE, False, der.null()).encode()
