"""What proves control of an identifier: pure judgements over what a validator has fetched (RFC 8555 section 8)."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable

from pycryptoutil_protocols import der, x509
from pycryptoutil_protocols.faults import Fault
from pycryptoutil_protocols.names import GeneralNameKind

from .jwk import encode_base64url
from .messages import Identifier, IdentifierType
from .problems import AcmeFault, ProblemType, refused

ALPN_PROTOCOL = "acme-tls/1"
ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31"  # RFC 8737 section 3
MAX_HTTP_BODY = 4096  # a key authorization has less than 200 characters
DNS_LABEL = "_acme-challenge"


def key_authorization(token: str, thumbprint: str) -> str:
    """Section 8.1."""
    return f"{token}.{thumbprint}"


def _incorrect(text: str) -> AcmeFault:
    return refused(ProblemType.INCORRECT_RESPONSE, text)


def http_path(token: str) -> str:
    """Where the response is (section 8.3)."""
    return f"/.well-known/acme-challenge/{token}"


def http_01(body: bytes, expected: str) -> None:
    """Judge the body at :func:`http_path`; white space may follow (section 8.3)."""
    if not hmac.compare_digest(body.rstrip(), expected.encode("ascii")):
        shown = body[:64].decode("ascii", "replace")
        raise _incorrect(f"the response is not the key authorization, but begins with {shown!r}")


def dns_name(identifier: Identifier) -> str:
    """Where the TXT record is (section 8.4)."""
    return f"{DNS_LABEL}.{identifier.value.removeprefix('*.')}"


def dns_value(expected: str) -> str:
    """What the TXT record says."""
    return encode_base64url(hashlib.sha256(expected.encode("ascii")).digest())


def dns_01(texts: Iterable[bytes], expected: str) -> None:
    """Judge the TXT records at :func:`dns_name`: one of them must fit."""
    wanted = dns_value(expected).encode("ascii")
    found = list(texts)
    if not any(hmac.compare_digest(text, wanted) for text in found):
        raise _incorrect(
            f"none of {len(found)} TXT records is the key authorization's digest" if found else "no TXT record"
        )


def server_name(identifier: Identifier) -> str:
    """What SNI carries: the name, or the reverse name of an address (RFC 8738 section 6)."""
    if identifier.type == IdentifierType.IP:
        return ipaddress.ip_address(identifier.value).reverse_pointer
    return identifier.value


def tls_alpn_01(certificate: bytes, protocol: str | None, identifier: Identifier, expected: str) -> None:
    """Judge the certificate that the server showed for :data:`ALPN_PROTOCOL` (RFC 8737 section 3, RFC 8738)."""
    if protocol != ALPN_PROTOCOL:
        raise _incorrect(f"the server did not choose {ALPN_PROTOCOL}")
    try:
        facts = x509.decode_certificate(certificate)
        names = facts.sans
        extension = facts.extension(ACME_IDENTIFIER)
        digest = der.read(extension.value).octets() if extension is not None else b""
    except Fault:
        raise _incorrect("the server's certificate is malformed") from None
    if facts.issuer != facts.subject:
        raise _incorrect("the server's certificate is not self-signed")
    if len(names) != 1 or not _names(names[0].kind, names[0].value, identifier):
        raise _incorrect("the server's certificate does not name the identifier, and nothing else")
    if extension is None or not extension.critical:
        raise _incorrect("the server's certificate has no critical acmeIdentifier extension")
    if not hmac.compare_digest(digest, hashlib.sha256(expected.encode("ascii")).digest()):
        raise _incorrect("the acmeIdentifier extension is not the key authorization's digest")


def _names(kind: GeneralNameKind, value: str, identifier: Identifier) -> bool:
    if identifier.type == IdentifierType.IP:
        return kind is GeneralNameKind.IP and value == identifier.value
    return kind is GeneralNameKind.DNS and value.lower() == identifier.value
