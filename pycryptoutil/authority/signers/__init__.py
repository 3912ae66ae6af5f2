"""Keys that answer for a CA without being it: OCSP, SCEP, CMP, CMC and time-stamps."""

from pycryptoutil.authority.signers.service import ServiceSigner, Signers

__all__ = ["ServiceSigner", "Signers"]
