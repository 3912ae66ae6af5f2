"""Cross-certificates over REST."""

from __future__ import annotations

from typing import Final

from pycryptoutil_protocols import pem

from pycryptoutil.authority.lifecycle import cross
from pycryptoutil.authority.lifecycle.cross import CrossOrder
from pycryptoutil.authority.lifecycle.store import LinkRow
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import authority_of, to_pem
from pycryptoutil.services.pki_ca.lifecycle import models
from pycryptoutil.services.pki_ca.lifecycle.offline import certificate

_MAX_CSR: Final = 64 * 1024
_CSR_LABELS: Final = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")


def _view(row: LinkRow) -> models.CrossView:
    return models.CrossView(
        serial=row.serial,
        subject=row.subject,
        not_after=row.not_after,
        created_at=row.created_at,
        certificate=to_pem(row.certificate),
    )


def certify(context: Context, request: Request) -> Response:
    """Certify a foreign CA."""
    body: models.CrossBody = context.body
    order = CrossOrder(
        certificate=certificate(body.certificate) if body.certificate is not None else None,
        csr=pem.decode_body(body.csr.encode(), _MAX_CSR, _CSR_LABELS) if body.csr is not None else None,
        profile=body.profile,
        days=body.validity_days or 0,
        path_length=body.path_length,
        permitted_names=body.permitted_names,
        excluded_names=body.excluded_names,
        unconstrained=body.unconstrained,
    )
    room, name = authority_of(context).room, context.parameters["name"]
    made = cross.certify(room, context.tenant_id, name, order, context.actor, request.request_id)
    return json_response(_view(made), 201)


def list_all(context: Context, _request: Request) -> Response:
    """Answer with what a CA has cross-certified."""
    found = cross.listing(authority_of(context).room, context.tenant_id, context.parameters["name"])
    return json_response(models.CrossList(items=tuple(map(_view, found))))
