"""CRLs and CA certificates over HTTP (RFC 5280 sections 4.2.1.13 and 4.2.2.1, RFC 2585): cacheable, not compressed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Any, Final

from pycryptoutil_protocols import cms
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.crl import CrlDocument, CrlService
from pycryptoutil.http.message import Request, Response
from pycryptoutil.service.definition import Context

CRL_TYPE: Final = "application/pkix-crl"
CERTIFICATE_TYPE: Final = "application/pkix-cert"
BUNDLE_TYPE: Final = "application/pkcs7-mime"
_CRL_MAX_AGE: Final = 300
_CERTIFICATE_MAX_AGE: Final = 86400


def fast_crl(state: Any, _request: Request, parameters: Mapping[str, str]) -> Response | None:
    """Answer with the CRL in memory, on the reactor; None: a worker must."""
    crls: CrlService = state.crl
    found = crls.cached(parameters["ca"])
    return None if found is None else _crl(found, state.clock.now())


def crl(context: Context, _request: Request) -> Response:
    """Answer with the CA's current CRL."""
    crls: CrlService = context.state.crl
    return _crl(crls.current(context.parameters["ca"]), context.resources.clock.now())


def certificate(context: Context, _request: Request) -> Response:
    """Answer with the CA's certificate, DER."""
    chain = context.state.authority.public_chain(context.parameters["ca"])
    return _certificate(chain[0], CERTIFICATE_TYPE)


def bundle(context: Context, _request: Request) -> Response:
    """Answer with the CA's certificate, its issuers' up to the root and the links of a rollover, certificates-only."""
    found = context.state.authority.public_bundle(context.parameters["ca"])
    return _certificate(cms.encode_certs_only(found, in_order=False), f"{BUNDLE_TYPE}; smime-type=certs-only")


def faults(fault: Fault, request: Request) -> Response:
    """Answer a Fault in one line of text: what asks here is a program that looks at the status only."""
    status = {
        FaultKind.NOT_FOUND: 404,
        FaultKind.METHOD_NOT_ALLOWED: 405,
        FaultKind.RATE_LIMITED: 429,
        FaultKind.BUSY: 503,
        FaultKind.SEALED: 503,
        FaultKind.UNAVAILABLE: 503,
        FaultKind.INTERNAL: 500,
    }.get(fault.kind, 400)
    headers: tuple[tuple[str, str], ...] = (("cache-control", "no-store"),)
    if status in {429, 503}:
        headers += (("retry-after", str(fault.retry_after or 5)),)
    text = f"{fault.public or 'the request failed'}\nrequest {request.request_id}\n"
    return Response(status, text.encode(), "text/plain; charset=utf-8", headers)


def _crl(document: CrlDocument, now: datetime) -> Response:
    left = int((document.head.next_update - now).total_seconds())
    max_age = max(0, min(_CRL_MAX_AGE, left))
    headers = (
        ("etag", document.etag),
        ("last-modified", format_datetime(document.head.this_update, usegmt=True)),
        ("expires", format_datetime(document.head.next_update, usegmt=True)),
        ("cache-control", f"max-age={max_age}, public, no-transform, must-revalidate"),
    )
    return Response(200, document.der, CRL_TYPE, headers)


def _certificate(body: bytes, media_type: str) -> Response:
    etag = f'"{sha256(body).hexdigest()[:40]}"'
    headers = (("etag", etag), ("cache-control", f"max-age={_CERTIFICATE_MAX_AGE}, public, no-transform"))
    return Response(200, body, media_type, headers)
