"""When to renew: ACME Renewal Information (RFC 9773)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pycryptoutil_protocols import der, oids, x509

from .jwk import decode_base64url, encode_base64url
from .problems import malformed

_MAX_PART = 64  # octets


@dataclass(frozen=True, slots=True)
class CertificateId:
    """Section 4.1: the issuer's key identifier and the serial number."""

    key_identifier: bytes
    serial: int

    @property
    def text(self) -> str:
        """As it stands in URLs and in ``replaces``."""
        serial = der.integer(self.serial)[2:]
        return f"{encode_base64url(self.key_identifier)}.{encode_base64url(serial)}"


def decode_certificate_id(text: str) -> CertificateId:
    """Read one; malformed."""
    key, point, serial = text.partition(".")
    if not point or len(text) > 4 * _MAX_PART:
        raise malformed("a certificate's identifier is two parts with a point between them")
    found = CertificateId(
        decode_base64url(key, "key identifier"),
        int.from_bytes(decode_base64url(serial, "serial number"), "big", signed=True),
    )
    if not found.key_identifier or found.text != text:
        raise malformed("a certificate's identifier is not in its one form")
    return found


def certificate_id(certificate: bytes) -> CertificateId:
    """Return a certificate's identifier; malformed without an authority key identifier."""
    facts = x509.decode_certificate(certificate)
    extension = facts.extension(oids.AUTHORITY_KEY_IDENTIFIER)
    if extension is None:
        raise malformed("the certificate has no authority key identifier")
    key = der.read_sequence(extension.value).optional(der.context(0, constructed=False))
    if key is None:
        raise malformed("the certificate has no authority key identifier")
    return CertificateId(key.content, facts.serial)


def window(not_before: datetime, not_after: datetime, *, replace_since: datetime | None = None) -> dict[str, Any]:
    """Return suggestedWindow: of the last third of the validity the first half, or the past for what is to go now."""
    if replace_since is not None:
        start, end = replace_since - timedelta(hours=1), replace_since
    else:
        life = not_after - not_before
        start, end = not_before + life * 2 / 3, not_before + life * 5 / 6
    return {"suggestedWindow": {"start": _text(start), "end": _text(end)}}


def _text(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
