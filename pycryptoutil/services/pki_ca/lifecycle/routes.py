"""The routes of a CA's life."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.pki_ca.lifecycle import handlers, models

_CA: Final = "Certificate authorities"
_WRITE: Final = "authorities:write"
_ONE: Final = "/certificate-authorities/<name>"

ROUTES: Final = (
    Route("listRollovers", ("GET",), f"{_ONE}/rollover", handlers.list_rollovers, scope="pki:read", tag=_CA,
          response=models.RolloverList, summary="Every change of keys of a CA"),
    Route("prepareRollover", ("POST",), f"{_ONE}/rollover", handlers.prepare, scope=_WRITE, tag=_CA,
          body=models.RolloverBody, response=models.RolloverView, status=201,
          summary="Make the next key of a CA and its link certificates; it is published and does not issue yet"),
    Route("activateRollover", ("POST",), f"{_ONE}/rollover/activate", handlers.activate, scope=_WRITE, tag=_CA,
          response=models.RolloverView, summary="Let the prepared key issue under the CA's name"),
    Route("retireRollover", ("POST",), f"{_ONE}/rollover/retire", handlers.retire, scope=_WRITE, tag=_CA,
          response=models.RolloverView, summary="Publish the earlier keys and the links to them no more"),
    Route("cancelRollover", ("POST",), f"{_ONE}/rollover/cancel", handlers.cancel, scope=_WRITE, tag=_CA,
          response=models.RolloverView, summary="Give up the prepared key and revoke its certificates"),
)  # fmt: skip
