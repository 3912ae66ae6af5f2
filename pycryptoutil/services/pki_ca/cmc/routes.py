"""Where CMC answers: ``/cmc`` under the default label or with one, and fullcmc beside the other EST operations."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil.http.message import Listener
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.services.pki_ca.cmc import handlers
from pycryptoutil.services.pki_ca.est.routes import ROOT as EST_ROOT

_COMMON: Final[dict[str, Any]] = {
    "methods": ("POST",),
    "gate": Gate.PROTOCOL,
    "scope": None,
    "tag": "CMC",
    "max_body": handlers.MAX_BODY,
    "faults": handlers.faults,
}
_PREFIXES: Final = (
    ("", "", "under the default label"),
    ("Labelled", "/<label>", "label: a profile, or a CA"),
    ("OfProfile", "/<ca>/<profile>", "of a CA and a profile"),
)

ROUTES: Final = (
    *(
        Route(
            f"cmc{suffix}",
            path=f"/cmc{path}",
            handler=handlers.answer,
            summary=f"A Simple or Full PKI Request ({where})",
            accepts=(*handlers.FULL_TYPES, *handlers.PKCS10_TYPES),
            produces=("application/pkcs7-mime",),
            listeners=frozenset({Listener.PUBLIC, Listener.PLAIN}),
            **_COMMON,
        )
        for suffix, path, where in _PREFIXES
    ),
    *(
        Route(
            f"estFullcmc{suffix}",
            path=f"{EST_ROOT}{path}/fullcmc",
            handler=handlers.full_cmc,
            summary=f"A Full PKI Request in EST ({where})",
            accepts=handlers.FULL_TYPES,
            produces=("application/pkcs7-mime",),
            **_COMMON,
        )
        for suffix, path, where in _PREFIXES
    ),
)
