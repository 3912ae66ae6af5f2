"""What the folders of the REST API share."""

from __future__ import annotations

from typing import Final

from pycryptoutil_protocols import pem

from pycryptoutil.authority import CertificateAuthorityService
from pycryptoutil.http.message import Request
from pycryptoutil.service.definition import Context

PEM_TYPE: Final = "application/x-pem-file"
CHAIN_TYPE: Final = "application/pem-certificate-chain"
DER_TYPE: Final = "application/pkix-cert"
CRL_TYPE: Final = "application/pkix-crl"
YAML_TYPE: Final = "application/yaml"


def authority_of(context: Context) -> CertificateAuthorityService:
    """Return the CA."""
    found: CertificateAuthorityService = context.state.authority
    return found


def to_pem(der: bytes, label: str = "CERTIFICATE") -> str:
    """Armour DER (RFC 7468)."""
    return pem.encode_pem(label, der).decode("ascii")


def wanted_type(request: Request, *offered: str) -> str:
    """Return the first media type that is offered and asked for by name; empty for JSON."""
    asked = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept").split(",")]
    return next((kind for kind in asked if kind in offered), "")
