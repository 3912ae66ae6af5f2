"""Cross-site request forgery: where a request comes from, and a token that only the session's own pages can know."""

from __future__ import annotations

import base64
import hmac
from typing import Protocol
from urllib.parse import urlsplit

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.forms import CSRF_FIELD, FORM, form_fields
from pycryptoutil.http.message import Request
from pycryptoutil.service.definition import Principal

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADER = "x-csrf-token"


class Macs(Protocol):
    """What the barrier gives: a keyed hash that is stable across rotations."""

    def lookup_mac(self, purpose: str, value: bytes) -> bytes:
        """Return a MAC of ``value`` under a key of this purpose; Fault(SEALED) when sealed."""


def _refuse(detail: str) -> Fault:
    return Fault(FaultKind.FORBIDDEN, detail, "This request was not made by a page of this site.")


class Csrf:
    """Checks unsafe requests of browsers. ``origins`` are the configured CORS origins."""

    def __init__(self, macs: Macs, origins: tuple[str, ...] = ()) -> None:
        self._macs = macs
        self._origins = frozenset(origins)

    def token(self, principal: Principal) -> str:
        """Return the token of the principal's session: the same one for the session's whole life."""
        mac = self._macs.lookup_mac("csrf", f"{principal.tenant_id}:{principal.session_id}".encode())
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")

    def check(self, request: Request, principal: Principal) -> None:
        """Fault(FORBIDDEN) unless an unsafe request comes from this site and carries the session's token.

        Without a session (a login) there is no token yet, and only the origin is checked.
        """
        if request.method in SAFE_METHODS:
            return
        self.check_origin(request)
        if not principal.session_id:
            return
        given = self._given(request)
        if not given:
            raise _refuse("CSRF token is missing")
        expected = self.token(principal)
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode("ascii")):
            raise _refuse("CSRF token is not this session's")

    def check_origin(self, request: Request) -> None:
        """Fault(FORBIDDEN) if a browser says that another site made the request.

        A program that sends neither header carries no ambient cookie of anybody, so there is nothing to forge.
        """
        origins = request.headers.get_all("origin")
        if len(origins) > 1:
            raise _refuse("several Origin fields")
        if origins:
            if not self._own(origins[0], request) and origins[0] not in self._origins:
                raise _refuse("foreign Origin")
            return
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            raise _refuse("Sec-Fetch-Site without Origin says cross-site")

    @staticmethod
    def _own(origin: str, request: Request) -> bool:
        """Compare with Host, which a page cannot choose. ``null`` (a sandboxed page) is never own."""
        parts = urlsplit(origin)
        host = request.headers.get("host")
        return bool(host) and parts.scheme == "https" and origin == f"https://{host}".lower()

    @staticmethod
    def _given(request: Request) -> str:
        header = request.headers.get(HEADER)
        if header or request.content_type != FORM:
            return header
        return form_fields(request).get(CSRF_FIELD, "")
