"""What the template's own routes take and give, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from pycryptoutil.http.paging import JsonModel, PageQuery
from pycryptoutil.service.hashing import MAX_SECRET
from pycryptoutil.service.tenants import SCOPE, TENANT_NAME

Scope = Annotated[str, Field(pattern=SCOPE, examples=["pets:read"])]
Scopes = Annotated[list[Scope], Field(max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Label = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Secret = Annotated[str, Field(min_length=1, max_length=MAX_SECRET, json_schema_extra={"format": "password"})]
Status = Literal["active", "disabled"]
Kind = Literal["user", "client"]
YEAR = 366 * 86400


class Me(JsonModel):
    """Who the caller is, as this request was authenticated."""

    id: str
    tenant_id: str
    kind: Literal["user", "client", "token", "certificate"]
    name: str
    scopes: list[str]


class LoginBody(JsonModel):
    """A person's name and password. A user of another tenant than the default one writes ``tenant/name``."""

    username: str = Field(min_length=1, max_length=400)
    password: Secret = Field(repr=False)


class SessionView(JsonModel):
    """The session of this browser. ``csrf_token`` goes into X-CSRF-Token on unsafe methods."""

    id: str
    principal: Me
    csrf_token: str
    created_at: datetime
    expires_at: datetime


class SessionItem(JsonModel):
    """One live session."""

    id: str
    realm: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    current: bool


class SessionList(JsonModel):
    """Live sessions, the newest first."""

    items: list[SessionItem]


class Revoked(JsonModel):
    """How many were in force and are not any more."""

    revoked: int


class PasswordBody(JsonModel):
    """The password as it is, and as it shall be."""

    current: Secret = Field(repr=False)
    password: Secret = Field(repr=False)


class TokenBody(JsonModel):
    """A new API token. ``expires_in`` is in seconds."""

    name: Name
    scopes: Scopes
    expires_in: int = Field(default=90 * 86400, ge=60, le=5 * YEAR)


class TokenItem(JsonModel):
    """An API token, without the token."""

    id: str
    principal_id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class TokenCreated(TokenItem):
    """With the token itself, this once."""

    token: str = Field(repr=False)


class TokenList(JsonModel):
    """One page."""

    items: list[TokenItem]
    next: str | None


class PrincipalBody(JsonModel):
    """A new user (``name`` and ``password``) or client (its id and secret are generated)."""

    kind: Kind
    name: str | None = Field(default=None, min_length=1, max_length=128)
    password: Secret | None = Field(default=None, repr=False)
    display_name: Label = ""
    scopes: Scopes = Field(default_factory=list)
    expires_in: int | None = Field(default=None, ge=60, le=20 * YEAR)


class PrincipalPatch(JsonModel):
    """What is given is changed."""

    display_name: Label | None = None
    scopes: Scopes | None = None
    status: Status | None = None


class PrincipalItem(JsonModel):
    """A user or a client."""

    id: str
    kind: Kind
    name: str
    display_name: str
    scopes: list[str]
    status: Status
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None


class PrincipalCreated(PrincipalItem):
    """With the client's secret, this once; null for a user."""

    client_secret: str | None = Field(repr=False)


class PrincipalList(JsonModel):
    """One page."""

    items: list[PrincipalItem]
    next: str | None


class PrincipalQuery(PageQuery):
    """Which principals."""

    kind: Kind | None = None


class HashBody(JsonModel):
    """A user's password for the file realm; without one, a client's secret is made."""

    password: Secret | None = Field(default=None, repr=False)


class HashMade(JsonModel):
    """What configuration carries instead of the secret: it works in this installation only."""

    hash: str = Field(repr=False)
    client_secret: str | None = Field(default=None, repr=False, description="A client's, shown this once")


class SecretBody(JsonModel):
    """A user's new password; nothing for a client, whose secret is generated."""

    password: Secret | None = Field(default=None, repr=False)


class SecretCreated(JsonModel):
    """A client's new secret, this once; null for a user."""

    client_secret: str | None = Field(repr=False)


class BindingBody(JsonModel):
    """A client certificate (PEM) that shall stand for the principal: itself, or any certificate of its key."""

    certificate: str = Field(min_length=1, max_length=32768)
    match: Literal["certificate-sha256", "spki-sha256"] = "certificate-sha256"


class BindingItem(JsonModel):
    """A certificate that stands for a principal; ``value`` is lower-case hex."""

    id: str
    match: Literal["certificate-sha256", "spki-sha256"]
    value: str
    created_at: datetime


class BindingList(JsonModel):
    """All of a principal's."""

    items: list[BindingItem]


class TenantBody(JsonModel):
    """A new tenant and the name of its first administrator, whose password is generated."""

    name: str = Field(pattern=TENANT_NAME)
    administrator: str = Field(default="admin", min_length=1, max_length=128)


class TenantPatch(JsonModel):
    """Disabled, nobody of the tenant may enter."""

    status: Status


class TenantItem(JsonModel):
    """A tenant."""

    id: str
    name: str
    status: Status
    created_at: datetime


class TenantCreated(TenantItem):
    """With its administrator's credentials, as a person and as a program, this once."""

    username: str
    password: str = Field(repr=False)
    client_id: str
    client_secret: str = Field(repr=False)


class TenantList(JsonModel):
    """One page."""

    items: list[TenantItem]
    next: str | None


class AuditQuery(PageQuery):
    """Which events."""

    action: str = Field(default="", max_length=100)


class AuditItem(JsonModel):
    """One event of the chain; ``hash`` is lower-case hex."""

    seq: int
    id: str
    occurred_at: datetime
    action: str
    actor: str
    target: str
    outcome: str
    request_id: str
    details: dict[str, Any]
    hash: str


class AuditList(JsonModel):
    """One page, the newest first."""

    items: list[AuditItem]
    next: str | None


class AuditVerification(JsonModel):
    """The chain is whole: so many events, up to this head, of which so many are under a signature."""

    events: int
    head: str
    signed_heads: int
    signed_to: int
