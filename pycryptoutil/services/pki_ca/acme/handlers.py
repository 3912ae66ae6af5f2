"""ACME: decode → nonce → who asks → what for → encode. Every answer to a POST brings a fresh nonce."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from pycryptoutil_protocols import pem
from pycryptoutil_protocols.acme import problems
from pycryptoutil_protocols.acme.jws import Signed
from pycryptoutil_protocols.acme.problems import AcmeFault, malformed
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import CertificateAuthorityService
from pycryptoutil.authority.acme import AcmeService, Place
from pycryptoutil.authority.acme.certificates import Chain
from pycryptoutil.authority.acme.context import Caller
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import decode_cursor, encode_cursor
from pycryptoutil.service.definition import Context

ROOT: Final = "/acme"
JSON: Final = "application/json"
CHAIN: Final = "application/pem-certificate-chain"
_NO_STORE: Final = ("cache-control", "no-store")
_ALTERNATE: Final = re.compile(r"[1-9][0-9]{0,3}\Z")

Operation: TypeAlias = Callable[["Ask"], Response]


class Ask:
    """One request on its way: ``signed`` is decoded, its nonce is used up, its signature is still to be verified."""

    __slots__ = ("parameters", "place", "request", "service", "signed")

    def __init__(
        self, service: AcmeService, place: Place, signed: Signed, request: Request, parameters: Mapping[str, str]
    ) -> None:
        self.service = service
        self.place = place
        self.signed = signed
        self.request = request
        self.parameters = parameters

    @property
    def id(self) -> str:
        """The resource's id in the path."""
        return self.parameters["identifier"]

    def caller(self) -> Caller:
        """Verify the signature by the account's key."""
        return self.service.caller(self.place, self.signed, self.request.request_id, self.request.peer)

    def payload(self) -> dict[str, Any]:
        """The JSON object that was sent."""
        return self.signed.document()

    def only_get(self) -> None:
        """Refuse what is not POST-as-GET (RFC 8555 section 6.3)."""
        if not self.signed.is_get:
            raise malformed("this resource is fetched with an empty payload")


def _answer(document: Mapping[str, Any], status: int = 200, *headers: tuple[str, str]) -> Response:
    return Response(status, json.dumps(document, separators=(",", ":")).encode(), JSON, headers)


def _link(url: str, relation: str) -> tuple[str, str]:
    return "link", f'<{url}>;rel="{relation}"'


def _wait(seconds: int) -> tuple[tuple[str, str], ...]:
    return (("retry-after", str(seconds)),) if seconds else ()


def _index(place: Place) -> tuple[str, str]:
    """RFC 8555 section 7.1: on every answer but the directory."""
    return _link(place.url("directory"), "index")


# -- every request -----------------------------------------------------------------------------------------------------


def _service(context: Context) -> AcmeService:
    found: AcmeService | None = context.state.acme
    if found is None:
        raise Fault(FaultKind.NOT_FOUND, "acme.enabled is false", "there is no ACME directory here")
    return found


def _place(context: Context) -> Place:
    authority: CertificateAuthorityService = context.state.authority
    label = context.parameters["label"]
    found = authority.resolve_label(None, label)
    return Place(found.tenant_id, found.authority, found.profile, f"{context.resources.urls.public}{ROOT}/{label}")


def post(operation: Operation) -> Callable[[Context, Request], Response]:
    """Return the handler of an operation: its faults become problems here, where nonces are."""

    def handle(context: Context, request: Request) -> Response:
        service = _service(context)
        place = _place(context)
        try:
            signed = service.open(place, request.body, f"{context.resources.urls.public}{request.raw_path}")
            answer = operation(Ask(service, place, signed, request, context.parameters))
        except Fault as fault:
            if fault.kind in {FaultKind.INTERNAL, FaultKind.SEALED}:
                raise
            answer = faults(fault, request)
        return _fresh(service, place, answer)

    return handle


def _fresh(service: AcmeService, place: Place, answer: Response) -> Response:
    kept = (
        answer.headers if any(name == "cache-control" for name, _ in answer.headers) else (*answer.headers, _NO_STORE)
    )
    headers = (*kept, ("replay-nonce", service.nonces.new()), _index(place))
    return Response(answer.status, answer.body, answer.media_type, headers)


def faults(fault: Fault, _request: Request) -> Response:
    """Answer a fault as ACME's problem document."""
    problem = problems.problem_of(fault)
    headers: list[tuple[str, str]] = [_NO_STORE]
    if fault.retry_after is not None:
        headers.append(("retry-after", str(fault.retry_after)))
    if isinstance(fault, AcmeFault):
        headers += [_link(url, relation) for relation, url in fault.links]
        if fault.location:
            headers.append(("location", fault.location))
    return Response(problem.http_status, problem.encode(), problems.MEDIA_TYPE, tuple(headers))


# -- without an account ------------------------------------------------------------------------------------------------


def directory(context: Context, _request: Request) -> Response:
    """Section 7.1.1."""
    return _answer(_service(context).directory(_place(context)), 200, ("cache-control", "public, max-age=300"))


def new_nonce(context: Context, request: Request) -> Response:
    """Section 7.2."""
    service = _service(context)
    return _fresh(service, _place(context), Response(200 if request.method == "HEAD" else 204))


def renewal_info(context: Context, _request: Request) -> Response:
    """RFC 9773 section 4.2."""
    place = _place(context)
    found = _service(context).renewal_info(place, context.parameters["identifier"])
    return _answer(found.document, 200, ("retry-after", str(found.retry_after)), _NO_STORE, _index(place))


def star_certificate(context: Context, _request: Request) -> Response:
    """RFC 8739 section 3.4: anybody, where the order lets them."""
    service, place = _service(context), _place(context)
    found = service.current_certificate(place, None, context.parameters["identifier"])
    return _chain(found, _index(place), dated=True)


def _chain(found: Chain, *headers: tuple[str, str], dated: bool = False) -> Response:
    body = b"".join(pem.encode_pem("CERTIFICATE", one) for one in found.certificates)
    if dated:  # RFC 8739 section 3.3
        dates = ("cert-not-before", _http_date(found.not_before)), ("cert-not-after", _http_date(found.not_after))
        headers = (*headers, *dates)
    return Response(200, body, CHAIN, (*headers, _NO_STORE))


def _http_date(moment: datetime) -> str:
    from email.utils import format_datetime

    return format_datetime(moment.astimezone(UTC), usegmt=True)


# -- accounts ----------------------------------------------------------------------------------------------------------


def new_account(ask: Ask) -> Response:
    """Section 7.3."""
    row, made = ask.service.new_account(ask.place, ask.signed, ask.request.request_id, ask.request.peer)
    location = ("location", ask.place.url("account", row.id))
    return _answer(ask.service.account_document(ask.place, row), 201 if made else 200, location)


def account(ask: Ask) -> Response:
    """Sections 7.3.2 to 7.3.6."""
    return _answer(ask.service.account(ask.caller(), ask.id, ask.signed))


def key_change(ask: Ask) -> Response:
    """Section 7.3.5."""
    return _answer(ask.service.change_key(ask.caller(), ask.signed))


def orders(ask: Ask) -> Response:
    """Section 7.1.2.1."""
    ask.only_get()
    position = decode_cursor(ask.parameters.get("cursor", ""), 2)
    try:
        after = (datetime.fromisoformat(position[0]), position[1]) if position is not None else None
    except ValueError:
        raise malformed("not a page of this list") from None
    urls, following = ask.service.orders(ask.caller(), ask.id, after)
    if following is None:
        return _answer({"orders": urls})
    cursor = encode_cursor(following[0].isoformat(), following[1])
    return _answer({"orders": urls}, 200, _link(ask.place.url("account", ask.id, "orders", cursor), "next"))


# -- orders and authorizations -----------------------------------------------------------------------------------------


def new_order(ask: Ask) -> Response:
    """Section 7.4."""
    order_id, document = ask.service.new_order(ask.caller(), ask.payload())
    return _answer(document, 201, ("location", ask.place.url("order", order_id)))


def order(ask: Ask) -> Response:
    """Sections 7.1.3 and 7.4; RFC 8739 section 3.1.3."""
    caller = ask.caller()
    if ask.signed.is_get:
        return _order(ask, *ask.service.order(caller, ask.id))
    return _order(ask, *ask.service.cancel_order(caller, ask.id, ask.payload()))


def finalize(ask: Ask) -> Response:
    """Section 7.4."""
    return _order(ask, *ask.service.finalize(ask.caller(), ask.id, ask.payload()))


def _order(ask: Ask, document: Mapping[str, Any], retry_after: int) -> Response:
    return _answer(document, 200, ("location", ask.place.url("order", ask.id)), *_wait(retry_after))


def new_authorization(ask: Ask) -> Response:
    """Section 7.4.1."""
    authorization_id, document, made = ask.service.new_authorization(ask.caller(), ask.payload())
    location = ("location", ask.place.url("authorization", authorization_id))
    return _answer(document, 201 if made else 200, location)


def authorization(ask: Ask) -> Response:
    """Sections 7.5 and 7.5.2."""
    document, busy = ask.service.authorization(ask.caller(), ask.id, ask.signed)
    return _answer(document, 200, *_wait(int(busy)))


def challenge(ask: Ask) -> Response:
    """Section 7.5.1."""
    document, owner, wait = ask.service.challenge(ask.caller(), ask.id, ask.signed)
    up = _link(ask.place.url("authorization", owner), "up")
    return _answer(document, 200, up, *_wait(wait))


# -- certificates ------------------------------------------------------------------------------------------------------


def certificate(ask: Ask) -> Response:
    """Section 7.4.2: the usual chain, or another one; each links to the others."""
    ask.only_get()
    text = ask.parameters.get("alternate", "")
    if text and not _ALTERNATE.match(text):
        raise Fault(FaultKind.NOT_FOUND, f"chain {text[:20]!r}", "there is no such chain")
    number = int(text or "0")
    found = ask.service.certificate(ask.caller(), ask.id, number)
    others = (str(other) if other else "" for other in range(found.alternates + 1) if other != number)
    links = (_link(ask.place.url("certificate", *filter(None, (ask.id, one))), "alternate") for one in others)
    return _chain(found, *links)


def star_certificate_of_account(ask: Ask) -> Response:
    """RFC 8739 section 3.3."""
    ask.only_get()
    return _chain(ask.service.current_certificate(ask.place, ask.caller(), ask.id), dated=True)


def revoke_certificate(ask: Ask) -> Response:
    """Section 7.6."""
    ask.service.revoke(ask.place, ask.signed, ask.request.request_id, ask.request.peer)
    return Response(200)
