"""What of sm-kms can be configured: the ``sm_kms`` section."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Thumbprint = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]


class SmKmsSettings(BaseModel):
    """Limits, and to whom backups may be encrypted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recovery_keys: tuple[_Thumbprint, ...] = ()
    """RFC 7638 thumbprints of the keys that backups may go to. None: any in the profiles dev and test, none in prod."""
    audit_every: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    """Each Nth use of a key gets an audit event, and each refused one; 0: none of either."""
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 1000
    max_job_objects: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000
