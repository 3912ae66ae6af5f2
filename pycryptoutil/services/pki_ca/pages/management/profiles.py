"""Profiles: listed, shown as YAML, the tenant's own written and deleted."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil_protocols.faults import Fault
from pydantic import Field

from pycryptoutil.http.forms import Filled, FormModel, form_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, View, done
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import authority_of

PATH: Final = "/browser/profiles"
_WRITE: Final = "profiles:write"
_NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"


class ProfileForm(FormModel):
    """A profile's document."""

    document: str = Field(max_length=64 * 1024)


class NewProfileForm(ProfileForm):
    """The same, with its name."""

    name: str = Field(pattern=_NAME)


def listing(context: Context, _request: Request) -> View:
    """Show every profile."""
    ca, tenant = authority_of(context), context.tenant_id
    values = {
        "rows": ca.profiles(tenant),
        "own": ca.own_profiles(tenant),
        "default": ca.settings.default_profile,
        "may_write": context.principal.may(_WRITE),
    }
    return View("profiles.html", values)


def show(context: Context, _request: Request) -> View:
    """Show one profile as it was written."""
    ca, tenant, name = authority_of(context), context.tenant_id, context.parameters["name"]
    profile = ca.profile(tenant, name)
    values = {
        "profile": profile,
        "settings": profile.document(),
        "document": ca.profile_document(tenant, name),
        "own": name in ca.own_profiles(tenant),
        "may_write": context.principal.may(_WRITE),
    }
    return View("profile.html", values)


def _form(name: str, filled: Filled[Any], *, new: bool) -> View:
    return View("profile_edit.html", {"name": name, "filled": filled, "new": new}, 422 if filled.errors else 200)


def edit(context: Context, _request: Request) -> View:
    """Show the document in a form; a built-in profile's becomes the tenant's own when it is saved."""
    name = context.parameters["name"]
    document = authority_of(context).profile_document(context.tenant_id, name)
    return _form(name, Filled({"document": document}), new=False)


def new(context: Context, _request: Request) -> View:
    """Show the form with the default profile's document to begin from."""
    ca = authority_of(context)
    document = ca.profile_document(context.tenant_id, ca.settings.default_profile)
    return _form("", Filled({"document": document, "name": ""}), new=True)


def _put(context: Context, request: Request, name: str, document: str) -> None:
    authority_of(context).put_profile(
        context.tenant_id, name, document.replace("\r\n", "\n"), context.actor, request.request_id
    )


def save(context: Context, request: Request) -> View | Response:
    """Write it; what is wrong is named with its line."""
    name = context.parameters["name"]
    filled = read(ProfileForm, form_fields(request))
    if filled.model is not None:
        try:
            _put(context, request, name, filled.model.document)
            return done(f"{PATH}/{name}", "profile-saved")
        except Fault as fault:
            filled = refused(filled, _of_document(fault))
    return _form(name, filled, new=False)


def create(context: Context, request: Request) -> View | Response:
    """Write a new one."""
    filled = read(NewProfileForm, form_fields(request))
    if filled.model is not None and filled.model.name in {
        one.name for one in authority_of(context).profiles(context.tenant_id)
    }:
        filled = Filled(filled.values, {"name": "There is a profile of that name: edit that one."})
    if filled.model is not None:
        try:
            _put(context, request, filled.model.name, filled.model.document)
            return done(f"{PATH}/{filled.model.name}", "profile-saved")
        except Fault as fault:
            filled = refused(filled, _of_document(fault))
    return _form("", filled, new=True)


def _of_document(fault: Fault) -> Fault:
    return Fault(fault.kind, fault.detail, fault.public, pointer="document")


def delete(context: Context, request: Request) -> Response:
    """Delete one of the tenant's own."""
    name = context.parameters["name"]
    authority_of(context).delete_profile(context.tenant_id, name, context.actor, request.request_id)
    return done(PATH, "profile-deleted")


PAGES: Final = (
    Page("profilesPage", "/profiles", "Profiles", "pki:read", listing),
    Page("profilePage", "/profiles/<name>", "One profile", "pki:read", show),
    Page("profileEditPage", "/profiles/<name>/edit", "Edit a profile", _WRITE, edit, save),
    Page("profileNewPage", "/new-profile", "Write a profile", _WRITE, new, create),
    Page("profileDeletePage", "/profiles/<name>/delete", "Delete a profile", _WRITE, send=delete),
)
