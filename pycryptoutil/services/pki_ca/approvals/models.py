"""JSON of requests that wait for approval."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from pycryptoutil.http.paging import JsonModel, PageQuery

State = Literal["pending", "issued", "rejected", "failed", "cancelled", "expired"]


class DecisionBody(JsonModel):
    """What an approver says beside yes or no."""

    comment: Annotated[str, Field(max_length=500, description="for the audit; a rejection's is told to the client")] = (
        ""
    )


class DecisionView(JsonModel):
    """What one approver has said."""

    actor: str
    decision: Literal["approve", "reject"]
    comment: str
    at: AwareDatetime


class ApprovalView(JsonModel):
    """A request. ``subject`` and ``sans`` are those that the certificate will have."""

    id: str
    state: State
    reason: str
    authority: str
    profile: str
    protocol: str
    requester: str
    subject: str
    sans: tuple[str, ...]
    spki_sha256: str
    key_algorithm: str
    needed: int
    approvals: int
    serial: str | None = Field(description="of the certificate, once it is issued")
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = Field(description="until when it waits")
    decided_at: AwareDatetime | None
    csr: str | None = Field(default=None, description="the request itself, in PEM")
    decisions: tuple[DecisionView, ...] = ()


class ApprovalList(JsonModel):
    """A page of requests."""

    items: tuple[ApprovalView, ...]
    next: str | None = None


class ApprovalQuery(PageQuery):
    """Which requests."""

    state: State | None = None
    profile: Annotated[str, Field(max_length=64)] = ""
    protocol: Annotated[str, Field(max_length=16)] = ""
    requester: Annotated[str, Field(max_length=300)] = ""
