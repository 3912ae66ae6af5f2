"""What a certificate says, for people: names, key and extensions in words. It never fails on an odd extension."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509 as library
from pycryptoutil_protocols import algorithms
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.crypto import x509

_KEY_USAGES: Final = (
    ("digital_signature", "digitalSignature"),
    ("content_commitment", "contentCommitment"),
    ("key_encipherment", "keyEncipherment"),
    ("data_encipherment", "dataEncipherment"),
    ("key_agreement", "keyAgreement"),
    ("key_cert_sign", "keyCertSign"),
    ("crl_sign", "cRLSign"),
)
_MAX_LINES: Final = 200


@dataclass(frozen=True, slots=True)
class ExtensionFact:
    """One extension: its name, whether it is critical, and what it says, a line each."""

    name: str
    critical: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate in words. Digests and the serial number are lower-case hex."""

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    key: str
    signature: str
    sha256: str
    size: int
    extensions: tuple[ExtensionFact, ...]


def describe(der: bytes, usages: Mapping[str, str]) -> CertificateFacts:
    """Return what a stored certificate says; ``usages`` names extended key usages by their dotted OID."""
    facts = x509.facts(der)
    return CertificateFacts(
        subject=x509.name_text(facts.subject) or "(no subject)",
        issuer=x509.name_text(facts.issuer),
        serial=f"{facts.serial:x}",
        not_before=facts.not_before,
        not_after=facts.not_after,
        key=_named(lambda: algorithms.key_info(facts.spki).algorithm),
        signature=_named(lambda: algorithms.decode_signature(facts.signature_algorithm).name),
        sha256=x509.fingerprint(der),
        size=len(der),
        extensions=_extensions(der, usages),
    )


def _named(look: Callable[[], str]) -> str:
    try:
        return look()
    except Fault:
        return "unknown"


def _extensions(der: bytes, usages: Mapping[str, str]) -> tuple[ExtensionFact, ...]:
    try:
        found = list(x509.parse_certificate(der).extensions)
    except (Fault, ValueError, library.DuplicateExtension, library.UnsupportedGeneralNameType):
        return ()
    return tuple(_extension(one, usages) for one in found)


def _extension(found: library.Extension[library.ExtensionType], usages: Mapping[str, str]) -> ExtensionFact:
    if isinstance(found.value, library.ExtendedKeyUsage):
        said = ", ".join(usages.get(oid.dotted_string, oid.dotted_string) for oid in found.value)
        return ExtensionFact("Extended key usage", found.critical, (said,))
    name, say = _WORDS.get(type(found.value), (found.oid.dotted_string, _hex))
    try:
        lines = say(found.value)
    except (ValueError, TypeError):
        lines = ["cannot be read"]
    return ExtensionFact(name, found.critical, tuple(lines[:_MAX_LINES]))


def _hex(value: Any) -> list[str]:
    raw = value.value if isinstance(value, library.UnrecognizedExtension) else value.public_bytes()
    return [raw[:256].hex(":")]


_PREFIXES: Final[Mapping[type, str]] = {
    library.DNSName: "dns:",
    library.IPAddress: "ip:",
    library.RFC822Name: "email:",
    library.UniformResourceIdentifier: "",
}


def _general(name: library.GeneralName) -> str:
    match name:
        case library.DirectoryName():
            return f"directory:{name.value.rfc4514_string()}"
        case library.OtherName():
            return f"other:{name.type_id.dotted_string}"
        case library.RegisteredID():
            return f"id:{name.value.dotted_string}"
        case _:
            return f"{_PREFIXES.get(type(name), '')}{name.value}"


def _names(value: Any) -> list[str]:
    return [_general(one) for one in value]


def _key_usage(value: Any) -> list[str]:
    said = [name for attribute, name in _KEY_USAGES if getattr(value, attribute)]
    if value.key_agreement:
        said += [
            name for name, on in (("encipherOnly", value.encipher_only), ("decipherOnly", value.decipher_only)) if on
        ]
    return [", ".join(said)]


def _basic(value: Any) -> list[str]:
    if not value.ca:
        return ["not a CA"]
    return ["a CA" if value.path_length is None else f"a CA, path length {value.path_length}"]


def _access(value: Any) -> list[str]:
    kinds = {"1.3.6.1.5.5.7.48.1": "OCSP", "1.3.6.1.5.5.7.48.2": "CA issuers"}
    methods = [(one.access_method.dotted_string, _general(one.access_location)) for one in value]
    return [f"{kinds.get(method, method)}: {place}" for method, place in methods]


def _points(value: Any) -> list[str]:
    return [_general(name) for point in value for name in point.full_name or ()]


def _constraints(value: Any) -> list[str]:
    return [
        f"{word} {_general(one)}"
        for word, names in (("permitted", value.permitted_subtrees), ("excluded", value.excluded_subtrees))
        for one in names or ()
    ]


_WORDS: Final[Mapping[type, tuple[str, Callable[[Any], list[str]]]]] = {
    library.SubjectAlternativeName: ("Subject alternative names", _names),
    library.KeyUsage: ("Key usage", _key_usage),
    library.BasicConstraints: ("Basic constraints", _basic),
    library.SubjectKeyIdentifier: ("Subject key identifier", lambda value: [value.digest.hex(":")]),
    library.AuthorityKeyIdentifier: (
        "Authority key identifier",
        lambda value: [(value.key_identifier or b"").hex(":")],
    ),
    library.AuthorityInformationAccess: ("Authority information access", _access),
    library.CRLDistributionPoints: ("CRL distribution points", _points),
    library.FreshestCRL: ("Freshest CRL", _points),
    library.CertificatePolicies: (
        "Certificate policies",
        lambda value: [one.policy_identifier.dotted_string for one in value],
    ),
    library.NameConstraints: ("Name constraints", _constraints),
    library.TLSFeature: ("TLS feature", lambda value: [", ".join(one.name for one in value)]),
    library.OCSPNoCheck: ("OCSP no check", lambda _: ["its own status need not be asked for"]),
    library.PrecertificateSignedCertificateTimestamps: (
        "Signed certificate timestamps",
        lambda value: [f"log {one.log_id.hex()[:16]}… at {one.timestamp:%Y-%m-%d %H:%M} UTC" for one in value],
    ),
}
