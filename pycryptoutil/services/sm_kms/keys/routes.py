"""Elastic keys' table of routes."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.sm_kms.keys import handlers, models

SCOPES: Final = {
    "keys:read": "see keys, versions, their use, approvals and rewrap jobs",
    "keys:write": "create, change, rotate, enable, disable, revoke, delete and restore keys",
    "keys:destroy": "destroy keys and versions for good",
}
_TAG: Final = "Elastic keys"
_KEY: Final = "/elastic-keys/<key>"

ROUTES: Final = (
    Route("listKeys", ("GET",), "/elastic-keys", handlers.listing, scope="keys:read", tag=_TAG, query=models.KeyQuery,
          response=models.KeyList, summary="Keys, filtered, sorted, page by page"),
    Route("createKey", ("POST",), "/elastic-keys", handlers.create, scope="keys:write", tag=_TAG, body=models.KeyBody,
          response=models.KeyView, status=201, summary="Make a key and its first version"),
    Route("getKey", ("GET",), _KEY, handlers.get, scope="keys:read", tag=_TAG, response=models.KeyView,
          summary="One key, by id or name"),
    Route("updateKey", ("PATCH",), _KEY, handlers.update, scope="keys:write", tag=_TAG, body=models.KeyPatchBody,
          response=models.KeyView, summary="Change a key; If-Match guards against lost updates"),
    Route("deleteKey", ("DELETE",), _KEY, handlers.delete, scope="keys:write", tag=_TAG, query=models.DeleteQuery,
          response=models.KeyView, summary="Delete softly: destroyed after a waiting period, restorable until then"),
    Route("enableKey", ("POST",), f"{_KEY}/enable", handlers.enable, scope="keys:write", tag=_TAG,
          response=models.KeyView, summary="Let a disabled key be used again"),
    Route("disableKey", ("POST",), f"{_KEY}/disable", handlers.disable, scope="keys:write", tag=_TAG,
          response=models.KeyView, summary="Refuse every use of a key"),
    Route("restoreKey", ("POST",), f"{_KEY}/restore", handlers.restore, scope="keys:write", tag=_TAG,
          response=models.KeyView, summary="Take a deletion back; the key is disabled then"),
    Route("destroyKey", ("POST",), f"{_KEY}/destroy", handlers.destroy, scope="keys:destroy", tag=_TAG,
          body=models.DestroyBody, response=models.KeyView, summary="Destroy a disabled or deleted key's material"),
)  # fmt: skip
