"""What several people must agree to before a key is destroyed or exported."""

from __future__ import annotations

from typing import Any, Final, Literal

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.forms import Filled, FormModel, form_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, View, done
from pycryptoutil.service.definition import Context
from pycryptoutil.services.sm_kms.common import keyring_of

PATH: Final = "/browser/key-approvals"
_DECIDE: Final = "keys:approve"


class VoteForm(FormModel):
    """Yes or no."""

    decision: Literal["approve", "reject"]


def _shown(context: Context, filled: Filled[Any], status: int = 200) -> View:
    ring = keyring_of(context)
    rows = ring.approvals(context.tenant_id)
    names = {identifier: ring.get(context.tenant_id, identifier).name for identifier in {one.key_id for one in rows}}
    values = {"rows": rows, "names": names, "filled": filled, "may_decide": context.principal.may(_DECIDE)}
    return View("key_approvals.html", values, status)


def listing(context: Context, _request: Request) -> View:
    """Show the requests, newest first."""
    return _shown(context, Filled())


def vote(context: Context, request: Request) -> View | Response:
    """Approve or reject; a refusal is said above the list."""
    filled = read(VoteForm, form_fields(request))
    if filled.model is not None:
        ring, yes = keyring_of(context), filled.model.decision == "approve"
        run = ring.approve if yes else ring.reject
        try:
            run(context.tenant_id, context.parameters["id"], context.actor, request.request_id)
        except Fault as fault:
            if fault.kind is FaultKind.FORBIDDEN:  # one's own request: words for a person
                fault = Fault(FaultKind.POLICY, fault.detail, fault.public)
            filled = refused(filled, fault)
        else:
            return done(PATH, "approved" if yes else "rejected")
    return _shown(context, filled, 422)


PAGES: Final = (
    Page("keyApprovalsPage", "/key-approvals", "Requests that need a quorum", "keys:read", listing),
    Page("keyVotePage", "/key-approvals/<id>/vote", "Approve or reject", _DECIDE, send=vote),
)
