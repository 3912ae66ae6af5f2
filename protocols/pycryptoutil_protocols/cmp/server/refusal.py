"""Refusing a message or a part of it, with the bit of failInfo that says why (RFC 9810 section 5.2.3)."""

from __future__ import annotations

from pycryptoutil_protocols.cmp.failures import CmpFault
from pycryptoutil_protocols.cmp.messages import PKIFailureInfo


def refusal(failure: PKIFailureInfo, public: str, detail: str = "") -> CmpFault:
    """Return the fault whose text a peer may read; the log gets ``detail`` where it says more."""
    return CmpFault(failure, detail or public, public)
