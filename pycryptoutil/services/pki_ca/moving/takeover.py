"""Taking over a CA that another program has run."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from pycryptoutil_protocols import pem
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.lifecycle import takeover
from pycryptoutil.authority.lifecycle.takeover import ImportedRow, ImportOrder
from pycryptoutil.authority.model import RevocationReason
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import authority_of
from pycryptoutil.services.pki_ca.lifecycle.offline import certificate
from pycryptoutil.services.pki_ca.moving import models

_MAX_KEY: Final = 50_000


def begin(context: Context, request: Request) -> Response:
    """Take over key, chain and CRL number."""
    body: models.ImportBody = context.body
    order = ImportOrder(
        body.name,
        certificate(body.certificate),
        pem.decode_body(body.private_key.get_secret_value().encode(), _MAX_KEY, ("PRIVATE KEY",)),
        tuple(map(certificate, body.chain)),
        body.crl_number,
    )
    row = takeover.begin(authority_of(context).room, context.tenant_id, order, context.actor, request.request_id)
    view = models.ImportView(
        id=row.id, name=row.name, status=row.status.value, subject=row.subject, key_algorithm=row.key_algorithm
    )
    return json_response(view, 201)


def add(context: Context, request: Request) -> Response:
    """Take over some of what it has issued."""
    body: models.ImportRowsBody = context.body
    unreadable: list[models.ImportProblem] = []
    rows = []
    for one in body.items:
        try:
            rows.append(_row(one))
        except Fault as fault:
            unreadable.append(models.ImportProblem(serial=one.serial, problem=fault.public or fault.detail))
    done = takeover.add(
        authority_of(context).room,
        context.tenant_id,
        context.parameters["name"],
        rows,
        body.profile or "",
        context.actor,
        request.request_id,
    )
    context.state.watch.notice()
    found = tuple(models.ImportProblem(serial=one.serial, problem=one.text) for one in done.problems)
    view = models.ImportRowsView(
        added=done.added, changed=done.changed, known=done.known, problems=(*unreadable, *found)
    )
    return json_response(view)


def _row(one: models.ImportRow) -> ImportedRow:
    try:
        reason = RevocationReason(one.reason) if one.reason is not None else None
        encoded = base64.b64decode(one.certificate, validate=True) if one.certificate is not None else b""
    except (ValueError, binascii.Error):
        text = "the reason is not known, or the certificate is not base64"
        raise Fault(FaultKind.INVALID, text, text) from None
    return ImportedRow(one.serial, one.not_after, one.subject, one.revoked_at, reason, one.invalidity_date, encoded)
