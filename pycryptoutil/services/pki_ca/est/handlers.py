"""EST: decode → who asks → what may be asked → issue → encode."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil_protocols import oids
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.est import codec, csrattrs, exchange, failures, messages, serverkeygen
from pycryptoutil_protocols.est.exchange import BindingPolicy, ChannelBinding, EnrolPolicy
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import CertificateAuthorityService, IssuedCertificate, IssueOrder, Profile
from pycryptoutil.authority.enrolment import Enrolment, EnrolmentState
from pycryptoutil.authority.oids import ATTRIBUTES
from pycryptoutil.crypto.policy import KeyAlgorithm
from pycryptoutil.http.message import Request, Response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.est.caller import CHALLENGE, Caller, identify
from pycryptoutil.services.pki_ca.est.keygen import KeyProtector
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

_NO_STORE: Final = ("cache-control", "no-store")
_CACERTS_MAX_AGE: Final = 3600


def cacerts(context: Context, _request: Request) -> Response:
    """The label's CA up to the root, and the links of a rollover (RFC 7030 section 4.1, 4.1.3)."""
    service = _service(context)
    place = service.resolve_label(None, _label(context))
    found = service.published(place.tenant_id, place.authority)
    cached = ("cache-control", f"max-age={_CACERTS_MAX_AGE}, public, no-transform")
    return _payload(codec.encode_cacerts(found), cached)


def csr_attributes(context: Context, _request: Request) -> Response:
    """What the label's profile wants to see in a request (RFC 7030 section 4.5, RFC 9908); 204: nothing."""
    service = _service(context)
    place = service.resolve_label(None, _label(context))
    profile = service.profile(place.tenant_id, place.profile)
    wish = wishes(profile, channel_binding=_policy(context).binding is BindingPolicy.REQUIRE)
    if wish == csrattrs.CsrAttributes():
        return Response(204, headers=(_NO_STORE,))
    return _payload(codec.encode_csrattrs(csrattrs.encode(wish)), _NO_STORE)


def simple_enroll(context: Context, request: Request) -> Response:
    """Certify a key (RFC 7030 section 4.2.1). With a client certificate, for the same names as it has."""
    caller = identify(_service(context), request, _label(context))
    return _enrol(context, request, _csr(request), caller)


def simple_reenroll(context: Context, request: Request) -> Response:
    """Renew or rekey the certificate that the client shows (RFC 7030 section 4.2.2)."""
    caller = identify(_service(context), _only_certificate(request), _label(context))
    return _enrol(context, request, _csr(request), caller)


def server_keygen(context: Context, request: Request) -> Response:
    """Make a key and certify it (RFC 7030 section 4.4); the request's own key only shows which kind is wanted."""
    service = _service(context)
    caller = identify(service, request, _label(context))
    csr = _csr(request)
    _check(context, request, csr, caller, server_keygen=True)
    wanted = serverkeygen.protection(csr)
    protector: KeyProtector = context.state.key_protector
    if wanted.wanted:
        protector.recipient(caller, wanted)
    profile = service.profile(caller.tenant_id, caller.profile)
    answer, key = service.enrol_generated(
        caller.tenant_id, _order(csr, caller), caller.actor, request.request_id, _key_algorithm(csr, profile)
    )
    issued = _certificate(answer)
    if key is None:
        text = "the key that was made is gone: ask for another"
        raise Fault(FaultKind.INTERNAL, f"enrolment {answer.id} has no key any more", text)
    with context.database.unit_of_work(caller.tenant_id) as uow:
        details = {"serial": issued.serial, "encrypted": wanted.wanted}
        target = f"{issued.authority}/{issued.serial}"
        audit.append(uow, AuditEvent("key.export", caller.actor, target, "success", details, request.request_id))
    pkcs8 = key.export_pkcs8()
    if wanted.wanted:
        payload = serverkeygen.encode_protected(protector.protect(caller, wanted, pkcs8), issued.der)
    else:
        payload = serverkeygen.encode_plain(pkcs8, issued.der)
    return _payload(payload, _NO_STORE)


def missing(_context: Context, _request: Request) -> Response:
    """Nothing is here."""
    raise Fault(FaultKind.NOT_FOUND, "no such EST operation", "no EST operation has this path")


def faults(fault: Fault, request: Request) -> Response:
    """Answer a Fault as EST does: a status, and text for people with the request id."""
    error = failures.http_error(fault)
    headers = [(name, value) for name, value in error.headers if name != "content-type"]
    if error.status == 401 and not fault.challenges:
        headers.append(("www-authenticate", CHALLENGE))
    return Response(
        error.status, f"{error.text}Request {request.request_id}.\n".encode(), failures.CONTENT_TYPE, tuple(headers)
    )


# -- steps -------------------------------------------------------------------------------------------------------------


def _service(context: Context) -> CertificateAuthorityService:
    service: CertificateAuthorityService = context.state.authority
    return service


def _label(context: Context) -> str:
    return "/".join(context.parameters[name] for name in ("label", "ca", "profile") if name in context.parameters)


def _csr(request: Request) -> CertificationRequest:
    # RFC 8951 section 3.1: what decides is the body; a client that names no type is believed to mean the only one
    return codec.decode_csr(request.body, request.headers.get("content-type") or messages.PKCS10)


def _policy(context: Context) -> EnrolPolicy:
    required = _service(context).settings.est_channel_binding == "require"
    return EnrolPolicy(binding=BindingPolicy.REQUIRE if required else BindingPolicy.VERIFY)


def _only_certificate(request: Request) -> Request:
    """Leave out Authorization: the names are bound to the certificate that is renewed, whoever else vouches."""
    if request.tls is not None and request.tls.client_chain:
        return request.without("authorization")
    if request.headers.get("authorization"):
        public = "show the certificate to be renewed as TLS client certificate"
        raise Fault(FaultKind.FORBIDDEN, "re-enrolment without a client certificate", public)
    return request


def _binding(request: Request, csr: CertificationRequest, *, required: bool) -> ChannelBinding:
    claims = csr.challenge_password is not None or csr.identity_linking is not None
    if request.tls is None or not (claims or required):
        return ChannelBinding()
    try:
        return ChannelBinding(exporter=request.tls.export(exchange.EXPORTER_LABEL, exchange.EXPORTER_LENGTH))
    except LookupError:
        return ChannelBinding()


def _check(
    context: Context, request: Request, csr: CertificationRequest, caller: Caller, *, server_keygen: bool = False
) -> None:
    """Hold the request to possession, channel and, for a client with a certificate, to its names."""
    policy = _policy(context)
    binding = _binding(request, csr, required=policy.binding is BindingPolicy.REQUIRE)
    if caller.certificate is None:
        exchange.check_enrol(csr, binding=binding, policy=policy, server_keygen=server_keygen)
    else:
        exchange.check_reenrol(csr, caller.certificate.der, binding=binding, policy=policy, server_keygen=server_keygen)


def _order(csr: CertificationRequest, caller: Caller) -> IssueOrder:
    """A repeat of the same request by the same client is a retry, and gets the same certificate."""
    return IssueOrder(
        authority=caller.authority,
        profile=caller.profile,
        csr=csr.der,
        protocol="est",
        credential=caller.credential,
        previous_certificate=caller.certificate.der if caller.certificate is not None else None,
        idempotency_key="est",
        request=csr,
    )


def _enrol(context: Context, request: Request, csr: CertificationRequest, caller: Caller) -> Response:
    _check(context, request, csr, caller)
    answer = _service(context).enrol(caller.tenant_id, _order(csr, caller), caller.actor, request.request_id)
    return _payload(codec.encode_enrolled(_certificate(answer).der), _NO_STORE)


def _certificate(answer: Enrolment) -> IssuedCertificate:
    """Return the certificate; a Fault that says 202 while it waits (RFC 7030 section 4.2.3), or why not."""
    if answer.state is EnrolmentState.PENDING:
        text = f"{answer.approvals} of {answer.needed} have approved"
        raise Fault(FaultKind.PENDING, f"enrolment {answer.id}: {text}", text, retry_after=answer.retry_after)
    if answer.state is not EnrolmentState.ISSUED or answer.certificate is None:
        raise Fault(FaultKind.POLICY, f"enrolment {answer.id}: {answer.reason}", answer.reason)
    return answer.certificate


def _key_algorithm(csr: CertificationRequest, profile: Profile) -> str:
    """Return the request's own kind of key where the profile allows it, else nothing: the profile's default."""
    try:
        wanted = csr.key.algorithm
    except Fault:
        return ""
    return wanted if profile.allows_key(wanted) and wanted in _GENERATED else ""


_GENERATED: Final = frozenset(algorithm.value for algorithm in KeyAlgorithm)


def wishes(profile: Profile, *, channel_binding: bool) -> csrattrs.CsrAttributes:
    """Say what a profile asks of requests: attributes of the subject, names, and the key where there is no choice."""
    subject = tuple(csrattrs.NameTemplate(ATTRIBUTES[name]) for name in profile.subject.required)
    extensions: tuple[csrattrs.ExtensionTemplate, ...] = ()
    if profile.names.required:
        extensions = (csrattrs.ExtensionTemplate(oids.SUBJECT_ALT_NAME),)
    algorithms = profile.keys.algorithms
    key = algorithms[0] if len(algorithms) == 1 and algorithms[0] != "RSA" else ""
    return csrattrs.CsrAttributes(
        key=f"RSA-{profile.keys.rsa_minimum}" if algorithms == ("RSA",) else key,
        subject=subject or None,
        extensions=extensions,
        challenge_password=channel_binding,
    )


def _payload(payload: messages.Payload, *headers: tuple[str, str]) -> Response:
    return Response(200, payload.body, payload.content_type, payload.headers + headers)


OPERATIONS: Final[tuple[tuple[messages.Operation, Any, str], ...]] = (
    (messages.Operation.CACERTS, cacerts, "CA certificates"),
    (messages.Operation.CSR_ATTRIBUTES, csr_attributes, "What a request should have in it"),
    (messages.Operation.SIMPLE_ENROLL, simple_enroll, "Enrol"),
    (messages.Operation.SIMPLE_REENROLL, simple_reenroll, "Renew or rekey"),
    (messages.Operation.SERVER_KEYGEN, server_keygen, "Enrol with a key made by the server"),
)
