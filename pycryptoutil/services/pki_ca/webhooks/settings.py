"""The ``pki_ca.webhooks`` section."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pycryptoutil.authority.events import EventRules

_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_Days = Annotated[int, Field(ge=1, le=3650)]


class WebhookSettings(BaseModel):
    """How events are told, and how patiently.

    What is None goes by the configuration profile. In production webhooks have https URLs, and no special-use address
    is connected to; under dev and test http will do, and loopback may be connected to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    allow_addresses: tuple[str, ...] | None = None  # networks, such as 10.0.0.0/8
    allow_http: bool | None = None
    ca_file: str = ""  # PEM of who vouches for receivers' certificates; empty: the system's trust store
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10
    retry_seconds: Annotated[float, Field(gt=0, le=3600)] = 5  # doubled with each failure
    retry_at_most_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    give_up_hours: Annotated[int, Field(ge=1, le=720)] = 72
    kept_days: Annotated[int, Field(ge=1, le=3650)] = 30  # how long deliveries that ended stay in lists
    senders: Annotated[int, Field(ge=1, le=64)] = 4  # threads of a process
    max_webhooks: Annotated[int, Field(ge=1, le=1000)] = 50  # of one tenant
    expiry_notice_days: Annotated[tuple[_Days, ...], Field(max_length=10)] = (60, 30, 7)

    @field_validator("allow_addresses")
    @classmethod
    def _networks(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for one in value or ():
            ipaddress.ip_network(one)
        return value

    def rules(self, profile: str) -> EventRules:
        """Return what webhooks go by under a configuration profile."""
        relaxed = profile in {"dev", "test"}
        allow = self.allow_addresses if self.allow_addresses is not None else (_LOOPBACK if relaxed else ())
        return EventRules(
            allow=tuple(map(ipaddress.ip_network, allow)),
            allow_http=self.allow_http if self.allow_http is not None else relaxed,
            ca_file=self.ca_file,
            timeout=self.timeout_seconds,
            retry_after=timedelta(seconds=self.retry_seconds),
            retry_at_most=timedelta(minutes=self.retry_at_most_minutes),
            give_up_after=timedelta(hours=self.give_up_hours),
            kept=timedelta(days=self.kept_days),
            senders=self.senders,
            subscriptions=self.max_webhooks,
            notice_days=self.expiry_notice_days,
        )
