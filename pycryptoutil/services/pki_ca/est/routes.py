"""Where EST answers: under the well-known path, with or without a label (RFC 7030 section 3.2.2)."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil_protocols import csr
from pycryptoutil_protocols.est import messages
from pycryptoutil_protocols.est.messages import Operation

from pycryptoutil.http.route import Gate, Route
from pycryptoutil.services.pki_ca.est import handlers

ROOT: Final = "/.well-known/est"
_MAX_BODY: Final = 2 * csr.MAX_CSR  # base64, with room for any wrapping

_PREFIXES: Final = (
    # (suffix of the operation's id, path, summary)
    ("", "", "under the default label"),
    ("Labelled", "/<label>", "label: a profile, or a CA"),
    ("OfProfile", "/<ca>/<profile>", "of a CA and a profile"),
)
_PRODUCES: Final = {
    Operation.CACERTS: messages.CACERTS,
    Operation.CSR_ATTRIBUTES: messages.CSRATTRS,
    Operation.SIMPLE_ENROLL: messages.CERTS_ONLY,
    Operation.SIMPLE_REENROLL: messages.CERTS_ONLY,
    Operation.SERVER_KEYGEN: "multipart/mixed",
}
_COMMON: Final[dict[str, Any]] = {
    "gate": Gate.PROTOCOL,
    "scope": None,
    "tag": "EST",
    "faults": handlers.faults,
}


def _route(operation: Operation, handler: Any, summary: str, prefix: tuple[str, str, str]) -> Route:
    suffix, path, where = prefix
    posts = operation.method == "POST"
    return Route(
        f"est{operation.path[0].upper()}{operation.path[1:]}{suffix}",
        methods=(operation.method,),
        path=f"{ROOT}{path}/{operation.path}",
        handler=handler,
        summary=f"{summary} ({where})",
        max_body=_MAX_BODY if posts else 0,
        produces=(_PRODUCES[operation],),
        **_COMMON,
    )


ROUTES: Final = (
    *(
        _route(operation, handler, summary, prefix)
        for operation, handler, summary in handlers.OPERATIONS
        for prefix in _PREFIXES
    ),
    Route(
        "estElsewhere",
        methods=("GET", "POST"),
        path=f"{ROOT}/<path:rest>",
        handler=handlers.missing,
        summary="Nothing: answers 404 in EST's form",
        produces=("text/plain",),
        **_COMMON,
    ),
)
