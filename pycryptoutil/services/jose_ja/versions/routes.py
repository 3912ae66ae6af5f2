"""The table of routes of rings' keys."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.jose_ja.versions import handlers, models

_ALL: Final = "/elastic-jwks/<ring>/versions"
_ONE: Final = f"{_ALL}/<int:version>"
_READ: Final[dict[str, Any]] = {"methods": ("GET",), "scope": "jose:read", "tag": "Rings"}
_WRITE: Final[dict[str, Any]] = {"methods": ("POST",), "scope": "jose:manage", "tag": "Rings"}
_VIEW: Final[dict[str, Any]] = {"response": models.VersionView}

ROUTES: Final = (
    Route("listRingVersions", path=_ALL, handler=handlers.listing, response=models.VersionList,
          summary="Every key of a ring", **_READ),
    Route("getRingVersion", path=_ONE, handler=handlers.get, summary="One key of a ring", **_READ, **_VIEW),
    Route("revokeRingVersion", path=f"{_ONE}/revoke", handler=handlers.revoke, body=models.ReasonBody,
          summary="Revoke a key for good", **_WRITE, **_VIEW),
    Route("disableRingVersion", path=f"{_ONE}/disable", handler=handlers.disable,
          summary="Refuse every use of a key until it is enabled", **_WRITE, **_VIEW),
    Route("enableRingVersion", path=f"{_ONE}/enable", handler=handlers.enable,
          summary="Let a disabled key be used again", **_WRITE, **_VIEW),
    Route("destroyRingVersion", path=f"{_ONE}/destroy", handler=handlers.destroy, body=models.ReasonBody,
          summary="Overwrite a key that is not the active one", **_WRITE, **_VIEW),
)  # fmt: skip
