"""Where the published sets are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.definition import Context
from pycryptoutil.services.jose_ja.published.sets import MEDIA_TYPE, Published


def fast(state: Any, _request: Request, parameters: Mapping[str, str]) -> Response | None:
    """Answer from memory, on the reactor; None: a worker must."""
    sets: Published = state.published
    return sets.cached(parameters.get("tenant", ""), parameters.get("ring", ""))


def show(context: Context, _request: Request) -> Response:
    """Answer with a set as it is now."""
    sets: Published = context.state.published
    return sets.current(context.parameters.get("tenant", ""), context.parameters.get("ring", ""))


_COMMON: Final[dict[str, Any]] = {
    "methods": ("GET",),
    "handler": show,
    "fast": fast,
    "gate": Gate.PROTOCOL,
    "scope": None,
    "tag": "Published sets",
    "produces": (MEDIA_TYPE,),
    "rate_limited": False,  # cacheable public documents, and relying parties share addresses
}

ROUTES: Final = (
    Route("publishedKeys", path="/.well-known/jwks.json", summary="Public keys of the default tenant (RFC 7517)",
          **_COMMON),
    Route("publishedTenantKeys", path="/jwks/<tenant>/jwks.json", summary="Public keys of a tenant", **_COMMON),
    Route("publishedRingKeys", path="/jwks/<tenant>/<ring>/jwks.json", summary="Public keys of a ring", **_COMMON),
)  # fmt: skip
