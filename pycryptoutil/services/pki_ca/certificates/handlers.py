"""Issuing, listing, showing and revoking certificates over REST."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from pycryptoutil_protocols import pem
from pycryptoutil_protocols.algorithms import key_info
from pycryptoutil_protocols.csr import MAX_CSR
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import (
    BulkOrder,
    BulkResult,
    CertificateFilter,
    CertificateRecord,
    CertificateStatus,
    IssueOrder,
    RevocationReason,
)
from pycryptoutil.authority.enrolment import Enrolment, EnrolmentState
from pycryptoutil.crypto import policy
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.approvals.handlers import view as approval_view
from pycryptoutil.services.pki_ca.certificates import models
from pycryptoutil.services.pki_ca.common import (
    CHAIN_TYPE,
    DER_TYPE,
    PEM_TYPE,
    authority_of,
    to_pem,
    wanted_type,
)

_CSR_LABELS: Final = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
_MAX_IDEMPOTENCY_KEY: Final = 100
_MAX_KEY: Final = 16 * 1024


def issue_certificate(context: Context, request: Request) -> Response:
    """Issue for a CSR's key, for one made here, or for one that cannot sign."""
    body: models.CertificateBody = context.body
    ways = (body.csr is not None, body.generate_key, body.public_key is not None)
    if sum(ways) != 1 or (body.key_algorithm is not None and not body.generate_key):
        text = "give one of csr, generate_key with or without key_algorithm, and public_key"
        raise Fault(FaultKind.INVALID, text, text, pointer="#/csr")
    repeat = request.headers.get("idempotency-key")
    if len(repeat) > _MAX_IDEMPOTENCY_KEY or (repeat and body.generate_key):
        text = f"Idempotency-Key has at most {_MAX_IDEMPOTENCY_KEY} characters, and goes with no generated key"
        raise Fault(FaultKind.INVALID, text, text)
    order = IssueOrder(
        authority=body.authority or "",
        profile=body.profile or "",
        csr=pem.decode_body(body.csr.encode(), MAX_CSR, _CSR_LABELS) if body.csr is not None else None,
        spki=_key_that_cannot_sign(body.public_key) if body.public_key is not None else None,
        subject=body.subject,
        sans=body.sans,
        not_before=body.not_before,
        not_after=body.not_after,
        must_staple=body.must_staple,
        idempotency_key=repeat,
    )
    arguments = (context.tenant_id, order, context.actor, request.request_id)
    key = None
    if body.generate_key:
        answer, key = authority_of(context).enrol_generated(*arguments, body.key_algorithm or "")
    else:
        answer = authority_of(context).enrol(*arguments)
    issued = answer.certificate
    if answer.state is not EnrolmentState.ISSUED or issued is None:
        return _waiting(context, answer)
    view = models.IssuedView(
        serial=issued.serial,
        authority=issued.authority,
        profile=issued.profile,
        subject=issued.subject,
        sans=issued.sans,
        not_before=issued.not_before,
        not_after=issued.not_after,
        certificate=to_pem(issued.der),
        chain=tuple(map(to_pem, issued.chain)),
        private_key=to_pem(key.export_pkcs8(), "PRIVATE KEY") if key is not None else None,
    )
    return json_response(view, 200 if issued.repeated else 201)


def _key_that_cannot_sign(text: str) -> bytes:
    """Return a SubjectPublicKeyInfo for which there can be no CSR; Fault(INVALID) for any other."""
    key = _public_key(text)
    if not policy.only_agrees(key_info(key).algorithm):
        why = "a key that can sign proves itself by a CSR"
        raise Fault(FaultKind.INVALID, why, why, pointer="#/public_key")
    return key


def _public_key(text: str) -> bytes:
    return pem.decode_body(text.encode(), _MAX_KEY, ("PUBLIC KEY",))


def _waiting(context: Context, answer: Enrolment) -> Response:
    """Answer 202 while a request waits: the same request asked again gets the certificate once there is one."""
    if answer.state is not EnrolmentState.PENDING:
        raise Fault(FaultKind.POLICY, f"enrolment {answer.id}: {answer.reason}", answer.reason)
    found = authority_of(context).approval(context.tenant_id, answer.id)
    return json_response(approval_view(found), 202, ("Retry-After", str(answer.retry_after)))


def _certificate(found: CertificateRecord) -> models.CertificateView:
    return models.CertificateView(
        **{name: getattr(found, name) for name in models.CertificateView.model_fields if name in _SAME},
        status=found.status.value,
        reason=found.reason.value if found.reason is not None else None,
        certificate=to_pem(found.der),
    )


_SAME: Final = frozenset(models.CertificateView.model_fields) - {"status", "reason", "certificate"}


def list_certificates(context: Context, _request: Request) -> Response:
    """Answer with a page of certificates."""
    query: models.CertificateQuery = context.query
    wanted = CertificateFilter(
        status=CertificateStatus(query.status) if query.status is not None else None,
        **{
            name: getattr(query, name)
            for name in CertificateFilter.__slots__
            if name not in {"status", "serial", "contains"}
        },
        serial=query.serial.lower().replace(":", ""),
        contains=query.contains.lower(),
    )
    found = authority_of(context).certificates(context.tenant_id, wanted, query.cursor, query.limit)
    items = tuple(map(_certificate, found.items))
    return json_response(models.CertificateList(items=items, next=found.cursor or None))


def get_certificate(context: Context, request: Request) -> Response:
    """Answer with one certificate: JSON, PEM or DER as asked for."""
    found = authority_of(context).certificate(context.tenant_id, context.parameters["serial"], context.query.authority)
    match wanted_type(request, PEM_TYPE, CHAIN_TYPE, DER_TYPE):
        case "":
            return json_response(_certificate(found))
        case media_type if media_type == DER_TYPE:
            return Response(200, found.der, DER_TYPE)
        case media_type:
            return Response(200, to_pem(found.der).encode(), media_type)


def get_chain(context: Context, _request: Request) -> Response:
    """Answer with the certificate and its issuers, leaf first, as PEM."""
    found = authority_of(context).certificate(context.tenant_id, context.parameters["serial"], context.query.authority)
    chain = (found.der, *authority_of(context).issuers(found))
    return Response(200, "".join(map(to_pem, chain)).encode(), CHAIN_TYPE)


def _change(context: Context, request: Request, reason: RevocationReason, invalidity_date: Any) -> Response:
    found = authority_of(context).revoke(
        context.tenant_id,
        context.parameters["serial"],
        reason,
        invalidity_date,
        context.actor,
        request.request_id,
        context.query.authority,
    )
    context.state.watch.notice()
    return json_response(_certificate(found))


def revoke_certificate(context: Context, request: Request) -> Response:
    """Revoke or hold."""
    return _change(context, request, RevocationReason(context.body.reason), context.body.invalidity_date)


def unhold_certificate(context: Context, request: Request) -> Response:
    """Release a hold."""
    return _change(context, request, RevocationReason.REMOVE_FROM_CRL, None)


def revoke_by_key(context: Context, request: Request) -> Response:
    """Revoke or hold every certificate of a key."""
    body: models.RevokeKeyBody = context.body
    found = authority_of(context).revoke_by_key(
        context.tenant_id, _key(context, body), _bulk(body), context.actor, request.request_id
    )
    return _many(context, found)


def revoke_by_requester(context: Context, request: Request) -> Response:
    """Revoke or hold what somebody has had issued."""
    body: models.RevokeRequesterBody = context.body
    found = authority_of(context).revoke_by_requester(
        context.tenant_id, body.requester, _bulk(body), context.actor, request.request_id
    )
    return _many(context, found)


def _key(context: Context, body: models.RevokeKeyBody) -> str:
    given = [one for one in (body.serial, body.spki_sha256, body.public_key) if one is not None]
    if len(given) != 1 or (body.authority is not None and body.serial is None):
        text = "give one of serial (with authority, if several share it), spki_sha256 and public_key"
        raise Fault(FaultKind.INVALID, text, text, pointer="#/serial")
    if body.serial is not None:
        found = authority_of(context).certificate(context.tenant_id, body.serial, body.authority or "")
        return found.spki_sha256
    if body.public_key is not None:
        key = _public_key(body.public_key)
        key_info(key)
        return hashlib.sha256(key).hexdigest()
    return (body.spki_sha256 or "").lower()


def _bulk(body: models.RevokeManyBody) -> BulkOrder:
    return BulkOrder(RevocationReason(body.reason), body.invalidity_date, body.cursor, body.limit)


def _many(context: Context, found: BulkResult) -> Response:
    if found.serials:
        context.state.watch.notice()
    return json_response(models.RevokedView(serials=found.serials, next=found.cursor or None))
