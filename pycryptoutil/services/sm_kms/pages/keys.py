"""Elastic keys: listed, made, shown with the use of their versions; rotated, switched on and off, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from pycryptoutil_protocols.faults import Fault
from pydantic import Field

from pycryptoutil.http.forms import Filled, FormModel, form_fields, query_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, PageHandler, View, done
from pycryptoutil.http.paging import MAX_CURSOR
from pycryptoutil.keyring import ElasticKey, KeyFilter, KeyOrder, KeyPolicy, KeyStatus, Purpose, VersionStatus
from pycryptoutil.keyring.catalog import names
from pycryptoutil.service.definition import Context
from pycryptoutil.services.sm_kms.common import actor, keyring_of
from pycryptoutil.services.sm_kms.keys.handlers import USUAL
from pycryptoutil.services.sm_kms.keys.models import PurposeName, StatusName

PATH: Final = "/browser/keys"
WRITE: Final = "keys:write"
_ROWS: Final = 50
_DAY: Final = 86_400
_SHOWN: Final = 24  # versions in the chart: the newest ones
PURPOSES: Final = (
    ("encrypt", "encrypt and decrypt"),
    ("sign", "sign and verify"),
    ("mac", "authenticate messages"),
    ("wrap", "wrap other keys"),
    ("derive", "derive or agree on keys"),
    ("encapsulate", "encapsulate (ML-KEM)"),
)


class KeySearch(FormModel):
    """Which keys; every given condition must hold."""

    name: str = Field(default="", max_length=128)
    algorithm: str = Field(default="", max_length=64)
    purpose: PurposeName | None = None
    status: StatusName | None = None
    sort: Literal["name", "created_at", "updated_at", "rotated_at"] = "name"
    order: Literal["asc", "desc"] = "asc"
    cursor: str = Field(default="", max_length=MAX_CURSOR)


class KeyForm(FormModel):
    """A key to be made."""

    name: str = Field(max_length=128)
    purpose: PurposeName
    algorithm: str = Field(default="", max_length=64)
    description: str = Field(default="", max_length=1000)
    rotation_days: int | None = Field(default=None, ge=1, le=3660)
    quorum: int | None = Field(default=None, ge=0, le=20)
    import_allowed: bool = False
    export_allowed: bool = False
    read_revoked: bool = False

    def key_order(self) -> KeyOrder:
        """Return what is to be made."""
        purpose = Purpose(self.purpose)
        policy = KeyPolicy(
            rotation_period=(self.rotation_days or 0) * _DAY,
            quorum=self.quorum or 0,
            import_allowed=self.import_allowed,
            export_allowed=self.export_allowed,
            read_revoked=self.read_revoked,
        )
        return KeyOrder(self.name, self.algorithm or USUAL[purpose], purpose, self.description, policy)


def listing(context: Context, request: Request) -> View:
    """Show a page of keys."""
    filled = read(KeySearch, query_fields(request))
    found = None
    if (wanted := filled.model) is not None:
        conditions = KeyFilter(
            name=wanted.name,
            algorithm=wanted.algorithm,
            purpose=Purpose(wanted.purpose) if wanted.purpose else None,
            status=KeyStatus(wanted.status) if wanted.status else None,
        )
        descending = wanted.order == "desc"
        found = keyring_of(context).list(context.tenant_id, conditions, wanted.sort, descending, wanted.cursor, _ROWS)
    values = {"filled": filled, "found": found, "purposes": PURPOSES, "may_write": context.principal.may(WRITE)}
    return View("keys.html", values, 422 if filled.errors else 200)


def shown(context: Context, key: ElasticKey, filled: Filled[Any], status: int = 200, at: int = 0) -> View:
    """Show one key; ``filled`` is a form that was refused, of the version ``at``, or of the key itself."""
    versions = keyring_of(context).versions(context.tenant_id, key.id)
    recent = versions[-_SHOWN:]
    values = {
        "key": key,
        "versions": versions[::-1],
        "labels": [f"v{one.version}" for one in recent],
        "protected": [one.usage.protected for one in recent],
        "processed": [one.usage.processed for one in recent],
        "outstanding": sum(one.usage.outstanding for one in versions if one.status is not VersionStatus.ACTIVE),
        "filled": filled,
        "at": at,
        "may_write": context.principal.may(WRITE),
        "living": key.status in {KeyStatus.ENABLED, KeyStatus.DISABLED},
    }
    return View("key.html", values, status)


def show(context: Context, _request: Request) -> View:
    """Show one key."""
    return shown(context, key_of(context), Filled())


def key_of(context: Context) -> ElasticKey:
    """Return the path's key; Fault(NOT_FOUND)."""
    return keyring_of(context).get(context.tenant_id, context.parameters["key"])


def _form(filled: Filled[KeyForm], status: int = 200) -> View:
    algorithms = [(purpose.value, names(purpose), USUAL[purpose]) for purpose in Purpose]
    return View("key_new.html", {"filled": filled, "purposes": PURPOSES, "algorithms": algorithms}, status)


def new(_context: Context, _request: Request) -> View:
    """Show the empty form."""
    return _form(Filled({"purpose": "encrypt"}))


def create(context: Context, request: Request) -> View | Response:
    """Make a key."""
    filled = read(KeyForm, form_fields(request))
    if filled.model is not None:
        try:
            order = filled.model.key_order()
            made = keyring_of(context).create(context.tenant_id, order, actor(context), request.request_id)
        except Fault as fault:
            filled = refused(filled, fault)
        else:
            return done(f"{PATH}/{made.id}", "created")
    return _form(filled, 422)


def _button(run: Callable[[Any], Callable[..., Any]], notice: str) -> PageHandler:
    """Return a handler that does one thing to the key; a refusal is said on its page."""

    def handler(context: Context, request: Request) -> View | Response:
        key = key_of(context)
        try:
            run(keyring_of(context))(context.tenant_id, key.id, actor(context), request.request_id)
        except Fault as fault:
            empty: Filled[Any] = Filled()
            return shown(context, key_of(context), refused(empty, fault), 422)
        return done(f"{PATH}/{key.id}", notice)

    return handler


PAGES: Final = (
    Page("keysPage", "/keys", "Keys", "keys:read", listing),
    Page("newKeyPage", "/keys/new", "Make a key", WRITE, new, create),
    Page("keyPage", "/keys/<key>", "One key", "keys:read", show),
    Page("rotatePage", "/keys/<key>/rotate", "Rotate", WRITE, send=_button(lambda ring: ring.rotate, "rotated")),
    Page("keyEnablePage", "/keys/<key>/enable", "Enable a key", WRITE,
         send=_button(lambda ring: ring.enable, "key-enabled")),
    Page("keyDisablePage", "/keys/<key>/disable", "Disable a key", WRITE,
         send=_button(lambda ring: ring.disable, "key-disabled")),
    Page("keyDeletePage", "/keys/<key>/delete", "Delete a key", WRITE,
         send=_button(lambda ring: ring.delete, "key-deleted")),
    Page("keyRestorePage", "/keys/<key>/restore", "Restore a key", WRITE,
         send=_button(lambda ring: ring.restore, "key-restored")),
)  # fmt: skip
