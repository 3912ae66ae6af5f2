"""Where SCEP answers: ``/scep``, with a label or without, and with the ``pkiclient.exe`` that old clients append."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil_protocols.scep import messages

from pycryptoutil.http.message import Listener
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.services.pki_ca.scep import handlers

_COMMON: Final[dict[str, Any]] = {
    "gate": Gate.PROTOCOL,
    "scope": None,
    "tag": "SCEP",
    "faults": handlers.faults,
    "listeners": frozenset({Listener.PUBLIC, Listener.PLAIN}),
}
_OLD: Final = "/pkiclient.exe"
_PLACES: Final = (
    # (suffix of the operation's id, path, summary)
    ("", "/scep", "under the default label"),
    ("Slash", "/scep/", "under the default label, for clients that append a slash"),
    ("Old", f"/scep{_OLD}", "under the default label, by the path of old clients"),
    ("Labelled", "/scep/<label>", "under a label: a profile, or a CA"),
    ("LabelledOld", f"/scep/<label>{_OLD}", "under a label, by the path of old clients"),
    ("OfProfile", "/scep/<ca>/<profile>", "of a CA and a profile"),
    ("OfProfileOld", f"/scep/<ca>/<profile>{_OLD}", "of a CA and a profile, by the path of old clients"),
)
_ANSWERS: Final = (
    "text/plain",
    messages.CA_AND_RA_CERTIFICATES,
    messages.NEXT_CA_CERTIFICATE,
    messages.PKI_MESSAGE,
)

ROUTES: Final = (
    *(
        Route(
            f"scepGet{suffix}",
            methods=("GET",),
            path=path,
            handler=handlers.ask,
            summary=f"A SCEP operation (RFC 8894) {where}",
            produces=_ANSWERS,
            **_COMMON,
        )
        for suffix, path, where in _PLACES
    ),
    *(
        Route(
            f"scepPost{suffix}",
            methods=("POST",),
            path=path,
            handler=handlers.post,
            summary=f"A SCEP message (RFC 8894) {where}",
            accepts=(),
            produces=(messages.PKI_MESSAGE,),
            max_body=messages.MAX_MESSAGE,
            **_COMMON,
        )
        for suffix, path, where in _PLACES
    ),
)
