"""Finding certificates, showing one, revoking it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import Field, field_validator

from pycryptoutil.authority import (
    CertificateFilter,
    CertificateRecord,
    CertificateStatus,
    RevocationReason,
)
from pycryptoutil.authority.certificates.bulk import BulkOrder
from pycryptoutil.authority.model import PROTOCOLS
from pycryptoutil.authority.oids import EXTENDED_KEY_USAGES
from pycryptoutil.crypto.describe import describe
from pycryptoutil.http.forms import Filled, FormModel, form_fields, query_fields, read, refused
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Page, View, done
from pycryptoutil.http.paging import MAX_CURSOR
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.certificates.models import Reason
from pycryptoutil.services.pki_ca.common import CHAIN_TYPE, PEM_TYPE, authority_of, to_pem

PATH: Final = "/browser/certificates"
REASONS: Final[tuple[tuple[str, str], ...]] = (
    ("unspecified", "Unspecified"),
    ("superseded", "Superseded: another certificate replaces it"),
    ("cessationOfOperation", "Cessation of operation: no longer needed"),
    ("affiliationChanged", "Affiliation changed"),
    ("privilegeWithdrawn", "Privilege withdrawn"),
    ("keyCompromise", "Key compromise: the private key may be known to others"),
    ("cACompromise", "CA compromise: of a CA certificate"),
    ("certificateHold", "Hold: for now, to be released or revoked later"),
)
PROTOCOL_NAMES: Final = (*((name, name.upper()) for name in PROTOCOLS), ("rest", "REST"))
_ROWS: Final = 50
_FIRST: Final = frozenset({"name", "domain", "status", "within", "sort", "cursor"})  # conditions that are always seen
_CALLS: Final = 20  # units of work, of 1000 certificates each, that one form may start
_USAGES: Final = {oid: name for name, oid in EXTENDED_KEY_USAGES.items()}


class Search(FormModel):
    """Which certificates; every given condition must hold. Dates are days in UTC, both included."""

    name: str = Field(default="", max_length=255)
    domain: str = Field(default="", max_length=253)
    contains: str = Field(default="", max_length=253)
    status: Literal["valid", "expired", "revoked", "held"] | None = None
    within: Annotated[int, Field(ge=1, le=3650)] | None = None
    authority: str = Field(default="", max_length=64)
    profile: str = Field(default="", max_length=64)
    protocol: str = Field(default="", max_length=16)
    requester: str = Field(default="", max_length=300)
    serial: str = Field(default="", max_length=80)
    spki_sha256: str = Field(default="", max_length=96)
    expires_from: date | None = None
    expires_to: date | None = None
    issued_from: date | None = None
    issued_to: date | None = None
    sort: Literal["created", "expiry"] = "created"
    cursor: str = Field(default="", max_length=MAX_CURSOR)

    def filter(self, now: datetime) -> CertificateFilter:
        """Return the filter; ``within`` is so many days from now, of certificates that are good."""
        until, since = _end(self.expires_to), _begin(self.expires_from)
        status = CertificateStatus(self.status) if self.status is not None else None
        if self.within is not None:
            until = min(filter(None, (until, now + timedelta(days=self.within))))
            status = status or CertificateStatus.VALID
        return CertificateFilter(
            status=status,
            authority=self.authority,
            profile=self.profile,
            protocol=self.protocol,
            requester=self.requester,
            serial=_hex(self.serial),
            contains=self.contains.lower(),
            spki_sha256=_hex(self.spki_sha256),
            not_after_from=since,
            not_after_to=until,
            name=self.name,
            domain=self.domain,
            created_from=_begin(self.issued_from),
            created_to=_end(self.issued_to),
            sort=self.sort,
        )


def _begin(day: date | None) -> datetime | None:
    return datetime.combine(day, time.min, UTC) if day is not None else None


def _end(day: date | None) -> datetime | None:
    return datetime.combine(day, time.max, UTC) if day is not None else None


class Revocation(FormModel):
    """Why, and since when it is suspected (RFC 5280 section 5.3); the time is UTC. ``whole_key``: all of its key."""

    reason: Reason
    invalidity_date: datetime | None = None
    whole_key: bool = False

    @field_validator("invalidity_date")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def _hex(text: str) -> str:
    return text.lower().replace(":", "").replace(" ", "")


def path_of(record: CertificateRecord) -> str:
    """Return where a certificate is shown."""
    return f"{PATH}/{record.serial}?{urlencode({'authority': record.authority})}"


def search(context: Context, request: Request) -> View:
    """Show a page of the certificates that fit."""
    filled = read(Search, query_fields(request))
    ca, tenant = authority_of(context), context.tenant_id
    now = context.resources.clock.now()
    found = None
    if (wanted := filled.model) is not None:
        if wanted.authority and wanted.authority not in {one.name for one in ca.authorities(tenant)}:
            filled = Filled(filled.values, {"authority": "There is no such authority."})
        else:
            found = ca.certificates(tenant, wanted.filter(now), wanted.cursor, _ROWS)
    narrowed = any(value for name, value in filled.values.items() if name not in _FIRST)
    values = {
        "filled": filled,
        "found": found,
        "narrowed": narrowed,
        "authorities": [(one.name, one.name) for one in ca.authorities(tenant)],
        "profiles": [(one.name, one.name) for one in ca.profiles(tenant) if one.kind == "x509"],
        "protocols": PROTOCOL_NAMES,
        "path_of": path_of,
    }
    return View("certificates.html", values, 422 if filled.errors else 200)


def _of(context: Context, request: Request) -> CertificateRecord:
    authority = next(iter(request.query.get("authority", ())), "")
    return authority_of(context).certificate(context.tenant_id, context.parameters["serial"], authority)


def show(context: Context, request: Request) -> View:
    """Show one certificate."""
    return _shown(context, _of(context, request), Filled())


def _shown(context: Context, found: CertificateRecord, filled: Filled[Revocation], status: int = 200) -> View:
    issuers = authority_of(context).issuers(found)
    values: dict[str, Any] = {
        "found": found,
        "facts": describe(found.der, _USAGES),
        "issuers": [describe(one, _USAGES) for one in issuers],
        "pem": to_pem(found.der),
        "filled": filled,
        "reasons": [
            one for one in REASONS if found.status is not CertificateStatus.HELD or one[0] != "certificateHold"
        ],
        "may_revoke": context.principal.may("certificates:revoke"),
        "here_path": path_of(found),
        "query": urlencode({"authority": found.authority}),
        "same_key": f"{PATH}?{urlencode({'spki_sha256': found.spki_sha256})}",
    }
    return View("certificate.html", values, status)


def download(context: Context, request: Request) -> Response:
    """Give the certificate as PEM."""
    found = _of(context, request)
    name = f'attachment; filename="{found.serial}.pem"'
    return Response(200, to_pem(found.der).encode(), PEM_TYPE, (("Content-Disposition", name),))


def download_chain(context: Context, request: Request) -> Response:
    """Give the certificate and its issuers as PEM, leaf first."""
    found = _of(context, request)
    text = "".join(map(to_pem, (found.der, *authority_of(context).issuers(found))))
    name = f'attachment; filename="{found.serial}-chain.pem"'
    return Response(200, text.encode(), CHAIN_TYPE, (("Content-Disposition", name),))


def _change(
    context: Context, request: Request, found: CertificateRecord, reason: RevocationReason, since: datetime | None
) -> None:
    authority_of(context).revoke(
        context.tenant_id, found.serial, reason, since, context.actor, request.request_id, found.authority
    )
    context.state.watch.notice()


def _revoke_key(context: Context, request: Request, found: CertificateRecord, order: BulkOrder) -> None:
    """Revoke everything of a certificate's key; Fault(CONFLICT) if that is more than one form may do."""
    run, place = authority_of(context).revoke_by_key, (context.tenant_id, found.spki_sha256)
    for _ in range(_CALLS):
        result = run(*place, order, context.actor, request.request_id)
        context.state.watch.notice()
        if not result.cursor:
            return
        order = replace(order, cursor=result.cursor)
    text = "many were revoked, and some are left: send the form again"
    raise Fault(FaultKind.CONFLICT, text, text)


def revoke(context: Context, request: Request) -> View | Response:
    """Revoke or hold; what is wrong with the form is said beside it."""
    found = _of(context, request)
    filled = read(Revocation, form_fields(request))
    if filled.model is not None:
        reason = RevocationReason(filled.model.reason)
        try:
            if filled.model.whole_key:
                _revoke_key(context, request, found, BulkOrder(reason, filled.model.invalidity_date))
                return done(path_of(found), "revoked-key")
            _change(context, request, found, reason, filled.model.invalidity_date)
        except Fault as fault:
            filled = refused(filled, fault)
        else:
            held = reason is RevocationReason.CERTIFICATE_HOLD
            return done(path_of(found), "held" if held else "revoked")
    return _shown(context, _of(context, request), filled, 422)


def release(context: Context, request: Request) -> Response:
    """Release a hold."""
    found = _of(context, request)
    _change(context, request, found, RevocationReason.REMOVE_FROM_CRL, None)
    return done(path_of(found), "released")


PAGES: Final = (
    Page("certificatesPage", "/certificates", "Search certificates", "pki:read", search),
    Page("certificatePage", "/certificates/<serial>", "One certificate", "pki:read", show),
    Page("certificatePem", "/certificates/<serial>/pem", "A certificate to be kept", "pki:read", download),
    Page("certificateChainPem", "/certificates/<serial>/chain", "A certificate's chain", "pki:read", download_chain),
    Page("revokePage", "/certificates/<serial>/revoke", "Revoke or hold", "certificates:revoke", send=revoke),
    Page("releasePage", "/certificates/<serial>/release", "Release a hold", "certificates:revoke", send=release),
)
