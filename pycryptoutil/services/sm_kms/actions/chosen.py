"""The versions that one request uses. The gate is asked once a request for each, and uses are counted at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

from pycryptoutil_protocols.faults import Fault
from pydantic import BaseModel

from pycryptoutil.keyring import ElasticKey, KeyringService, Operation, Purpose, UsableKey

T = TypeVar("T")
Item = TypeVar("Item")
_Name = tuple[Operation, int | None, str]


class Chosen:
    """One key of one tenant, for the length of one request."""

    def __init__(self, keyring: KeyringService, tenant_id: str, reference: str) -> None:
        self._keyring = keyring
        self.tenant_id = tenant_id
        self.reference = reference
        self._found: dict[_Name, UsableKey | Fault] = {}
        self._made: dict[Any, Any] = {}
        self._uses: dict[_Name, int] = {}
        self._rewrapped: dict[_Name, int] = {}

    @cached_property
    def key(self) -> ElasticKey:
        """The key; Fault(NOT_FOUND)."""
        return self._keyring.get(self.tenant_id, self.reference)

    @property
    def protects(self) -> Operation:
        """How this key wraps something: whole objects, or keys only."""
        return Operation.WRAP if self.key.purpose is Purpose.WRAP else Operation.ENCRYPT

    @property
    def reads(self) -> Operation:
        """The way back."""
        return Operation.UNWRAP if self.key.purpose is Purpose.WRAP else Operation.DECRYPT

    def get(self, operation: Operation, version: int | None = None, kid: str = "") -> UsableKey:
        """Return a version that may be used; Fault as of :meth:`KeyringService.use`."""
        name = (operation, version, kid)
        found = self._found.get(name)
        if found is None:
            try:
                found = self._keyring.use(self.tenant_id, self.reference, operation, version, kid=kid, times=0)
            except Fault as fault:
                found = fault
            self._found[name] = found
        if isinstance(found, Fault):
            raise found
        return found

    def once(self, name: Any, make: Callable[[], T]) -> T:
        """Return what was made under this name in this request, such as an encrypter."""
        found: T | None = self._made.get(name)
        if found is None:
            found = self._made[name] = make()
        return found

    def used(self, key: UsableKey, operation: Operation, *, rewrapped: bool = False) -> None:
        """Note a use that came off."""
        name = (operation, key.version.version, "")
        self._found.setdefault(name, key)
        notes = self._rewrapped if rewrapped else self._uses
        notes[name] = notes.get(name, 0) + 1

    def each(self, items: Sequence[Item], run: Callable[[Chosen, Item], BaseModel]) -> list[BaseModel | Fault]:
        """Run items one by one; a failure stands in its place."""
        found: list[BaseModel | Fault] = []
        for item in items:
            try:
                found.append(run(self, item))
            except Fault as fault:
                found.append(fault)
        return found

    def count(self) -> None:
        """Count every use."""
        for notes, add in ((self._uses, self._keyring.count), (self._rewrapped, None)):
            for name, times in notes.items():
                key = self._found[name]
                if isinstance(key, Fault):
                    continue
                if add is None:
                    self._keyring.count_rewrapped(key, times)
                else:
                    add(key, name[0], times)
