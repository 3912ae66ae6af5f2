"""What the API of rings takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from pycryptoutil.http.paging import JsonModel, PageQuery
from pycryptoutil.services.jose_ja.engine.bodies import Name

Use = Literal["sig", "enc"]
Status = Literal["enabled", "disabled", "deleted", "destroyed"]
Labels = Annotated[dict[str, str], Field(max_length=64)]
Period = Annotated[int, Field(ge=0, le=10 * 366 * 86400, description="seconds; 0: never")]
Materials = Annotated[int, Field(ge=0, le=10_000, description="how many keys the ring may ever hold; 0: any number")]
Text = Annotated[str, Field(max_length=1000)]


class TokenPolicy(JsonModel):
    """The registered claims of a ring's tokens."""

    issuer: Name = Field(default="", description="empty: jose-ja's own")
    audience: list[Name] = Field(default_factory=list, max_length=100)
    lifetime: int = Field(default=3600, ge=1, le=10 * 365 * 86400, description="seconds")
    not_before: bool = True
    token_id: bool = True
    typ: str = Field(default="JWT", max_length=100)


class RingBody(JsonModel):
    """A ring to be made, with its first key."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    algorithm: Annotated[
        str,
        Field(max_length=64, description="alg, with the kind of key where there are several: ES256, RS256/RSA-4096"),
    ]
    use: Use = "sig"
    description: Text = ""
    max_materials: Materials = 0
    rotation_period: Period = 0
    labels: Labels = Field(default_factory=dict)
    read_revoked: bool = False
    token_policy: TokenPolicy | None = None


class RingPatch(JsonModel):
    """What to change; what is left out stays."""

    description: Text | None = None
    max_materials: Materials | None = None
    rotation_period: Period | None = None
    labels: Labels | None = None
    min_decrypt_version: (
        Annotated[int, Field(ge=1, description="least version that still verifies and decrypts")] | None
    ) = None
    read_revoked: Literal[False] | None = None
    status: Literal["enabled", "disabled"] | None = None
    token_policy: TokenPolicy | None = None


class RingView(BaseModel):
    """A ring. ``kid`` is the active key's."""

    id: str
    name: str
    tenant: str
    kid: str
    kty: str
    alg: str
    use: Use
    algorithm: str
    description: str
    status: Status
    max_materials: int
    rotation_period: int
    min_decrypt_version: int
    read_revoked: bool
    labels: dict[str, str]
    active_version: int
    latest_version: int
    created_at: AwareDatetime
    updated_at: AwareDatetime
    rotated_at: AwareDatetime
    rotates_at: AwareDatetime | None
    delete_at: AwareDatetime | None
    jwks_url: str | None
    token_policy: TokenPolicy | None


class RingList(BaseModel):
    """A page of rings; ``total`` counts the whole list."""

    items: list[RingView]
    next: str | None
    total: int


class RingQuery(PageQuery):
    """Which rings; every given condition must hold."""

    name: str = Field(default="", max_length=128, description="part of the name")
    algorithm: str = Field(default="", max_length=64)
    use: Use | None = None
    status: Status | None = None
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    sort: Literal["name", "created_at", "updated_at", "rotated_at"] = "name"
    descending: bool = False


class RotateBody(JsonModel):
    """``force``: now, though relying parties may not have seen the next key yet."""

    force: bool = False
