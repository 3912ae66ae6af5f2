"""Where CMP answers (RFC 9811 section 3.3, RFC 9483 section 6.1)."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil_protocols.cmp import messages

from pycryptoutil.http.message import Listener
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.services.pki_ca.cmp import handlers

MAX_BODY: Final = 256 * 1024

_COMMON: Final[dict[str, Any]] = {
    "methods": ("POST",),
    "handler": handlers.exchange,
    "gate": Gate.PROTOCOL,
    "scope": None,
    "tag": "CMP",
    "accepts": (messages.CONTENT_TYPE,),
    "produces": (messages.CONTENT_TYPE,),
    "max_body": MAX_BODY,
    "faults": handlers.faults,
    "listeners": frozenset({Listener.PUBLIC, Listener.PLAIN}),
}
_WELL_KNOWN: Final = "/.well-known/cmp"

ROUTES: Final = tuple(
    Route(name, path=path, summary=f"A CMP message (RFC 9810) {where}", **_COMMON)
    for name, path, where in (
        ("cmp", _WELL_KNOWN, "under the default label"),
        ("cmpSlash", f"{_WELL_KNOWN}/", "under the default label, for clients that append a slash"),
        ("cmpOperation", f"{_WELL_KNOWN}/<operation>", "of one operation (RFC 9483 section 6.1)"),
        ("cmpLabelled", f"{_WELL_KNOWN}/p/<label>", "under a label: a profile, or a CA"),
        ("cmpLabelledOperation", f"{_WELL_KNOWN}/p/<label>/<operation>", "of one operation under a label"),
        ("cmpShort", "/cmp", "under the default label, by a short path"),
        ("cmpShortSlash", "/cmp/", "by a short path, for clients that append a slash"),
        ("cmpShortLabelled", "/cmp/<label>", "under a label, by a short path"),
    )
)
