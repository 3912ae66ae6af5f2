"""What of jose-ja can be configured: the ``jose_ja`` section."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from pycryptoutil.jose.jwt import CreationPolicy


class TokenSettings(BaseModel):
    """What tokens say where their ring has no policy of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Annotated[str, Field(max_length=500)] = ""  # empty: the service's public URL
    lifetime_seconds: Annotated[int, Field(ge=1, le=10 * 365 * 86400)] = 3600
    skew_seconds: Annotated[int, Field(ge=0, le=600)] = 60

    def policy(self, public_url: str) -> CreationPolicy:
        """Return the default policy."""
        return CreationPolicy(issuer=self.issuer or public_url, lifetime=self.lifetime_seconds)


class JoseJaSettings(BaseModel):
    """Rings, their published sets, tokens and the audit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jwks_max_age_seconds: Annotated[int, Field(ge=0, le=86400)] = 300  # of Cache-Control
    publish_ahead_seconds: Annotated[int, Field(ge=0, le=30 * 86400)] = 600  # a key is published so long before its use
    grace_seconds: Annotated[int, Field(ge=0, le=366 * 86400)] = 86400  # a retired key stays published so long
    audit_every: Annotated[int, Field(ge=0, le=1_000_000)] = 100  # each Nth success of an operation; 0: none
    deletion_wait_seconds: Annotated[int, Field(ge=0, le=366 * 86400)] = 7 * 86400
    tokens: TokenSettings = Field(default_factory=TokenSettings)
