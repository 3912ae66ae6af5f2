"""Questions to the DNS, each within its own time, to resolvers that the configuration names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import dns.exception
import dns.rdatatype
import dns.resolver
from pycryptoutil_protocols.acme import caa
from pycryptoutil_protocols.acme.problems import AcmeFault, Problem, ProblemType

from pycryptoutil.errors import ConfigurationError

_MAX_ANSWERS: Final = 64
_MAX_ADDRESSES: Final = 8


class NoAnswerFault(AcmeFault):
    """A resolver that failed: another one may be asked instead, which one that answered rules out."""

    def __init__(self, text: str) -> None:
        super().__init__(Problem(ProblemType.DNS, text))


class Resolver(Protocol):
    """One view of the DNS. Names that are not there have no records; a resolver that fails is a problem ``dns``."""

    def addresses(self, name: str) -> list[str]:
        """IPv6 first."""

    def texts(self, name: str) -> list[bytes]:
        """TXT, the strings of each record joined."""

    def caa(self, name: str) -> list[caa.Record]:
        """CAA of exactly this name."""


class DnsResolver:
    """A recursive resolver; an empty address means the machine's own."""

    def __init__(self, address: str, timeout: float) -> None:
        """``address``: ``192.0.2.1``, ``192.0.2.1#5353`` or ``2001:db8::1#53``."""
        host, _, port = address.partition("#")
        self._name = address or "the resolver"
        try:
            self._resolver = _machine_resolver() if not address else dns.resolver.Resolver(configure=False)
            if address:
                self._resolver.nameservers = [host]
                self._resolver.port = int(port or 53)
        except (ValueError, dns.exception.DNSException) as error:
            raise ConfigurationError(f"resolver {address!r}: {error}", "pki_ca.acme.resolvers") from None
        self._resolver.lifetime = timeout
        self._resolver.cache = None  # what a client has just published counts
        self._resolver.use_edns(0, 0, 1232)

    def _ask(self, name: str, kind: str) -> list[Any]:
        try:
            answer = self._resolver.resolve(name + ".", kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.DNSException as error:
            raise _failed(name, kind, type(error).__name__) from None
        return list(answer)[:_MAX_ANSWERS] if answer.rrset is not None else []

    def addresses(self, name: str) -> list[str]:
        """AAAA before A; one failure is forgiven where the other has answers."""
        found: list[str] = []
        failure: AcmeFault | None = None
        for kind in ("AAAA", "A"):
            try:
                found += [str(record.address) for record in self._ask(name, kind)]
            except AcmeFault as fault:
                failure = fault
        if not found and failure is not None:
            raise failure
        return found[:_MAX_ADDRESSES]

    def texts(self, name: str) -> list[bytes]:
        """TXT."""
        return [b"".join(record.strings) for record in self._ask(name, "TXT")]

    def caa(self, name: str) -> list[caa.Record]:
        """CAA."""
        return [
            caa.Record(int(one.flags), one.tag.decode("ascii", "replace"), one.value.decode("utf-8", "replace").strip())
            for one in self._ask(name, "CAA")
        ]


def _machine_resolver() -> dns.resolver.Resolver:
    try:
        return dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:  # the CA starts all the same, and every question fails
        return dns.resolver.Resolver(configure=False)


def _failed(name: str, kind: str, why: str) -> NoAnswerFault:
    return NoAnswerFault(f"looking up {kind} of {name}: {why}")


class TestNames:
    """For development: names under ``.test`` (RFC 6761) are this machine; all others are the inner resolver's."""

    __test__ = False

    def __init__(self, inner: Resolver) -> None:
        self._inner = inner

    def addresses(self, name: str) -> list[str]:
        """Loopback, or the inner resolver's answer."""
        return ["::1", "127.0.0.1"] if _is_test(name) else self._inner.addresses(name)

    def texts(self, name: str) -> list[bytes]:
        """None, or the inner resolver's answer."""
        return [] if _is_test(name) else self._inner.texts(name)

    def caa(self, name: str) -> list[caa.Record]:
        """None, or the inner resolver's answer."""
        return [] if _is_test(name) else self._inner.caa(name)


def _is_test(name: str) -> bool:
    return name == "test" or name.endswith(".test")


def resolvers(addresses: Sequence[str], timeout: float, *, test_loopback: bool) -> tuple[Resolver, ...]:
    """Return the configured views of the DNS."""
    found: list[Resolver] = [DnsResolver(one, timeout) for one in addresses or ("",)]
    return (TestNames(found[0]),) if test_loopback and not addresses else tuple(found)
