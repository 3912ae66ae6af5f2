"""Where the CA's private keys are made, kept and opened: the one place that knows where that is.

A column of sealed keys holds a sealed key, or a sealed reference to one in a PKCS#11 token: :class:`KeyReference`.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier
from pycryptoutil.crypto.keys import KeyHandle, PrivateKey, generate
from pycryptoutil.crypto.pkcs11 import KeyReference, Token, TokenFault, TokenKey

_DECRYPTS = frozenset({"scep"})  # uses whose RSA keys open what was encrypted to them

_log = logging.getLogger(__name__)


class KeyVault:
    """Shared by all threads of a process."""

    def __init__(self, barrier: Barrier, token: Token | None = None, in_token: frozenset[str] = frozenset()) -> None:
        """``in_token``: the uses whose new keys are made in ``token``; all others are sealed by the barrier."""
        self._barrier = barrier
        self._token = token
        self._in_token = in_token if token is not None else frozenset()

    def new_keys(self) -> NewKeys:
        """Begin to make keys; see :class:`NewKeys`."""
        return NewKeys(self)

    def generate(self, use: str, algorithm: str, owner: str) -> KeyHandle:
        """Make a key where the configuration says keys of this use are; Fault(BAD_ALGORITHM, UNAVAILABLE).

        ``use`` is ``root``, ``issuing`` or a signer's purpose; ``owner`` is the CA's name, for a label to people.
        A caller that may fail before the key is in the database uses :meth:`new_keys`.
        """
        if self._token is None or use not in self._in_token:
            return generate(algorithm)
        label = f"{owner}" if use in {"root", "issuing"} else f"{owner} {use}"
        return self._token.generate(algorithm, f"pycryptoutil {label}", decrypts=use in _DECRYPTS)

    def seal(self, key: KeyHandle, aad: bytes) -> bytes:
        """Return what the database keeps of a key, bound to the place that ``aad`` names; Fault(SEALED)."""
        if isinstance(key, PrivateKey):
            return self._barrier.seal_key(key, aad)
        if isinstance(key, TokenKey):
            return self._barrier.encrypt(key.reference.encode(), aad)
        raise Fault(FaultKind.INTERNAL, f"a key of {key.algorithm} that can be neither sealed nor named")

    def open(self, sealed: bytes, aad: bytes) -> KeyHandle:
        """Return the key that :meth:`seal` gave this for; Fault(SEALED), INTERNAL if it was altered.

        Fault(UNAVAILABLE) for one in a token that is not configured; whether the token is there is seen at its use.
        """
        reference = self.reference(sealed, aad)
        if reference is None:
            return self._barrier.open_key(sealed, aad)
        if self._token is None:
            raise TokenFault(f"{reference.label!r} is in the token {reference.token!r}, and pki_ca.hsm names none")
        return self._token.key(reference)

    def reference(self, sealed: bytes, aad: bytes) -> KeyReference | None:
        """Return where the key is, if it is in a token; Fault(SEALED)."""
        if self._barrier.holds_key(sealed):
            return None
        return KeyReference.decode(self._barrier.decrypt(sealed, aad))

    @staticmethod
    def place(key: KeyHandle) -> dict[str, str]:
        """Return what audit events say of where a key was made: nothing of one in the database."""
        return {"token": key.reference.token, "key_id": key.reference.id.hex()} if isinstance(key, TokenKey) else {}

    def discard(self, key: KeyHandle) -> None:
        """Destroy a key that nothing knows; one in memory is gone by itself. What fails is logged."""
        if isinstance(key, TokenKey):
            self._destroy(key.reference)

    def destroy(self, sealed: bytes, aad: bytes) -> None:
        """Destroy the key of a row that is no more, likewise."""
        reference = self.reference(sealed, aad)
        if reference is not None:
            self._destroy(reference)

    @staticmethod
    def require(key: KeyHandle) -> None:
        """Raise TokenFault for a key whose token is away: asked before work that would be for nothing."""
        if isinstance(key, TokenKey):
            key.check()

    def check(self) -> None:
        """Raise Fault(UNAVAILABLE), with its whole text for operators, unless the token answers; without one, pass."""
        if self._token is None:
            return
        try:
            self._token.check()
        except Fault as fault:
            raise Fault(fault.kind, fault.detail, fault.detail.removeprefix("HSM: ")) from None

    def _destroy(self, reference: KeyReference) -> None:
        try:
            if self._token is None:
                raise TokenFault("none is configured")
            self._token.key(reference)  # of this token, and no other
            self._token.destroy(reference)
        except Fault as fault:
            _log.warning("the key %s stays in the token %r: %s", reference.id.hex(), reference.token, fault.detail)


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
