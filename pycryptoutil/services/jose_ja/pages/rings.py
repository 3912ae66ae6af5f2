"""What the pages of keys are in this service: rings, with the set that is published, and a rotation that may wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from pycryptoutil_protocols.faults import Fault
from pydantic import Field

from pycryptoutil.crypto.jose import SIV_BYTES
from pycryptoutil.http.forms import Filled, FormModel, form_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import View, done
from pycryptoutil.keyring import ElasticKey, KeyVersion, Purpose
from pycryptoutil.keyring.catalog import names
from pycryptoutil.keyring.pages import Desk, Visit, key_of, pages, shown
from pycryptoutil.service.definition import Context
from pycryptoutil.services.jose_ja import rotation
from pycryptoutil.services.jose_ja.published.sets import jwks_url
from pycryptoutil.services.jose_ja.rings import handlers
from pycryptoutil.services.jose_ja.rings.models import RingBody

_DAY: Final = 86_400
USES: Final = (("sig", "sign and verify"), ("enc", "encrypt and decrypt"))
_PURPOSES: Final = (("sign", "sign and verify"), ("encrypt", "encrypt and decrypt"))
_ALGORITHMS: Final = tuple(
    (said, tuple(str(name) for name in names(purpose) if name not in SIV_BYTES), "")  # JOSE has no AES-SIV
    for said, purpose in (("to sign", Purpose.SIGN), ("to encrypt", Purpose.ENCRYPT))
)


class RingForm(FormModel):
    """A ring to be made."""

    name: str = Field(max_length=128)
    use: Literal["sig", "enc"]
    algorithm: str = Field(max_length=64)
    description: str = Field(default="", max_length=1000)
    rotation_days: int | None = Field(default=None, ge=1, le=3660)
    max_materials: int | None = Field(default=None, ge=0, le=10_000)
    read_revoked: bool = False

    def body(self) -> RingBody:
        """Return what is to be made, as the API takes it."""
        return RingBody(
            name=self.name,
            algorithm=self.algorithm,
            use=self.use,
            description=self.description,
            rotation_period=(self.rotation_days or 0) * _DAY,
            max_materials=self.max_materials or 0,
            read_revoked=self.read_revoked,
        )


class RotateForm(FormModel):
    """When: as soon as the next key is known everywhere, or now."""

    force: bool = False


def _changed(visit: Visit) -> None:
    visit.state.published.changed(visit.tenant_id)


def _waiting(visit: Visit) -> timedelta:
    return timedelta(seconds=visit.state.settings.deletion_wait_seconds)


def _more(visit: Visit, key: ElasticKey, versions: Sequence[KeyVersion]) -> Mapping[str, Any]:
    found = visit.state.keyring.published(visit.tenant_id, key.id, visit.state.grace)
    return {
        "jwks_url": jwks_url(visit.state.public_url, key, versions),
        "published": {one.version for one in found},
        "grace": visit.state.grace,
    }


DESK: Final = Desk(
    "/rings",
    "ring",
    "rings",
    "Each holds numbered JSON Web Keys: the active one signs or encrypts, the next one is published ahead.",
    "A ring signs or encrypts for your applications, and publishes its public keys as a JWK Set.",
    "jose:read",
    "jose:manage",
    _PURPOSES,
    "ring.html",
    _changed,
    _waiting,
    _more,
)


def _form(filled: Filled[RingForm], status: int = 200) -> View:
    return View("ring_new.html", {"desk": DESK, "filled": filled, "uses": USES, "algorithms": _ALGORITHMS}, status)


def new(_context: Context, _request: Request) -> View:
    """Show the empty form."""
    return _form(Filled({"use": "sig", "algorithm": "ES256"}))


def create(context: Context, request: Request) -> View | Response:
    """Make a ring."""
    filled = read(RingForm, form_fields(request))
    if filled.model is not None:
        try:
            made = handlers.make(context, request, filled.model.body())
        except Fault as fault:
            filled = refused(filled, fault)
        else:
            _changed(context)
            return done(f"{DESK.place}/{made.id}", "created")
    return _form(filled, 422)


def rotate(context: Context, request: Request) -> View | Response:
    """Rotate the ring; a refusal, such as to wait, is said on its page."""
    key = key_of(context)
    filled = read(RotateForm, form_fields(request))
    if filled.model is not None:
        try:
            who = (context.actor, request.request_id)
            rotation.rotate(context.state, context.tenant_id, key.id, who, force=filled.model.force)
        except Fault as fault:
            filled = refused(filled, fault)
        else:
            _changed(context)
            return done(f"{DESK.place}/{key.id}", "rotated")
    return shown(DESK, context, filled, 422)


PAGES: Final = pages(DESK, new, create, rotate)
