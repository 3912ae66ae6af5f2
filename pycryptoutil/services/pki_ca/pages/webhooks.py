"""Webhooks: whom events are told to, what became of each delivery, and another try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from pycryptoutil_protocols.faults import Fault
from pydantic import Field

from pycryptoutil.authority.events import EventService, EventType, Subscription, SubscriptionOrder
from pycryptoutil.authority.service import after_cursor
from pycryptoutil.http.forms import Filled, FormModel, form_fields, query_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, PageHandler, View, done
from pycryptoutil.http.paging import MAX_CURSOR, page
from pycryptoutil.service.definition import Context

PATH: Final = "/browser/webhooks"
_WRITE: Final = "webhooks:write"
_ROWS: Final = 50
TYPES: Final = tuple(one.value for one in EventType if one is not EventType.TEST)


def field_of(kind: str) -> str:
    """Return the name of an event type's field in the form."""
    return kind.replace(".", "_")


class WebhookForm(FormModel):
    """Whom to tell, and of what; nothing ticked: of everything."""

    url: str = Field(max_length=2000)
    description: str = Field(default="", max_length=300)
    certificate_issued: bool = False
    certificate_revoked: bool = False
    certificate_released: bool = False
    certificate_expiring: bool = False
    crl_published: bool = False
    authority_created: bool = False
    authority_status: bool = False
    approval_requested: bool = False
    approval_decided: bool = False

    def order(self) -> SubscriptionOrder:
        """Return what is to be made; its secret is made too."""
        types = tuple(kind for kind in TYPES if getattr(self, field_of(kind)))
        return SubscriptionOrder(self.url, types, self.description)


class DeliverySearch(FormModel):
    """Which deliveries."""

    status: Literal["pending", "delivered", "dead"] | None = None
    cursor: str = Field(default="", max_length=MAX_CURSOR)


def _events(context: Context) -> EventService:
    found: EventService = context.state.events
    return found


def listing(context: Context, _request: Request) -> View:
    """Show every webhook."""
    rows = _events(context).subscriptions(context.tenant_id)
    return View("webhooks.html", {"rows": rows, "may_write": context.principal.may(_WRITE)})


def _named(context: Context) -> Subscription:
    return _events(context).subscription(context.tenant_id, context.parameters["id"])


def show(context: Context, request: Request) -> View:
    """Show one with a page of its deliveries."""
    return _shown(context, read(DeliverySearch, query_fields(request)), {})


def _shown(context: Context, filled: Filled[DeliverySearch], errors: dict[str, str]) -> View:
    found, wanted = _named(context), filled.model or DeliverySearch()
    rows = _events(context).deliveries(
        context.tenant_id, found.id, wanted.status or "", after_cursor(wanted.cursor), _ROWS + 1
    )
    shown, following = page(rows, _ROWS, lambda one: (one.created_at.isoformat(), one.id))
    both: Filled[DeliverySearch] = Filled(filled.values, {**filled.errors, **errors}) if errors else filled
    values = {
        "found": found,
        "rows": shown,
        "following": following,
        "filled": both,
        "may_write": context.principal.may(_WRITE),
    }
    return View("webhook.html", values, 422 if both.errors else 200)


def _form(filled: Filled[WebhookForm], status: int = 200) -> View:
    return View("webhook_new.html", {"filled": filled, "types": [(field_of(one), one) for one in TYPES]}, status)


def new(_context: Context, _request: Request) -> View:
    """Show the empty form."""
    return _form(Filled())


def create(context: Context, request: Request) -> View:
    """Subscribe, and show the secret this once."""
    filled = read(WebhookForm, form_fields(request))
    if filled.model is None:
        return _form(filled, 422)
    try:
        made = _events(context).add(context.tenant_id, filled.model.order(), context.actor, request.request_id)
    except Fault as fault:
        return _form(refused(filled, fault), 422)
    return View("webhook_made.html", {"found": made.subscription, "secret": made.secret})


def _button(run: Callable[[EventService], Callable[..., Any]], notice: str, *more: Any) -> PageHandler:
    """Return a handler that does one thing to a webhook; a refusal is said on its page."""

    def handler(context: Context, request: Request) -> View | Response:
        found, who = _named(context), (context.actor, request.request_id)
        place = [context.parameters["delivery"]] if "delivery" in context.parameters else []
        try:
            run(_events(context))(context.tenant_id, found.id, *place, *more, *who)
        except Fault as fault:
            wrong: Filled[DeliverySearch] = Filled()
            return _shown(context, Filled(), dict(refused(wrong, fault).errors))
        return done(PATH if notice == "webhook-deleted" else f"{PATH}/{found.id}", notice)

    return handler


_ONE: Final = "/webhooks/<id>"

PAGES: Final = (
    Page("webhooksPage", "/webhooks", "Webhooks", "pki:read", listing),
    Page("newWebhookPage", "/webhooks/new", "Make a webhook", _WRITE, new, create),
    Page("webhookPage", _ONE, "One webhook", "pki:read", show),
    Page("webhookTestPage", f"{_ONE}/test", "Send a test event", _WRITE,
         send=_button(lambda events: events.test, "webhook-tested")),
    Page("webhookEnablePage", f"{_ONE}/enable", "Tell again", _WRITE,
         send=_button(lambda events: events.set_active, "webhook-enabled", True)),
    Page("webhookDisablePage", f"{_ONE}/disable", "Tell no more", _WRITE,
         send=_button(lambda events: events.set_active, "webhook-disabled", False)),
    Page("webhookDeletePage", f"{_ONE}/delete", "Delete a webhook", _WRITE,
         send=_button(lambda events: events.delete, "webhook-deleted")),
    Page("redeliverPage", f"{_ONE}/deliveries/<delivery>/redeliver", "Deliver once more", _WRITE,
         send=_button(lambda events: events.redeliver, "redelivered")),
)  # fmt: skip
