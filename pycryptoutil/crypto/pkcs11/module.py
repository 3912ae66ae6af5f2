"""A PKCS#11 library in this process: loaded at first use, started anew when a token was lost.

PKCS#11 and fork do not mix: a child starts the library for itself. Threads may use it together only if it was
initialised for that, which ``python-pkcs11`` does not do; so that is done here, past it.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.clock import Clock
from pycryptoutil.crypto.pkcs11.faults import TokenFault

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812  a class

_OS_LOCKING_OK: Final = 2  # CKF_OS_LOCKING_OK
_OK: Final = 0
_CANNOT_LOCK: Final = frozenset({0x0A, 0x09})  # CKR_CANT_LOCK, CKR_NEED_TO_CREATE_THREADS
_ALREADY: Final = 0x191  # CKR_CRYPTOKI_ALREADY_INITIALIZED
_PATIENCE: Final = 5.0  # seconds for other threads to come back from the library before it is started anew
_RETRY: Final = 1.0  # seconds between two attempts to start it


class _InitializeArgs(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS (PKCS #11 v2.40 section 3.7)."""

    _fields_ = (("mutexes", ctypes.c_void_p * 4), ("flags", ctypes.c_ulong), ("reserved", ctypes.c_void_p))


class _SessionInfo(ctypes.Structure):
    """CK_SESSION_INFO (section 3.5)."""

    _fields_ = tuple((name, ctypes.c_ulong) for name in ("slot", "state", "flags", "device_error"))


class Module:
    """One library. Every call into it is made within :meth:`lease`."""

    def __init__(self, path: str, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._condition = threading.Condition()
        self._pid = 0
        self._library: Library | None = None
        self._functions: Any = None
        self._epoch = 0
        self._stale = True
        self._users = 0
        self._exclusive = False
        self._failure: tuple[float, str] | None = None  # until when it is not tried again, and why

    @contextmanager
    def lease(self) -> Iterator[tuple[Library, int]]:
        """Yield the library and its epoch: handles of an earlier one are void. Fault(UNAVAILABLE)."""
        with self._condition:
            library = self._enter()
            epoch = self._epoch
            self._users += 1
        try:
            yield library, epoch
        finally:
            with self._condition:
                if self._pid == os.getpid():
                    self._users -= 1
                    self._condition.notify_all()

    def lost(self, epoch: int) -> None:
        """Have the library started anew before its next use, if that has not been done since."""
        with self._condition:
            if epoch == self._epoch:
                self._stale = True

    def has_session(self, handle: int) -> bool:
        """Tell whether a session is alive: a search in one that is not would leave a half-done operation behind."""
        return bool(self._functions.C_GetSessionInfo(ctypes.c_ulong(handle), ctypes.byref(_SessionInfo())) == _OK)

    def _enter(self) -> Library:
        if self._pid != os.getpid():
            self._pid, self._users, self._stale = os.getpid(), 0, True
        while self._stale or self._library is None or (self._exclusive and self._users):
            if self._users:
                if not self._condition.wait(_PATIENCE):
                    raise TokenFault(f"{self.path}: calls into the library do not come back")
                continue
            self._start()
        return self._library

    def _start(self) -> None:
        now = self._clock.monotonic()
        if self._failure is not None and now < self._failure[0]:
            raise TokenFault(self._failure[1])
        try:
            self._library = self._load()
            self._restart()
        except Fault as fault:
            self._failure = (now + _RETRY, fault.detail.removeprefix("HSM: "))
            raise
        self._failure = None
        self._epoch += 1
        self._stale = False

    def _load(self) -> Library:
        if self._library is not None:
            return self._library
        try:
            import pkcs11
        except ImportError:
            raise TokenFault("the Python package python-pkcs11 is not installed (the extra hsm)") from None
        try:
            return pkcs11.lib(self.path)
        except (pkcs11.PKCS11Error, OSError) as error:
            raise TokenFault(f"{self.path} cannot be loaded: {error or type(error).__name__}") from None

    def _restart(self) -> None:
        """Finalise and initialise, for several threads where the library can."""
        self._functions = functions = ctypes.CDLL(self.path)
        arguments = _InitializeArgs(flags=_OS_LOCKING_OK)
        functions.C_Finalize(None)  # where it was not initialised, this says so and changes nothing
        result = functions.C_Initialize(ctypes.byref(arguments))
        if result in _CANNOT_LOCK:
            self._exclusive = True
            result = functions.C_Initialize(None)
        if result not in {_OK, _ALREADY}:
            raise TokenFault(f"{self.path} does not start: CKR 0x{result:x}")


_modules: dict[str, Module] = {}
_modules_lock = threading.Lock()


def module(path: str, clock: Clock) -> Module:
    """Return the process's one handle to the library at ``path``."""
    with _modules_lock:
        return _modules.setdefault(path, Module(path, clock))
