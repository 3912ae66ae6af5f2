"""What the pages of keys are in this service, and the form that makes a key. The rest is the keyring's."""

from __future__ import annotations

from typing import Final

from pycryptoutil_protocols.faults import Fault
from pydantic import Field

from pycryptoutil.http.forms import Filled, FormModel, form_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import View, done
from pycryptoutil.keyring import KeyOrder, KeyPolicy, Purpose
from pycryptoutil.keyring.catalog import names
from pycryptoutil.keyring.pages import Desk, pages
from pycryptoutil.service.definition import Context
from pycryptoutil.services.sm_kms.common import keyring_of
from pycryptoutil.services.sm_kms.keys.handlers import USUAL
from pycryptoutil.services.sm_kms.keys.models import PurposeName

_DAY: Final = 86_400
PURPOSES: Final = (
    ("encrypt", "encrypt and decrypt"),
    ("sign", "sign and verify"),
    ("mac", "authenticate messages"),
    ("wrap", "wrap other keys"),
    ("derive", "derive or agree on keys"),
    ("encapsulate", "encapsulate (ML-KEM)"),
)
DESK: Final = Desk(
    "/keys",
    "key",
    "keys",
    "Each is a ring of numbered versions: the active one protects, older ones still read.",
    "A key encrypts, signs, authenticates or wraps for your applications, and never leaves this service in the clear.",
    "keys:read",
    "keys:write",
    PURPOSES,
)


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
            made = keyring_of(context).create(context.tenant_id, order, context.actor, request.request_id)
        except Fault as fault:
            filled = refused(filled, fault)
        else:
            return done(f"{DESK.place}/{made.id}", "created")
    return _form(filled, 422)


PAGES: Final = pages(DESK, new, create)
