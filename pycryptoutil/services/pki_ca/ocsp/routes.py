"""Where OCSP answers."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil_protocols.ocsp import caching, codec

from pycryptoutil.http.message import Listener
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.services.pki_ca.ocsp import handlers

_COMMON: Final[dict[str, Any]] = {
    "gate": Gate.PROTOCOL,
    "scope": None,
    "tag": "OCSP",
    "produces": (caching.CONTENT_TYPE,),
    "fast": handlers.fast,
    "faults": handlers.faults,
    "listeners": frozenset({Listener.PUBLIC, Listener.PLAIN}),
    "rate_limited": False,  # answered from memory, and relying parties share addresses
}
_POST: Final[dict[str, Any]] = _COMMON | {
    "methods": ("POST",),
    "handler": handlers.post,
    "max_body": codec.MAX_REQUEST,
}
_GET: Final[dict[str, Any]] = _COMMON | {"methods": ("GET",), "handler": handlers.get}

ROUTES: Final = (
    Route("ocspPost", path="/ocsp/<ca>", summary="Status of certificates (RFC 6960)", **_POST),
    Route("ocspPostSlash", path="/ocsp/<ca>/", summary="The same, for clients that append a slash", **_POST),
    Route("ocspGet", path="/ocsp/<ca>/<path:encoded>", summary="Status of a certificate, cacheable (RFC 5019)", **_GET),
    Route("ocspGetSlashes", path="/ocsp/<ca>//<path:encoded>", summary="The same, for URLs joined with //", **_GET),
)
