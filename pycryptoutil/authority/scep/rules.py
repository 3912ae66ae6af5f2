"""What the SCEP server goes by, from configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class StaticChallenge:
    """One challenge password that many clients share. ``authority`` empty: the default issuing CA."""

    profile: str
    authority: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Somebody else who judges challenges. ``secret`` is the key of the HMAC on each question; empty: none."""

    profile: str
    authority: str
    url: str
    secret: str = field(repr=False)
    timeout: float = 5.0  # seconds
    ca_file: str = ""  # PEM; empty: the system's


@dataclass(frozen=True, slots=True)
class ScepRules:
    """``clock_skew`` None: signingTime is not looked at."""

    clock_skew: timedelta | None = None
    renewal: bool = True
    challenges: tuple[StaticChallenge, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
