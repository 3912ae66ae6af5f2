"""The ``pki_ca.tsa`` section."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pycryptoutil_protocols.tsp.exchange import Policy
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pycryptoutil.authority.timestamp import ClockRules, TimestampRules
from pycryptoutil.authority.timestamp.trusted_time import ClockCheck

_Oid = Annotated[str, Field(pattern=r"^[0-2](\.(0|[1-9][0-9]{0,38})){1,31}$")]
_DEFAULT_POLICY = "0.4.0.2023.1.1"  # best practices time-stamp policy of ETSI EN 319 421


class TsaSettings(BaseModel):
    """How the time-stamping authorities stamp. The first of ``policies`` is the default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    policies: Annotated[tuple[_Oid, ...], Field(min_length=1, max_length=32)] = (_DEFAULT_POLICY,)
    accuracy_microseconds: Annotated[int, Field(ge=0, le=3600 * 1_000_000)] = 1_000_000  # 0: not stated
    fraction_digits: Annotated[int, Field(ge=0, le=6)] = 0  # of genTime
    ordering: bool = False  # each token's genTime is later than every earlier one's, over all replicas
    include_name: bool = False  # the tsa field
    qualified: bool = False  # the statement of ETSI EN 319 422 section 9.1: only for a qualified trust service
    clock_check: Literal["none", "jump", "kernel"] = "jump"
    clock_settle_seconds: Annotated[int, Field(ge=0, le=86400)] = 600  # 0: a clock that jumped must come back
    audit_every: Annotated[int, Field(ge=0, le=1_000_000)] = 1  # each Nth token gets an audit event; 0: none

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        tick = 10 ** (6 - self.fraction_digits)
        if self.accuracy_microseconds and self.accuracy_microseconds < tick:
            raise ValueError("accuracy_microseconds is finer than fraction_digits can tell")
        if self.ordering and self.fraction_digits < 3:
            raise ValueError("ordering needs fraction_digits of at least 3: one token for each tick of genTime")
        return self

    def rules(self) -> TimestampRules:
        """Return what the authorities go by."""
        accuracy = timedelta(microseconds=self.accuracy_microseconds) or timedelta(seconds=1)
        return TimestampRules(
            policy=Policy(
                policies=self.policies,
                accuracy=self.accuracy_microseconds or None,
                ordering=self.ordering,
                fraction_digits=self.fraction_digits,
                include_name=self.include_name,
                qualified=self.qualified,
            ),
            clock=ClockRules(
                ClockCheck(self.clock_check), accuracy, timedelta(seconds=self.clock_settle_seconds), accuracy
            ),
            audit_every=self.audit_every,
        )
