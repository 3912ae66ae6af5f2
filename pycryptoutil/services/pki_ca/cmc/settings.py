"""The ``pki_ca.cmc`` section."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pycryptoutil_protocols.cmc.server import Rules
from pydantic import BaseModel, ConfigDict, Field

from pycryptoutil.authority.cmc import Choices


class CmcSettings(BaseModel):
    """How CMC requests are judged beside what the profile says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    time_window_seconds: Annotated[int, Field(ge=1, le=86400)] = 300  # between a message's signingTime and now
    transaction_minutes: Annotated[int, Field(ge=1, le=10080)] = 60
    max_requests: Annotated[int, Field(ge=1, le=100)] = 16  # certificates asked for in one message
    max_nesting: Annotated[int, Field(ge=1, le=6)] = 3  # messages in messages, the outermost counted
    sha1_proofs: bool = False  # identityProof, popLinkWitness and V2 ones with SHA-1
    pop_link: Literal["verify", "require"] = "verify"  # verify: where a request has one
    confirm_minutes: Annotated[int, Field(ge=0, le=10080)] = (
        0  # certificates not confirmed by then are revoked; 0: none
    )
    trust_anchors: bool = True  # sent, under the shared secret, to who enrols with one
    ra_profiles: Annotated[tuple[str, ...], Field(max_length=64)] = ()  # that RA certificates are of; (): any
    key_reuse: Literal["allow", "refuse"] = "allow"  # refuse: a key that was certified before
    archive_profiles: Annotated[tuple[str, ...], Field(max_length=64)] = ()  # issued only if an RA has archived the key

    def rules(self) -> Rules:
        """Return what the exchange goes by."""
        return Rules(
            time_window=timedelta(seconds=self.time_window_seconds),
            memory=timedelta(minutes=self.transaction_minutes),
            max_requests=self.max_requests,
            max_nesting=self.max_nesting,
            sha1_proofs=self.sha1_proofs,
            require_pop_link=self.pop_link == "require",
            confirm_wait=timedelta(minutes=self.confirm_minutes) if self.confirm_minutes else None,
            trust_anchors=self.trust_anchors,
        )

    def choices(self) -> Choices:
        """Return what the CA goes by."""
        return Choices(self.ra_profiles, self.key_reuse == "allow", self.archive_profiles)
