"""The ``pki_ca.cmp`` section."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from pycryptoutil_protocols.cmp.mac import MacLimits
from pycryptoutil_protocols.cmp.server.office import Policy
from pydantic import BaseModel, ConfigDict, Field

from pycryptoutil.authority.cmp import CmpRules

_BY_RFC: Final = {"auto": None, "rfc9483": True, "openssl": False}
_ProfileName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]


class CmpSettings(BaseModel):
    """What CMP clients may do, and how long they are waited for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    message_time_window: Annotated[int, Field(ge=1, le=86400)] = 600  # seconds that messageTime may differ
    require_message_time: bool = False
    implicit_confirm: bool = True  # grant it to who asks; otherwise every certificate needs certConf
    confirm_wait: Annotated[int, Field(ge=1, le=86400)] = 600  # seconds until a certificate without certConf is revoked
    approval_wait_days: Annotated[int, Field(ge=1, le=366)] = 30
    memory_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 24  # how long a transaction's id stays taken
    max_nested: Annotated[int, Field(ge=1, le=64)] = 16  # messages in a batch
    max_iterations: Annotated[int, Field(ge=1000, le=10_000_000)] = 100_000  # of a PasswordBasedMac
    max_pbkdf2_iterations: Annotated[int, Field(ge=1000, le=10_000_000)] = 600_000
    # how keys that the CA makes are sent: by RFC 9483 section 4.1.6, or as OpenSSL's client reads them (3.5 at least);
    # auto: by the RFC to CMP version 3, and as OpenSSL reads them to version 2, which is what it sends
    generated_keys: Literal["auto", "rfc9483", "openssl"] = "auto"
    # profiles whose certificates with id-kp-cmcRA speak for others; empty: all that have it
    registration_authorities: Annotated[tuple[_ProfileName, ...], Field(max_length=100)] = ()

    def rules(self) -> CmpRules:
        """Return what the server goes by."""
        return CmpRules(
            policy=Policy(
                time_window=timedelta(seconds=self.message_time_window),
                require_time=self.require_message_time,
                implicit_confirm=self.implicit_confirm,
                confirm_wait=timedelta(seconds=self.confirm_wait),
                approval_wait=timedelta(days=self.approval_wait_days),
                memory=timedelta(hours=self.memory_hours),
                max_batch=self.max_nested,
            ),
            mac=MacLimits(max_iterations=self.max_iterations, max_pbkdf2_iterations=self.max_pbkdf2_iterations),
            ra_profiles=frozenset(self.registration_authorities),
            generated_by_rfc=_BY_RFC[self.generated_keys],
        )
