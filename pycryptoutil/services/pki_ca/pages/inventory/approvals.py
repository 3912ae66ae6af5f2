"""Requests that wait for people: listed, shown whole, decided."""

from __future__ import annotations

from typing import Any, Final, Literal

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import Field

from pycryptoutil.authority.enrolment import Approval, ApprovalFilter, ApprovalState
from pycryptoutil.http.forms import Filled, FormModel, form_fields, query_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, View, done
from pycryptoutil.http.paging import MAX_CURSOR
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import authority_of, to_pem
from pycryptoutil.services.pki_ca.pages.inventory.certificates import PROTOCOL_NAMES

PATH: Final = "/browser/approvals"
_DECIDE: Final = "approvals:decide"
_ROWS: Final = 50
STATES: Final = ("pending", "issued", "rejected", "failed", "cancelled", "expired")


class ApprovalSearch(FormModel):
    """Which requests; every given condition must hold."""

    state: Literal["pending", "issued", "rejected", "failed", "cancelled", "expired"] | None = None
    profile: str = Field(default="", max_length=64)
    protocol: str = Field(default="", max_length=16)
    requester: str = Field(default="", max_length=300)
    cursor: str = Field(default="", max_length=MAX_CURSOR)


class DecisionForm(FormModel):
    """Yes or no, and why."""

    decision: Literal["approve", "reject"]
    comment: str = Field(default="", max_length=500)


def listing(context: Context, request: Request) -> View:
    """Show a page of requests; those that wait, unless something else is asked for."""
    fields = query_fields(request)
    filled = read(ApprovalSearch, fields if set(fields) - {"done"} else {**fields, "state": "pending"})
    ca, tenant = authority_of(context), context.tenant_id
    found = None
    if (wanted := filled.model) is not None:
        state = ApprovalState(wanted.state) if wanted.state is not None else None
        conditions = ApprovalFilter(state, wanted.profile, wanted.protocol, wanted.requester)
        found = ca.approvals(tenant, conditions, wanted.cursor, _ROWS)
    values = {
        "filled": filled,
        "found": found,
        "states": [(one, one) for one in STATES],
        "profiles": [(one.name, one.name) for one in ca.profiles(tenant) if one.kind == "x509"],
        "protocols": PROTOCOL_NAMES,
    }
    return View("approvals.html", values, 422 if filled.errors else 200)


def _shown(context: Context, found: Approval, filled: Filled[DecisionForm], status: int = 200) -> View:
    values: dict[str, Any] = {
        "found": found,
        "csr": to_pem(found.csr, "CERTIFICATE REQUEST") if found.csr else "",
        "filled": filled,
        "may_decide": context.principal.may(_DECIDE),
    }
    return View("approval.html", values, status)


def show(context: Context, _request: Request) -> View:
    """Show one request."""
    found = authority_of(context).approval(context.tenant_id, context.parameters["id"])
    return _shown(context, found, Filled())


def decide(context: Context, request: Request) -> View | Response:
    """Approve or reject; a refusal of that is said above the form."""
    ca, tenant, identifier = authority_of(context), context.tenant_id, context.parameters["id"]
    filled = read(DecisionForm, form_fields(request))
    if filled.model is not None:
        run = ca.approve if filled.model.decision == "approve" else ca.reject
        try:
            found = run(tenant, identifier, context.actor, filled.model.comment, request.request_id)
        except Fault as fault:
            if fault.kind is FaultKind.FORBIDDEN:  # whoever asked does not decide: words for a person, not a page's end
                fault = Fault(FaultKind.POLICY, fault.detail, fault.public)
            filled = refused(filled, fault)
        else:
            return done(f"{PATH}/{identifier}", _NOTICES.get(found.state, "approved"))
    return _shown(context, ca.approval(tenant, identifier), filled, 422)


_NOTICES: Final = {
    ApprovalState.ISSUED: "approved-issued",
    ApprovalState.REJECTED: "rejected",
    ApprovalState.FAILED: "approved-failed",
}

PAGES: Final = (
    Page("approvalsPage", "/approvals", "Requests that wait or waited for approval", "pki:read", listing),
    Page("approvalPage", "/approvals/<id>", "One request", "pki:read", show),
    Page("decidePage", "/approvals/<id>/decision", "Approve or reject", _DECIDE, send=decide),
)
