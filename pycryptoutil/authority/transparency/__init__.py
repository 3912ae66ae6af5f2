"""Certificate Transparency (RFC 6962): precertificates, timestamps from logs, and certificates that carry them."""

from pycryptoutil.authority.transparency.ending import end_abandoned
from pycryptoutil.authority.transparency.flow import precertify

__all__ = ["end_abandoned", "precertify"]
