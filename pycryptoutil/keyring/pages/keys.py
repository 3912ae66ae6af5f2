"""Elastic keys: listed, shown with the use of their versions, rotated, switched, deleted; and their versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from pycryptoutil_protocols.faults import Fault
from pydantic import Field

from pycryptoutil.http.forms import Filled, FormModel, form_fields, query_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, PageHandler, View, done
from pycryptoutil.http.paging import MAX_CURSOR
from pycryptoutil.keyring.catalog import Purpose
from pycryptoutil.keyring.model import ElasticKey, KeyFilter, KeyStatus, VersionStatus
from pycryptoutil.keyring.pages.desk import Desk, Visit, who
from pycryptoutil.keyring.rules import number
from pycryptoutil.keyring.service import KeyringService

_ROWS: Final = 50
_SHOWN: Final = 24  # versions in the chart: the newest ones
Change = Callable[[KeyringService, str, str, str, str], Any]
"""What a button does: with the keyring, tenant, key, actor and request id."""


class KeySearch(FormModel):
    """Which keys; every given condition must hold."""

    name: str = Field(default="", max_length=128)
    algorithm: str = Field(default="", max_length=64)
    purpose: Purpose | None = None
    status: KeyStatus | None = None
    sort: Literal["name", "created_at", "updated_at", "rotated_at"] = "name"
    order: Literal["asc", "desc"] = "asc"
    cursor: str = Field(default="", max_length=MAX_CURSOR)


class ReasonForm(FormModel):
    """Why."""

    reason: str = Field(default="", max_length=300)


def _keyring(visit: Visit) -> KeyringService:
    found: KeyringService = visit.state.keyring
    return found


def key_of(visit: Visit) -> ElasticKey:
    """Return the path's key; Fault(NOT_FOUND)."""
    return _keyring(visit).get(visit.tenant_id, visit.parameters["key"])


def shown(desk: Desk, visit: Visit, filled: Filled[Any], status: int = 200, at: int = 0) -> View:
    """Show the path's key; ``filled`` is a form that was refused, of the version ``at``, or of the key itself."""
    key = key_of(visit)
    versions = _keyring(visit).versions(visit.tenant_id, key.id)
    recent = versions[-_SHOWN:]
    values = {
        "desk": desk,
        "key": key,
        "versions": versions[::-1],
        "labels": [f"v{one.version}" for one in recent],
        "protected": [one.usage.protected for one in recent],
        "processed": [one.usage.processed for one in recent],
        "outstanding": sum(one.usage.outstanding for one in versions if one.status is not VersionStatus.ACTIVE),
        "filled": filled,
        "at": at,
        "waiting": desk.waiting(visit),
        "may_write": visit.principal.may(desk.write),
        "living": key.status in {KeyStatus.ENABLED, KeyStatus.DISABLED},
        **desk.more(visit, key, versions),
    }
    return View(desk.template, values, status)


def button(desk: Desk, change: Change, notice: str) -> PageHandler:
    """Return a handler that does one thing to the key; a refusal is said on its page."""

    def handler(visit: Visit, request: Request) -> View | Response:
        key = key_of(visit)
        try:
            change(_keyring(visit), visit.tenant_id, key.id, *who(visit, request))
        except Fault as fault:
            empty: Filled[Any] = Filled()
            return shown(desk, visit, refused(empty, fault), 422)
        desk.changed(visit)
        return done(f"{desk.place}/{key.id}", notice)

    return handler


def _of_version(desk: Desk, change: Callable[[KeyringService, str], Callable[..., Any]], notice: str) -> PageHandler:
    """Return a handler that changes one version; a refusal is said on the key's page."""

    def handler(visit: Visit, request: Request) -> View | Response:
        key, at = key_of(visit), number(visit.parameters["version"])
        filled = read(ReasonForm, form_fields(request))
        if filled.model is not None:
            run = change(_keyring(visit), filled.model.reason)
            try:
                run(visit.tenant_id, key.id, at, *who(visit, request))
            except Fault as fault:
                filled = refused(filled, fault)
            else:
                desk.changed(visit)
                return done(f"{desk.place}/{key.id}", notice)
        return shown(desk, visit, filled, 422, at)

    return handler


def _listing(desk: Desk) -> PageHandler:
    def handler(visit: Visit, request: Request) -> View:
        filled = read(KeySearch, query_fields(request))
        found = None
        if (wanted := filled.model) is not None:
            conditions = KeyFilter(
                name=wanted.name, algorithm=wanted.algorithm, purpose=wanted.purpose, status=wanted.status
            )
            descending = wanted.order == "desc"
            found = _keyring(visit).list(visit.tenant_id, conditions, wanted.sort, descending, wanted.cursor, _ROWS)
        may_write = visit.principal.may(desk.write)
        values = {"desk": desk, "filled": filled, "found": found, "may_write": may_write}
        return View("keys.html", values, 422 if filled.errors else 200)

    return handler


def _revoke(ring: KeyringService, reason: str) -> Callable[..., Any]:
    return lambda *place: ring.revoke(*place, reason=reason)


def pages(desk: Desk, new: PageHandler, create: PageHandler, rotate: PageHandler | None = None) -> tuple[Page, ...]:
    """Return the table. ``new`` and ``create`` are the form of a new key; ``rotate``, if it takes more than a click."""

    def delete(visit: Visit, request: Request) -> View | Response:
        def run(ring: KeyringService, *place: str) -> ElasticKey:
            return ring.delete(*place, waiting=desk.waiting(visit))

        return button(desk, run, "key-deleted")(visit, request)

    def show(visit: Visit, _request: Request) -> View:
        return shown(desk, visit, Filled())

    key, one = f"{desk.path}/<key>", desk.one
    version = f"{key}/versions/<version>"
    rotate = rotate or button(desk, KeyringService.rotate, "rotated")
    return (
        Page("keysPage", desk.path, desk.many.capitalize(), desk.read, _listing(desk)),
        Page("newKeyPage", f"{desk.path}/new", f"Make a {one}", desk.write, new, create),
        Page("keyPage", key, f"One {one}", desk.read, show),
        Page("rotatePage", f"{key}/rotate", "Rotate", desk.write, send=rotate),
        Page("keyEnablePage", f"{key}/enable", f"Enable a {one}", desk.write,
             send=button(desk, KeyringService.enable, "key-enabled")),
        Page("keyDisablePage", f"{key}/disable", f"Disable a {one}", desk.write,
             send=button(desk, KeyringService.disable, "key-disabled")),
        Page("keyDeletePage", f"{key}/delete", f"Delete a {one}", desk.write, send=delete),
        Page("keyRestorePage", f"{key}/restore", f"Restore a {one}", desk.write,
             send=button(desk, KeyringService.restore, "key-restored")),
        Page("versionRevokePage", f"{version}/revoke", "Revoke a version", desk.write,
             send=_of_version(desk, _revoke, "version-revoked")),
        Page("versionDisablePage", f"{version}/disable", "Disable a version", desk.write,
             send=_of_version(desk, lambda ring, _: ring.disable_version, "version-disabled")),
        Page("versionEnablePage", f"{version}/enable", "Enable a version", desk.write,
             send=_of_version(desk, lambda ring, _: ring.enable_version, "version-enabled")),
    )  # fmt: skip
