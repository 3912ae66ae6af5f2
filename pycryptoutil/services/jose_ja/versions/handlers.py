"""The keys of a ring: show, revoke, switch, end. Each change is audited in its transaction."""

from __future__ import annotations

from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.keyring import KeyVersion
from pycryptoutil.service.definition import Context
from pycryptoutil.services.jose_ja.versions import models


def listing(context: Context, _request: Request) -> Response:
    """Answer with every key of a ring: what may be shown of it."""
    state, ring = context.state, context.parameters["ring"]
    found = state.keyring.versions(context.tenant_id, ring)
    shown = {one.version for one in state.keyring.published(context.tenant_id, ring, state.grace)}
    return json_response(models.VersionList(items=[view(one, one.version in shown) for one in found]))


def get(context: Context, _request: Request) -> Response:
    """Answer with one key."""
    state, ring, number = context.state, context.parameters["ring"], int(context.parameters["version"])
    found = state.keyring.version(context.tenant_id, ring, number)
    shown = {one.version for one in state.keyring.published(context.tenant_id, ring, state.grace)}
    return json_response(view(found, number in shown))


def view(found: KeyVersion, published: bool) -> models.VersionView:
    """Describe a key."""
    return models.VersionView(
        version=found.version,
        kid=found.kid,
        status=found.status.value,
        jwk=None if found.public is None else found.public.members(),
        pem=None if found.public is None else found.public.pem(),
        created_at=found.created_at,
        activated_at=found.activated_at,
        revoked_at=found.revoked_at,
        reason=found.reason,
        protected=found.usage.protected,
        processed=found.usage.processed,
        last_used_at=found.usage.last_used_at,
        published=published,
    )


def _ended(context: Context, found: KeyVersion) -> Response:
    context.state.published.changed(context.tenant_id)
    return json_response(view(found, published=False))


def _at(context: Context) -> tuple[str, str, int]:
    return context.tenant_id, context.parameters["ring"], int(context.parameters["version"])


def revoke(context: Context, request: Request) -> Response:
    """Revoke a key for good: it signs, verifies, encrypts and decrypts nothing any more, on any replica."""
    who = context.actor, request.request_id
    return _ended(context, context.state.keyring.revoke(*_at(context), *who, reason=context.body.reason))


def disable(context: Context, request: Request) -> Response:
    """Refuse every use of a key until it is enabled."""
    return _ended(context, context.state.keyring.disable_version(*_at(context), context.actor, request.request_id))


def enable(context: Context, request: Request) -> Response:
    """Let a disabled key be used again."""
    state = context.state
    found = state.keyring.enable_version(*_at(context), context.actor, request.request_id)
    state.published.changed(context.tenant_id)
    shown = state.keyring.published(context.tenant_id, context.parameters["ring"], state.grace)
    return json_response(view(found, any(one.version == found.version for one in shown)))


def destroy(context: Context, request: Request) -> Response:
    """Overwrite a key that is not the active one."""
    who = context.actor, request.request_id
    return _ended(context, context.state.keyring.destroy_version(*_at(context), *who, reason=context.body.reason))
