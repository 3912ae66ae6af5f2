"""Versions of a key: revoked for good, or disabled for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault
from pydantic import Field

from pycryptoutil.http.forms import FormModel, form_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, PageHandler, View, done
from pycryptoutil.service.definition import Context
from pycryptoutil.services.sm_kms.common import actor, keyring_of, number
from pycryptoutil.services.sm_kms.pages import keys


class ReasonForm(FormModel):
    """Why."""

    reason: str = Field(default="", max_length=300)


def _change(run: Callable[[Any, str], Callable[..., Any]], notice: str) -> PageHandler:
    """Return a handler that changes one version; a refusal is said on the key's page."""

    def handler(context: Context, request: Request) -> View | Response:
        key, at = keys.key_of(context), number(context.parameters["version"])
        filled = read(ReasonForm, form_fields(request))
        if filled.model is not None:
            change = run(keyring_of(context), filled.model.reason)
            try:
                change(context.tenant_id, key.id, at, actor(context), request.request_id)
            except Fault as fault:
                filled = refused(filled, fault)
            else:
                return done(f"{keys.PATH}/{key.id}", notice)
        return keys.shown(context, keys.key_of(context), filled, 422, at)

    return handler


def _revoke(ring: Any, reason: str) -> Callable[..., Any]:
    return lambda *place: ring.revoke(*place, reason=reason)


_ONE: Final = "/keys/<key>/versions/<version>"

PAGES: Final = (
    Page("versionRevokePage", f"{_ONE}/revoke", "Revoke a version", keys.WRITE,
         send=_change(_revoke, "version-revoked")),
    Page("versionDisablePage", f"{_ONE}/disable", "Disable a version", keys.WRITE,
         send=_change(lambda ring, _: ring.disable_version, "version-disabled")),
    Page("versionEnablePage", f"{_ONE}/enable", "Enable a version", keys.WRITE,
         send=_change(lambda ring, _: ring.enable_version, "version-enabled")),
)  # fmt: skip
