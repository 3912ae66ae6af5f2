"""Rewrap jobs as JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.sm_kms.operations.models import Aad, Token


class JobBody(JsonModel):
    """The additional data that every object has, and shall have."""

    aad: Aad = None
    new_aad: Aad = None


class JobView(JsonModel):
    """How far a job is: ``open`` (objects come), ``running``, ``finished``."""

    id: str
    key_id: str
    state: str
    total: int
    done: int
    failed: int
    created_by: str
    created_at: AwareDatetime
    finished_at: AwareDatetime | None


class JobList(JsonModel):
    """The newest jobs."""

    items: tuple[JobView, ...]


class ObjectsBody(JsonModel):
    """The next part of the stream. ``first`` is how many objects came before it."""

    first: Annotated[int, Field(ge=0)]
    objects: Annotated[list[Token], Field(min_length=1, max_length=10_000)]


class ResultQuery(BaseModel):
    """Which part of the results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: Annotated[int, Field(ge=0, description="place in the stream")] = 0
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000


class ResultView(JsonModel):
    """What became of an object: the new ciphertext, or the old one and why."""

    position: int
    ciphertext: str
    error: str


class ResultList(JsonModel):
    """A part of the results; ``next`` is where the next part begins, null at the end of what is done."""

    items: tuple[ResultView, ...]
    next: int | None
    job: JobView
