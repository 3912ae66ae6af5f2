"""From requests about a CA's life to the CA and back."""

from __future__ import annotations

from collections.abc import Callable

from pycryptoutil.authority.lifecycle import rollover
from pycryptoutil.authority.lifecycle.rollover import Rollover, RolloverOrder
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import authority_of, to_pem
from pycryptoutil.services.pki_ca.lifecycle import models

Step = Callable[[Room, str, str, str, str], Rollover]


def _generation(row: AuthorityRow) -> models.GenerationView:
    return models.GenerationView(
        id=row.id,
        name=row.name,
        generation=row.generation,
        status=row.status.value,
        key_algorithm=row.key_algorithm,
        not_before=row.not_before,
        not_after=row.not_after,
        certificate=to_pem(row.certificate),
    )


def _rollover(found: Rollover) -> models.RolloverView:
    return models.RolloverView(
        id=found.id,
        state=found.state.value,
        old=_generation(found.old),
        new=_generation(found.new),
        new_with_old=to_pem(found.update.new_with_old),
        old_with_new=to_pem(found.update.old_with_new),
        created_at=found.row.created_at,
        activated_at=found.row.activated_at,
        ended_at=found.row.ended_at,
    )


def prepare(context: Context, request: Request) -> Response:
    """Make the next key of a CA."""
    body: models.RolloverBody = context.body
    order = RolloverOrder(body.key_algorithm or "", (body.validity_days or 0) * 86400)
    room, name = authority_of(context).room, context.parameters["name"]
    made = rollover.prepare(room, context.tenant_id, name, order, context.actor, request.request_id)
    return json_response(_rollover(made), 201)


def _step(context: Context, request: Request, step: Step) -> Response:
    service = authority_of(context)
    done = step(service.room, context.tenant_id, context.parameters["name"], context.actor, request.request_id)
    service.signers.forget()  # by name: they are looked up again
    return json_response(_rollover(done))


def activate(context: Context, request: Request) -> Response:
    """Let the prepared key issue."""
    return _step(context, request, rollover.activate)


def retire(context: Context, request: Request) -> Response:
    """Publish earlier keys no more."""
    return _step(context, request, rollover.retire)


def cancel(context: Context, request: Request) -> Response:
    """Give up the prepared key."""
    return _step(context, request, rollover.cancel)


def list_rollovers(context: Context, _request: Request) -> Response:
    """Answer with every change of keys of a CA."""
    found = rollover.listing(authority_of(context).room, context.tenant_id, context.parameters["name"])
    return json_response(models.RolloverList(items=tuple(map(_rollover, found))))
