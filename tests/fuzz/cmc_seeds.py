"""What the CMC targets start from, and a whole exchange with a CA in memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from pycryptoutil_protocols.cmc import client, codec, controls, layers, server
from pycryptoutil_protocols.cmc.messages import PkiData, PkiResponse

from tests.protocols.cmc.requests import SIGNER, crmf, draft, pkcs10
from tests.protocols.cmc.test_codec import EXAMPLES
from tests.support.cmc import SECRET, USER, SmallCa


@cache
def requests() -> Sequence[bytes]:
    """PKIData with every control, and with PKCS#10 and CRMF requests."""
    numbered = tuple(kind.control(number, value) for number, (kind, value) in enumerate(EXAMPLES, 100))
    made = draft(pkcs10())
    made.add_crmf(crmf(7))
    return [codec.encode_data(PkiData(numbered)), made.encode()]


@cache
def responses() -> Sequence[bytes]:
    """PKIResponse with every control, and one that a CA gave."""
    numbered = tuple(kind.control(number, value) for number, (kind, value) in enumerate(EXAMPLES, 100))
    answered = server.answer(SmallCa(), server.Rules(), messages()[0]).body
    return [codec.encode_response(PkiResponse(numbered)), layers.open_layer(answered).content]


@cache
def messages() -> Sequence[bytes]:
    """Signed, unsigned and authenticated messages, and one inside another."""
    made = draft(pkcs10())
    made.prove_identity(USER, SECRET)
    signed = made.signed_by_key(SIGNER)
    outer = client.Draft()
    outer.add_message(signed)
    plain = draft(pkcs10())
    plain.add(controls.IDENTIFICATION, USER)
    return [signed, made.unsigned(), outer.unsigned(), plain.authenticated(SECRET)]


def exchange(data: bytes) -> None:
    """Every request has an answer that can be read and is signed by the CA."""
    SmallCa().ask(data)
