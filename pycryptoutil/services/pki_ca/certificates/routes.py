"""Certificates' table of routes."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.pki_ca.approvals.models import ApprovalView
from pycryptoutil.services.pki_ca.certificates import handlers, models
from pycryptoutil.services.pki_ca.common import CHAIN_TYPE, DER_TYPE, PEM_TYPE

SCOPES: Final = {
    "certificates:issue": "have certificates issued",
    "certificates:revoke": "revoke, hold and release certificates",
}

_JSON: Final = "application/json"
_CERT: Final = "Certificates"

ROUTES: Final = (
    Route("issueCertificate", ("POST",), "/certificates", handlers.issue_certificate, scope="certificates:issue",
          tag=_CERT, body=models.CertificateBody, response=models.IssuedView, status=201,
          also={202: ApprovalView},
          summary="Issue from a CSR, or with a generated key that is shown once; Idempotency-Key makes repeats safe"),
    Route("listCertificates", ("GET",), "/certificates", handlers.list_certificates, scope="pki:read", tag=_CERT,
          query=models.CertificateQuery, response=models.CertificateList,
          summary="Certificates, newest first or those that expire soonest"),
    Route("getCertificate", ("GET",), "/certificates/<serial>", handlers.get_certificate, scope="pki:read", tag=_CERT,
          query=models.AuthorityQuery, response=models.CertificateView,
          produces=(_JSON, PEM_TYPE, CHAIN_TYPE, DER_TYPE), summary="One certificate; as PEM or DER by Accept"),
    Route("getCertificateChain", ("GET",), "/certificates/<serial>/chain", handlers.get_chain, scope="pki:read",
          tag=_CERT, query=models.AuthorityQuery, produces=(CHAIN_TYPE,), summary="The certificate and its issuers"),
    Route("revokeCertificate", ("POST",), "/certificates/<serial>/revoke", handlers.revoke_certificate,
          scope="certificates:revoke", tag=_CERT, query=models.AuthorityQuery, body=models.RevokeBody,
          response=models.CertificateView, summary="Revoke, or hold with the reason certificateHold"),
    Route("revokeByKey", ("POST",), "/certificates/revoke-by-key", handlers.revoke_by_key,
          scope="certificates:revoke", tag=_CERT, body=models.RevokeKeyBody, response=models.RevokedView,
          summary="Revoke or hold every certificate of a key; some in each call, until there is no `next`"),
    Route("revokeByRequester", ("POST",), "/certificates/revoke-by-requester", handlers.revoke_by_requester,
          scope="certificates:revoke", tag=_CERT, body=models.RevokeRequesterBody, response=models.RevokedView,
          summary="Revoke or hold every certificate of a requester that has not expired; in the same way"),
    Route("unholdCertificate", ("POST",), "/certificates/<serial>/unhold", handlers.unhold_certificate,
          scope="certificates:revoke", tag=_CERT, query=models.AuthorityQuery, response=models.CertificateView,
          summary="Release a hold"),
)  # fmt: skip
