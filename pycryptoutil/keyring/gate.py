"""The one gate: whether a version may be used for an operation, asked before every use, of the rows as they are now."""

from __future__ import annotations

from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.keyring.catalog import Purpose
from pycryptoutil.keyring.model import ElasticKey, KeyStatus, KeyVersion, Operation, VersionStatus

_O = Operation
PROTECTS: Final = frozenset({_O.ENCRYPT, _O.SIGN, _O.MAC, _O.WRAP, _O.DERIVE, _O.ENCAPSULATE})
READS: Final = frozenset({_O.DECRYPT, _O.VERIFY, _O.VERIFY_MAC, _O.UNWRAP, _O.DECAPSULATE})

_PURPOSES: Final[dict[Purpose, frozenset[Operation]]] = {
    Purpose.ENCRYPT: frozenset({_O.ENCRYPT, _O.DECRYPT}),
    Purpose.SIGN: frozenset({_O.SIGN, _O.VERIFY}),
    Purpose.MAC: frozenset({_O.MAC, _O.VERIFY_MAC}),
    Purpose.WRAP: frozenset({_O.WRAP, _O.UNWRAP}),
    Purpose.DERIVE: frozenset({_O.DERIVE}),
    Purpose.ENCAPSULATE: frozenset({_O.ENCAPSULATE, _O.DECAPSULATE}),
}
_ALWAYS: Final = frozenset({_O.EXPORT, _O.PUBLISH})

# which operations each status of a version lets through
_S = VersionStatus
_VERSIONS: Final[dict[VersionStatus, frozenset[Operation]]] = {
    _S.PENDING: frozenset({_O.PUBLISH}),
    _S.ACTIVE: PROTECTS | READS | _ALWAYS,
    _S.RETIRED: READS | _ALWAYS,
    _S.DISABLED: frozenset(),
    _S.REVOKED: frozenset(),
    _S.DESTROYED: frozenset(),
}
# a shared secret is derived again for what it protected before, so an older version still derives
_RETIRED_TOO: Final = frozenset({_O.DERIVE})


def check(key: ElasticKey, version: KeyVersion, operation: Operation) -> None:
    """Raise Fault(CONFLICT, FORBIDDEN, INVALID) unless the version may be used for the operation."""
    if key.status is not KeyStatus.ENABLED:
        raise _refused(f"key {key.id} is {key.status}", f"the key is {key.status.value}")
    if operation not in _PURPOSES[key.purpose] | _ALWAYS:
        text = f"the key is for {key.purpose.value}, not for {operation.value}"
        raise Fault(FaultKind.INVALID, f"key {key.id}: {text}", text)
    allowed = _VERSIONS[version.status]
    if version.status is _S.RETIRED:
        allowed |= _RETIRED_TOO
    if version.status is _S.REVOKED and key.policy.read_revoked:
        allowed |= READS
    if operation not in allowed:
        text = f"version {version.version} is {version.status.value}"
        raise _refused(f"key {key.id}: {text}, {operation} refused", text)
    least = key.policy.min_encrypt_version if operation in PROTECTS else key.policy.min_decrypt_version
    if operation not in _ALWAYS and version.version < least:
        text = f"version {version.version} is below the minimum of {least}"
        raise _refused(f"key {key.id}: {text}", text)
    if operation is _O.EXPORT and not key.policy.export_allowed:
        raise Fault(FaultKind.FORBIDDEN, f"key {key.id} is not exportable", "the key may not be exported")


def _refused(detail: str, public: str) -> Fault:
    return Fault(FaultKind.CONFLICT, detail, public)
