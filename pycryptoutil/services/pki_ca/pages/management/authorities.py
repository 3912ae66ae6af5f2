"""Authorities and their CRLs: what state they are in, publishing at once, stopping and starting one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pycryptoutil.authority import Authority, AuthorityStatus
from pycryptoutil.authority.crl.store import CrlHead
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, View, done
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import CHAIN_TYPE, authority_of, to_pem

PATH: Final = "/browser/authorities"
_WRITE: Final = "authorities:write"
_PUBLISH: Final = "crls:publish"


def freshness(head: CrlHead | None, now: datetime) -> tuple[str, str]:
    """Say how a CRL stands: a badge's kind and its text."""
    if head is None:
        return "warn", "none yet"
    if head.next_update <= now:
        return "bad", "overdue"
    if head.next_update - now < (head.next_update - head.this_update) / 4:
        return "warn", "due soon"
    return "good", "fresh"


def rows(context: Context) -> list[dict[str, Any]]:
    """Return every CA with its current CRL's facts."""
    ca, crls, now = authority_of(context), context.state.crl, context.resources.clock.now()
    found = ca.authorities(context.tenant_id)
    names = {one.id: one.name for one in found}
    made = []
    for one in found:
        head = crls.head(context.tenant_id, one.id)
        fresh = freshness(head, now)
        made.append({"ca": one, "parent": names.get(one.parent_id, ""), "head": head, "fresh": fresh})
    return made


def listing(context: Context, _request: Request) -> View:
    """Show every CA."""
    return View("authorities.html", {"rows": rows(context), "may_publish": context.principal.may(_PUBLISH)})


def _named(context: Context) -> Authority:
    return authority_of(context).authority(context.tenant_id, context.parameters["name"])


def show(context: Context, _request: Request) -> View:
    """Show one CA."""
    found = _named(context)
    row = next(one for one in rows(context) if one["ca"].id == found.id)
    principal = context.principal
    values = {
        **row,
        "pem": to_pem(found.certificate),
        "may_publish": principal.may(_PUBLISH),
        "may_write": principal.may(_WRITE),
    }
    return View("authority.html", values)


def chain(context: Context, _request: Request) -> Response:
    """Give the CA's chain as PEM."""
    found = _named(context)
    name = f'attachment; filename="{found.name}-chain.pem"'
    return Response(200, "".join(map(to_pem, found.chain)).encode(), CHAIN_TYPE, (("Content-Disposition", name),))


def publish(context: Context, _request: Request) -> Response:
    """Make a CRL now."""
    found = _named(context)
    context.state.crl.publish(context.tenant_id, found.id, context.actor)
    return done(f"{PATH}/{found.name}", "published")


def _set(context: Context, request: Request, status: AuthorityStatus) -> Response:
    name, done_what = context.parameters["name"], "enabled" if status is AuthorityStatus.ACTIVE else "disabled"
    authority_of(context).set_authority_status(context.tenant_id, name, status, context.actor, request.request_id)
    return done(f"{PATH}/{name}", done_what)


def enable(context: Context, request: Request) -> Response:
    """Let it issue again."""
    return _set(context, request, AuthorityStatus.ACTIVE)


def disable(context: Context, request: Request) -> Response:
    """Stop it from issuing."""
    return _set(context, request, AuthorityStatus.DISABLED)


PAGES: Final = (
    Page("authoritiesPage", "/authorities", "Authorities and their CRLs", "pki:read", listing),
    Page("authorityPage", "/authorities/<name>", "One authority", "pki:read", show),
    Page("authorityChainPem", "/authorities/<name>/chain", "An authority's chain", "pki:read", chain),
    Page("publishPage", "/authorities/<name>/publish", "Publish a CRL now", _PUBLISH, send=publish),
    Page("enablePage", "/authorities/<name>/enable", "Let an authority issue", _WRITE, send=enable),
    Page("disablePage", "/authorities/<name>/disable", "Stop an authority", _WRITE, send=disable),
)
