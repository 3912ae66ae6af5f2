"""What the CA speaks about, as frozen data. Times are aware UTC; serials are lower-case hex without separators."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pycryptoutil_protocols.csr import CertificationRequest


class AuthorityKind(enum.Enum):
    """Where a CA stands in its hierarchy."""

    ROOT = "root"
    ISSUING = "issuing"  # any subordinate: with a path length it may have subordinates of its own


class AuthorityStatus(enum.Enum):
    """Whether a CA signs certificates. A disabled one still signs its CRL and OCSP responses."""

    ACTIVE = "active"
    DISABLED = "disabled"
    PREPARED = "prepared"  # published as the next one, and not issuing yet
    SUPERSEDED = "superseded"  # another generation issues instead of it
    RETIRED = "retired"  # the same, and it is not published any more


class CertificateState(enum.Enum):
    """How far issuance of a serial got. A reserved serial is never given to another certificate."""

    RESERVED = "reserved"
    ISSUED = "issued"
    FAILED = "failed"


class CertificateStatus(enum.Enum):
    """What a certificate is at a moment; computed, never stored."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    HELD = "held"


class RevocationReason(enum.Enum):
    """CRLReason (RFC 5280 section 5.3.1); values are the names used on the wire of our APIs."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    REMOVE_FROM_CRL = "removeFromCRL"  # releases a hold; never stored
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"

    @property
    def code(self) -> int:
        """The ENUMERATED value."""
        return _REASON_CODES[self]

    @classmethod
    def of_code(cls, code: int) -> RevocationReason:
        """Return the reason of an ENUMERATED value; ValueError for one that RFC 5280 does not have."""
        for reason, known in _REASON_CODES.items():
            if known == code:
                return reason
        raise ValueError(code)


_REASON_CODES: Final = {
    RevocationReason.UNSPECIFIED: 0,
    RevocationReason.KEY_COMPROMISE: 1,
    RevocationReason.CA_COMPROMISE: 2,
    RevocationReason.AFFILIATION_CHANGED: 3,
    RevocationReason.SUPERSEDED: 4,
    RevocationReason.CESSATION_OF_OPERATION: 5,
    RevocationReason.CERTIFICATE_HOLD: 6,
    RevocationReason.REMOVE_FROM_CRL: 8,
    RevocationReason.PRIVILEGE_WITHDRAWN: 9,
    RevocationReason.AA_COMPROMISE: 10,
}


DELTA_SUFFIX: Final = "-delta"
"""Behind a CA's public id in the URL of its delta CRL: no CA's name ends so."""


def shard_suffix(count: int, index: int) -> str:
    """Return what is behind it in the URL of one part of its CRL: no CA's name ends so either."""
    return f"-{index}of{count}"


@dataclass(frozen=True, slots=True)
class DistributionUrls:
    """Base URLs that go into certificates. ``base`` has no trailing slash; empty: no URLs are put in."""

    base: str

    def ocsp(self, public_id: str) -> str:
        """AIA id-ad-ocsp of certificates that this CA issued."""
        return f"{self.base}/ocsp/{public_id}" if self.base else ""

    def crl(self, public_id: str) -> str:
        """The CRL distribution point of certificates that this CA issued."""
        return f"{self.base}/crl/{public_id}.crl" if self.base else ""

    def shard(self, public_id: str, count: int, index: int) -> str:
        """The CRL distribution point where a CA's list is in ``count`` parts."""
        return f"{self.base}/crl/{public_id}{shard_suffix(count, index)}.crl" if self.base else ""

    def delta(self, public_id: str) -> str:
        """Where the CA's delta CRL is, if it has one."""
        return f"{self.base}/crl/{public_id}{DELTA_SUFFIX}.crl" if self.base else ""

    def issuer(self, public_id: str) -> str:
        """AIA id-ad-caIssuers: where this CA's own certificate is."""
        return f"{self.base}/ca/{public_id}.cer" if self.base else ""


@dataclass(frozen=True, slots=True)
class Authority:
    """One CA. ``chain`` is its own certificate first, then each issuer up to the root, DER.

    ``public_id`` is its name in public URLs: unique over all tenants, where ``name`` is unique in one.
    """

    id: str
    tenant_id: str
    name: str
    public_id: str
    kind: AuthorityKind
    parent_id: str
    status: AuthorityStatus
    subject: str
    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    key_algorithm: str
    signature_algorithm: str
    not_before: datetime
    not_after: datetime
    created_at: datetime
    ocsp_url: str
    crl_url: str
    issuer_url: str
    line: str = ""  # the id of its first generation: the same for every key that the CA has had
    generation: int = 1
    offline: bool = False  # its key is not here


@dataclass(frozen=True, slots=True)
class AuthorityOrder:
    """A CA to create: a root when ``parent`` is empty, else a subordinate of that CA.

    ``subject`` is an RFC 4514 string. ``validity`` in seconds; 0 takes the profile's default. ``profile`` empty:
    ``root-ca`` or ``intermediate-ca``. Name constraints are added to those of the profile.
    """

    name: str
    subject: str
    parent: str = ""
    key_algorithm: str = "EC-P256"
    validity: int = 0
    path_length: int | None = None
    profile: str = ""
    permitted_names: tuple[str, ...] = ()  # name constraints: dns:example.com, ip:10.0.0.0/8, email:example.com
    excluded_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """What a label in a URL stands for."""

    tenant_id: str
    authority: str
    profile: str


@dataclass(frozen=True, slots=True)
class NamePatterns:
    """Which names a credential may have put into a certificate; see :mod:`pycryptoutil.authority.names`.

    With no pattern at all only the profile limits the names; with any, every name needs one that matches.
    """

    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    common_name: tuple[str, ...] = ()
    wildcards: bool = False  # whether a certificate may hold a wildcard name under a dns pattern

    @property
    def empty(self) -> bool:
        """Tell whether there is no pattern."""
        return not (self.dns or self.ip or self.email or self.uri or self.common_name)


PROTOCOLS: Final = ("est", "scep", "cmp", "cmc", "acme")


@dataclass(frozen=True, slots=True)
class CredentialOrder:
    """An enrolment credential to create. ``authority`` empty: the default issuing CA. ``protocols`` empty: all."""

    profile: str
    authority: str = ""
    names: NamePatterns = NamePatterns()
    protocols: tuple[str, ...] = ()
    max_uses: int | None = None  # certificates; None: no limit
    expires_at: datetime | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """An enrolment credential, without its secret."""

    id: str
    tenant_id: str
    username: str
    profile: str
    authority: str
    names: NamePatterns
    protocols: tuple[str, ...]
    max_uses: int | None
    uses: int
    expires_at: datetime | None
    status: str  # active | disabled
    description: str
    created_at: datetime
    created_by: str

    @property
    def actor(self) -> str:
        """How audit events name it."""
        return f"credential:{self.username}"


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential just made: the only time its password is seen."""

    credential: Credential
    password: str = field(repr=False)

    @property
    def id(self) -> str:
        """The credential's id."""
        return self.credential.id

    @property
    def username(self) -> str:
        """What EST calls the user name, CMP the reference, ACME the kid."""
        return self.credential.username


@dataclass(frozen=True, slots=True)
class IssueOrder:
    """What is asked for. Exactly one of ``csr`` and ``spki`` is given, DER.

    ``subject`` (RFC 4514) and ``sans`` (``dns:a.test``, ``ip:192.0.2.1``, ``email:…``, ``uri:…``), where given, are
    what the certificate carries instead of the CSR's; the CSR's must still obey the policy. ``credential`` narrows the
    names; without one the caller has authorised a principal. ``previous_certificate`` (DER) makes it a renewal.
    ``extensions`` (DER SEQUENCE OF Extension), where given, are asked for instead of the CSR's: the profile judges both
    alike. An ``idempotency_key`` makes a repeat by the same requester with the same request answer with the same
    certificate. ``request`` is what ``csr`` decodes to, where the caller has read it already.
    """

    authority: str = ""
    profile: str = ""
    csr: bytes | None = None
    spki: bytes | None = None
    subject: str | None = None
    sans: tuple[str, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None
    protocol: str = "rest"
    credential: Credential | None = None
    previous_certificate: bytes | None = None
    idempotency_key: str = ""
    must_staple: bool = False
    extensions: bytes | None = None
    request: CertificationRequest | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate as stored. ``chain`` is the issuer first, up to the root; the leaf is ``der``."""

    serial: str
    der: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    authority: str
    profile: str
    subject: str
    sans: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    repeated: bool = False  # an earlier answer, given again for the idempotency key


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """One row of the certificates table, with what it means now."""

    serial: str
    tenant_id: str
    authority_id: str
    authority: str
    profile: str
    subject: str
    sans: tuple[str, ...]
    spki_sha256: str
    not_before: datetime
    not_after: datetime
    status: CertificateStatus
    revoked_at: datetime | None
    reason: RevocationReason | None
    invalidity_date: datetime | None
    requester: str
    protocol: str
    created_at: datetime
    der: bytes = field(repr=False)
    precertificate: bool = False  # it stands for a certificate that never came (RFC 6962)


@dataclass(frozen=True, slots=True)
class CertificateFilter:
    """Which certificates to list; every given condition must hold."""

    status: CertificateStatus | None = None
    authority: str = ""
    profile: str = ""
    protocol: str = ""
    requester: str = ""
    serial: str = ""
    contains: str = ""  # part of the subject or of a name, any case
    spki_sha256: str = ""
    not_after_from: datetime | None = None
    not_after_to: datetime | None = None
    name: str = ""  # a whole name, any case, with or without its type; also a common name
    domain: str = ""  # DNS names and e-mail addresses in it or below it
    created_from: datetime | None = None
    created_to: datetime | None = None
    sort: str = "created"  # created: newest first | expiry: soonest first


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list; ``cursor`` gets the next part and is empty at the end.

    There may be fewer items than asked for, even none, before the end: a search looks at so many rows and no more.
    """

    items: tuple[CertificateRecord, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class RevocationEvent:
    """One line of the revocation log; ``seq`` grows in the order in which the events became visible."""

    seq: int
    authority_id: str
    serial: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RevocationState:
    """What OCSP and CRL need of one serial; ``revoked_at`` None means good."""

    serial: str
    not_after: datetime
    revoked_at: datetime | None
    reason: RevocationReason | None
    invalidity_date: datetime | None
