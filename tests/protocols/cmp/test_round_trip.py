"""Every body type: what we write we read again, and pyasn1's module of RFC 9810 reads and writes the same octets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc9810
from pycryptoutil_protocols.cmp import codec
from pycryptoutil_protocols.cmp.messages import BodyType, Nested, PKIMessage

from tests.protocols import material
from tests.protocols.cmp import strategies

quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
quicker = settings(quick, max_examples=8)
# what pyasn1_alt_modules spells otherwise than the RFC, and so cannot judge
_OTHERWISE: dict[BodyType, str] = {}


def judged(message: PKIMessage) -> Any:
    """Decode by the other side and compare what it writes."""
    found, rest = decoder.decode(message.encoded, asn1Spec=rfc9810.PKIMessage())
    assert rest == b""
    return found


@pytest.mark.parametrize("kind", strategies.BODIES, ids=lambda kind: kind.name)
@quick
@given(data=st.data())
def test_what_is_written_is_read(kind: BodyType, data: st.DataObject) -> None:
    message = codec.encode(data.draw(strategies.messages(kind)))
    again = codec.decode(message.encoded)
    assert again == message
    assert again.encoded == message.encoded
    assert again.protected == message.protected


# its krp is RFC 4210's, which has no EnvelopedData
@pytest.mark.parametrize(
    "kind", [one for one in strategies.BODIES if one is not BodyType.KRP], ids=lambda one: one.name
)
@quicker
@given(data=st.data())
def test_pyasn1_reads_the_same(kind: BodyType, data: st.DataObject) -> None:
    message = codec.encode(data.draw(strategies.messages(kind)))
    found = judged(message)
    assert encoder.encode(found["header"]) + encoder.encode(found["body"]) in message.encoded
    assert int(found["header"]["pvno"]) == message.header.pvno
    assert found["body"].getName().lower() == kind.name.lower()


@quicker
@given(inner=st.lists(strategies.any_message, min_size=1, max_size=2))
def test_nested_messages_keep_their_octets(inner: list[PKIMessage]) -> None:
    made = tuple(codec.encode(one) for one in inner)
    header = made[0].header
    outer = codec.encode(PKIMessage(header, BodyType.NESTED, Nested(made)))
    again = codec.decode(outer.encoded)
    assert isinstance(again.body, Nested)
    assert [one.encoded for one in again.body.messages] == [one.encoded for one in made]
    assert again.body.messages == made


@quicker
@given(message=strategies.any_message)
def test_openssl_parses_it(message: PKIMessage) -> None:
    encoded = codec.encode(message).encoded
    listing = material.openssl("asn1parse", "-inform", "DER", stdin=encoded).decode()
    first = listing.splitlines()[0]
    assert "cons: SEQUENCE" in first
    lengths = first.split("hl=")[1].split(" prim")[0].split(" cons")[0]
    header, content = (int(part) for part in lengths.replace("l=", "").split())
    assert header + content == len(encoded)
