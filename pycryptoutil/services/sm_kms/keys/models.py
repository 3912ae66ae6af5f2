"""Elastic keys as JSON. Periods are in seconds, times RFC 3339."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from pycryptoutil.http.paging import JsonModel, PageQuery
from pycryptoutil.services.sm_kms.common import Reason, Version

PurposeName = Literal["encrypt", "sign", "mac", "wrap", "derive", "encapsulate"]
StatusName = Literal["enabled", "disabled", "deleted", "destroyed"]
Name = Annotated[str, Field(max_length=128, description="unique in the tenant; keys are addressed by it or by id")]
Labels = Annotated[dict[str, str], Field(max_length=64)]
Seconds = Annotated[int, Field(ge=0, le=10 * 366 * 86400)]


class PolicyPatch(JsonModel):
    """What of a policy shall change."""

    versioning_allowed: bool | None = None
    import_allowed: bool | None = None
    export_allowed: Annotated[bool | None, Field(description="can be taken away, not given")] = None
    rotation_period: Annotated[Seconds | None, Field(description="0: never by itself; else 60 at least")] = None
    min_decrypt_version: Annotated[Version | None, Field(description="only grows")] = None
    min_encrypt_version: Annotated[Version | None, Field(description="only grows")] = None
    max_versions: Annotated[int | None, Field(ge=0, le=10_000, description="0: no limit of its own")] = None
    read_revoked: Annotated[bool | None, Field(description="revoked versions still verify and decrypt")] = None
    quorum: Annotated[int | None, Field(ge=0, le=20, description="approvals that destroying and exporting need")] = None


class KeyBody(PolicyPatch):
    """A key to be made. Without an algorithm, the purpose's usual one."""

    name: Name
    purpose: PurposeName
    algorithm: Annotated[str | None, Field(max_length=64, description="JOSE name, /KIND of key if several")] = None
    description: Annotated[str, Field(max_length=1000)] = ""
    labels: Labels = Field(default_factory=dict)
    generate: Annotated[bool, Field(description="false: the first version is imported")] = True


class KeyPatchBody(PolicyPatch):
    """What of a key shall change."""

    description: Annotated[str | None, Field(max_length=1000)] = None
    labels: Labels | None = None


class KeyView(JsonModel):
    """An elastic key."""

    id: str
    name: str
    description: str
    algorithm: str
    purpose: str
    status: str
    versioning_allowed: bool
    import_allowed: bool
    export_allowed: bool
    rotation_period: int
    min_decrypt_version: int
    min_encrypt_version: int
    max_versions: int
    read_revoked: bool
    quorum: int
    labels: dict[str, str]
    latest_version: int
    active_version: int
    created_at: AwareDatetime
    updated_at: AwareDatetime
    rotated_at: AwareDatetime
    rotates_at: AwareDatetime | None
    delete_at: AwareDatetime | None


class KeyList(JsonModel):
    """One page; ``total`` counts the whole list."""

    items: tuple[KeyView, ...]
    next: str | None
    total: int


class KeyQuery(PageQuery):
    """Which keys, in which order. Destroyed ones are shown only if asked for."""

    name: Annotated[str, Field(max_length=128, description="part of the name")] = ""
    algorithm: Annotated[str, Field(max_length=64)] = ""
    purpose: PurposeName | None = None
    status: StatusName | None = None
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    label: Annotated[tuple[str, ...], Field(max_length=8, description="name=value; all must be there")] = ()
    sort: Literal["name", "created_at", "updated_at", "rotated_at"] = "name"
    order: Literal["asc", "desc"] = "asc"


class DeleteQuery(JsonModel):
    """How a key is deleted: after the waiting period it is destroyed."""

    waiting_period: Annotated[int, Field(ge=3600, le=365 * 86400, description="seconds")] = 30 * 86400
    approval: Annotated[str, Field(max_length=32)] = ""


class DestroyBody(JsonModel):
    """How a key, or a version, is destroyed."""

    reason: Reason = ""
    approval: Annotated[str, Field(max_length=32, description="needed where the key has a quorum")] = ""
