"""Approvals' table of routes."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.pki_ca.approvals import handlers, models

SCOPES: Final = {"approvals:decide": "approve and reject requests for certificates"}

_TAG: Final = "Approvals"

ROUTES: Final = (
    Route("listApprovals", ("GET",), "/approvals", handlers.list_approvals, scope="pki:read", tag=_TAG,
          query=models.ApprovalQuery, response=models.ApprovalList, summary="Requests, newest first"),
    Route("getApproval", ("GET",), "/approvals/<id>", handlers.get_approval, scope="pki:read", tag=_TAG,
          response=models.ApprovalView, summary="One request, with what was decided on it"),
    Route("approveRequest", ("POST",), "/approvals/<id>/approve", handlers.approve, scope="approvals:decide", tag=_TAG,
          body=models.DecisionBody, response=models.ApprovalView,
          summary="Agree; the last approval needed issues the certificate"),
    Route("rejectRequest", ("POST",), "/approvals/<id>/reject", handlers.reject, scope="approvals:decide", tag=_TAG,
          body=models.DecisionBody, response=models.ApprovalView, summary="Refuse; one rejection ends a request"),
)  # fmt: skip
