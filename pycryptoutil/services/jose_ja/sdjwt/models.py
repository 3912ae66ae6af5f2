"""Bodies and results of SD-JWT operations. A path is a list of member names and list indices."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.jose.sdjwt import MAX_DEPTH, MAX_DISCLOSURES
from pycryptoutil.services.jose_ja.engine.bodies import Keys, Members, Name, Ring, Validation

Path = Annotated[list[str | Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=MAX_DEPTH)]
Paths = Annotated[list[Path], Field(max_length=MAX_DISCLOSURES)]


class IssueBody(JsonModel):
    """Claims, and which of them their holder may disclose or not."""

    key: Ring
    claims: Members
    disclosable: Paths
    holder: Members | None = Field(default=None, description="the holder's public JWK, bound by cnf")
    decoys: int = Field(default=0, ge=0, le=MAX_DISCLOSURES)
    hash: Literal["sha-256", "sha-384", "sha-512"] = "sha-256"
    typ: str = Field(default="", max_length=100, description="such as dc+sd-jwt")


class SdJwtView(BaseModel):
    """An SD-JWT with its disclosures, or a presentation."""

    sd_jwt: str


class InspectBody(JsonModel):
    """An SD-JWT to look into, without a key."""

    sd_jwt: str


class PathView(BaseModel):
    """A claim that may be disclosed."""

    path: list[str | int]
    value: Any


class PathsView(BaseModel):
    """What the holder may disclose: nobody has checked the signature."""

    disclosable: list[PathView]


class PresentBody(JsonModel):
    """Which claims to disclose; with ``holder_key``, a ring of the holder's, bound to audience and nonce."""

    sd_jwt: str
    disclose: Paths
    holder_key: Ring | None = None
    audience: Name = ""
    nonce: Name = ""


class Binding(JsonModel):
    """What the holder's proof must say."""

    audience: Annotated[str, Field(min_length=1, max_length=500)]
    nonce: Annotated[str, Field(min_length=1, max_length=500)]
    max_age: int = Field(default=300, ge=1, le=86400)


class VerifyBody(Keys):
    """A presentation. With ``key_binding`` the holder's proof is required."""

    sd_jwt: str
    policy: Validation = Validation()
    key_binding: Binding | None = None


class DisclosedView(BaseModel):
    """What a good presentation says."""

    header: dict[str, Any]
    claims: dict[str, Any]
    disclosed: list[list[str | int]]
    holder: dict[str, Any] | None
    kid: str
