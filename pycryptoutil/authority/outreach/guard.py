"""Which addresses may be connected to: nobody asks this server to knock at its own network's doors."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias

from pycryptoutil.authority.outreach.connection import Step, Unreachable

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

_NAT64: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")


class AddressGuard:
    """Special-use addresses (RFC 6890) are refused unless the configuration allows them."""

    def __init__(self, allow: Iterable[Network]) -> None:
        self._allow = tuple(allow)

    def check(self, text: str) -> Address:
        """Return the address; Unreachable if it must not be connected to."""
        address = ipaddress.ip_address(text.partition("%")[0])
        if not self._allowed(address):
            raise Unreachable(
                Step.CONNECTION, f"{address} is not an address that this CA connects to", "forbidden address"
            )
        return address

    def _allowed(self, address: Address) -> bool:
        if any(address.version == network.version and address in network for network in self._allow):
            return True
        inner = embedded(address)
        if inner is not None:  # what carries an IPv4 address reaches it, whatever it looks like
            return self._allowed(inner)
        return address.is_global and not address.is_multicast and not address.is_reserved


def embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address within a mapped, compatible, 6to4, Teredo or NAT64 address."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _COMPATIBLE or any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
