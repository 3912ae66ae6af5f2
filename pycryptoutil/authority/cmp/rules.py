"""What of CMP can be chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

from pycryptoutil_protocols.cmp.mac import DEFAULT_LIMITS, MacLimits
from pycryptoutil_protocols.cmp.server.office import Policy


@dataclass(frozen=True, slots=True)
class CmpRules:
    """``ra_profiles`` are the profiles whose certificates make a registration authority, by id-kp-cmcRA.

    Empty: every profile that has this extended key usage.
    """

    policy: Policy = field(default_factory=Policy)
    mac: MacLimits = DEFAULT_LIMITS
    ra_profiles: frozenset[str] = frozenset()
    # how keys made here are sent: by RFC 9483, or as OpenSSL reads them; None: by RFC to who speaks version 3,
    # which that form needs (RFC 9810 section 7), and as OpenSSL reads them to version 2, which OpenSSL sends
    generated_by_rfc: bool | None = None
