"""Name constraints (RFC 5280 section 4.2.1.10): whether the names of a certificate lie in what its CAs may name.

A permitted subtree restricts names of its own form only; an excluded one always wins. Forms that cannot be compared
here (x400Address, ediPartyName, otherName) are refused where a constraint names them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from cryptography import x509
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import decode_name

_MAX_COMPARISONS = 65_536


def check(certificate: x509.Certificate, constraints: Sequence[x509.NameConstraints]) -> None:
    """Raise Fault(UNAUTHENTICATED) unless every name of the certificate obeys every set of constraints."""
    if not constraints:
        return
    names = _names_of(certificate)
    subtrees = sum(len(one.permitted_subtrees or ()) + len(one.excluded_subtrees or ()) for one in constraints)
    if len(names) * subtrees > _MAX_COMPARISONS:
        raise _refused("too many names and constraints")
    for one in constraints:
        for name in names:
            _check_name(name, one.permitted_subtrees or (), one.excluded_subtrees or ())


def _names_of(certificate: x509.Certificate) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    if certificate.subject.rdns:
        names.append(x509.DirectoryName(certificate.subject))
    try:
        names += certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        mail = certificate.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS)
        names += [x509.RFC822Name(str(attribute.value)) for attribute in mail]
    return names


def _check_name(
    name: x509.GeneralName, permitted: Iterable[x509.GeneralName], excluded: Iterable[x509.GeneralName]
) -> None:
    if any(type(subtree) is type(name) and (_within(name, subtree) or _reaches(name, subtree)) for subtree in excluded):
        raise _refused("a name in an excluded subtree")
    same = [subtree for subtree in permitted if type(subtree) is type(name)]
    if same and not any(_within(name, subtree) for subtree in same):
        raise _refused("a name outside the permitted subtrees")


def _within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    match name, subtree:
        case x509.DNSName(), x509.DNSName():
            return _host_within(name.value, subtree.value, bare=True)
        case x509.RFC822Name(), x509.RFC822Name():
            return _mail_within(name.value, subtree.value)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            host = urlsplit(name.value).hostname
            if not host or _is_address(host):
                raise _refused("a URI without a host under a constraint on hosts")
            return _host_within(host, subtree.value, bare=False)
        case x509.IPAddress(), x509.IPAddress():
            address, network = name.value, subtree.value
            if isinstance(address, ipaddress.IPv4Network | ipaddress.IPv6Network):
                raise _refused("a network where an address belongs")
            return (
                isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network)
                and address.version == network.version
                and address in network
            )
        case x509.DirectoryName(), x509.DirectoryName():
            inner = decode_name(name.value.public_bytes()).comparable()
            outer = decode_name(subtree.value.public_bytes()).comparable()
            return inner[: len(outer)] == outer
        case _:
            raise _refused("a constraint on a form of name that is not supported")


def _reaches(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    """Tell whether a wildcard stands for the very host that is excluded, which is then excluded no more."""
    if not (isinstance(name, x509.DNSName) and isinstance(subtree, x509.DNSName) and name.value.startswith("*.")):
        return False
    return subtree.value.lower().rstrip(".").partition(".")[2] == name.value[2:].lower().rstrip(".")


def _host_within(host: str, subtree: str, *, bare: bool) -> bool:
    """``bare`` as for DNS names, where ``example.com`` covers itself and all below; for URIs it covers itself only."""
    host, subtree = host.lower().rstrip("."), subtree.lower().rstrip(".")
    if not subtree:
        return True
    if subtree.startswith("."):
        return host.endswith(subtree)
    return host == subtree or (bare and host.endswith(f".{subtree}"))


def _mail_within(mailbox: str, subtree: str) -> bool:
    local, _, host = mailbox.rpartition("@")
    if "@" in subtree:
        wanted, _, domain = subtree.rpartition("@")
        return local == wanted and host.lower() == domain.lower()
    return _host_within(host, subtree, bare=False)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refused(detail: str) -> Fault:
    return Fault(FaultKind.UNAUTHENTICATED, f"name constraints: {detail}", "the certificate is not trusted")
