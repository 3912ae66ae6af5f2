"""The subject of a certificate: from the request, by the profile's rules, with its string types kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.faults import Fault
from pycryptoutil_protocols.names import Name, NameAttribute, decode_name

from pycryptoutil.authority.model import Credential
from pycryptoutil.authority.names import (
    San,
    credential_allows,
    credential_allows_common_name,
    credential_allows_mailbox,
    guess_name,
    refused,
)
from pycryptoutil.authority.oids import ATTRIBUTE_NAMES, ATTRIBUTES
from pycryptoutil.authority.profile import Profile, Subject

# upper bounds of X.520 (RFC 5280 appendix A.1)
_BOUNDS: Final = {"CN": 64, "O": 64, "OU": 64, "L": 128, "ST": 128, "C": 2, "serialNumber": 64, "title": 64}
_BOUNDS_OTHERS: Final = 255
_PRINTABLE: Final = frozenset({"C", "jurisdictionC", "serialNumber", "dnQualifier"})  # RFC 5280 appendix A.1
_IA5: Final = frozenset({"DC", "emailAddress"})

Rdn = tuple[NameAttribute, ...]


def attribute(name: str, value: str) -> NameAttribute:
    """Make an attribute with the string type that RFC 5280 section 4.1.2.4 gives it."""
    if name in _PRINTABLE or name in _IA5:
        if not value.isascii():
            raise refused(f"{name}: {value!r} has characters outside of ASCII", "subject")
        encoded = der.tlv(der.PRINTABLE_STRING if name in _PRINTABLE else der.IA5_STRING, value.encode("ascii"))
    else:
        encoded = der.utf8_string(value)
    return NameAttribute(ATTRIBUTES[name], value, encoded)


def encode(rdns: Sequence[Rdn]) -> bytes:
    """DER Name; each value goes in exactly as it was encoded."""
    return der.sequence(*(der.set_of([der.sequence(der.oid(one.oid), one.value) for one in rdn]) for rdn in rdns))


def compose(asked: Name, profile: Profile, names: tuple[San, ...], credential: Credential | None) -> Name:
    """Return the certificate's subject; Fault(POLICY) for what the profile or the credential does not allow."""
    rules = profile.subject
    rdns = _from_source(asked, rules, profile.name, credential)
    fixed = [(attribute(name, value),) for name, value in rules.fixed.items()]
    fixed_oids = {one.oid for (one,) in fixed}
    rdns = [*fixed, *(rdn for rdn in rdns if not any(one.oid in fixed_oids for one in rdn))]
    for rdn in rdns:
        for one in rdn:
            _check_value(one)
    present = {one.oid for rdn in rdns for one in rdn}
    if missing := [name for name in rules.required if ATTRIBUTES[name] not in present]:
        raise refused(f"the subject needs {', '.join(missing)} under the profile {profile.name}", "subject")
    if sum(one.oid == oids.COMMON_NAME for rdn in rdns for one in rdn) > 1:
        raise refused("the subject has more than one common name", "subject")
    if rules.common_name == "from-names":
        rdns = [tuple(_as_named(one, names) for one in rdn) for rdn in rdns]
    if not rdns and not names:
        raise refused("neither a subject nor a name is asked for", "subject")
    return decode_name(encode(rdns))


def _from_source(asked: Name, rules: Subject, profile: str, credential: Credential | None) -> list[Rdn]:
    match rules.source:
        case "fixed":
            return []
        case "credential":
            return [(attribute("CN", _bound_common_name(credential, profile)),)]
        case "request":
            allowed = {ATTRIBUTES[name] for name in rules.allowed}
            kept = []
            for rdn in asked.rdns:
                inside = tuple(one for one in rdn if one.oid in allowed)
                if len(inside) < len(rdn) and rules.unlisted == "refuse":
                    foreign = next(one.oid for one in rdn if one.oid not in allowed)
                    name = ATTRIBUTE_NAMES.get(foreign, foreign)
                    raise refused(f"the subject attribute {name} is not allowed by the profile {profile}", "subject")
                if inside:
                    kept.append(inside)
            return kept


def _bound_common_name(credential: Credential | None, profile: str) -> str:
    bound = credential.names.common_name if credential is not None else ()
    if len(bound) != 1 or "*" in bound[0]:
        raise refused(f"the profile {profile} takes the common name from a credential that is bound to one", "subject")
    return bound[0]


def _check_value(one: NameAttribute) -> None:
    name = ATTRIBUTE_NAMES.get(one.oid, one.oid)
    if one.text.startswith("#") and one.value[0] not in der.STRING_TAGS:
        raise refused(f"{name}: is no character string", "subject")
    if not one.text.strip() or len(one.text) > _BOUNDS.get(name, _BOUNDS_OTHERS):
        raise refused(f"{name}: is empty or longer than {_BOUNDS.get(name, _BOUNDS_OTHERS)} characters", "subject")
    if name in {"C", "jurisdictionC"} and not (len(one.text) == 2 and one.text.isascii() and one.text.isupper()):
        raise refused(f"{name}: {one.text!r} is not a country code of two capital letters", "subject")


def _as_named(one: NameAttribute, names: tuple[San, ...]) -> NameAttribute:
    """Return a common name as it stands among the names: copied character for character (CA/B BR 7.1.4.3)."""
    if one.oid != oids.COMMON_NAME:
        return one
    values = {name.value for name in names}
    if one.text in values:
        return one
    try:
        wanted = guess_name(one.text)
    except Fault:
        raise refused(f"the common name {one.text!r} is none of the subject alternative names", "subject") from None
    if wanted not in names:
        raise refused(f"the common name {one.text!r} is none of the subject alternative names", "subject")
    return NameAttribute(one.oid, wanted.value, der.utf8_string(wanted.value))


def check_credential(credential: Credential, subject: Name, names: tuple[San, ...]) -> None:
    """Raise Fault(POLICY) unless every name of the resulting certificate is one the credential may have."""
    patterns = credential.names
    if patterns.empty:
        return
    for name in names:
        if not credential_allows(patterns, name):
            why = " (the credential does not allow wildcards)" if name.wildcard and not patterns.wildcards else ""
            raise refused(f"{name}: the credential does not allow this name{why}")
    values = {name.value for name in names}
    for kind, oid in (("common name", oids.COMMON_NAME), ("user id", ATTRIBUTES["UID"])):
        for text in subject.find(oid):
            # a UID says who somebody is just as a common name does: servers log in by it
            if text not in values and not credential_allows_common_name(patterns, text):
                raise refused(f"the credential does not allow the {kind} {text!r}", "subject")
    for text in subject.find(ATTRIBUTES["emailAddress"]):
        # patterns of common names speak of no mailbox: device-* must not allow device-@any.example
        if text not in values and not credential_allows_mailbox(patterns, text):
            raise refused(f"the credential does not allow the address {text!r}", "subject")
