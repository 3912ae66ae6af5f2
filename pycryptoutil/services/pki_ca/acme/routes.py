"""Where ACME answers: on the public HTTPS listener only (RFC 8555 section 6.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pycryptoutil_protocols.acme import jws

from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.acme import handlers
from pycryptoutil.services.pki_ca.acme.handlers import CHAIN, JSON, ROOT, Operation

_COMMON: Final[dict[str, Any]] = {"gate": Gate.PROTOCOL, "scope": None, "tag": "ACME", "faults": handlers.faults}


def _get(name: str, path: str, handler: Callable[[Context, Request], Response], summary: str, kind: str) -> Route:
    return Route(
        name, methods=("GET",), path=f"{ROOT}/<label>/{path}", handler=handler, summary=summary, produces=(kind,),
        **_COMMON,
    )  # fmt: skip


def _post(name: str, path: str, operation: Operation, summary: str, kind: str = JSON) -> Route:
    return Route(
        name,
        methods=("POST",),
        path=f"{ROOT}/<label>/{path}",
        handler=handlers.post(operation),
        summary=summary,
        accepts=(jws.MEDIA_TYPE,),
        produces=(kind,),
        max_body=jws.MAX_REQUEST,
        **_COMMON,
    )


_ONE: Final = "<identifier>"

ROUTES: Final = (
    _get("acmeDirectory", "directory", handlers.directory, "Where everything is (RFC 8555)", JSON),
    _get("acmeNewNonce", "new-nonce", handlers.new_nonce, "A fresh replay nonce", JSON),
    _get("acmeRenewalInfo", f"renewal-info/{_ONE}", handlers.renewal_info, "When to renew (RFC 9773)", JSON),
    _get("acmeStarGet", f"star-certificate/{_ONE}", handlers.star_certificate, "The present one (RFC 8739)", CHAIN),
    _post("acmeNewAccount", "new-account", handlers.new_account, "Make or find an account"),
    _post("acmeAccount", f"account/{_ONE}", handlers.account, "Show, change or deactivate an account"),
    _post("acmeOrders", f"account/{_ONE}/orders", handlers.orders, "An account's orders"),
    _post("acmeOrdersPage", f"account/{_ONE}/orders/<cursor>", handlers.orders, "More of an account's orders"),
    _post("acmeKeyChange", "key-change", handlers.key_change, "Give an account another key"),
    _post("acmeNewOrder", "new-order", handlers.new_order, "Order a certificate"),
    _post("acmeOrder", f"order/{_ONE}", handlers.order, "Show an order, or cancel its auto-renewal"),
    _post("acmeFinalize", f"order/{_ONE}/finalize", handlers.finalize, "Send the CSR"),
    _post("acmeNewAuthorization", "new-authz", handlers.new_authorization, "Authorize a name before it is ordered"),
    _post("acmeAuthorization", f"authorization/{_ONE}", handlers.authorization, "Show or deactivate"),
    _post("acmeChallenge", f"challenge/{_ONE}", handlers.challenge, "Have a challenge tried"),
    _post("acmeCertificate", f"certificate/{_ONE}", handlers.certificate, "The certificate with its chain", CHAIN),
    _post("acmeAlternate", f"certificate/{_ONE}/<alternate>", handlers.certificate, "With another chain", CHAIN),
    _post("acmeStar", f"star-certificate/{_ONE}", handlers.star_certificate_of_account, "The present one", CHAIN),
    _post("acmeRevoke", "revoke-cert", handlers.revoke_certificate, "Revoke by account or certificate key"),
)
