"""From requests to versions, imports, exports, approvals and backups, and back."""

from __future__ import annotations

from typing import Any

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.keyring import Approval, Asked, ImportKey, KeyVersion
from pycryptoutil.service.definition import Context
from pycryptoutil.services.sm_kms.common import keyring_of, number, recipient
from pycryptoutil.services.sm_kms.keys.models import DestroyBody
from pycryptoutil.services.sm_kms.versions import models

_OWN = ("version", "kid", "created_at", "activated_at", "revoked_at", "destroyed_at", "reason")


def view(found: KeyVersion) -> models.VersionView:
    """Describe a version."""
    usage, public = found.usage, found.public
    own: dict[str, Any] = {name: getattr(found, name) for name in _OWN}
    return models.VersionView(
        **own,
        status=found.status.value,
        origin=found.origin.value,
        usage=models.UsageView(
            protected=usage.protected,
            processed=usage.processed,
            rewrapped=usage.rewrapped,
            outstanding=usage.outstanding,
            last_used_at=usage.last_used_at,
        ),
        public_jwk=public.members() if public is not None else None,
        public_pem=public.pem() if public is not None else None,
    )


def _place(context: Context) -> tuple[str, str]:
    return context.tenant_id, context.parameters["key"]


def _who(context: Context, request: Request) -> tuple[str, str]:
    return context.actor, request.request_id


def _number(context: Context) -> int:
    return number(context.parameters["version"])


def listing(context: Context, _request: Request) -> Response:
    """Answer with every version."""
    return json_response(models.VersionList(items=tuple(map(view, keyring_of(context).versions(*_place(context))))))


def get(context: Context, _request: Request) -> Response:
    """Answer with one."""
    return json_response(view(keyring_of(context).version(*_place(context), _number(context))))


def rotate(context: Context, request: Request) -> Response:
    """Make the next version the active one."""
    return json_response(view(keyring_of(context).rotate(*_place(context), *_who(context, request))), 201)


def prepare(context: Context, request: Request) -> Response:
    """Make the next version without using it."""
    return json_response(view(keyring_of(context).prepare_next(*_place(context), *_who(context, request))), 201)


def _change(name: str) -> Any:
    def handler(context: Context, request: Request) -> Response:
        change = getattr(keyring_of(context), name)
        return json_response(view(change(*_place(context), _number(context), *_who(context, request))))

    return handler


activate, enable, disable = _change("activate"), _change("enable_version"), _change("disable_version")


def revoke(context: Context, request: Request) -> Response:
    """Revoke a version for good."""
    who = _who(context, request)
    return json_response(
        view(keyring_of(context).revoke(*_place(context), _number(context), *who, reason=context.body.reason))
    )


def destroy(context: Context, request: Request) -> Response:
    """Destroy a version's material."""
    body: DestroyBody = context.body
    options = {"reason": body.reason, "approval_id": body.approval}
    who = _who(context, request)
    return json_response(view(keyring_of(context).destroy_version(*_place(context), _number(context), *who, **options)))


# -- import and export -------------------------------------------------------------------------------------------------


def _import_view(made: ImportKey) -> Response:
    return json_response(
        models.ImportKeyView(id=made.id, public_jwk=made.public.members(), expires_at=made.expires_at), 201
    )


def import_key(context: Context, request: Request) -> Response:
    """Make a key that wraps one import."""
    return _import_view(keyring_of(context).import_key(*_place(context), context.body.alg, *_who(context, request)))


def import_version(context: Context, request: Request) -> Response:
    """Take a wrapped key as the next version."""
    body: models.ImportBody = context.body
    wrapped = (body.import_key, body.wrapped)
    made = keyring_of(context).import_version(*_place(context), *wrapped, *_who(context, request))
    return json_response(view(made), 201)


def export_version(context: Context, request: Request) -> Response:
    """Answer with a version, wrapped to the caller's key."""
    body: models.ExportBody = context.body
    jwe = keyring_of(context).export_version(
        *_place(context),
        _number(context),
        recipient(body.recipient),
        *_who(context, request),
        approval_id=body.approval,
    )
    return json_response(models.WrappedView(jwe=jwe))


# -- approvals ---------------------------------------------------------------------------------------------------------


def _approval(found: Approval) -> models.ApprovalView:
    own = ("id", "action", "version", "requested_by", "requested_at", "expires_at", "approved_by", "needed")
    shown: dict[str, Any] = {name: getattr(found, name) for name in own}
    return models.ApprovalView(
        **shown, key=found.key_id, state=found.state.value, recipient=str(found.details.get("recipient", ""))
    )


def request_approval(context: Context, request: Request) -> Response:
    """Ask for an approval."""
    body: models.ApprovalBody = context.body
    asked = Asked(body.action, body.version, body.recipient)
    made = keyring_of(context).request_approval(*_place(context), asked, *_who(context, request))
    return json_response(_approval(made), 201)


def list_approvals(context: Context, _request: Request) -> Response:
    """Answer with the requests of every key, or of one."""
    found = keyring_of(context).approvals(context.tenant_id, context.parameters.get("key", ""))
    return json_response(models.ApprovalList(items=tuple(map(_approval, found))))


def get_approval(context: Context, _request: Request) -> Response:
    """Answer with one request."""
    return json_response(_approval(keyring_of(context).approval(context.tenant_id, context.parameters["id"])))


def approve(context: Context, request: Request) -> Response:
    """Vote for a request."""
    place = context.tenant_id, context.parameters["id"]
    return json_response(_approval(keyring_of(context).approve(*place, *_who(context, request))))


def reject(context: Context, request: Request) -> Response:
    """End a request."""
    place = context.tenant_id, context.parameters["id"]
    return json_response(_approval(keyring_of(context).reject(*place, *_who(context, request))))


# -- backup, restore, root ---------------------------------------------------------------------------------------------


def backup(context: Context, request: Request) -> Response:
    """Answer with a backup of one key, or of every key that needs no approval."""
    body: models.BackupBody = context.body
    to = recipient(body.recovery_key, "recovery_key")
    if not context.state.any_recovery_key and to.thumbprint() not in context.state.settings.recovery_keys:
        text = "backups go to the configured recovery keys only (sm_kms.recovery_keys)"
        raise Fault(FaultKind.FORBIDDEN, f"backup to {to.thumbprint()}", text)
    reference = context.parameters.get("key", "")
    jwe = keyring_of(context).backup(
        context.tenant_id, reference, to, *_who(context, request), approval_id=body.approval
    )
    return json_response(models.WrappedView(jwe=jwe))


def restore_key(context: Context, request: Request) -> Response:
    """Make a key that wraps one restore."""
    made = keyring_of(context).import_key(context.tenant_id, "", context.body.alg, *_who(context, request))
    return _import_view(made)


def restore(context: Context, request: Request) -> Response:
    """Bring back what a backup holds and is missing here."""
    body: models.RestoreBody = context.body
    found = keyring_of(context).restore_backup(
        context.tenant_id, body.import_key, body.wrapped, *_who(context, request)
    )
    return json_response(models.RestoredView(keys=found.keys, versions=found.versions, kept=found.kept))


def rotate_root(context: Context, request: Request) -> Response:
    """Put every version of the tenant under a new root."""
    moved = keyring_of(context).rotate_root(context.tenant_id, *_who(context, request))
    return json_response(models.RootView(versions=moved))
