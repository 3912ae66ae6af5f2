"""What happens when nothing happens: certificates that nobody confirmed, transactions that nobody continued."""

from __future__ import annotations

import logging
from typing import Final

from pycryptoutil_protocols.cmc.server import Memo, operations
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.cmc.backend import PROTOCOL, CaBackend, Choices
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.service import CertificateAuthorityService

_AT_ONCE: Final = 200
_ACTOR: Final = "system"

_log = logging.getLogger(__name__)


def sweep(service: CertificateAuthorityService, crls: CrlService) -> None:
    """Revoke what was not confirmed in time (RFC 5272 section 6.13), and close what has run out."""
    for found in service.transactions.expired(PROTOCOL, service.room.clock.now(), _AT_ONCE):
        try:
            if found.state == "confirm":
                place = service.resolve_label(found.tenant_id, "")
                backend = CaBackend(service, crls, Choices(), place, "", "")
                memo = Memo(found.id, found.owner, found.state, found.data, b"", found.expires_at, found)
                operations.reject(backend, memo, _ACTOR)
            else:
                service.transactions.close(found)
        except Fault as fault:  # another replica was first, or this one's turn comes again
            if fault.kind in {FaultKind.UNAVAILABLE, FaultKind.SEALED, FaultKind.STORAGE_FULL}:
                raise
            _log.warning("cmc: %s not closed: %s", found.id, fault.detail)
