"""The use of a key: the rows as they are now, the gate, the handle, and one more on the counter."""

from __future__ import annotations

from collections.abc import Collection

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.jose.jwk import Jwk
from pycryptoutil.keyring import gate
from pycryptoutil.keyring.model import ElasticKey, KeyVersion, Operation, UsableKey, Usage
from pycryptoutil.keyring.ring import Ring
from pycryptoutil.keyring.room import conflict, invalid
from pycryptoutil.keyring.store import versions as version_store
from pycryptoutil.keyring.store.versions import VersionRow
from pycryptoutil.storage import Reader


class Uses(Ring):
    """What the operations of a service call."""

    def use(
        self,
        tenant_id: str,
        reference: str,
        operation: Operation,
        version: int | None = None,
        *,
        kid: str = "",
        times: int = 1,
    ) -> UsableKey:
        """Return a version that may be used for an operation now; without a number or a kid, the active one.

        Nothing of the answer outlives a change of the rows, on any replica: ask before every use. ``times`` is what
        is counted, for a batch. Fault(NOT_FOUND, CONFLICT, FORBIDDEN, INVALID, SEALED).
        """
        if operation in (Operation.EXPORT, Operation.PUBLISH):
            raise invalid(f"{operation.value} is not a use")
        with self._database.read(tenant_id) as reader:
            found = self._usable(reader, self._find(reader, reference), operation, version, kid)
        if times:
            self.count(found, operation, times)
        return found

    def use_many(
        self, tenant_id: str, reference: str, operation: Operation, kids: Collection[str]
    ) -> dict[str, UsableKey | Fault]:
        """Return the versions of several kids at one instant, or why not; Fault(NOT_FOUND) if there is no such key."""
        found: dict[str, UsableKey | Fault] = {}
        with self._database.read(tenant_id) as reader:
            key = self._find(reader, reference)
            for kid in kids:
                try:
                    found[kid] = self._usable(reader, key, operation, None, kid)
                except Fault as fault:
                    found[kid] = fault
        return found

    def count(self, used: UsableKey, operation: Operation, times: int = 1) -> None:
        """Count uses of a version."""
        more = Usage(protected=times) if operation in gate.PROTECTS else Usage(processed=times)
        self._counters.add(used.key.tenant_id, used.key.id, used.version.version, more)

    def count_rewrapped(self, used: UsableKey, times: int = 1) -> None:
        """Count objects of a version that hang on a newer one now: it comes nearer to being safe to retire."""
        self._counters.add(used.key.tenant_id, used.key.id, used.version.version, Usage(rewrapped=times))

    def _usable(
        self, reader: Reader, key: ElasticKey, operation: Operation, version: int | None, kid: str
    ) -> UsableKey:
        row = self._chosen(reader, key, version, kid)
        gate.check(key, row.version, operation)
        jwk: Jwk = self._vault.open(reader, row, self._named(key)[1])
        return UsableKey(key, row.version, jwk, self._spec(key).alg)

    def _chosen(self, reader: Reader, key: ElasticKey, version: int | None, kid: str) -> VersionRow:
        if kid:
            row = version_store.by_kid(reader, key.id, kid, *self._named(key))
            if row is None or (version is not None and row.version.version != version):
                text = "the object is of no version of this key"
                raise invalid(f"key {key.id}: no version of kid {kid[:64]!r}", "", text)
            return row
        if version is not None:
            return self._row(reader, key, version)
        if not key.active_version:
            raise conflict(f"key {key.id} has no active version", "the key has no active version")
        return self._row(reader, key, key.active_version)

    def public(self, tenant_id: str, reference: str, number: int) -> KeyVersion:
        """Return a version whose public half may be shown; Fault(NOT_FOUND, CONFLICT, INVALID for a secret)."""
        with self._database.read(tenant_id) as reader:
            key = self._find(reader, reference)
            version = self._row(reader, key, number).version
        if version.public is None:
            raise invalid("a secret has no public half")
        gate.check(key, version, Operation.PUBLISH)
        return version

    def flush(self) -> None:
        """Add what was counted here to the database."""
        self._counters.flush()
