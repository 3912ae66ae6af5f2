"""Certificate revocation lists (RFC 5280 section 5): generated, numbered and published."""

from pycryptoutil.authority.crl.publisher import CrlDocument, CrlService

__all__ = ["CrlDocument", "CrlService"]
