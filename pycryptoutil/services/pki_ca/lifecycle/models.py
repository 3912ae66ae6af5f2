"""What the routes of a CA's life take and give."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from pycryptoutil.authority.settings import CaAlgorithm
from pycryptoutil.http.paging import JsonModel


class RolloverBody(JsonModel):
    """A new key to prepare: by default of the old one's algorithm, for as long as the old one's certificate."""

    key_algorithm: CaAlgorithm | None = None
    validity_days: Annotated[int, Field(ge=1, le=10958)] | None = None


class GenerationView(JsonModel):
    """One key of a CA."""

    id: str
    name: str
    generation: int
    status: str
    key_algorithm: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    certificate: str


class RolloverView(JsonModel):
    """A change of keys. ``new_with_old`` and ``old_with_new`` are the links (RFC 9810 section 4.4)."""

    id: str
    state: str
    old: GenerationView
    new: GenerationView
    new_with_old: str
    old_with_new: str
    created_at: AwareDatetime
    activated_at: AwareDatetime | None
    ended_at: AwareDatetime | None


class RolloverList(JsonModel):
    """Every change of keys of a CA, oldest first."""

    items: tuple[RolloverView, ...]
