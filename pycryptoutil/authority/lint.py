"""Fast lints over a to-be-signed certificate: a table of small functions, each with the clause that it holds to.

They run before every signature. ``pkilint`` says the same and much more, in tests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName, GeneralNameKind, Name, decode_name
from pycryptoutil_protocols.x509 import Certificate

from pycryptoutil.authority import oids as more
from pycryptoutil.authority.extensions import decode_basic_constraints, extended_key_usage_oid, key_usage_bits
from pycryptoutil.authority.names import normal_dns
from pycryptoutil.authority.profile import Profile

_MAX_SERIAL: Final = 1 << 159
_MIN_SERIAL_BITS: Final = 64
_KEY_CERT_SIGN: Final = 5
_SERVER_AUTH: Final = "1.3.6.1.5.5.7.3.1"
_ANY_PURPOSE: Final = "2.5.29.37.0"
_CRITICAL: Final = frozenset({oids.BASIC_CONSTRAINTS, oids.KEY_USAGE, more.NAME_CONSTRAINTS})
_NEVER_CRITICAL: Final = frozenset(
    {
        oids.AUTHORITY_KEY_IDENTIFIER,
        oids.SUBJECT_KEY_IDENTIFIER,
        more.AUTHORITY_INFORMATION_ACCESS,
        more.CRL_DISTRIBUTION_POINTS,
    }
)
_SIGNING_ONLY: Final = ("Ed25519", "Ed448", "ML-DSA")
_RSA_ONLY_BITS: Final = frozenset({2, 3})  # keyEncipherment, dataEncipherment


@dataclass(frozen=True)
class Subject:
    """What is linted, and what it must agree with."""

    certificate: Certificate
    profile: Profile
    issuer: Certificate | None  # None: self-signed
    key_algorithm: str
    signature_algorithm: bytes  # AlgorithmIdentifier that the issuer will sign with
    now: datetime

    @functools.cached_property
    def validity(self) -> timedelta:
        """From notBefore to notAfter, both included (RFC 5280 section 4.1.2.5)."""
        return self.certificate.not_after - self.certificate.not_before + timedelta(seconds=1)

    def value(self, oid: str) -> bytes | None:
        """The content of an extension."""
        found = self.certificate.extension(oid)
        return found.value if found else None

    @functools.cached_property
    def key_usage(self) -> frozenset[int]:
        """Bits of KeyUsage."""
        value = self.value(oids.KEY_USAGE)
        return key_usage_bits(value) if value else frozenset()

    @functools.cached_property
    def purposes(self) -> tuple[str, ...]:
        """ExtendedKeyUsage."""
        return self.certificate.extended_key_usages

    @functools.cached_property
    def sans(self) -> tuple[GeneralName, ...]:
        """SubjectAltName."""
        return self.certificate.sans

    @functools.cached_property
    def name(self) -> Name:
        """The subject."""
        return decode_name(self.certificate.subject)


Problem = str | None
Check = Callable[[Subject], Problem]


def _serial(s: Subject) -> Problem:
    serial = s.certificate.serial
    if not 0 < serial < _MAX_SERIAL:
        return "the serial is not positive or longer than 20 octets"
    return "the serial has fewer than 64 bits" if serial.bit_length() < _MIN_SERIAL_BITS else None


def _issuer_name(s: Subject) -> Problem:
    expected = s.issuer.subject if s.issuer is not None else s.certificate.subject
    if s.certificate.issuer != expected:
        return "the issuer is not, octet for octet, the CA's subject"
    return "the issuer is empty" if len(s.certificate.issuer) <= 2 else None


def _signature(s: Subject) -> Problem:
    return None if s.certificate.signature_algorithm == s.signature_algorithm else "another signature algorithm"


def _order_of_dates(s: Subject) -> Problem:
    return None if s.certificate.not_before < s.certificate.not_after else "notAfter is not after notBefore"


def _longest(s: Subject) -> Problem:
    if s.validity > s.profile.validity.maximum_at(s.certificate.not_before):
        return "the validity is longer than the profile's maximum"
    return None


def _inside_issuer(s: Subject) -> Problem:
    if s.issuer is not None and s.certificate.not_after > s.issuer.not_after:
        return "it outlives its issuer"
    return None


def _is_link(s: Subject) -> bool:
    """Tell whether a CA certifies another of its own keys (RFC 5280 section 3.2: self-issued)."""
    return s.issuer is not None and s.certificate.subject == s.certificate.issuer


def _backdating(s: Subject) -> Problem:
    if _is_link(s):  # oldWithNew begins with the old key (RFC 9810 section 4.4.1)
        return None
    return "notBefore is more than a day ago" if s.certificate.not_before < s.now - timedelta(days=1) else None


def _criticality(s: Subject) -> Problem:
    for extension in s.certificate.extensions:
        if extension.oid in _CRITICAL and not extension.critical:
            return f"extension {extension.oid} is not critical"
        if extension.oid in _NEVER_CRITICAL and extension.critical:
            return f"extension {extension.oid} is critical"
    return None


def _authority_key(s: Subject) -> Problem:
    value = s.value(oids.AUTHORITY_KEY_IDENTIFIER)
    if value is None:
        return "no authority key identifier"
    parts = der.read(value).expect(der.SEQUENCE).children()
    expected = (s.issuer or s.certificate).subject_key_identifier
    if len(parts) != 1 or parts[0].tag != 0x80 or parts[0].content != expected:
        return "the authority key identifier is not that of the issuer"
    return None


def _subject_key(s: Subject) -> Problem:
    return None if s.certificate.subject_key_identifier or not s.profile.is_ca else "no subject key identifier"


def _basic_constraints(s: Subject) -> Problem:
    value = s.value(oids.BASIC_CONSTRAINTS)
    is_ca, path_length = decode_basic_constraints(value) if value is not None else (False, None)
    if is_ca != s.profile.is_ca:
        return "cA is not what the profile says"
    if path_length is not None and not is_ca:
        return "a path length without cA"
    return "no basic constraints" if is_ca and value is None else None


def _path_length(s: Subject) -> Problem:
    if s.issuer is None or not s.profile.is_ca or _is_link(s):  # self-issued ones do not count
        return None
    above = s.issuer.extension(oids.BASIC_CONSTRAINTS)
    _, allowed = decode_basic_constraints(above.value) if above else (False, None)
    own = s.value(oids.BASIC_CONSTRAINTS)
    _, wanted = decode_basic_constraints(own) if own is not None else (False, None)
    if allowed is None:
        return None
    if allowed == 0 or wanted is None or wanted >= allowed:
        return "the issuer's path length does not allow this CA"
    return None


def _key_usage(s: Subject) -> Problem:
    bits = s.key_usage
    if not bits:
        return "no key usage"
    if (_KEY_CERT_SIGN in bits) != s.profile.is_ca:
        return "keyCertSign without cA, or cA without keyCertSign"
    return None


def _usage_fits_key(s: Subject) -> Problem:
    family = s.key_algorithm
    if family.startswith(_SIGNING_ONLY) and s.key_usage & {2, 3, 4}:
        return f"a key of {family} neither encrypts nor agrees"
    if family.startswith("EC-") and s.key_usage & _RSA_ONLY_BITS:
        return "an EC key does not encrypt"
    if family.startswith("RSA") and 4 in s.key_usage:
        return "an RSA key does not agree"
    if family.startswith("ML-KEM") and s.key_usage != {2}:
        return "an ML-KEM key has the usage keyEncipherment, and only that"  # RFC 9935 section 5
    return None


def _purposes(s: Subject) -> Problem:
    expected = tuple(map(extended_key_usage_oid, s.profile.extended_key_usage))
    if s.purposes != expected:
        return "the extended key usage is not the profile's"
    return "anyExtendedKeyUsage" if _ANY_PURPOSE in s.purposes else None


def _time_stamping(s: Subject) -> Problem:
    extension = s.certificate.extension(oids.EXTENDED_KEY_USAGE)
    if more.EXTENDED_KEY_USAGES["timeStamping"] not in s.purposes:
        return None
    only = extension is not None and extension.critical and len(s.purposes) == 1
    return None if only else "timeStamping must be the only purpose, and critical"


def _has_name(s: Subject) -> Problem:
    empty = not s.name.rdns
    extension = s.certificate.extension(oids.SUBJECT_ALT_NAME)
    if empty and s.profile.is_ca:
        return "a CA without a subject"
    if empty and (extension is None or not extension.critical):
        return "an empty subject without a critical subjectAltName"
    return None


def _names_well_formed(s: Subject) -> Problem:
    for name in s.sans:
        if name.kind is GeneralNameKind.DNS:
            try:
                if normal_dns(name.value) != name.value:
                    return f"{name.value!r} is not in lower-case A-label form"
            except Fault:
                return f"{name.value!r} is not a DNS name"
    return None


def _unique_names(s: Subject) -> Problem:
    values = [name.comparable() for name in s.sans]
    return "a name is repeated" if len(set(values)) != len(values) else None


def _http_pointers(s: Subject) -> Problem:
    for oid in (more.AUTHORITY_INFORMATION_ACCESS, more.CRL_DISTRIBUTION_POINTS):
        for uri in _uris(s.value(oid)):
            if not uri.startswith(b"http://"):
                return f"{uri.decode('ascii', 'replace')} is not an http URL"
    return None


def _uris(value: bytes | None) -> Iterator[bytes]:
    """Walk down to every [6] (uniformResourceIdentifier)."""
    pending = [der.read(value)] if value else []
    while pending:
        element = pending.pop()
        if element.tag == 0x86:
            yield element.content
        elif element.tag & 0x20:
            pending.extend(element.children())


def _no_check(s: Subject) -> Problem:
    if s.value(oids.OCSP_NO_CHECK) is not None and more.EXTENDED_KEY_USAGES["ocspSigning"] not in s.purposes:
        return "ocsp-nocheck on what is no OCSP responder"
    return None


def _same_key_as_issuer(s: Subject) -> Problem:
    if s.issuer is not None and s.certificate.spki == s.issuer.spki:
        return "the subject's key is the CA's own"
    return None


def _tls_has_san(s: Subject) -> Problem:
    kinds = {name.kind for name in s.sans}
    if not kinds:
        return "no subjectAltName"
    return None if kinds <= {GeneralNameKind.DNS, GeneralNameKind.IP} else "a name that is neither DNS nor IP"


def _tls_common_name(s: Subject) -> Problem:
    texts = s.name.common_names
    values = {name.value for name in s.sans}
    if len(texts) > 1 or any(text not in values for text in texts):
        return "the common name is not, character for character, one of the names"
    return None


def _tls_purposes(s: Subject) -> Problem:
    return None if _SERVER_AUTH in s.purposes else "no serverAuth"


def _tls_pointers(s: Subject) -> Problem:
    if s.value(more.AUTHORITY_INFORMATION_ACCESS) is None and s.value(more.CRL_DISTRIBUTION_POINTS) is None:
        # an installation that publishes nothing by http has nothing to point to; that is its choice, not a fault
        return None
    return None if s.value(more.AUTHORITY_INFORMATION_ACCESS) is not None else "no authorityInfoAccess"


def _tls_policy(s: Subject) -> Problem:
    return None if s.value(more.CERTIFICATE_POLICIES) is not None else "no certificatePolicies"


def _tls_wildcard(s: Subject) -> Problem:
    for name in s.sans:
        if "*" in name.value and (not name.value.startswith("*.") or name.value.count("*") > 1):
            return f"{name.value!r}: an asterisk must be the whole leftmost label"
    return None


LINTS: Final[tuple[tuple[str, Check], ...]] = (
    ("RFC 5280 4.1.2.2, BR 7.1", _serial),
    ("RFC 5280 4.1.2.4", _issuer_name),
    ("RFC 5280 4.1.1.2", _signature),
    ("RFC 5280 4.1.2.5", _order_of_dates),
    ("profile validity, BR 6.3.2", _longest),
    ("RFC 5280 6.1.3 (shell model)", _inside_issuer),
    ("BR 7.1.2.7", _backdating),
    ("RFC 5280 4.2.1", _criticality),
    ("RFC 5280 4.2.1.1", _authority_key),
    ("RFC 5280 4.2.1.2", _subject_key),
    ("RFC 5280 4.2.1.9", _basic_constraints),
    ("RFC 5280 4.2.1.9", _path_length),
    ("RFC 5280 4.2.1.3", _key_usage),
    ("RFC 5480 3, RFC 8410 5, RFC 9881 5", _usage_fits_key),
    ("RFC 5280 4.2.1.12", _purposes),
    ("RFC 3161 2.3", _time_stamping),
    ("RFC 5280 4.1.2.6", _has_name),
    ("RFC 5280 4.2.1.6, RFC 5891 4", _names_well_formed),
    ("RFC 5280 4.2.1.6", _unique_names),
    ("RFC 5280 4.2.1.13, 4.2.2.1", _http_pointers),
    ("RFC 6960 4.2.2.2.1", _no_check),
    ("RFC 5280 4.1.2.7", _same_key_as_issuer),
)

TLS_LINTS: Final[tuple[tuple[str, Check], ...]] = (
    ("BR 7.1.2.7.12", _tls_has_san),
    ("BR 7.1.4.3", _tls_common_name),
    ("BR 7.1.2.7.10", _tls_purposes),
    ("BR 7.1.2.7.7", _tls_pointers),
    ("BR 7.1.2.7.9", _tls_policy),
    ("BR 7.1.2.7.12", _tls_wildcard),
)


def problems(subject: Subject) -> list[str]:
    """Return every finding with its clause."""
    table = LINTS + TLS_LINTS if subject.profile.rules == "cabf-tls" else LINTS
    return [f"{clause}: {found}" for clause, check in table if (found := check(subject)) is not None]


def check(subject: Subject) -> None:
    """Raise Fault(POLICY) with the findings, if there are any."""
    if found := problems(subject):
        text = "; ".join(found)
        raise Fault(FaultKind.POLICY, f"lint: {text}", f"the certificate would break a rule: {text}")
