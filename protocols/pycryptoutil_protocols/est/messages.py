"""The operations and media types of EST (RFC 7030 section 3.2.2)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

PKCS10 = "application/pkcs10"
PKCS8 = "application/pkcs8"
CSRATTRS = "application/csrattrs"
CERTS_ONLY = "application/pkcs7-mime; smime-type=certs-only"
SERVER_GENERATED_KEY = "application/pkcs7-mime; smime-type=server-generated-key"
# cacerts answers without smime-type in RFC 7030 section 4.1.3; RFC 8951 section 3 has certs-only for every response
CACERTS = CERTS_ONLY


class Operation(enum.Enum):
    """Path segment and method of an operation."""

    CACERTS = ("cacerts", "GET")
    SIMPLE_ENROLL = ("simpleenroll", "POST")
    SIMPLE_REENROLL = ("simplereenroll", "POST")
    SERVER_KEYGEN = ("serverkeygen", "POST")
    CSR_ATTRIBUTES = ("csrattrs", "GET")

    @property
    def path(self) -> str:
        """The last segment of the URL."""
        return self.value[0]

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Payload:
    """A response: its media type, body, and further header fields. The body may hold a private key."""

    content_type: str
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()
