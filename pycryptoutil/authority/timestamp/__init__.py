"""Every CA's time-stamping authority, which trusts its clock only as :mod:`.trusted_time` allows."""

from __future__ import annotations

from pycryptoutil.authority.timestamp.service import TimestampRules, TimestampService
from pycryptoutil.authority.timestamp.trusted_time import ClockRules, TrustedTime

__all__ = ["ClockRules", "TimestampRules", "TimestampService", "TrustedTime"]
