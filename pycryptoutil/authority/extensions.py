"""Certificate extensions as the profile decides them, and what a request may say about them (RFC 5280 section 4.2)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName, encode_general_names
from pycryptoutil_protocols.x509 import Extension

from pycryptoutil.authority import oids as more
from pycryptoutil.authority.names import San, normal_dns, refused
from pycryptoutil.authority.profile import NameConstraintSet, Profile

STATUS_REQUEST: Final = 5
"""TLS feature of OCSP stapling (RFC 7633)."""

_KEY_CERT_SIGN = 5  # bit numbers of KeyUsage
_CRL_SIGN = 6

_IGNORED: Final = frozenset(
    {
        oids.SUBJECT_KEY_IDENTIFIER,  # ours is made from the key
        oids.AUTHORITY_KEY_IDENTIFIER,
        more.MS_CERTIFICATE_TEMPLATE_NAME,  # names a template of another CA
        more.MS_CERTIFICATE_TEMPLATE,
        "2.16.840.1.113730.1.1",  # nsCertType and nsComment, which old configuration files still ask for
        "2.16.840.1.113730.1.13",
    }
)


def key_usage(usages: Iterable[str]) -> bytes:
    """BIT STRING with named bits: trailing zeros are left out (X.690 section 11.2.2)."""
    numbers = [more.KEY_USAGES.index(name) for name in usages]
    last = max(numbers)
    value = sum(0x8000 >> number for number in numbers)
    octets = value.to_bytes(2, "big")[: last // 8 + 1]
    return der.tlv(der.BIT_STRING, bytes([7 - last % 8]), octets)


def key_usage_bits(value: bytes) -> frozenset[int]:
    """Return the numbers of the bits that are set."""
    content = der.read(value).expect(der.BIT_STRING, "KeyUsage").content
    if not 2 <= len(content) <= 3 or content[0] > 7:
        raise der.malformed("KeyUsage")
    return frozenset(
        index * 8 + bit for index, octet in enumerate(content[1:]) for bit in range(8) if octet & (0x80 >> bit)
    )


def extended_key_usage_oid(name: str) -> str:
    """Return the dotted form of a name or of itself."""
    return more.EXTENDED_KEY_USAGES.get(name, name)


def basic_constraints(is_ca: bool, path_length: int | None) -> bytes:
    """BasicConstraints; a leaf's is an empty SEQUENCE."""
    if not is_ca:
        return der.sequence()
    return der.sequence(der.boolean(True), der.integer(path_length) if path_length is not None else b"")


def decode_basic_constraints(value: bytes) -> tuple[bool, int | None]:
    """Return (cA, pathLenConstraint)."""
    reader = der.read_sequence(value)
    flag, length = reader.optional(der.BOOLEAN), reader.optional(der.INTEGER)
    reader.end("BasicConstraints")
    return bool(flag and flag.boolean()), length.integer() if length else None


def _uri(value: str) -> bytes:
    return GeneralName.uri(value).der


def authority_information_access(ocsp: str, issuer: str) -> bytes:
    """AuthorityInfoAccessSyntax; empty bytes when there is nothing to say."""
    parts = [(more.AD_OCSP, ocsp), (more.AD_CA_ISSUERS, issuer)]
    found = [der.sequence(der.oid(method), _uri(url)) for method, url in parts if url]
    return der.sequence(*found) if found else b""


def distribution_point(url: str) -> bytes:
    """CRLDistributionPoints of one URL."""
    return der.sequence(der.sequence(der.explicit(0, der.explicit(0, _uri(url)))))


def certificate_policies(profile: Profile) -> bytes:
    """CertificatePolicies."""
    found = []
    for policy in profile.policies:
        cps = b""
        if policy.cps is not None:
            location = der.tlv(der.IA5_STRING, policy.cps.encode("ascii"))
            cps = der.sequence(der.sequence(der.oid(more.POLICY_CPS), location))
        found.append(der.sequence(der.oid(policy.oid), cps))
    return der.sequence(*found)


def _subtree(text: str) -> bytes:
    kind, _, value = text.partition(":")
    try:
        match kind:
            case "dns":
                base = GeneralName.dns(value if value.startswith(".") else normal_dns(value)).der
            case "email":
                base = GeneralName.email(value if "@" in value else normal_dns(value.removeprefix("."))).der
            case "ip":
                network = ipaddress.ip_network(value)
                base = der.implicit(7, network.network_address.packed + network.netmask.packed)
            case "uri":
                base = GeneralName.uri(value).der
            case _:
                raise ValueError(kind)
    except ValueError:
        raise Fault(FaultKind.INVALID, f"name constraint {text!r}", f"{text!r} is not a name constraint") from None
    return der.sequence(base)


def name_constraints(constraints: NameConstraintSet) -> bytes:
    """NameConstraints; empty bytes when there are none."""
    permitted, excluded = map(_subtree, constraints.permitted), map(_subtree, constraints.excluded)
    parts = [
        der.explicit(number, *subtrees)
        for number, subtrees in ((0, tuple(permitted)), (1, tuple(excluded)))
        if subtrees
    ]
    return der.sequence(*parts) if parts else b""


@dataclass(frozen=True, slots=True)
class Subtrees:
    """Name constraints of a CA, as (tag number, content) of each base."""

    permitted: tuple[tuple[int, bytes], ...] = ()
    excluded: tuple[tuple[int, bytes], ...] = ()


def decode_name_constraints(value: bytes) -> Subtrees:
    """Read NameConstraints; minimum and maximum are not used in RFC 5280."""
    found: dict[int, tuple[tuple[int, bytes], ...]] = {}
    for part in der.read(value).expect(der.SEQUENCE, "NameConstraints").children():
        bases = [subtree.children()[0] for subtree in part.children() if subtree.children()]
        found[part.tag & 0x1F] = tuple((base.tag & 0x1F, base.content) for base in bases)
    return Subtrees(found.get(0, ()), found.get(1, ()))


_CONSTRAINED: Final = {"dns": 2, "email": 1, "ip": 7, "uri": 6}


def check_name_constraints(names: Sequence[San], constraints: Subtrees) -> None:
    """Raise Fault(POLICY) for a name that the issuing CA is constrained not to certify (section 4.2.1.10)."""
    for name in names:
        number = _CONSTRAINED.get(name.kind)
        if number is None:
            continue
        permitted = [base for kind, base in constraints.permitted if kind == number]
        excluded = [base for kind, base in constraints.excluded if kind == number]
        if name.kind == "uri" and (permitted or excluded) and not _named_host(name.value):
            raise refused(f"{name}: has no host name, and this CA is constrained by hosts")
        if permitted and not any(_within(name, base) for base in permitted):
            raise refused(f"{name}: is outside of what this CA may certify")
        if any(_within(name, base) or _reaches(name, base) for base in excluded):
            raise refused(f"{name}: is among what this CA may not certify")


def _within(name: San, base: bytes) -> bool:
    if name.kind == "ip":
        half = len(base) // 2
        address = ipaddress.ip_address(name.value).packed
        if len(address) != half:
            return False
        return all(a & m == b & m for a, b, m in zip(address, base[:half], base[half:], strict=True))
    text = base.decode("ascii", "replace").lower()
    if name.kind == "email" and "@" in text:
        return name.value.lower() == text
    host = {"dns": name.value.removeprefix("*."), "email": name.value.rpartition("@")[2]}.get(name.kind)
    if host is None:
        host = _named_host(name.value)
    if name.kind == "dns":
        return host == text.removeprefix(".") or host.endswith("." + text.removeprefix("."))
    return host.endswith(text) if text.startswith(".") else host == text


def _reaches(name: San, base: bytes) -> bool:
    """Tell whether a wildcard stands for the very name that is excluded."""
    excluded = base.decode("ascii", "replace").lower()
    return name.wildcard and excluded.partition(".")[2] == name.value.removeprefix("*.")


def _named_host(uri: str) -> str:
    """Return a URI's host name; empty where it has none, or an address (section 4.2.1.10 wants both refused)."""
    host = urlsplit(uri).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request's extensions come to, once they are allowed."""

    must_staple: bool = False
    copied: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class Issuer:
    """What of the issuing CA goes into extensions."""

    key_identifier: bytes
    ocsp_url: str = ""
    crl_url: str = ""
    delta_url: str = ""
    issuer_url: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that extensions are made of."""

    profile: Profile
    issuer: Issuer
    key_algorithm: str
    key_identifier: bytes
    names: tuple[San, ...]
    empty_subject: bool
    wanted: Wanted = Wanted()
    path_length: int | None = None
    constraints: NameConstraintSet = field(default_factory=NameConstraintSet)


def build(parts: Parts) -> tuple[Extension, ...]:
    """Return the extensions of a certificate, in the order that they are encoded."""
    profile, issuer = parts.profile, parts.issuer
    if profile.key_usage is None:
        raise refused(f"profile {profile.name} is not for X.509 certificates", "profile")
    points = profile.distribution
    usages = tuple(map(extended_key_usage_oid, profile.extended_key_usage))
    access = authority_information_access(
        issuer.ocsp_url if points.ocsp else "", issuer.issuer_url if points.issuer else ""
    )
    staple = profile.must_staple == "always" or parts.wanted.must_staple
    rows: tuple[tuple[str, bool, bytes], ...] = (
        (oids.BASIC_CONSTRAINTS, True, basic_constraints(profile.is_ca, parts.path_length)),
        (oids.KEY_USAGE, True, key_usage(profile.key_usage.of(parts.key_algorithm))),
        (
            oids.EXTENDED_KEY_USAGE,
            profile.extended_key_usage_critical,
            der.sequence(*map(der.oid, usages)) if usages else b"",
        ),
        (
            oids.SUBJECT_KEY_IDENTIFIER,
            False,
            der.octet_string(parts.key_identifier) if profile.subject_key_identifier or profile.is_ca else b"",
        ),
        (oids.AUTHORITY_KEY_IDENTIFIER, False, der.sequence(der.implicit(0, issuer.key_identifier))),
        (more.CERTIFICATE_POLICIES, False, certificate_policies(profile) if profile.policies else b""),
        # critical where it is all that names the subject (section 4.2.1.6)
        (
            oids.SUBJECT_ALT_NAME,
            parts.empty_subject,
            encode_general_names([name.general_name() for name in parts.names]) if parts.names else b"",
        ),
        (more.NAME_CONSTRAINTS, True, name_constraints(parts.constraints)),
        (more.AUTHORITY_INFORMATION_ACCESS, False, access),
        (
            more.CRL_DISTRIBUTION_POINTS,
            False,
            distribution_point(issuer.crl_url) if points.crl and issuer.crl_url else b"",
        ),
        (
            more.FRESHEST_CRL,
            False,
            distribution_point(issuer.delta_url) if points.crl and issuer.delta_url else b"",
        ),
        (oids.OCSP_NO_CHECK, False, der.null() if profile.ocsp_no_check else b""),
        (more.TLS_FEATURE, False, der.sequence(der.integer(STATUS_REQUEST)) if staple else b""),
    )
    made = [Extension(oid, critical, value) for oid, critical, value in rows if value]
    present = {extension.oid for extension in made}
    return (*made, *(extension for extension in parts.wanted.copied if extension.oid not in present))


def check_requested(requested: Sequence[Extension], profile: Profile) -> Wanted:
    """Raise Fault(POLICY) for an extension of a CSR that the profile does not let it bring."""
    must_staple = False
    copied = []
    rules = profile.request_extensions
    for extension in requested:
        check = _CHECKS.get(extension.oid)
        if check is not None:
            check(extension, profile)
            must_staple = must_staple or extension.oid == more.TLS_FEATURE
        elif extension.oid in rules.copy_:
            copied.append(extension)
        elif extension.oid not in _IGNORED and extension.oid not in rules.ignore and rules.unlisted == "refuse":
            raise _refused(extension, profile)
    return Wanted(must_staple, tuple(copied))


def _refused(extension: Extension, profile: Profile, why: str = "") -> Fault:
    name = _NAMES.get(extension.oid, extension.oid)
    text = f"the request asks for the extension {name}{why}, which the profile {profile.name} does not allow"
    return Fault(FaultKind.POLICY, text, text, pointer="csr")


def _check_basic_constraints(extension: Extension, profile: Profile) -> None:
    if decode_basic_constraints(extension.value)[0] and not profile.is_ca:
        raise _refused(extension, profile, " of a CA")


def _check_key_usage(extension: Extension, profile: Profile) -> None:
    # other bits are harmless to ask for (old configuration files do); the certificate gets the profile's
    if key_usage_bits(extension.value) & {_KEY_CERT_SIGN, _CRL_SIGN} and not profile.is_ca:
        raise _refused(extension, profile, " of a CA")


def _check_extended_key_usage(extension: Extension, profile: Profile) -> None:
    allowed = set(map(extended_key_usage_oid, profile.extended_key_usage))
    asked = [child.oid() for child in der.read(extension.value).expect(der.SEQUENCE, "ExtKeyUsage").children()]
    if beyond := [oid for oid in asked if oid not in allowed]:
        known = {oid: name for name, oid in more.EXTENDED_KEY_USAGES.items()}
        raise _refused(extension, profile, " with " + ", ".join(known.get(oid, oid) for oid in beyond[:5]))


def _check_tls_feature(extension: Extension, profile: Profile) -> None:
    features = [child.integer() for child in der.read(extension.value).expect(der.SEQUENCE, "Features").children()]
    if profile.must_staple == "never" or features != [STATUS_REQUEST]:
        raise _refused(extension, profile)


def _checked_elsewhere(_extension: Extension, _profile: Profile) -> None:
    """Names have rules of their own."""


_CHECKS: Final[Mapping[str, Callable[[Extension, Profile], None]]] = {
    oids.BASIC_CONSTRAINTS: _check_basic_constraints,
    oids.KEY_USAGE: _check_key_usage,
    oids.EXTENDED_KEY_USAGE: _check_extended_key_usage,
    more.TLS_FEATURE: _check_tls_feature,
    oids.SUBJECT_ALT_NAME: _checked_elsewhere,
}
_NAMES: Final = {
    oids.BASIC_CONSTRAINTS: "basicConstraints",
    oids.KEY_USAGE: "keyUsage",
    oids.EXTENDED_KEY_USAGE: "extendedKeyUsage",
    more.TLS_FEATURE: "tlsFeature",
    more.NAME_CONSTRAINTS: "nameConstraints",
    more.CERTIFICATE_POLICIES: "certificatePolicies",
    more.CRL_DISTRIBUTION_POINTS: "cRLDistributionPoints",
    more.AUTHORITY_INFORMATION_ACCESS: "authorityInfoAccess",
}
