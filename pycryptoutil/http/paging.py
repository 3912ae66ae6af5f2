"""Lists by pages: a query model, an opaque cursor and the JSON answer. Any service's table can be read this way."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel, ConfigDict, Field

from pycryptoutil.http.message import Response

MAX_CURSOR = 512
T = TypeVar("T")


class JsonModel(BaseModel):
    """A JSON body, strict: a wrong type or an unknown member is an error, not a guess."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class PageQuery(BaseModel):
    """Which part of a list: ``cursor`` is the ``next`` of the page before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cursor: str = Field(default="", max_length=MAX_CURSOR, description="`next` of the page before; empty: the first")
    limit: int = Field(default=50, ge=1, le=200, description="at most so many items")


def _foreign(detail: str) -> Fault:
    return Fault(FaultKind.INVALID, detail, "not a cursor of this list", pointer="cursor")


def encode_cursor(*position: str) -> str:
    """Return the opaque form of a list position (the sort key of the last row given)."""
    return base64.urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str, length: int = 1) -> tuple[str, ...] | None:
    """Return what :func:`encode_cursor` was given, None for an empty cursor; Fault(INVALID) for a made-up one."""
    if not cursor:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _foreign("cursor does not decode") from error
    if not isinstance(position, list) or len(position) != length or not all(isinstance(x, str) for x in position):
        raise _foreign("cursor of a wrong shape")
    return tuple(position)


def page(rows: Sequence[T], limit: int, key: Callable[[T], tuple[str, ...]]) -> tuple[Sequence[T], str | None]:
    """Split ``limit + 1`` fetched rows into the page and the cursor of the next one (None: this was the last)."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], encode_cursor(*key(rows[limit - 1]))


def json_response(model: BaseModel, status: int = 200, *headers: tuple[str, str]) -> Response:
    """Answer with a model as JSON. ``Cache-Control: no-store`` unless a header says otherwise: it is private."""
    says = any(name.lower() == "cache-control" for name, _ in headers)
    extra = headers if says else (*headers, ("Cache-Control", "no-store"))
    return Response(status, model.model_dump_json(by_alias=True).encode(), "application/json", extra)
