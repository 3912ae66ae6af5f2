"""Where time-stamps are given: ``/tsa`` under the default label, or with one."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil_protocols.tsp import codec, messages

from pycryptoutil.http.message import Listener
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.services.pki_ca.tsa import handlers

_COMMON: Final[dict[str, Any]] = {
    "methods": ("POST",),
    "handler": handlers.stamp,
    "gate": Gate.PROTOCOL,
    "scope": None,
    "tag": "Time-stamping",
    "accepts": (messages.QUERY,),
    "produces": (messages.REPLY,),
    "max_body": codec.MAX_REQUEST,
    "faults": handlers.faults,
    "listeners": frozenset({Listener.PUBLIC, Listener.PLAIN}),
}

ROUTES: Final = (
    Route("timestamp", path="/tsa", summary="A time-stamp (RFC 3161) by the default CA's authority", **_COMMON),
    Route("timestampSlash", path="/tsa/", summary="The same, for clients that append a slash", **_COMMON),
    Route("timestampLabelled", path="/tsa/<label>", summary="A time-stamp (RFC 3161) by a label's CA", **_COMMON),
)
