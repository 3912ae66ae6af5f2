"""Rings' table of routes."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.jose_ja.rings import handlers, models

SCOPES: Final = {
    "jose:read": "see rings and their keys",
    "jose:manage": "make, change, rotate and end rings and their keys",
}

_RINGS: Final = "/elastic-jwks"
_RING: Final = f"{_RINGS}/<ring>"
_READ: Final[dict[str, Any]] = {"methods": ("GET",), "scope": "jose:read", "tag": "Rings"}
_WRITE: Final[dict[str, Any]] = {"methods": ("POST",), "scope": "jose:manage", "tag": "Rings"}
_ONE: Final[dict[str, Any]] = {"response": models.RingView}

ROUTES: Final = (
    Route("createRing", path=_RINGS, handler=handlers.create, body=models.RingBody, status=201,
          summary="Make a ring with its first key, and the next one", **_WRITE, **_ONE),
    Route("listRings", path=_RINGS, handler=handlers.show_list, query=models.RingQuery, response=models.RingList,
          summary="Rings, with cursor and total", **_READ),
    Route("getRing", path=_RING, handler=handlers.show, summary="One ring, by id or name", **_READ, **_ONE),
    Route("changeRing", path=_RING, handler=handlers.change, body=models.RingPatch,
          summary="Change a ring; If-Match guards against lost updates", **_WRITE | {"methods": ("PATCH",)}, **_ONE),
    Route("deleteRing", path=_RING, handler=handlers.delete,
          summary="Delete softly: unusable at once, restorable for now", **_WRITE | {"methods": ("DELETE",)}, **_ONE),
    Route("restoreRing", path=f"{_RING}/restore", handler=handlers.restore, summary="Take a deletion back",
          **_WRITE, **_ONE),
    Route("rotateRing", path=f"{_RING}/rotate", handler=handlers.rotate, body=models.RotateBody,
          summary="Make the next key the active one, and the one after it", **_WRITE, **_ONE),
)  # fmt: skip
