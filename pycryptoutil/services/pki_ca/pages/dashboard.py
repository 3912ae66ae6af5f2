"""The dashboard: what an operator looks at first."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from pycryptoutil.authority import CertificateFilter, CertificateStatus
from pycryptoutil.authority.enrolment import ApprovalFilter, ApprovalState
from pycryptoutil.authority.statistics import Statistics
from pycryptoutil.http.message import Request
from pycryptoutil.http.page import Page, View
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import authority_of
from pycryptoutil.services.pki_ca.pages.inventory.certificates import PATH, path_of
from pycryptoutil.services.pki_ca.pages.management import authorities

_DAYS: Final = 30
_SOON: Final = 7
_TOP: Final = 8
_WAITING: Final = 100


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _top(counts: Any) -> list[tuple[str, int]]:
    """Return the largest counts; what is beyond is added up."""
    rows = [(one.name, one.issued) for one in counts]
    if len(rows) <= _TOP:
        return rows
    return [*rows[: _TOP - 1], (f"{len(rows) - _TOP + 1} others", sum(count for _, count in rows[_TOP - 1 :]))]


def _expiring(found: Statistics) -> tuple[list[str], list[int]]:
    """Return the next 60 days by sixes of ten, labelled with the first day of each."""
    labels = [_day((found.at + timedelta(days=index)).date()) for index in range(len(found.expiring))]
    return labels, list(found.expiring)


def show(context: Context, _request: Request) -> View:
    """Show the numbers, the charts and what runs out next."""
    ca, tenant = authority_of(context), context.tenant_id
    found = ca.statistics(tenant, _DAYS)
    end = found.at + timedelta(days=_SOON)
    soon = CertificateFilter(status=CertificateStatus.VALID, not_after_from=found.at, not_after_to=end, sort="expiry")
    next_out = ca.certificates(tenant, soon, "", _TOP).items
    expired = found.issued - found.valid - found.revoked - found.held
    waiting = ca.approvals(tenant, ApprovalFilter(ApprovalState.PENDING), "", _WAITING)
    values = {
        "found": found,
        "waiting": len(waiting.items),
        "more_waiting": bool(waiting.cursor),
        "numbers": [
            (days, found.expiring_within(days), f"{PATH}?{urlencode({'within': days, 'sort': 'expiry'})}")
            for days in (7, 30, 60)
        ],
        "days": [_day(one.day) for one in found.days],
        "issued": [one.issued for one in found.days],
        "revoked": [one.revoked for one in found.days],
        "expiring": _expiring(found),
        "profiles": _top(found.by_profile),
        "protocols": [(one.name.upper(), one.issued) for one in found.by_protocol],
        "parts": [
            ("Valid", found.valid),
            ("Revoked", found.revoked),
            ("On hold", found.held),
            ("Expired", max(0, expired)),
        ],
        "next_out": next_out,
        "path_of": path_of,
        "authorities": authorities.rows(context),
    }
    return View("dashboard.html", values)


PAGES: Final = (Page("dashboardPage", "/dashboard", "The dashboard", "pki:read", show),)
