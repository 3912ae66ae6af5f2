"""CMC over HTTP (RFC 5273 section 3) and as EST's fullcmc (RFC 7030 section 4.3)."""

from __future__ import annotations

import logging
from typing import Any, Final

from pycryptoutil_protocols import pem
from pycryptoutil_protocols.cmc import codec, server
from pycryptoutil_protocols.cmc.messages import FailInfo
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.est import failures as http_failures
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.cmc import PROTOCOL, CaBackend, sweep
from pycryptoutil.http.message import Request, Response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.cmc.settings import CmcSettings
from pycryptoutil.services.pki_ca.est.caller import CHALLENGE, identify

PKCS10_TYPES: Final = ("application/pkcs10", "application/x-pkcs10")
FULL_TYPES: Final = ("application/pkcs7-mime", "application/x-pkcs7-mime")
RESPONSE_TYPE: Final = "application/pkcs7-mime; smime-type=CMC-response"
SIMPLE_TYPE: Final = "application/pkcs7-mime; smime-type=certs-only"
MAX_BODY: Final = 2 * codec.MAX_MESSAGE  # base64, with room for any wrapping
_NO_STORE: Final = ("cache-control", "no-store")
_LABELS: Final = ("PKCS7", "CMS", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
_BUSY: Final = (FailInfo.TRY_LATER, FailInfo.INTERNAL_CA_ERROR)

_log = logging.getLogger(__name__)


def answer(context: Context, request: Request) -> Response:
    """Answer a Simple or Full PKI Request. What is wrong with it is said in CMC, under HTTP status 200."""
    kind = _media_type(request)
    backend, rules = _backend(context, request)
    try:
        encoded = pem.decode_body(request.body, codec.MAX_MESSAGE, _LABELS)
    except Fault as fault:
        return _full(server.refuse(backend, rules, _noted(fault, request)))
    if kind in PKCS10_TYPES:
        done = server.answer_simple(
            backend, rules, encoded, lambda csr: _simple_party(backend, request, csr), report=_reporter(request)
        )
    else:
        outside = _outside(backend, request)
        done = server.answer(backend, rules, encoded, outside=outside, report=_reporter(request))
    return _full(done)


def full_cmc(context: Context, request: Request) -> Response:
    """Answer EST's fullcmc: base64 both ways, and a failure has an HTTP status of its own beside CMC's."""
    if _media_type(request) not in FULL_TYPES:
        raise Fault(FaultKind.UNSUPPORTED_MEDIA_TYPE, "PKCS#10 at fullcmc", f"{FULL_TYPES[0]} is expected")
    backend, rules = _backend(context, request)
    try:
        encoded = pem.decode_body(request.body, codec.MAX_MESSAGE, _LABELS)
        outside = _outside(backend, request)
    except Fault as fault:
        if fault.kind is FaultKind.UNAUTHENTICATED:
            raise
        done = server.refuse(backend, rules, _noted(fault, request))
    else:
        done = server.answer(backend, rules, encoded, outside=outside, report=_reporter(request))
    status = 200
    if done.failed:
        status = 503 if any(one.failure in _BUSY for one in done.statuses) else 400
    headers = (_NO_STORE, ("content-transfer-encoding", "base64"))
    return Response(status, pem.encode_base64(done.body), RESPONSE_TYPE, headers)


def faults(fault: Fault, request: Request) -> Response:
    """Answer what no CMC response can be signed for: the sealed service, a body too large, a wrong media type."""
    error = http_failures.http_error(fault)
    status = 503 if error.status >= 500 else error.status
    headers = tuple((name, value) for name, value in error.headers if name != "content-type")
    if status == 503 and not any(name == "retry-after" for name, _ in headers):
        headers += (("retry-after", str(fault.retry_after or 10)),)
    if status == 401 and not fault.challenges:
        headers += (("www-authenticate", CHALLENGE),)
    text = f"{error.text}Request {request.request_id}.\n"
    return Response(status, text.encode(), http_failures.CONTENT_TYPE, headers)


def upkeep(state: Any) -> None:
    """Revoke what was not confirmed in time, and forget transactions that have run out."""
    sweep(state.authority, state.crl)


# -- steps -------------------------------------------------------------------------------------------------------------


def _media_type(request: Request) -> str:
    kind = request.content_type
    if kind not in (*PKCS10_TYPES, *FULL_TYPES):
        public = f"{FULL_TYPES[0]}; smime-type=CMC-request or {PKCS10_TYPES[0]} is expected"
        raise Fault(FaultKind.UNSUPPORTED_MEDIA_TYPE, f"content type {kind[:60]!r}", public)
    return kind


def _backend(context: Context, request: Request) -> tuple[CaBackend, server.Rules]:
    state, parameters = context.state, context.parameters
    label = "/".join(parameters[name] for name in ("label", "ca", "profile") if name in parameters)
    settings: CmcSettings = state.settings.cmc
    if not settings.enabled:
        raise Fault(FaultKind.NOT_FOUND, "CMC is not enabled", "CMC is not offered here")
    place = state.authority.resolve_label(None, label)
    backend = CaBackend(state.authority, state.crl, settings.choices(), place, label, request.request_id)
    return backend, settings.rules()


def _outside(backend: CaBackend, request: Request) -> server.Party | None:
    """Return who the connection says it is: an enrolment credential by Basic, or a TLS client certificate."""
    if request.tls is None:
        return None
    if not request.headers.get("authorization") and not request.tls.client_chain:
        return None
    try:
        caller = identify(backend.service, request, backend.label)
    except Fault:
        if request.headers.get("authorization"):
            raise
        return None  # a certificate from elsewhere says nothing, and the message may say more
    if caller.credential is not None:
        return backend.credential_party(caller.credential, caller.secret.encode(), "est")
    if caller.certificate is None:
        return None
    return backend.holder(caller.certificate.der)


def _simple_party(backend: CaBackend, request: Request, csr: CertificationRequest) -> server.Party:
    """Return who a bare PKCS#10 request is from: as the connection says, or by its challenge password."""
    found = _outside(backend, request)
    if found is not None:
        return found
    if csr.challenge_password is None:
        public = "put the enrolment credential's secret into challengePassword, or authenticate the connection"
        raise Fault(FaultKind.UNAUTHENTICATED, "a Simple PKI Request from nobody", public)
    secret = csr.challenge_password
    credential = backend.service.credential_by_secret(backend.place.tenant_id, secret, PROTOCOL)
    return backend.credential_party(credential, secret.encode(), PROTOCOL)


def _reporter(request: Request) -> server.Report:
    def report(fault: Fault) -> None:
        _noted(fault, request)

    return report


def _noted(fault: Fault, request: Request) -> Fault:
    level = logging.ERROR if fault.kind is FaultKind.INTERNAL else logging.INFO
    _log.log(level, "cmc: %s: %s (request %s)", fault.kind.value, fault.detail, request.request_id)
    return fault


def _full(done: server.Answer) -> Response:
    return Response(200, done.body, SIMPLE_TYPE if done.simple else RESPONSE_TYPE, (_NO_STORE,))
