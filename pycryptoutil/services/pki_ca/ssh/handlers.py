"""Issuing and listing SSH certificates, and the keys to trust them by."""

from __future__ import annotations

from datetime import timedelta

from pycryptoutil.authority.service import after_cursor
from pycryptoutil.authority.ssh import SshCertificate, SshOrder, SshService
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response, page
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.ssh import models

KEY_TYPE = "text/plain"


def _ssh(context: Context) -> SshService:
    found: SshService = context.state.ssh
    return found


def _view(found: SshCertificate) -> models.SshView:
    return models.SshView(**{name: getattr(found, name) for name in models.SshView.model_fields})


def issue(context: Context, request: Request) -> Response:
    """Issue an SSH certificate."""
    body: models.SshBody = context.body
    order = SshOrder(
        profile=body.profile,
        public_key=body.public_key,
        principals=body.principals,
        authority=body.authority or "",
        key_id=body.key_id,
        validity=timedelta(seconds=body.validity_seconds) if body.validity_seconds is not None else None,
        critical_options={str(name): value for name, value in body.critical_options.items()},
    )
    return json_response(_view(_ssh(context).issue(context.tenant_id, order, context.actor, request.request_id)), 201)


def listing(context: Context, _request: Request) -> Response:
    """Answer with a page of SSH certificates."""
    limit = context.query.limit
    rows = _ssh(context).listing(context.tenant_id, after_cursor(context.query.cursor), limit + 1)
    shown, following = page(rows, limit, lambda row: (row.created_at.isoformat(), row.serial))
    return json_response(models.SshList(items=tuple(map(_view, shown)), next=following))


def authority_key(context: Context, _request: Request) -> Response:
    """Answer with a public key line for TrustedUserCAKeys or @cert-authority."""
    place = context.parameters
    text = _ssh(context).authority_key(context.tenant_id, place["authority"], place["kind"])
    return Response(200, f"{text}\n".encode(), KEY_TYPE)
