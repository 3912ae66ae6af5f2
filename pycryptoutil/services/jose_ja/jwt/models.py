"""Bodies and results of JWT operations."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.jose_ja.engine.bodies import Keys, Members, Ring, Validation
from pycryptoutil.services.jose_ja.jwe.models import Recipient


class Receiver(Recipient):
    """For whom a nested token is encrypted after it was signed (RFC 7519 section 11.2)."""

    enc: str | None = Field(default=None, max_length=40)


class CreateBody(JsonModel):
    """A token of a ring's: its policy sets the registered claims, which ``claims`` may repeat and not change."""

    key: Ring
    claims: Members
    typ: str | None = Field(default=None, max_length=100, description="the policy's, unless given")
    header: Members = Field(default_factory=dict, description="further protected parameters")
    encrypt: Receiver | None = None


class TokenView(BaseModel):
    """A token."""

    token: str


class ValidateBody(Keys):
    """A token, and what it must say. ``decrypt_key`` is the ring that a nested token is encrypted for."""

    token: str
    decrypt_key: Ring | None = None
    policy: Validation = Validation()


class ClaimsView(BaseModel):
    """What a good token says."""

    header: dict[str, Any]
    claims: dict[str, Any]
    kid: str


class InspectBody(JsonModel):
    """A token to look into, without a key."""

    token: str


class InspectedView(BaseModel):
    """What a token says of itself: nobody has checked it. Of an encrypted one only the header shows."""

    header: dict[str, Any]
    claims: dict[str, Any] | None
    encrypted: bool
    verified: bool = False
