"""Requests for CAs that are certified elsewhere, and what comes back."""

from __future__ import annotations

from typing import Final

from pycryptoutil_protocols import pem

from pycryptoutil.authority.lifecycle import offline
from pycryptoutil.authority.lifecycle.offline import InstallOrder, RequestOrder, RequestRow
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import authority_of, to_pem
from pycryptoutil.services.pki_ca.lifecycle import models

_MAX: Final = 128 * 1024


def _view(row: RequestRow) -> models.RequestView:
    names = set(models.RequestView.model_fields) - {"csr"}
    return models.RequestView(
        **{name: getattr(row, name) for name in names}, csr=to_pem(row.csr, "CERTIFICATE REQUEST")
    )


def create_request(context: Context, request: Request) -> Response:
    """Make a key and a request for it."""
    body: models.RequestBody = context.body
    order = RequestOrder(body.name or "", body.subject or "", body.key_algorithm, body.replaces or "")
    made = offline.create(authority_of(context).room, context.tenant_id, order, context.actor, request.request_id)
    return json_response(_view(made), 201)


def list_requests(context: Context, _request: Request) -> Response:
    """Answer with every CA that waits."""
    found = offline.listing(authority_of(context).room, context.tenant_id)
    return json_response(models.RequestList(items=tuple(map(_view, found))))


def get_request(context: Context, _request: Request) -> Response:
    """Answer with one."""
    found = offline.get(authority_of(context).room, context.tenant_id, context.parameters["name"])
    return json_response(_view(found))


def delete_request(context: Context, request: Request) -> Response:
    """Give one up."""
    room, name = authority_of(context).room, context.parameters["name"]
    offline.delete(room, context.tenant_id, name, context.actor, request.request_id)
    return Response(204)


def certificate(text: str) -> bytes:
    """Return the DER of one certificate in PEM; Fault(MALFORMED)."""
    return pem.decode_body(text.encode(), _MAX, ("CERTIFICATE",))


def install(context: Context, request: Request) -> Response:
    """Take up an offline root with what it has signed."""
    body: models.InstallBody = context.body
    order = InstallOrder(
        body.name,
        certificate(body.root),
        tuple(map(certificate, body.certificates)),
        pem.decode_body(body.crl.encode(), models.MAX_CRL_TEXT, ("X509 CRL",)) if body.crl is not None else None,
    )
    done = offline.install(authority_of(context).room, context.tenant_id, order, context.actor, request.request_id)
    return json_response(
        models.InstalledView(**{name: getattr(done, name) for name in models.InstalledView.model_fields})
    )
