"""Backup and restore of a CA, part by part."""

from __future__ import annotations

import base64
import binascii

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.lifecycle import backup
from pycryptoutil.authority.lifecycle.backup import RestoreOrder
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import authority_of
from pycryptoutil.services.pki_ca.moving import models


def make(context: Context, request: Request) -> Response:
    """Answer with one part."""
    body: models.BackupBody = context.body
    room, name, who = authority_of(context).room, context.parameters["name"], context.actor
    recipient = body.recipient.encode()
    made = backup.part(room, context.tenant_id, name, recipient, body.cursor, who, request.request_id)
    encoded = base64.b64encode(made.der).decode("ascii")
    return json_response(models.BackupView(part=encoded, cursor=made.cursor or None))


def restore(context: Context, request: Request) -> Response:
    """Bring back one part."""
    body: models.RestoreBody = context.body
    try:
        document = base64.b64decode(body.document.get_secret_value(), validate=True)
    except (ValueError, binascii.Error):
        text = "the document is not base64"
        raise Fault(FaultKind.MALFORMED, text, text, pointer="document") from None
    order = RestoreOrder(document, body.override, body.replace, body.finish)
    service = authority_of(context)
    done = backup.restore(service.room, context.tenant_id, order, context.actor, request.request_id)
    service.signers.forget()
    context.state.watch.notice()
    return json_response(models.RestoreView(**{name: getattr(done, name) for name in models.RestoreView.model_fields}))
