"""Browser sessions: a secret in a cookie, a row in the database, and nothing in memory.

The secret is 256 random bits. The row holds a keyed hash of it, so a session is revoked by one UPDATE and a copied
database opens nothing. The three cookie formats differ in what is around the secret: nothing (opaque), a signed JWT
(JWS, HS256) or an encrypted one (JWE, dir + A256GCM) that also names tenant, principal and expiry. A cookie of any of
them is accepted, each checked in full, so that changing the format logs nobody out.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock
from pycryptoutil.service import store
from pycryptoutil.service.csrf import Macs
from pycryptoutil.service.hashing import Hasher, Registry
from pycryptoutil.service.settings import SessionSettings
from pycryptoutil.storage import SYSTEM_TENANT, Database, UnitOfWork

COOKIE = "__Host-session"
MAX_COOKIE = 4096
TOUCH_INTERVAL = timedelta(minutes=1)
"""Idle time is written at most this often: reading a page must not cost a durable write each time."""

_ISSUER = "pycryptoutil"
_PURPOSE = "session"
_OPAQUE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just made; ``cookie`` is its only copy."""

    row: store.SessionRow
    cookie: str = field(repr=False)


def _refuse(detail: str) -> Fault:
    return Fault(FaultKind.UNAUTHENTICATED, detail, "The session is not valid; log in again.")


class Sessions:
    """Makes, finds, refreshes and revokes sessions."""

    def __init__(self, database: Database, hasher: Hasher, macs: Macs, clock: Clock, settings: SessionSettings) -> None:
        self._database = database
        self._hasher = hasher
        self._macs = macs
        self._clock = clock
        self._settings = settings

    @property
    def idle(self) -> timedelta:
        """How long a session may lie unused."""
        return timedelta(seconds=self._settings.idle_timeout)

    def create(self, uow: UnitOfWork, principal_id: str, principal_name: str, realm: str) -> NewSession:
        """Write a session in the caller's unit. Its secret is always new, so no cookie can be fixed before a login."""
        secret = secrets.token_urlsafe(32)
        now = self._clock.now()
        row = store.SessionRow(
            tenant_id=uow.tenant_id,
            id=uuid.uuid4().hex,
            principal_id=principal_id,
            principal_name=principal_name,
            realm=realm,
            lookup=self._hasher.hash(Registry.HIGH_DETERMINISTIC, secret, purpose=_PURPOSE),
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(seconds=self._settings.absolute_timeout),
            revoked_at=None,
        )
        store.insert_session(uow, row)
        return NewSession(row, self._encode(secret, row))

    def find(self, cookie: str) -> store.Found:
        """Return the live session of a cookie; Fault(UNAUTHENTICATED) for any other."""
        secret, claims = self._decode(cookie)
        lookups = self._hasher.lookups(Registry.HIGH_DETERMINISTIC, secret, purpose=_PURPOSE)
        with self._database.read(SYSTEM_TENANT) as reader:
            found = store.find_session_anywhere(reader, lookups)
        if found is None or found.session is None:
            raise _refuse("no such session")
        row = found.session
        if claims is not None and (claims.get("tid"), claims.get("sub")) != (row.tenant_id, row.principal_id):
            raise _refuse("session cookie names somebody else")
        now = self._clock.now()
        if row.revoked_at is not None:
            raise _refuse("session is revoked")
        if now >= row.expires_at:
            raise _refuse("session is past its absolute lifetime")
        if now - row.seen_at >= self.idle:
            raise _refuse("session was idle for too long")
        return found

    def touch(self, row: store.SessionRow) -> None:
        """Note that the session is in use, at most once a minute."""
        now = self._clock.now()
        if now - row.seen_at < TOUCH_INTERVAL:
            return
        try:
            with self._database.unit_of_work(row.tenant_id) as uow:
                store.touch_session(uow, row.id, row.seen_at, now)
        except Fault as fault:
            # a full disk or a busy database must not stop what only reads; the session just ages
            if fault.kind not in {FaultKind.STORAGE_FULL, FaultKind.BUSY}:
                raise

    def set_cookie(self, session: NewSession) -> tuple[str, str]:
        """Return the header that gives the cookie to the browser."""
        age = int(self._settings.absolute_timeout)
        return ("Set-Cookie", f"{COOKIE}={session.cookie}; Max-Age={age}; Path=/; Secure; HttpOnly; SameSite=Strict")

    @staticmethod
    def clear_cookie() -> tuple[str, str]:
        """Return the header that takes it away."""
        return ("Set-Cookie", f"{COOKIE}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict")

    def _key(self, use: str) -> OctKey:
        return OctKey.import_key(self._macs.lookup_mac(f"session-{use}", b"key v1"))

    def _encode(self, secret: str, row: store.SessionRow) -> str:
        if self._settings.format == "opaque":
            return secret
        claims = {
            "iss": _ISSUER,
            "sid": secret,
            "tid": row.tenant_id,
            "sub": row.principal_id,
            "iat": int(row.created_at.timestamp()),
            "exp": int(row.expires_at.timestamp()),
        }
        payload = json.dumps(claims, separators=(",", ":")).encode()
        if self._settings.format == "jws":
            return jws.serialize_compact({"alg": "HS256", "typ": "JWT"}, payload, self._key("jws"), ["HS256"])
        header = {"alg": "dir", "enc": "A256GCM", "typ": "JWT"}
        return jwe.encrypt_compact(header, payload, self._key("jwe"), ["dir", "A256GCM"])

    def _decode(self, cookie: str) -> tuple[str, dict[str, object] | None]:
        if len(cookie) > MAX_COOKIE:
            raise _refuse("session cookie is too long")
        dots = cookie.count(".")
        if dots == 0:
            if not _OPAQUE.fullmatch(cookie):
                raise _refuse("session cookie is malformed")
            return cookie, None
        try:
            if dots == 2:
                payload = jws.deserialize_compact(cookie, self._key("jws"), ["HS256"]).payload
            elif dots == 4:
                payload = jwe.decrypt_compact(cookie, self._key("jwe"), ["dir", "A256GCM"]).plaintext or b""
            else:
                raise _refuse("session cookie is malformed")
            claims = json.loads(payload)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _refuse(f"session cookie does not verify: {type(error).__name__}") from None
        if not isinstance(claims, dict) or claims.get("iss") != _ISSUER:
            raise _refuse("session cookie was not issued here")
        secret, expires = claims.get("sid"), claims.get("exp")
        if not isinstance(secret, str) or not _OPAQUE.fullmatch(secret) or not isinstance(expires, int):
            raise _refuse("session cookie lacks claims")
        if self._clock.now().timestamp() >= expires:
            raise _refuse("session cookie has expired")
        return secret, claims

    def live_since(self, now: datetime) -> datetime:
        """Return the instant before which an unused session is dead."""
        return now - self.idle
