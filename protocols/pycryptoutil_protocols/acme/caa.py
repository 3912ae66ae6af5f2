"""Whether the DNS lets this CA issue (RFC 8659), for this account and by this method (RFC 8657)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from .problems import AcmeFault, ProblemType, refused

_CRITICAL = 0x80
_ISSUE, _ISSUE_WILD = "issue", "issuewild"
_KNOWN = frozenset({_ISSUE, _ISSUE_WILD, "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"})
_DOMAIN = re.compile(r"([A-Za-z0-9-]+\.)*[A-Za-z0-9-]+\Z")
_PARAMETER = re.compile(r"([A-Za-z0-9-]+)[ \t]*=[ \t]*([\x21-\x3a\x3c-\x7e]*)\Z")


@dataclass(frozen=True, slots=True)
class Record:
    """One CAA resource record."""

    flags: int
    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class Issuing:
    """Who would issue, for whom and how."""

    domains: Collection[str]  # by which records name this CA
    account_uri: str
    method: str
    wildcard: bool


def climb(name: str) -> Iterator[str]:
    """Yield the names to ask about, the first that has records being relevant (RFC 8659 section 3)."""
    labels = name.removeprefix("*.").split(".")
    for start in range(len(labels)):
        yield ".".join(labels[start:])


def check(records: Sequence[Record], issuing: Issuing, name: str) -> None:
    """Judge the relevant record set; the problem ``caa`` unless it is silent or lets this CA issue."""
    for record in records:
        if record.flags & _CRITICAL and record.tag.lower() not in _KNOWN:
            raise _refused(name, f"a critical property {record.tag[:32]!r} is not understood")
    by_tag = {tag: [one for one in records if one.tag.lower() == tag] for tag in (_ISSUE, _ISSUE_WILD)}
    relevant = by_tag[_ISSUE_WILD] if issuing.wildcard and by_tag[_ISSUE_WILD] else by_tag[_ISSUE]
    if relevant and not any(_allows(one.value, issuing) for one in relevant):
        raise _refused(name, "no CAA record lets this CA issue")


def _refused(name: str, text: str) -> AcmeFault:
    return refused(ProblemType.CAA, f"CAA of {name}: {text}")


def _allows(value: str, issuing: Issuing) -> bool:
    """Read an issue property's value (RFC 8659 section 4.2); one that cannot be read allows nobody."""
    domain, *rest = (part.strip(" \t") for part in value.split(";"))
    if not _DOMAIN.match(domain) or domain.lower() not in {one.lower() for one in issuing.domains}:
        return False
    parameters: list[tuple[str, str]] = []
    for part in rest:
        if not part:
            continue
        found = _PARAMETER.match(part)
        if found is None:
            return False
        parameters.append((found[1].lower(), found[2]))
    accounts = [text for tag, text in parameters if tag == "accounturi"]
    methods = [text for tag, text in parameters if tag == "validationmethods"]
    if len(accounts) > 1 or len(methods) > 1:  # RFC 8657 sections 3 and 4
        return False
    if accounts and accounts[0] != issuing.account_uri:
        return False
    return not methods or issuing.method in methods[0].split(",")
