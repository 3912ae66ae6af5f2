"""Rings and their keys: make, show, change, rotate, end. Each change is audited in its transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto.jose import SIV_BYTES
from pycryptoutil.http.conditional import check_if_match, etag
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.keyring import ElasticKey, KeyFilter, KeyOrder, KeyPolicy, KeyStatus, Purpose
from pycryptoutil.keyring.lifecycle import Also, KeyPatch
from pycryptoutil.service.definition import Context
from pycryptoutil.services.jose_ja import rotation
from pycryptoutil.services.jose_ja.published.sets import jwks_url
from pycryptoutil.services.jose_ja.rings import models, store
from pycryptoutil.services.jose_ja.state import State
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_PURPOSES: Final = {"sig": Purpose.SIGN, "enc": Purpose.ENCRYPT}


def _who(context: Context, request: Request) -> tuple[str, str]:
    return context.actor, request.request_id


def _refused(said: str, pointer: str) -> Fault:
    return Fault(FaultKind.INVALID, said, said, pointer=pointer)


def _check(state: State, period: int, materials: int) -> None:
    ahead = state.settings.publish_ahead_seconds
    if 0 < period < ahead:
        raise _refused(f"rotation_period is 0 or at least {ahead}: keys are published ahead", "#/rotation_period")
    if materials == 1:
        raise _refused("max_materials is 0 or at least 2: the next key is there before its use", "#/max_materials")


def create(context: Context, request: Request) -> Response:
    """Make a ring with an active key, and the next one."""
    return _answer(context, make(context, request, context.body), 201)


def make(context: Context, request: Request, body: models.RingBody) -> ElasticKey:
    """Make a ring as asked; Fault(INVALID, BAD_ALGORITHM, CONFLICT)."""
    state: State = context.state
    _check(state, body.rotation_period, body.max_materials)
    if body.algorithm.partition("/")[0] in SIV_BYTES:
        raise _refused("JOSE has no AES-SIV", "#/algorithm")
    policy = KeyPolicy(
        rotation_period=body.rotation_period, max_versions=body.max_materials, read_revoked=body.read_revoked
    )
    order = KeyOrder(body.name, body.algorithm, _PURPOSES[body.use], body.description, policy, body.labels)
    policies = _policies(context, request, body.token_policy)
    return state.keyring.create(context.tenant_id, order, *_who(context, request), also=policies)


def _policies(context: Context, request: Request, policy: models.TokenPolicy | None) -> Also | None:
    """Return what writes a token policy, in the unit of work of the ring's own change."""
    if policy is None:
        return None

    def put(uow: UnitOfWork, key: ElasticKey) -> None:
        store.put(uow, key.id, policy.model_dump())
        audit.append(uow, AuditEvent("key.token-policy", context.actor, key.id, request_id=request.request_id))

    return put


def _answer(context: Context, key: ElasticKey, status: int = 200) -> Response:
    context.state.published.changed(context.tenant_id)
    return json_response(_view(context, key), status, ("ETag", etag(key.change)))


def _view(context: Context, key: ElasticKey) -> models.RingView:
    versions = context.state.keyring.versions(context.tenant_id, key.id)
    active = next((one for one in versions if one.version == key.active_version), None)
    with context.database.read(context.tenant_id) as reader:
        policy = store.policy(reader, key.id)
    return models.RingView(
        **{name: getattr(key, name) for name in _SAME},
        tenant=key.tenant_id,
        kid="" if active is None else active.kid,
        kty="oct" if active is None or active.public is None else active.public.kty,
        alg=key.algorithm.partition("/")[0],
        use="sig" if key.purpose is Purpose.SIGN else "enc",
        status=key.status.value,
        max_materials=key.policy.max_versions,
        rotation_period=key.policy.rotation_period,
        min_decrypt_version=key.policy.min_decrypt_version,
        read_revoked=key.policy.read_revoked,
        labels=dict(key.labels),
        jwks_url=jwks_url(context.state.public_url, key, versions),
        token_policy=None if policy is None else models.TokenPolicy.model_validate(dict(policy)),
    )


_SAME: Final = (
    "id", "name", "algorithm", "description", "active_version", "latest_version", "created_at", "updated_at",
    "rotated_at", "rotates_at", "delete_at",
)  # fmt: skip


def show_list(context: Context, _request: Request) -> Response:
    """Answer with a page of rings."""
    query: models.RingQuery = context.query
    wanted = KeyFilter(
        name=query.name,
        algorithm=query.algorithm,
        purpose=None if query.use is None else _PURPOSES[query.use],
        status=None if query.status is None else KeyStatus(query.status),
        created_after=query.created_after,
        created_before=query.created_before,
    )
    found = context.state.keyring.list(
        context.tenant_id, wanted, query.sort, query.descending, query.cursor, query.limit
    )
    items = [_view(context, one) for one in found.items]
    return json_response(models.RingList(items=items, next=found.cursor or None, total=found.total))


def show(context: Context, _request: Request) -> Response:
    """Answer with one ring."""
    key = context.state.keyring.get(context.tenant_id, context.parameters["ring"])
    return json_response(_view(context, key), 200, ("ETag", etag(key.change)))


def change(context: Context, request: Request) -> Response:
    """Change a ring, if nobody else did so meanwhile."""
    body: models.RingPatch = context.body
    keyring, who = context.state.keyring, _who(context, request)
    key = keyring.get(context.tenant_id, context.parameters["ring"])
    check_if_match(request, key.change)
    policy = KeyPolicy(
        versioning_allowed=key.policy.versioning_allowed,
        rotation_period=_given(body.rotation_period, key.policy.rotation_period),
        max_versions=_given(body.max_materials, key.policy.max_versions),
        min_decrypt_version=_given(body.min_decrypt_version, key.policy.min_decrypt_version),
        min_encrypt_version=key.policy.min_encrypt_version,
        read_revoked=_given(body.read_revoked, key.policy.read_revoked),
    )
    _check(context.state, policy.rotation_period, policy.max_versions)
    patch = KeyPatch(body.description, policy if policy != key.policy else None, body.labels, key.change)
    if patch != KeyPatch(change=key.change) or body.token_policy is not None:  # the entity tag tells of both
        policies = _policies(context, request, body.token_policy)
        key = keyring.update(context.tenant_id, key.id, patch, *who, also=policies)
    if body.status is not None and body.status != key.status.value:
        switch = keyring.enable if body.status == "enabled" else keyring.disable
        key = switch(context.tenant_id, key.id, *who)
    return _answer(context, key)


def _given(value: Any, before: Any) -> Any:
    return before if value is None else value


def delete(context: Context, request: Request) -> Response:
    """Delete softly: unusable at once, restorable until the waiting period ends."""
    keyring, wait = context.state.keyring, timedelta(seconds=context.state.settings.deletion_wait_seconds)
    key = keyring.get(context.tenant_id, context.parameters["ring"])
    check_if_match(request, key.change)
    return _answer(context, keyring.delete(context.tenant_id, key.id, *_who(context, request), waiting=wait))


def restore(context: Context, request: Request) -> Response:
    """Take a deletion back; the ring is disabled then."""
    keyring = context.state.keyring
    return _answer(context, keyring.restore(context.tenant_id, context.parameters["ring"], *_who(context, request)))


def rotate(context: Context, request: Request) -> Response:
    """Make the next key the active one, if it has been published long enough."""
    state, ring = context.state, context.parameters["ring"]
    rotation.rotate(state, context.tenant_id, ring, _who(context, request), force=context.body.force)
    return _answer(context, state.keyring.get(context.tenant_id, ring))
