"""The routes of a CA's life."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.pki_ca.lifecycle import cross, handlers, models, offline

_CA: Final = "Certificate authorities"
_WRITE: Final = "authorities:write"
_REQUESTS: Final = "/certificate-authority-requests"
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
    Route("createAuthorityRequest", ("POST",), _REQUESTS, offline.create_request, scope=_WRITE, tag=_CA,
          body=models.RequestBody, response=models.RequestView, status=201,
          summary="Make a CA's key and a request (PKCS#10) for an offline parent to certify"),
    Route("listAuthorityRequests", ("GET",), _REQUESTS, offline.list_requests, scope="pki:read", tag=_CA,
          response=models.RequestList, summary="CAs that wait for a certificate from elsewhere"),
    Route("getAuthorityRequest", ("GET",), f"{_REQUESTS}/<name>", offline.get_request, scope="pki:read", tag=_CA,
          response=models.RequestView, summary="One CA that waits, with its request"),
    Route("deleteAuthorityRequest", ("DELETE",), f"{_REQUESTS}/<name>", offline.delete_request, scope=_WRITE, tag=_CA,
          status=204, produces=(), summary="Give up a CA that waits, and its key"),
    Route("installOfflineAuthority", ("POST",), "/offline-authorities", offline.install, scope=_WRITE, tag=_CA,
          body=models.InstallBody, response=models.InstalledView, max_body=8 << 20,
          summary="Take up an offline root, the certificates of CAs that waited for it, and its CRL"),
    Route("crossCertify", ("POST",), f"{_ONE}/cross-certificates", cross.certify, scope=_WRITE, tag=_CA,
          body=models.CrossBody, response=models.CrossView, status=201,
          summary="Certify a foreign CA by its certificate or request, within name constraints"),
    Route("listCrossCertificates", ("GET",), f"{_ONE}/cross-certificates", cross.list_all, scope="pki:read", tag=_CA,
          response=models.CrossList, summary="Cross-certificates that a CA has issued"),
)  # fmt: skip
