"""The ``pki_ca.scep`` section."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from pycryptoutil.authority.scep import ScepRules, StaticChallenge, Webhook

_Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
_MIN_CHALLENGE = 8


class StaticChallengeSettings(BaseModel):
    """A challenge password that every client of a profile may use, as often as it likes: for trusted networks only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: _Name
    authority: _Name | None = None  # None: the default issuing CA
    secret: SecretStr

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if not _MIN_CHALLENGE <= len(value.get_secret_value()) <= 255:
            raise ValueError(f"must have {_MIN_CHALLENGE} to 255 characters")
        return value

    def rule(self) -> StaticChallenge:
        """Return it as the server wants it."""
        return StaticChallenge(self.profile, self.authority or "", self.secret.get_secret_value())


class WebhookSettings(BaseModel):
    """Who is asked about challenge passwords that are nobody's here. ``secret`` signs each question."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: _Name
    authority: _Name | None = None
    url: str
    secret: SecretStr = SecretStr("")
    timeout: Annotated[float, Field(gt=0, le=30)] = 5.0  # seconds
    ca_file: str = ""  # PEM of who vouches for the webhook's certificate; empty: the system's trust store

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        url = urlsplit(value)
        local = url.hostname in {"localhost", "127.0.0.1", "::1"}
        if url.hostname is None or not (url.scheme == "https" or (url.scheme == "http" and local)):
            raise ValueError("must be an https URL (http is for this machine only): challenges are secrets")
        return value

    def rule(self) -> Webhook:
        """Return it as the server wants it."""
        secret = self.secret.get_secret_value()
        return Webhook(self.profile, self.authority or "", self.url, secret, self.timeout, self.ca_file)


class ScepSettings(BaseModel):
    """What SCEP clients may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    renewal: bool = True  # a valid certificate vouches for its successor, without a challenge
    signing_time_window: Annotated[int, Field(ge=0, le=366 * 86400)] = 86400  # seconds; 0: not looked at
    challenges: Annotated[tuple[StaticChallengeSettings, ...], Field(max_length=100)] = ()
    webhooks: Annotated[tuple[WebhookSettings, ...], Field(max_length=100)] = ()

    def rules(self) -> ScepRules:
        """Return what the server goes by."""
        return ScepRules(
            clock_skew=timedelta(seconds=self.signing_time_window) if self.signing_time_window else None,
            renewal=self.renewal,
            challenges=tuple(one.rule() for one in self.challenges),
            webhooks=tuple(one.rule() for one in self.webhooks),
        )
