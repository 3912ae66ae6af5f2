"""Where the CA's private keys are made, kept and opened: the one place that knows where that is."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier
from pycryptoutil.crypto.keys import KeyHandle, PrivateKey, generate


class KeyVault:
    """Shared by all threads of a process."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier

    def new_keys(self) -> NewKeys:
        """Begin to make keys; see :class:`NewKeys`."""
        return NewKeys(self)

    def generate(self, use: str, algorithm: str, owner: str) -> KeyHandle:  # noqa: ARG002  every key is sealed here
        """Make a key where the configuration says keys of this use are; Fault(BAD_ALGORITHM, UNAVAILABLE).

        ``use`` is ``root``, ``issuing`` or a signer's purpose; ``owner`` is the CA's name, for a label to people.
        A caller that may fail before the key is in the database uses :meth:`new_keys`.
        """
        return generate(algorithm)

    def seal(self, key: KeyHandle, aad: bytes) -> bytes:
        """Return what the database keeps of a key, bound to the place that ``aad`` names; Fault(SEALED)."""
        if not isinstance(key, PrivateKey):
            raise Fault(FaultKind.INTERNAL, f"a key of {key.algorithm} that the barrier cannot seal")
        return self._barrier.seal_key(key, aad)

    def open(self, sealed: bytes, aad: bytes) -> KeyHandle:
        """Return the key that :meth:`seal` gave this for; Fault(SEALED), INTERNAL if it was altered."""
        return self._barrier.open_key(sealed, aad)

    def discard(self, key: KeyHandle) -> None:
        """Destroy a key that was made for nothing; one in memory is gone by itself."""

    def destroy(self, sealed: bytes, aad: bytes) -> None:
        """Destroy the key of a row that is no more."""


class NewKeys:
    """Keys that are destroyed at the end of the block, unless it came to :meth:`keep`: in a token nothing else would.

    ::

        with vault.new_keys() as made:
            key = made.generate("root", "EC-P384", "root")
            ...  # into the database
            made.keep()
    """

    def __init__(self, vault: KeyVault) -> None:
        self._vault = vault
        self._keys: list[KeyHandle] = []

    def generate(self, use: str, algorithm: str, owner: str) -> KeyHandle:
        """Make one, as :meth:`KeyVault.generate`."""
        key = self._vault.generate(use, algorithm, owner)
        self._keys.append(key)
        return key

    def keep(self) -> None:
        """Let the keys stay: the database knows them."""
        self._keys.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for key in self._keys:
            self._vault.discard(key)
