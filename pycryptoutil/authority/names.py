"""Subject alternative names as text, their rules, and the patterns that a credential allows.

A name is written ``dns:example.com``, ``ip:192.0.2.1``, ``email:a@example.com``, ``uri:spiffe://example.com/x`` or
``upn:a@example.com``. Patterns of a credential:

- dns: ``a.example.com`` is that name; ``*.example.com`` is every name *below* example.com, one label or more deep, and
  not example.com itself. A bare ``*`` is refused. A wildcard name needs ``wildcards`` beside a pattern.
- ip: an address, or a network such as ``10.0.0.0/8``.
- email (and upn): an address, or ``@example.com`` for every mailbox of exactly that domain.
- uri: a URI, or one that ends in ``/*`` for everything below.
- common_name: a text, or one with ``*`` at its end or its beginning.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import idna
from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName, GeneralNameKind

from pycryptoutil.authority.model import NamePatterns
from pycryptoutil.authority.oids import USER_PRINCIPAL_NAME
from pycryptoutil.authority.profile import Names

MAX_NAME: Final = 2048
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]+")
# RFC 6761, RFC 6762, RFC 8375, and what networks use without having it (RFC 6762 appendix G)
_PRIVATE_TOP: Final = frozenset(
    {
        "test",
        "example",
        "invalid",
        "localhost",
        "local",
        "internal",
        "intranet",
        "private",
        "corp",
        "home",
        "lan",
        "alt",
    }
    | {"home.arpa"}
)


@dataclass(frozen=True, slots=True, order=True)
class San:
    """One name in its normal form."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"

    def general_name(self) -> GeneralName:
        """Return it for a subjectAltName extension."""
        match self.kind:
            case "dns":
                return GeneralName.dns(self.value)
            case "ip":
                return GeneralName.ip(self.value)
            case "email":
                return GeneralName.email(self.value)
            case "uri":
                return GeneralName.uri(self.value)
            case _:
                encoded = der.explicit(0, der.oid(USER_PRINCIPAL_NAME), der.explicit(0, der.utf8_string(self.value)))
                return GeneralName(GeneralNameKind.OTHER, encoded.hex(), encoded)

    @property
    def wildcard(self) -> bool:
        """Tell whether it is a DNS name with an asterisk."""
        return self.kind == "dns" and "*" in self.value


def refused(detail: str, pointer: str = "sans") -> Fault:
    """Return the fault of what policy does not allow. ``detail`` is public: it speaks of the peer's own words."""
    return Fault(FaultKind.POLICY, detail, detail, pointer=pointer)


def _invalid(detail: str) -> Fault:
    return Fault(FaultKind.INVALID, detail, detail, pointer="sans")


def normal_dns(value: str) -> str:
    """Return the A-label form in lower case; Fault(INVALID) unless it is a preferred name (RFC 1034 section 3.5)."""
    if not value or len(value) > 1000:
        raise _invalid("a DNS name is empty or too long")
    star, rest = ("*.", value[2:]) if value.startswith("*.") else ("", value)
    try:
        ascii_name = rest.lower() if rest.isascii() else idna.encode(rest, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise _invalid(f"{value!r} is not an internationalised domain name: {error}") from None
    labels = ascii_name.split(".")
    if len(star + ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid(f"{value!r} is not a DNS name")
    if labels[-1].isdigit():
        raise _invalid(f"{value!r} looks like an address, not like a DNS name")
    for label in labels:
        if label[2:4] == "--":
            _check_a_label(label, value)
    return star + ascii_name


def _check_a_label(label: str, name: str) -> None:
    """Refuse A-labels that IDNA 2008 cannot read back, and reserved ``??--`` labels (RFC 5891 section 4.2.3.1)."""
    try:
        if label.startswith("xn--") and idna.alabel(idna.ulabel(label)).decode("ascii") == label:
            return
    except (idna.IDNAError, UnicodeError):
        pass
    raise _invalid(f"{name!r} has the label {label!r}, which is not valid IDNA 2008")


def _normal_ip(value: str) -> str:
    try:
        if "%" in value:
            raise ValueError(value)
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise _invalid(f"{value!r} is not an IP address") from None


def _normal_mailbox(value: str) -> str:
    local, at, domain = value.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local) or len(local) > 64 or len(value) > 254 or "*" in domain:
        raise _invalid(f"{value!r} is not a mailbox (RFC 5321 section 4.1.2, ASCII only)")
    return f"{local}@{normal_dns(domain)}"


def _normal_uri(value: str) -> str:
    if not _URI.fullmatch(value):
        raise _invalid(f"{value!r} is not a URI (RFC 3986)")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _invalid(f"{value!r} is not a URI (RFC 3986)") from None
    segments = re.split(r"/|%2[fF]", parts.path)
    if any(re.sub(r"%2[eE]", ".", segment) in {".", ".."} for segment in segments):
        raise _invalid(f"{value!r} has dot segments")
    if "@" in parts.netloc:
        raise _invalid(f"{value!r} names a user")
    if host and "[" not in parts.netloc:
        _check_uri_host(host, value)
    return value[: len(parts.scheme)].lower() + value[len(parts.scheme) :]


def _check_uri_host(host: str, value: str) -> None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        if "*" in host:
            raise _invalid(f"{value!r} has a wildcard for a host") from None
        normal_dns(host)


_NORMAL: Final[Mapping[str, Callable[[str], str]]] = {
    "dns": normal_dns,
    "ip": _normal_ip,
    "email": _normal_mailbox,
    "uri": _normal_uri,
    "upn": _normal_mailbox,
}


def make_name(kind: str, value: str) -> San:
    """Return a name in normal form; Fault(INVALID) if it is none."""
    normal = _NORMAL.get(kind)
    if normal is None:
        raise _invalid(f"{kind!r} is no kind of name; there are: {', '.join(_NORMAL)}")
    if len(value) > MAX_NAME:
        raise _invalid(f"a name of kind {kind} is longer than {MAX_NAME}")
    return San(kind, normal(value))


def parse_name(text: str) -> San:
    """Read ``dns:example.com``; a name without a kind is an address, a mailbox or a DNS name by its looks."""
    kind, colon, value = text.partition(":")
    if colon and kind in _NORMAL:
        return make_name(kind, value)
    return guess_name(text)


def guess_name(text: str) -> San:
    """Return the name that a text without a kind must mean."""
    try:
        return San("ip", str(ipaddress.ip_address(text)))
    except ValueError:
        return make_name("email" if "@" in text else "dns", text)


def from_general_name(name: GeneralName) -> San:
    """Read one name of a CSR's subjectAltName; Fault(POLICY) for a kind that is never issued."""
    kind = _KINDS.get(name.kind)
    if kind is not None:
        return make_name(kind, name.value)
    if name.kind is GeneralNameKind.OTHER:
        oid, value = _other_name(name.der)
        if oid == USER_PRINCIPAL_NAME:
            return make_name("upn", value.text())
        raise refused(f"names of kind otherName {oid} are not issued")
    raise refused(f"names of kind {name.kind.name.lower()} are not issued")


_KINDS: Final = {
    GeneralNameKind.DNS: "dns",
    GeneralNameKind.IP: "ip",
    GeneralNameKind.EMAIL: "email",
    GeneralNameKind.URI: "uri",
}


def _other_name(encoded: bytes) -> tuple[str, der.Element]:
    """Read OtherName: type-id and the value in its explicit tag (RFC 5280 section 4.2.1.6)."""
    reader = der.read(encoded).reader()
    oid = reader.take(der.OID, "type-id").oid()
    wrapped = reader.take(der.context(0), "value").children()
    reader.end("OtherName")
    if len(wrapped) != 1:
        raise der.malformed("OtherName")
    return oid, wrapped[0]


def unique(names: Iterable[San]) -> tuple[San, ...]:
    """Drop repeats, keep order."""
    return tuple(dict.fromkeys(names))


def check_names(names: tuple[San, ...], rules: Names) -> None:
    """Raise Fault(POLICY) unless the profile's rules allow every one of these names."""
    if rules.required and not names:
        raise refused(f"a name is required, of kind {', '.join(rules.types)}")
    if len(names) > rules.maximum:
        raise refused(f"{len(names)} names are asked for, and at most {rules.maximum} are allowed")
    for name in names:
        if name.kind not in rules.types:
            allowed = ", ".join(rules.types) or "none"
            raise refused(f"{name}: the profile does not allow names of kind {name.kind} (allowed: {allowed})")
        _CHECKS[name.kind](name, rules)


def _check_dns(name: San, rules: Names) -> None:
    bare = name.value.removeprefix("*.")
    if name.wildcard:
        if not rules.wildcards:
            raise refused(f"{name}: the profile does not allow wildcards")
        if bare.count(".") == 0:
            raise refused(f"{name}: a wildcard over a whole top-level domain is not issued")
    _check_domain(name, bare, rules)


def _check_domain(name: San, domain: str, rules: Names) -> None:
    if "." not in domain:
        if not rules.unqualified:
            raise refused(f"{name}: the profile does not allow names of one label")
    elif not rules.private and private_domain(domain):
        raise refused(f"{name}: the profile does not allow names that are private or reserved")


def private_domain(domain: str) -> bool:
    """Tell whether a domain is under a reserved or private top-level name."""
    labels = domain.lower().split(".")
    return labels[-1] in _PRIVATE_TOP or ".".join(labels[-2:]) in _PRIVATE_TOP


def _check_ip(name: San, rules: Names) -> None:
    address = ipaddress.ip_address(name.value)
    if address.is_unspecified or address.is_multicast:
        raise refused(f"{name}: is no address of a host")
    if not rules.private and not address.is_global:
        raise refused(f"{name}: the profile does not allow addresses that are private or reserved")


def _check_mailbox(name: San, rules: Names) -> None:
    _check_domain(name, name.value.rpartition("@")[2], rules)


def _check_uri(name: San, rules: Names) -> None:
    scheme = name.value.partition(":")[0]
    if scheme not in rules.uri_schemes:
        raise refused(f"{name}: the profile allows URIs of the schemes {', '.join(rules.uri_schemes)}")
    host = urlsplit(name.value).hostname or ""
    if scheme in {"https", "http"} and not host:
        raise refused(f"{name}: has no host")
    if host and not rules.private and ("." not in host or private_domain(host)):
        raise refused(f"{name}: the profile does not allow hosts that are private or reserved")


_CHECKS: Final[Mapping[str, Callable[[San, Names], None]]] = {
    "dns": _check_dns,
    "ip": _check_ip,
    "email": _check_mailbox,
    "uri": _check_uri,
    "upn": _check_mailbox,
}


def check_patterns(patterns: NamePatterns) -> NamePatterns:
    """Return the patterns in normal form; Fault(INVALID) for one that could not mean anything, or means everything."""
    try:
        return NamePatterns(
            dns=tuple(_dns_pattern(value) for value in patterns.dns),
            ip=tuple(str(ipaddress.ip_network(value, strict=False)) for value in patterns.ip),
            email=tuple(_email_pattern(value) for value in patterns.email),
            uri=tuple(_uri_pattern(value) for value in patterns.uri),
            common_name=tuple(_text_pattern(value) for value in patterns.common_name),
            wildcards=patterns.wildcards,
        )
    except ValueError as error:
        raise Fault(FaultKind.INVALID, f"pattern: {error}", f"not a pattern: {error}", pointer="names") from None


def _dns_pattern(value: str) -> str:
    if value == "*":
        raise ValueError("'*' would allow every name; say *.example.com")
    return normal_dns(value)


def _email_pattern(value: str) -> str:
    domain = value.removeprefix("*")
    return "@" + normal_dns(domain[1:]) if domain.startswith("@") else _normal_mailbox(value)


def _uri_pattern(value: str) -> str:
    if value.endswith("/*"):
        base = _normal_uri(value[:-1])
        if base.endswith("://"):
            raise ValueError(f"{value!r} would allow every host")
        return base + "*"
    return _normal_uri(value)


def _text_pattern(value: str) -> str:
    if not 2 <= len(value) <= 200 or value.strip("*").count("*") or value.count("*") > 1:
        raise ValueError(f"{value!r}: a text of 2 to 200 characters with at most one '*', at an end")
    return value


def allows_dns(pattern: str, name: str) -> bool:
    """Tell whether ``*.example.com`` (any depth below) or ``example.com`` (itself) is or covers ``name``."""
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def _allows_ip(pattern: str, name: str) -> bool:
    network, address = ipaddress.ip_network(pattern), ipaddress.ip_address(name)
    return network.version == address.version and address in network


def _allows_mailbox(pattern: str, name: str) -> bool:
    return name.endswith(pattern) if pattern.startswith("@") else name == pattern


def _allows_uri(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("/*") else name == pattern


def _allows_text(pattern: str, text: str) -> bool:
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text.endswith(pattern[1:]) if pattern.startswith("*") else text == pattern


def credential_allows(patterns: NamePatterns, name: San) -> bool:
    """Tell whether a credential may have this name certified."""
    match name.kind:
        case "dns":
            if name.wildcard and not patterns.wildcards:
                return False
            bare = name.value.removeprefix("*.")
            # *.example.com is covered by *.example.com, and by nothing that only allows example.com
            return any(allows_dns(pattern, name.value if name.wildcard else bare) for pattern in patterns.dns)
        case "ip":
            return any(_allows_ip(pattern, name.value) for pattern in patterns.ip)
        case "email" | "upn":
            return any(_allows_mailbox(pattern, name.value) for pattern in patterns.email)
        case "uri":
            return any(_allows_uri(pattern, name.value) for pattern in patterns.uri)
        case _:
            return False


def credential_allows_common_name(patterns: NamePatterns, text: str) -> bool:
    """Tell whether a credential may have this common name: by its text, or as the name that it looks like."""
    if any(_allows_text(pattern, text) for pattern in patterns.common_name):
        return True
    try:
        return credential_allows(patterns, guess_name(text))
    except Fault:
        return False


def credential_allows_mailbox(patterns: NamePatterns, text: str) -> bool:
    """Tell whether a credential may have this address in the subject."""
    try:
        return credential_allows(patterns, make_name("email", text))
    except Fault:
        return False
