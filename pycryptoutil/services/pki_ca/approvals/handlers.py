"""Listing and deciding requests that wait."""

from __future__ import annotations

from typing import Any, Final, Literal

from pycryptoutil.authority.enrolment import Approval, ApprovalFilter, ApprovalState
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.approvals import models
from pycryptoutil.services.pki_ca.common import authority_of, to_pem

_SPECIAL: Final = frozenset({"state", "serial", "csr", "decisions"})


def _decision(value: str) -> Literal["approve", "reject"]:
    return "approve" if value == "approve" else "reject"


def view(found: Approval, *, whole: bool = True) -> models.ApprovalView:
    """Return a request as JSON; ``whole``: with the CSR and what was decided."""
    plain: dict[str, Any] = {
        name: getattr(found, name) for name in models.ApprovalView.model_fields if name not in _SPECIAL
    }
    return models.ApprovalView(
        **plain,
        state=found.state.value,
        serial=found.serial or None,
        csr=to_pem(found.csr, "CERTIFICATE REQUEST") if whole and found.csr else None,
        decisions=tuple(
            models.DecisionView(actor=one.actor, decision=_decision(one.decision), comment=one.comment, at=one.at)
            for one in found.decisions
        ),
    )


def list_approvals(context: Context, _request: Request) -> Response:
    """Answer with a page of requests."""
    query: models.ApprovalQuery = context.query
    state = ApprovalState(query.state) if query.state is not None else None
    wanted = ApprovalFilter(state, query.profile, query.protocol, query.requester)
    found = authority_of(context).approvals(context.tenant_id, wanted, query.cursor, query.limit)
    items = tuple(view(one, whole=False) for one in found.items)
    return json_response(models.ApprovalList(items=items, next=found.cursor or None))


def get_approval(context: Context, _request: Request) -> Response:
    """Answer with one request."""
    return json_response(view(authority_of(context).approval(context.tenant_id, context.parameters["id"])))


def approve(context: Context, request: Request) -> Response:
    """Agree; the last approval that is needed issues the certificate."""
    arguments = (context.tenant_id, context.parameters["id"], context.actor, context.body.comment, request.request_id)
    return json_response(view(authority_of(context).approve(*arguments)))


def reject(context: Context, request: Request) -> Response:
    """Refuse."""
    arguments = (context.tenant_id, context.parameters["id"], context.actor, context.body.comment, request.request_id)
    return json_response(view(authority_of(context).reject(*arguments)))
