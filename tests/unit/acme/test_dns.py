"""The DNS as validators see it: a small server that answers, fails, lies or says nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from pycryptoutil_protocols.acme.problems import AcmeFault

from pycryptoutil.authority.acme.dns import DnsResolver, resolvers
from pycryptoutil.errors import ConfigurationError

ZONE = {
    ("a.example.test.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.example.test.", "AAAA"): ["2001:db8::1"],
    ("four.example.test.", "A"): ["192.0.2.4"],
    ("t.example.test.", "TXT"): ['"one"', '"two " "parts"'],
    ("c.example.test.", "CAA"): ['0 issue "ca.example.test; accounturi=https://x"', '128 future "x"'],
    ("half.example.test.", "A"): ["192.0.2.5"],
}


class NameServer:
    """Answers over UDP on loopback."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1#{self._socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                data, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            reply = self._answer(dns.message.from_wire(data))
            if reply is not None:
                self._socket.sendto(reply.to_wire(), peer)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        name, kind = query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)
        if name == "silent.example.test.":
            return None
        if name == "broken.example.test." or (name == "half.example.test." and kind == "AAAA"):
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in ZONE:
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *ZONE[name, kind]))
        elif name not in {one for one, _ in ZONE}:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def resolver() -> Iterator[DnsResolver]:
    server = NameServer()
    yield DnsResolver(server.address, 20)
    server.close()


def test_addresses(resolver: DnsResolver) -> None:
    first, *others = resolver.addresses("a.example.test")
    assert (first, sorted(others)) == ("2001:db8::1", ["192.0.2.1", "192.0.2.2"])
    assert resolver.addresses("four.example.test") == ["192.0.2.4"]
    assert resolver.addresses("half.example.test") == ["192.0.2.5"], "one half fails, the other answers"
    assert resolver.addresses("nobody.example.test") == []


def test_texts_and_caa(resolver: DnsResolver) -> None:
    assert sorted(resolver.texts("t.example.test")) == [b"one", b"two parts"]
    assert resolver.texts("a.example.test") == []
    assert resolver.texts("nobody.example.test") == []
    found = {(one.flags, one.tag, one.value) for one in resolver.caa("c.example.test")}
    assert found == {(0, "issue", "ca.example.test; accounturi=https://x"), (128, "future", "x")}


@pytest.mark.parametrize("ask", ["addresses", "texts", "caa"])
def test_failures_are_no_empty_answers(resolver: DnsResolver, ask: str) -> None:
    with pytest.raises(AcmeFault) as caught:
        getattr(resolver, ask)("broken.example.test")
    assert caught.value.problem.type == "dns"


def test_silence_ends_in_time() -> None:
    server = NameServer()
    with pytest.raises(AcmeFault) as caught:
        DnsResolver(server.address, 0.3).texts("silent.example.test")
    assert caught.value.problem.type == "dns"
    server.close()


def test_development_names() -> None:
    (made,) = resolvers((), 1, test_loopback=True)
    assert made.addresses("a.example.test") == ["::1", "127.0.0.1"]
    assert (made.texts("a.example.test"), made.caa("a.example.test")) == ([], [])
    assert len(resolvers(("192.0.2.1", "192.0.2.2#5353"), 1, test_loopback=True)) == 2
    with pytest.raises(ConfigurationError):
        resolvers(("nonsense",), 1, test_loopback=False)


def test_a_machine_without_a_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(self: dns.resolver.Resolver, *_: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", nothing)
    with pytest.raises(AcmeFault) as caught:
        DnsResolver("", 1).texts("a.example.test")
    assert caught.value.problem.type == "dns"
