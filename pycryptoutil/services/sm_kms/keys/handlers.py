"""From requests to elastic keys and back."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.conditional import check_if_match, etag
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.keyring import ElasticKey, KeyFilter, KeyOrder, KeyPatch, KeyPolicy, KeyStatus, Purpose
from pycryptoutil.service.definition import Context
from pycryptoutil.services.sm_kms.common import keyring_of
from pycryptoutil.services.sm_kms.keys import models

USUAL: Final = {
    Purpose.ENCRYPT: "A256GCM",
    Purpose.SIGN: "ES256",
    Purpose.MAC: "HS256",
    Purpose.WRAP: "A256KW",
    Purpose.DERIVE: "HKDF-SHA256",
    Purpose.ENCAPSULATE: "ML-KEM-768",
}
_POLICY: Final = tuple(models.PolicyPatch.model_fields)
_OWN: Final = tuple(name for name in models.KeyView.model_fields if name not in (*_POLICY, "labels"))


def view(key: ElasticKey) -> models.KeyView:
    """Describe a key."""
    own: dict[str, Any] = {name: getattr(key, name) for name in _OWN}
    own |= {"purpose": key.purpose.value, "status": key.status.value, "labels": dict(key.labels)}
    return models.KeyView(**own, **asdict(key.policy))


def _answer(key: ElasticKey, status: int = 200) -> Response:
    return json_response(view(key), status, ("ETag", etag(key.change)))


def _given(body: models.PolicyPatch) -> dict[str, Any]:
    return {name: getattr(body, name) for name in _POLICY if getattr(body, name) is not None}


def create(context: Context, request: Request) -> Response:
    """Make a key."""
    body: models.KeyBody = context.body
    purpose = Purpose(body.purpose)
    order = KeyOrder(
        name=body.name,
        algorithm=body.algorithm or USUAL[purpose],
        purpose=purpose,
        description=body.description,
        policy=KeyPolicy(**_given(body)),
        labels=body.labels,
        generate=body.generate,
    )
    return _answer(keyring_of(context).create(context.tenant_id, order, context.actor, request.request_id), 201)


def listing(context: Context, _request: Request) -> Response:
    """Answer with a page."""
    query: models.KeyQuery = context.query
    wanted = KeyFilter(
        name=query.name,
        algorithm=query.algorithm,
        purpose=Purpose(query.purpose) if query.purpose else None,
        status=KeyStatus(query.status) if query.status else None,
        created_after=query.created_after,
        created_before=query.created_before,
        labels=_labels(query.label),
    )
    found = keyring_of(context).list(
        context.tenant_id, wanted, query.sort, query.order == "desc", query.cursor, query.limit
    )
    return json_response(
        models.KeyList(items=tuple(map(view, found.items)), next=found.cursor or None, total=found.total)
    )


def _labels(asked: tuple[str, ...]) -> dict[str, str]:
    found = [text.partition("=") for text in asked]
    if not all(equals for _, equals, _ in found) or len({name for name, _, _ in found}) != len(found):
        text = "a label is asked for as name=value, each name once"
        raise Fault(FaultKind.INVALID, text, text, pointer="label")
    return {name: value for name, _, value in found}


def get(context: Context, _request: Request) -> Response:
    """Answer with one."""
    return _answer(keyring_of(context).get(context.tenant_id, context.parameters["key"]))


def update(context: Context, request: Request) -> Response:
    """Change description, labels and policy."""
    body: models.KeyPatchBody = context.body
    keyring, reference = keyring_of(context), context.parameters["key"]
    key = keyring.get(context.tenant_id, reference)
    check_if_match(request, key.change)
    given = _given(body)
    policy = replace(key.policy, **given) if given else None
    # what was read is what is changed: a policy is merged into the one that was seen
    patch = KeyPatch(body.description, policy, body.labels, key.change)
    return _answer(keyring.update(context.tenant_id, key.id, patch, context.actor, request.request_id))


def delete(context: Context, request: Request) -> Response:
    """Delete softly."""
    query: models.DeleteQuery = context.query
    waiting = timedelta(seconds=query.waiting_period)
    found = keyring_of(context).delete(
        context.tenant_id,
        context.parameters["key"],
        context.actor,
        request.request_id,
        waiting=waiting,
        approval_id=query.approval,
    )
    return _answer(found)


def _simple(name: str) -> Any:
    def handler(context: Context, request: Request) -> Response:
        change = getattr(keyring_of(context), name)
        return _answer(change(context.tenant_id, context.parameters["key"], context.actor, request.request_id))

    return handler


enable, disable, restore = _simple("enable"), _simple("disable"), _simple("restore")


def destroy(context: Context, request: Request) -> Response:
    """Destroy at once and for good."""
    body: models.DestroyBody = context.body
    found = keyring_of(context).destroy(
        context.tenant_id,
        context.parameters["key"],
        context.actor,
        request.request_id,
        reason=body.reason,
        approval_id=body.approval,
    )
    return _answer(found)
