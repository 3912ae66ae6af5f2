"""Who may enter: programs by Basic, Bearer or client certificate under /service, people by session under /browser.

Nothing here is cached: a scope, a status or a revocation counts from the next request on. Basic costs a keyed HKDF, not
a PBKDF2, because client secrets are 256 random bits that we make; a person's password is hashed once, at login.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import x509
from pycryptoutil.http.message import Request
from pycryptoutil.service import store
from pycryptoutil.service.attempts import FailedLogins, Refused
from pycryptoutil.service.csrf import Csrf
from pycryptoutil.service.definition import Principal, PrincipalKind
from pycryptoutil.service.ratelimit import FailureThrottle
from pycryptoutil.service.realms import Identity, Realms
from pycryptoutil.service.sessions import COOKIE, Sessions
from pycryptoutil.service.tokens import Tokens, effective_scopes
from pycryptoutil.storage import SYSTEM_TENANT, Database

REALM = "pycryptoutil"
SERVICE_CHALLENGES = (f'Basic realm="{REALM}", charset="UTF-8"', f'Bearer realm="{REALM}"')
INVALID_TOKEN = (f'Bearer realm="{REALM}", error="invalid_token"',)
BROWSER_CHALLENGES = (f'Session realm="{REALM}"',)  # no scheme that makes a browser ask for a password
MAX_CREDENTIALS = 4096

SPKI_SHA256 = "spki-sha256"
CERTIFICATE_SHA256 = "certificate-sha256"

_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_REFUSED = "The credentials are not valid."


@contextmanager
def _challenged(challenges: tuple[str, ...], public: str) -> Iterator[None]:
    """Give every refusal the same words and its challenges: why it failed is for the log."""
    try:
        yield
    except Fault as fault:
        if fault.kind is not FaultKind.UNAUTHENTICATED or fault.challenges:
            raise
        raise Fault(FaultKind.UNAUTHENTICATED, fault.detail, public, challenges=challenges) from None


def _malformed(detail: str) -> Fault:
    public = "The Authorization header cannot be read."
    return Fault(FaultKind.UNAUTHENTICATED, detail, public, challenges=SERVICE_CHALLENGES)


def basic_credentials(credentials: str) -> tuple[str, str]:
    """Decode the credentials of HTTP Basic (RFC 7617): UTF-8, the name up to the first colon, no control characters."""
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise _malformed("Basic credentials do not decode") from error
    name, colon, secret = text.partition(":")
    if not colon or any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise _malformed("Basic credentials have no colon or control characters")
    return name, secret


def certificate_matches(der: bytes) -> tuple[tuple[str, str], ...]:
    """Return what a binding of this certificate may say, the stricter first; Fault(UNAUTHENTICATED) if unreadable."""
    try:
        spki = x509.facts(der).spki
    except Fault as fault:
        raise Fault(FaultKind.UNAUTHENTICATED, f"client certificate cannot be read: {fault.detail}") from None
    return ((CERTIFICATE_SHA256, x509.fingerprint(der)), (SPKI_SHA256, x509.fingerprint(spki)))


def _principal(
    identity: Identity, kind: PrincipalKind, scopes: frozenset[str] | None = None, session_id: str = ""
) -> Principal:
    granted = identity.scopes if scopes is None else scopes
    return Principal(identity.principal_id, identity.tenant_id, kind, identity.name, granted, session_id)


class Authenticator:
    """Turns a request into a Principal, or raises Fault(UNAUTHENTICATED) with challenges. Reads rows: for workers."""

    def __init__(
        self,
        database: Database,
        realms: Realms,
        tokens: Tokens,
        sessions: Sessions,
        csrf: Csrf,
        throttle: FailureThrottle,
        failures: FailedLogins,
    ) -> None:
        self._database = database
        self._realms = realms
        self._tokens = tokens
        self._sessions = sessions
        self._csrf = csrf
        self._throttle = throttle
        self._failures = failures

    def authenticate_service(self, request: Request) -> Principal:
        """Accept Basic, Bearer or a verified and bound client certificate, in that order; cookies are not looked at.

        Credentials that are given decide: a wrong password is not saved by a good certificate.
        """
        given = request.headers.get_all("authorization")
        if len(given) > 1:
            raise _malformed("several Authorization fields")
        if given:
            return self._by_header(request, given[0])
        if request.tls is not None and request.tls.client_verified and request.tls.client_chain:
            with _challenged(SERVICE_CHALLENGES, "This client certificate is not known here."):
                return self._by_certificate(request.tls.client_chain[0])
        public = "Authentication is required."
        raise Fault(FaultKind.UNAUTHENTICATED, "no credentials", public, challenges=SERVICE_CHALLENGES)

    def authenticate_browser(self, request: Request) -> Principal:
        """Accept the session cookie and nothing else."""
        if "authorization" in request.headers:
            public = "Under /browser only a session counts; programs use /service."
            raise Fault(
                FaultKind.UNAUTHENTICATED, "Authorization under /browser", public, challenges=BROWSER_CHALLENGES
            )
        cookie = request.cookie(COOKIE)
        if not cookie:
            raise Fault(FaultKind.UNAUTHENTICATED, "no session", "Log in first.", challenges=BROWSER_CHALLENGES)
        with _challenged(BROWSER_CHALLENGES, "The session is not valid; log in again."):
            found = self._sessions.find(cookie)
            identity = self._realms.current(found)
        session = found.session
        if session is None or session.tenant_id != identity.tenant_id:
            raise Fault(FaultKind.UNAUTHENTICATED, "session of another tenant", _REFUSED, challenges=BROWSER_CHALLENGES)
        self._sessions.touch(session)
        return _principal(identity, PrincipalKind.USER, session_id=session.id)

    def check_csrf(self, request: Request, principal: Principal) -> None:
        """Fault(FORBIDDEN) for an unsafe request that is not of this session's own pages."""
        self._csrf.check(request, principal)

    def login(self, request: Request, username: str, password: str) -> Identity:
        """Check a person's name and password; failures are counted against account and address."""
        account = f"user:{username}"
        public = "Wrong user name or password."
        with self._counted(request, account, "password"), _challenged(BROWSER_CHALLENGES, public):
            return self._realms.login(username, password)

    @contextmanager
    def _counted(self, request: Request, account: str, by: str) -> Iterator[None]:
        peer = request.peer
        self._throttle.check(peer, account)
        try:
            yield
        except Fault as fault:
            if fault.kind is FaultKind.UNAUTHENTICATED:
                self._throttle.failed(peer, account)
                cause = fault.__context__  # what was raised before every refusal got the same words
                self._failures.record(by, peer, request.request_id, cause if isinstance(cause, Refused) else fault)
            raise
        self._throttle.succeeded(peer, account)

    def _by_header(self, request: Request, value: str) -> Principal:
        if len(value) > MAX_CREDENTIALS:
            raise _malformed("Authorization is too long")
        scheme, _, credentials = value.strip().partition(" ")
        match scheme.lower():
            case "basic":
                client_id, secret = basic_credentials(credentials)
                account = f"client:{client_id}"
                with self._counted(request, account, "client secret"), _challenged(SERVICE_CHALLENGES, _REFUSED):
                    return _principal(self._realms.client(client_id, secret), PrincipalKind.CLIENT)
            case "bearer":
                token = credentials.strip()
                if not _B64TOKEN.fullmatch(token):
                    raise _malformed("bearer token is malformed")
                with _challenged(INVALID_TOKEN, "The token is not valid."):
                    return self._by_token(token)
            case _:
                raise _malformed("unknown authentication scheme")

    def _by_token(self, text: str) -> Principal:
        found = self._tokens.find(text)
        identity = self._realms.current(found)
        scopes = effective_scopes(found.token.scopes if found.token else frozenset(), identity.scopes)
        return _principal(identity, PrincipalKind.TOKEN, scopes)

    def _by_certificate(self, der: bytes) -> Principal:
        matches = certificate_matches(der)
        with self._database.read(SYSTEM_TENANT) as reader:
            found = store.find_bound_anywhere(reader, matches)
        if found is None:
            raise Fault(FaultKind.UNAUTHENTICATED, "client certificate is not bound to a principal")
        return _principal(self._realms.current(found), PrincipalKind.CERTIFICATE)
