"""Certificate Transparency (RFC 6962): precertificates, timestamps from logs, and certificates that carry them."""

from pycryptoutil.authority.transparency.flow import precertify

__all__ = ["precertify"]
