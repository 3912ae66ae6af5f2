"""Subscribing, and looking after deliveries, over REST."""

from __future__ import annotations

from typing import Any

from pycryptoutil.authority.events import Delivery, EventService, Subscription, SubscriptionOrder
from pycryptoutil.authority.service import after_cursor
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response, page
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.webhooks import models


def _events(context: Context) -> EventService:
    found: EventService = context.state.events
    return found


def _plain(found: Subscription) -> dict[str, Any]:
    return {name: getattr(found, name) for name in models.WebhookView.model_fields}


def _delivery(found: Delivery) -> models.DeliveryView:
    return models.DeliveryView(
        id=found.id,
        message_id=found.event.id,
        type=found.event.type,
        occurred_at=found.event.occurred_at,
        status=found.status.value,
        attempts=found.attempts,
        answer=found.answer or None,
        error=found.error,
        due_at=found.due_at,
        finished_at=found.finished_at,
        created_at=found.created_at,
        data=dict(found.event.data),
    )


def create_webhook(context: Context, request: Request) -> Response:
    """Subscribe."""
    body: models.WebhookBody = context.body
    order = SubscriptionOrder(body.url, body.types, body.description, body.secret or "")
    made = _events(context).add(context.tenant_id, order, context.actor, request.request_id)
    return json_response(models.NewWebhookView(**_plain(made.subscription), secret=made.secret), 201)


def list_webhooks(context: Context, _request: Request) -> Response:
    """Answer with every webhook; there are few."""
    found = _events(context).subscriptions(context.tenant_id)
    return json_response(models.WebhookList(items=tuple(models.WebhookView(**_plain(one)) for one in found)))


def get_webhook(context: Context, _request: Request) -> Response:
    """Answer with one."""
    found = _events(context).subscription(context.tenant_id, context.parameters["id"])
    return json_response(models.WebhookView(**_plain(found)))


def delete_webhook(context: Context, request: Request) -> Response:
    """Unsubscribe."""
    _events(context).delete(context.tenant_id, context.parameters["id"], context.actor, request.request_id)
    return Response(204)


def enable_webhook(context: Context, request: Request) -> Response:
    """Tell again."""
    return _set_active(context, request, True)


def disable_webhook(context: Context, request: Request) -> Response:
    """Tell no more."""
    return _set_active(context, request, False)


def _set_active(context: Context, request: Request, active: bool) -> Response:
    found = _events(context).set_active(
        context.tenant_id, context.parameters["id"], active, context.actor, request.request_id
    )
    return json_response(models.WebhookView(**_plain(found)))


def test_webhook(context: Context, request: Request) -> Response:
    """Send a test event."""
    found = _events(context).test(context.tenant_id, context.parameters["id"], context.actor, request.request_id)
    return json_response(_delivery(found), 202)


def list_deliveries(context: Context, _request: Request) -> Response:
    """Answer with a page of deliveries."""
    query: models.DeliveryQuery = context.query
    found = _events(context).deliveries(
        context.tenant_id, context.parameters["id"], query.status or "", after_cursor(query.cursor), query.limit + 1
    )
    items, end = page(found, query.limit, lambda one: (one.created_at.isoformat(), one.id))
    return json_response(models.DeliveryList(items=tuple(map(_delivery, items)), next=end))


def redeliver(context: Context, request: Request) -> Response:
    """Deliver once more."""
    found = _events(context).redeliver(
        context.tenant_id,
        context.parameters["id"],
        context.parameters["delivery"],
        context.actor,
        request.request_id,
    )
    return json_response(_delivery(found), 202)
