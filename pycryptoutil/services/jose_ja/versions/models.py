"""What the API of rings' keys takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from pycryptoutil.http.paging import JsonModel

VersionStatus = Literal["pending", "active", "retired", "disabled", "revoked", "destroyed"]


class VersionView(BaseModel):
    """One key of a ring. A secret has no jwk."""

    version: int
    kid: str
    status: VersionStatus
    jwk: dict[str, Any] | None
    pem: str | None
    created_at: AwareDatetime
    activated_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    reason: str
    protected: int
    processed: int
    last_used_at: AwareDatetime | None
    published: bool


class VersionList(BaseModel):
    """Every key of a ring, the first one first."""

    items: list[VersionView]


class ReasonBody(JsonModel):
    """Why."""

    reason: Annotated[str, Field(max_length=300)] = ""
