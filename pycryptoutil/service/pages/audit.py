"""The audit chain as pages, in every service: its events with filters, and its proof."""

from __future__ import annotations

import json
from typing import Final, Literal

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import Field

from pycryptoutil.http.forms import FormModel, query_fields, read
from pycryptoutil.http.message import Request
from pycryptoutil.http.page import Entry, Page, View
from pycryptoutil.http.paging import MAX_CURSOR, decode_cursor, page
from pycryptoutil.service import audit as chains
from pycryptoutil.service import store
from pycryptoutil.service.access import Access
from pycryptoutil.service.definition import Context

PATH: Final = "/browser/audit"
_READ: Final = "audit:read"
_ROWS: Final = 50


class AuditSearch(FormModel):
    """Which events; every given condition must hold."""

    action: str = Field(default="", max_length=100)
    actor: str = Field(default="", max_length=300)
    target: str = Field(default="", max_length=500)
    outcome: Literal["success", "failure"] | None = None
    cursor: str = Field(default="", max_length=MAX_CURSOR)


class AuditPages:
    """The handlers."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def pages(self) -> tuple[Page, ...]:
        """Return the table."""
        return (
            Page("auditPage", "/audit", "The tenant's audit events", _READ, self.show),
            Page("auditProofPage", "/audit/verification", "The proof of the audit chain", _READ, self.verify),
        )

    def navigation(self) -> tuple[Entry, ...]:
        """Return the lines of the navigation."""
        return (Entry(PATH, "Audit", _READ, "Oversight"),)

    def show(self, context: Context, request: Request) -> View:
        """Show a page of the chain, newest first."""
        filled = read(AuditSearch, query_fields(request))
        wanted = filled.model or AuditSearch()
        position = decode_cursor(wanted.cursor)
        before = int(position[0]) if position and position[0].isdecimal() and len(position[0]) < 19 else None
        with self._access.database.read(context.tenant_id) as reader:
            rows = store.list_audit(
                reader,
                before,
                _ROWS + 1,
                actor=wanted.actor,
                target=wanted.target,
                outcome=wanted.outcome or "",
                prefix=wanted.action,
            )
        shown, following = page(rows, _ROWS, lambda row: (str(row.seq),))
        values = {
            "filled": filled,
            "rows": [(row, _details(row.details)) for row in shown] if not filled.errors else [],
            "following": following,
        }
        return View("audit.html", values, 422 if filled.errors else 200)

    def verify(self, context: Context, _request: Request) -> View:
        """Walk the chain and say what was found; a broken one names the first event that is not as it was written."""
        key = chains.HeadKey.of(self._access.barrier)
        try:
            found = chains.verify(self._access.database, context.tenant_id, key.spki)
        except Fault as fault:
            if fault.kind is not FaultKind.BAD_SIGNATURE:
                raise
            return View("audit_proof.html", {"found": None, "failure": fault.public})
        return View("audit_proof.html", {"found": found, "failure": ""})


def _details(text: str) -> list[tuple[str, str]]:
    """Return an event's details as lines: name and value."""
    try:
        found = json.loads(text)
    except ValueError:
        return [("details", "cannot be read")]  # an altered row; the proof reports it
    if not isinstance(found, dict):
        return [("details", text)]
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in found.items()]
