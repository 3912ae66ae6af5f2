"""What a certificate profile may say. A key that is not here is refused; nothing in a profile is ignored.

Durations are written ``90d``, ``12h``, ``30m``, ``45s`` or ``10y`` (of 365 days).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pycryptoutil.authority.oids import ATTRIBUTES, EXTENDED_KEY_USAGES, KEY_USAGES

KeyFamily = Literal[
    "RSA",
    "EC-P256",
    "EC-P384",
    "EC-P521",
    "Ed25519",
    "Ed448",
    "ML-DSA-44",
    "ML-DSA-65",
    "ML-DSA-87",
    "ML-KEM-512",
    "ML-KEM-768",
    "ML-KEM-1024",
]
_GENERATED_BY_DEFAULT: Final = ("EC-P256", "RSA", "EC-P384", "EC-P521", "Ed25519", "ML-DSA-65")
CredentialName = Annotated[str, Field(pattern=r"^enroll-[0-9a-f]{20}$")]
ProfileName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
SanType = Literal["dns", "ip", "email", "uri", "upn"]
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
_OID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){1,30}")
_LONGEST: Final = timedelta(days=36600)

# CA/Browser Forum ballot SC-081v3: notBefore from this date -> days at most
_CABF_STEPS: Final = (
    (datetime(2029, 3, 15, tzinfo=UTC), 47),
    (datetime(2027, 3, 15, tzinfo=UTC), 100),
    (datetime(2026, 3, 15, tzinfo=UTC), 200),
    (datetime(2020, 9, 1, tzinfo=UTC), 398),
)


def parse_duration(value: object) -> timedelta:
    """Read ``90d``; ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d{1,10})([smhdy])", value) if isinstance(value, str) else None
    if found is None:
        message = "is not a duration such as 90d, 12h or 10y"
        raise ValueError(message)
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST.total_seconds():
        message = "is longer than 100 years"
        raise ValueError(message)
    return timedelta(seconds=seconds)


def _one_of(names: Mapping[str, object] | tuple[str, ...], what: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, str) and value not in names:
            raise ValueError(f"{value!r} is not {what}; there are: {', '.join(names)}")
        return value

    return BeforeValidator(check)


def _extended_key_usage(value: object) -> object:
    if isinstance(value, str) and value not in EXTENDED_KEY_USAGES and not _OID.fullmatch(value):
        raise ValueError(f"{value!r} is neither a dotted OID nor one of {', '.join(EXTENDED_KEY_USAGES)}")
    return value


def _object_identifier(value: object) -> object:
    if isinstance(value, str) and not _OID.fullmatch(value):
        raise ValueError(f"{value!r} is not a dotted object identifier")
    return value


def _listed(value: object) -> object:
    """Let a YAML list fill a tuple under strict validation."""
    return tuple(value) if isinstance(value, list) else value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Attribute = Annotated[str, _one_of(ATTRIBUTES, "a subject attribute")]
Usage = Annotated[str, _one_of(KEY_USAGES, "a key usage")]
ExtendedUsage = Annotated[str, BeforeValidator(_extended_key_usage)]
Oid = Annotated[str, BeforeValidator(_object_identifier)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Validity(_Part):
    """How long. ``schedule: cabf`` lowers the maximum by the dates of CA/Browser Forum ballot SC-081."""

    default: Duration
    minimum: Duration = timedelta(minutes=5)
    maximum: Duration
    backdate: Duration = timedelta(minutes=5)  # notBefore lies so much before now, for clocks that are slow
    schedule: Literal["none", "cabf"] = "none"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not timedelta(0) < self.minimum <= self.default <= self.maximum:
            message = "needs minimum <= default <= maximum"
            raise ValueError(message)
        if self.backdate > timedelta(days=1):
            message = "backdate is more than a day"
            raise ValueError(message)
        return self

    def maximum_at(self, not_before: datetime) -> timedelta:
        """Return the longest validity of a certificate that begins then."""
        if self.schedule == "none":
            return self.maximum
        return min([self.maximum, *(timedelta(days=days) for date, days in _CABF_STEPS if not_before >= date)])


class Keys(_Part):
    """Which subject keys."""

    algorithms: Annotated[tuple[KeyFamily, ...], BeforeValidator(_listed), Field(min_length=1)]
    rsa_minimum: Annotated[int, Field(ge=2048, le=8192)] = 2048
    rsa_maximum: Annotated[int, Field(ge=2048, le=8192)] = 8192


class Subject(_Part):
    """What the subject is made of, and from where.

    ``source: credential`` takes the common name that the enrolment credential is bound to. ``fixed`` attributes are
    added to any source. Of the request, attributes that are not ``allowed`` are refused or dropped.
    """

    source: Literal["request", "credential", "fixed"] = "request"
    allowed: Annotated[tuple[Attribute, ...], BeforeValidator(_listed)] = ()
    required: Annotated[tuple[Attribute, ...], BeforeValidator(_listed)] = ()
    unlisted: Literal["refuse", "drop"] = "refuse"
    fixed: dict[Attribute, Annotated[str, Field(min_length=1, max_length=128)]] = Field(default_factory=dict)
    common_name: Literal["free", "from-names"] = "free"  # from-names: must be one of the subject alternative names

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = set(self.allowed) | set(self.fixed)
        if self.source == "credential":
            given |= {"CN"}
        if missing := [name for name in self.required if name not in given]:
            raise ValueError(f"requires {', '.join(missing)}, which is neither allowed nor fixed")
        return self


class Names(_Part):
    """Subject alternative names: which, how many, of what kind."""

    types: Annotated[tuple[SanType, ...], BeforeValidator(_listed)] = ()
    required: bool = False
    maximum: Annotated[int, Field(ge=0, le=1000)] = 100
    from_common_name: bool = False  # a request without names gets its common name as one
    wildcards: bool = False  # *.example.com, leftmost whole label only
    private: bool = False  # names under reserved top-level domains, addresses that are not global
    unqualified: bool = False  # names of one label, such as localhost
    uri_schemes: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ("https", "spiffe", "urn")


class KeyUsages(_Part):
    """Key usage bits, always critical. ``rsa``, ``ec`` and ``kem`` replace ``default`` for keys of that family."""

    default: Annotated[tuple[Usage, ...], BeforeValidator(_listed), Field(min_length=1)]
    rsa: Annotated[tuple[Usage, ...], BeforeValidator(_listed)] | None = None
    ec: Annotated[tuple[Usage, ...], BeforeValidator(_listed)] | None = None
    kem: Annotated[tuple[Usage, ...], BeforeValidator(_listed)] | None = None  # ML-KEM

    def of(self, algorithm: str) -> tuple[str, ...]:
        """Return the bits for a key of this algorithm."""
        if algorithm.startswith("RSA"):
            return self.rsa if self.rsa is not None else self.default
        if algorithm.startswith("EC-"):
            return self.ec if self.ec is not None else self.default
        if algorithm.startswith("ML-KEM"):
            return self.kem if self.kem is not None else self.default
        return self.default


class CertificateAuthority(_Part):
    """Makes it a CA certificate. ``path_length`` null: no limit."""

    path_length: Annotated[int, Field(ge=0, le=10)] | None = None


class NameConstraintSet(_Part):
    """Name constraints (critical), as ``dns:example.com``, ``ip:10.0.0.0/8``, ``email:example.com``."""

    permitted: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    excluded: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()


class Policy(_Part):
    """One certificate policy."""

    oid: Oid
    cps: Annotated[str, Field(pattern=r"^https?://[!-~]{1,200}$")] | None = None


class RequestExtensions(_Part):
    """What a CSR's extensionRequest may bring beside what the profile itself decides.

    Names, key usages, basic constraints and key identifiers are always read: they are checked, never copied.
    """

    copy_: Annotated[tuple[Oid, ...], BeforeValidator(_listed)] = Field(default=(), alias="copy")
    ignore: Annotated[tuple[Oid, ...], BeforeValidator(_listed)] = ()
    unlisted: Literal["refuse", "ignore"] = "refuse"


class Distribution(_Part):
    """Which pointers to status and issuer go in."""

    ocsp: bool = True
    crl: bool = True
    issuer: bool = True


class Transparency(_Part):
    """Certificate Transparency: of how many logs a certificate carries timestamps."""

    logs: Annotated[int, Field(ge=0, le=10)] = 0


class Ssh(_Part):
    """OpenSSH certificates (PROTOCOL.certkeys)."""

    type: Literal["host", "user"]
    principals_required: bool = True
    maximum_principals: Annotated[int, Field(ge=0, le=256)] = 16
    extensions: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    critical_options: Annotated[tuple[Literal["force-command", "source-address"], ...], BeforeValidator(_listed)] = ()


class Profile(_Part):
    """One certificate profile, whole."""

    name: ProfileName
    title: Annotated[str, Field(min_length=1, max_length=200)]
    kind: Literal["x509", "ssh"] = "x509"
    validity: Validity
    keys: Keys
    subject: Subject = Subject()
    names: Names = Names()
    key_usage: KeyUsages | None = None
    extended_key_usage: Annotated[tuple[ExtendedUsage, ...], BeforeValidator(_listed)] = ()
    extended_key_usage_critical: bool = False
    certificate_authority: CertificateAuthority | None = None
    name_constraints: NameConstraintSet = NameConstraintSet()
    policies: Annotated[tuple[Policy, ...], BeforeValidator(_listed), Field(max_length=20)] = ()
    must_staple: Literal["never", "allowed", "always"] = "never"
    ocsp_no_check: bool = False
    subject_key_identifier: bool = True
    request_extensions: RequestExtensions = RequestExtensions()
    distribution: Distribution = Distribution()
    ct: Transparency = Transparency()
    rules: Literal["rfc5280", "cabf-tls"] = "rfc5280"  # which lints, beside those of RFC 5280
    credential_names: Literal["optional", "required"] = "optional"  # whether a credential must name what it is for
    approvals: Annotated[int, Field(ge=0, le=10)] = 0  # how many people must agree before anything is issued
    # user names of enrolment credentials whose SCEP clients have nothing but DES, Triple DES, SHA-1 or MD5
    legacy_credentials: Annotated[tuple[CredentialName, ...], BeforeValidator(_listed), Field(max_length=100)] = ()
    ssh: Ssh | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        checks: tuple[tuple[bool, str], ...] = (
            ((self.kind == "ssh") != (self.ssh is not None), "ssh: belongs to kind ssh, and only there"),
            (self.kind == "x509" and self.key_usage is None, "key_usage: is missing"),
            (self.names.required and not self.names.types, "names: are required, but no type is allowed"),
            (
                self.rules == "cabf-tls" and "serverAuth" not in self.extended_key_usage,
                "rules: cabf-tls is for profiles with extended_key_usage serverAuth",
            ),
            (self._usages_disagree(), "key_usage: keyCertSign belongs to a certificate_authority, and only there"),
            (
                self.certificate_authority is None and self.name_constraints != NameConstraintSet(),
                "name_constraints: belong to a certificate_authority (RFC 5280 section 4.2.1.10)",
            ),
            (
                self.approvals > 0 and (self.kind == "ssh" or self.is_ca or self.ocsp_no_check),
                "approvals: belong to profiles of X.509 certificates that clients ask for",
            ),
            (
                self.ct.logs > 0 and (self.kind == "ssh" or self.is_ca or self.ocsp_no_check),
                "ct: belongs to profiles of X.509 certificates that clients ask for",
            ),
            (
                self.ocsp_no_check and "ocspSigning" not in self.extended_key_usage,
                "ocsp_no_check: belongs to extended_key_usage ocspSigning (RFC 6960 section 4.2.2.2.1)",
            ),
        )
        for wrong, message in checks:
            if wrong:
                raise ValueError(message)
        return self

    def _usages_disagree(self) -> bool:
        if self.key_usage is None:
            return False
        signs = "keyCertSign" in self.key_usage.default
        return signs != (self.certificate_authority is not None)

    @property
    def is_ca(self) -> bool:
        """Tell whether its certificates are CA certificates."""
        return self.certificate_authority is not None

    def allows_key(self, algorithm: str) -> bool:
        """Tell whether a subject key of this algorithm (``RSA-2048``, ``EC-P256``) may be certified, size aside."""
        return ("RSA" if algorithm.startswith("RSA") else algorithm) in self.keys.algorithms

    @property
    def generated_key(self) -> str:
        """The kind of key to generate when nothing else is asked for."""
        for algorithm in _GENERATED_BY_DEFAULT:
            if algorithm in self.keys.algorithms:
                return f"RSA-{max(self.keys.rsa_minimum, 3072)}" if algorithm == "RSA" else algorithm
        return self.keys.algorithms[0]

    def document(self) -> dict[str, Any]:
        """Return everything it says, defaults included, as JSON values."""
        found: dict[str, Any] = _plain(self.model_dump(mode="python", by_alias=True, exclude_none=True))
        return found


def format_duration(value: timedelta) -> str:
    """Write a duration as :func:`parse_duration` reads it, in the largest unit that is exact."""
    seconds = int(value.total_seconds())
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
