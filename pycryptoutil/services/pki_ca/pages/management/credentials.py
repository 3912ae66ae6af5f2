"""Enrolment credentials: listed, made (the password is shown once), withdrawn."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Final

from pycryptoutil_protocols.faults import Fault
from pydantic import Field

from pycryptoutil.authority import Credential, CredentialOrder, NamePatterns
from pycryptoutil.authority.model import PROTOCOLS
from pycryptoutil.authority.service import after_cursor
from pycryptoutil.http.forms import Filled, FormModel, form_fields, query_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, View, done
from pycryptoutil.http.paging import MAX_CURSOR, page
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import authority_of

PATH: Final = "/browser/credentials"
_WRITE: Final = "credentials:write"
_ROWS: Final = 50
_NAME_LISTS: Final = ("dns", "ip", "email", "uri", "common_name")


class CredentialSearch(FormModel):
    """Which part of the list."""

    cursor: str = Field(default="", max_length=MAX_CURSOR)


class NewCredentialForm(FormModel):
    """A credential to make; patterns are one a line. Without a ticked protocol it is for all of them."""

    profile: str = Field(max_length=64)
    authority: str = Field(default="", max_length=64)
    dns: str = Field(default="", max_length=20_000)
    ip: str = Field(default="", max_length=20_000)
    email: str = Field(default="", max_length=20_000)
    uri: str = Field(default="", max_length=20_000)
    common_name: str = Field(default="", max_length=20_000)
    wildcards: bool = False
    est: bool = False
    scep: bool = False
    cmp: bool = False
    cmc: bool = False
    acme: bool = False
    max_uses: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    expires_on: date | None = None
    description: str = Field(default="", max_length=300)

    def order(self) -> CredentialOrder:
        """Return what is to be made; it ends with the day, in UTC."""
        lists = {name: tuple(getattr(self, name).split()) for name in _NAME_LISTS}
        return CredentialOrder(
            profile=self.profile,
            authority=self.authority,
            names=NamePatterns(**lists, wildcards=self.wildcards),
            protocols=tuple(name for name in PROTOCOLS if getattr(self, name)),
            max_uses=self.max_uses,
            expires_at=datetime.combine(self.expires_on, time.max, UTC) if self.expires_on is not None else None,
            description=self.description,
        )


def listing(context: Context, request: Request) -> View:
    """Show a page of credentials, newest first."""
    filled = read(CredentialSearch, query_fields(request))
    cursor = filled.model.cursor if filled.model is not None else ""
    rows = authority_of(context).credential_list(context.tenant_id, after_cursor(cursor), _ROWS + 1)
    shown, following = page(rows, _ROWS, lambda row: (row.created_at.isoformat(), row.id))
    may_write = context.principal.may(_WRITE)
    values = {"rows": shown, "following": following, "filled": filled, "may_write": may_write, "state": state}
    return View("credentials.html", values)


def state(found: Credential, now: datetime) -> str:
    """Say whether a credential can still be used."""
    if found.expires_at is not None and found.expires_at <= now:
        return "expired"
    if found.max_uses is not None and found.uses >= found.max_uses:
        return "used up"
    return found.status


def show(context: Context, _request: Request) -> View:
    """Show one credential."""
    found = authority_of(context).credential_get(context.tenant_id, context.parameters["id"])
    return View("credential.html", {"found": found, "may_write": context.principal.may(_WRITE), "state": state})


def _form(context: Context, filled: Filled[NewCredentialForm], status: int = 200) -> View:
    ca, tenant = authority_of(context), context.tenant_id
    profiles = [
        (one.name, f"{one.name}: {one.title}" if one.title else one.name)
        for one in ca.profiles(tenant)
        if one.kind == "x509" and not one.is_ca and not one.ocsp_no_check
    ]
    authorities = [(one.name, one.name) for one in ca.authorities(tenant) if one.status.value == "active"]
    values = {
        "filled": filled,
        "profiles": profiles,
        "authorities": authorities,
        "protocols": [(name, name.upper()) for name in PROTOCOLS],
        "default_authority": ca.authority(tenant).name,
    }
    return View("credential_new.html", values, status)


def new(context: Context, _request: Request) -> View:
    """Show the empty form."""
    profile = authority_of(context).settings.default_profile
    return _form(context, Filled({"profile": profile}))


def create(context: Context, request: Request) -> View:
    """Make one, and show its password: this once, on no URL that could be opened again."""
    filled = read(NewCredentialForm, form_fields(request))
    if filled.model is None:
        return _form(context, filled, 422)
    try:
        order = filled.model.order()
        made = authority_of(context).credential_add(context.tenant_id, order, context.actor, request.request_id)
    except Fault as fault:
        return _form(context, refused(filled, _beside(fault)), 422)
    return View("credential_made.html", {"found": made.credential, "password": made.password})


def _beside(fault: Fault) -> Fault:
    """Give a fault's pointer the name of the form's field."""
    named = {"protocols": "est", "expires_at": "expires_on"}
    place = (fault.pointer or "").partition("/")[0]
    if place not in named:
        return fault
    return Fault(fault.kind, fault.detail, fault.public, pointer=named[place])


def withdraw(context: Context, request: Request) -> Response:
    """Withdraw one."""
    identifier = context.parameters["id"]
    authority_of(context).credential_delete(context.tenant_id, identifier, context.actor, request.request_id)
    return done(PATH, "withdrawn")


PAGES: Final = (
    Page("credentialsPage", "/credentials", "Enrolment credentials", "pki:read", listing),
    Page("newCredentialPage", "/credentials/new", "Make an enrolment credential", _WRITE, new, create),
    Page("credentialPage", "/credentials/<id>", "One enrolment credential", "pki:read", show),
    Page("withdrawPage", "/credentials/<id>/withdraw", "Withdraw a credential", _WRITE, send=withdraw),
)
