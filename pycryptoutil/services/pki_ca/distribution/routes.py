"""Where CRLs and CA certificates are."""

from __future__ import annotations

from typing import Any, Final

from pycryptoutil.http.message import Listener
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.services.pki_ca.distribution import handlers

_COMMON: Final[dict[str, Any]] = {
    "methods": ("GET",),
    "gate": Gate.PROTOCOL,
    "scope": None,
    "tag": "Distribution",
    "faults": handlers.faults,
    "listeners": frozenset({Listener.PUBLIC, Listener.PLAIN}),
    "rate_limited": False,  # cacheable public documents, and relying parties share addresses
}

ROUTES: Final = (
    Route(
        "downloadCrl",
        path="/crl/<ca>.crl",
        handler=handlers.crl,
        fast=handlers.fast_crl,
        summary="The CA's current CRL (DER)",
        produces=(handlers.CRL_TYPE,),
        **_COMMON,
    ),
    Route(
        "downloadCaCertificate",
        path="/ca/<ca>.cer",
        handler=handlers.certificate,
        summary="The CA's certificate (DER)",
        produces=(handlers.CERTIFICATE_TYPE,),
        **_COMMON,
    ),
    Route(
        "downloadCaBundle",
        path="/ca/<ca>.p7c",
        handler=handlers.bundle,
        summary="The CA's certificate and its issuers (certificates-only CMS)",
        produces=(handlers.BUNDLE_TYPE,),
        **_COMMON,
    ),
)
