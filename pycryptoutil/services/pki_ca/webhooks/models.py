"""What the API of webhooks takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from pycryptoutil.http.paging import JsonModel, PageQuery

Type = Literal[
    "certificate.issued",
    "certificate.revoked",
    "certificate.released",
    "certificate.expiring",
    "crl.published",
    "authority.created",
    "authority.status",
    "approval.requested",
    "approval.decided",
]
Status = Literal["pending", "delivered", "dead"]


class WebhookBody(JsonModel):
    """Whom to tell, and of what; no ``types``: of everything. Without a ``secret`` one is made."""

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    types: Annotated[tuple[Type, ...], Field(max_length=20)] = ()
    description: Annotated[str, Field(max_length=300)] = ""
    secret: Annotated[str, Field(max_length=100, description="whsec_ and base64 of 24 to 64 octets")] | None = None


class WebhookView(JsonModel):
    """A webhook, without its secret. ``failures`` in a row; nothing is tried before ``paused_until``."""

    id: str
    url: str
    types: tuple[str, ...]
    status: str
    description: str
    failures: int
    paused_until: AwareDatetime | None
    created_at: AwareDatetime
    created_by: str


class NewWebhookView(WebhookView):
    """A webhook just made; its secret is shown this once."""

    secret: str


class WebhookList(JsonModel):
    """Every webhook, newest first."""

    items: tuple[WebhookView, ...]


class DeliveryView(JsonModel):
    """One event on its way; ``answer`` is the last HTTP status, ``error`` what went wrong last."""

    id: str
    message_id: str = Field(description="the webhook-id header")
    type: str
    occurred_at: AwareDatetime
    status: Status
    attempts: int
    answer: int | None
    error: str
    due_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    created_at: AwareDatetime
    data: dict[str, Any]


class DeliveryList(JsonModel):
    """A page of deliveries, newest first."""

    items: tuple[DeliveryView, ...]
    next: str | None


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    status: Status | None = None
