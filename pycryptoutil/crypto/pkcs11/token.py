"""One token: found by its label, logged in to, and used through a pool of sessions that outlives a loss of them all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.clock import Clock
from pycryptoutil.crypto.pkcs11 import faults, objects
from pycryptoutil.crypto.pkcs11.faults import TokenFault
from pycryptoutil.crypto.pkcs11.key import KeyReference, TokenKey
from pycryptoutil.crypto.pkcs11.module import Module, module

if TYPE_CHECKING:
    import pkcs11
    from pkcs11._pkcs11 import lib as Library  # noqa: N812  a class

T = TypeVar("T")

_PATIENCE: Final = 5.0  # seconds that a thread waits for a session
_RETRY: Final = 1.0  # seconds between two attempts to log in
_MAX_OBJECTS: Final = 1000  # keys that a session remembers


@dataclass(frozen=True, slots=True)
class TokenConfig:
    """Which token, and how it is entered."""

    module: str
    label: str
    pin: str = field(repr=False)
    sessions: int = 8


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """What an operator may know of a token. ``keys`` are (CKA_ID in hex, CKA_LABEL, kind of key)."""

    label: str
    manufacturer: str
    model: str
    serial: str
    mechanisms: tuple[str, ...]
    keys: tuple[tuple[str, str, str], ...]


@dataclass(slots=True)
class _Session:
    session: pkcs11.Session
    epoch: int
    objects: dict[bytes, pkcs11.PrivateKey] = field(default_factory=dict)


class Token:
    """Shared by all threads of a process; nothing is opened before it is needed.

    A session that is lost takes all others with it: the library is started anew, the PIN given again, and what was
    asked for is done once more. A PIN that was refused is not tried again by this process, since tokens lock.
    """

    def __init__(self, config: TokenConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._module: Module = module(config.module, clock)
        self._condition = threading.Condition()
        self._epoch = 0
        self._token: pkcs11.Token | None = None
        self._login: pkcs11.Session | None = None  # never used: what was logged in to ends with its last session
        self._idle: list[_Session] = []
        self._open = 0
        self._refused = ""
        self._failure: tuple[float, str] | None = None

    @property
    def label(self) -> str:
        """The token's label."""
        return self._config.label

    def __repr__(self) -> str:
        return f"<Token {self.label!r}>"

    # -- keys ----------------------------------------------------------------------------------------------------------

    def generate(self, algorithm: str, label: str, *, decrypts: bool = False) -> TokenKey:
        """Make a key that never leaves the token; Fault(BAD_ALGORITHM, UNAVAILABLE)."""
        objects.check_algorithm(algorithm)

        def make(held: _Session) -> KeyReference:
            return objects.generate(self._searched(held), self.label, algorithm, label, decrypts=decrypts)

        return TokenKey(self, self._run(f"make a key of {algorithm}", make))

    def key(self, reference: KeyReference) -> TokenKey:
        """Return a handle; whether the key is there is seen when it is used."""
        if reference.token != self.label:
            raise TokenFault(f"the key is in the token {reference.token!r}, and {self.label!r} is configured")
        return TokenKey(self, reference)

    def destroy(self, reference: KeyReference) -> None:
        """Destroy a key, both halves; one that is not there is destroyed already."""
        self._run("destroy a key", lambda held: objects.destroy(self._searched(held), reference.id))

    def use(
        self,
        reference: KeyReference,
        what: str,
        operation: Callable[[pkcs11.PrivateKey], T],
        *,
        steady: bool = False,
    ) -> T:
        """Run ``operation`` with the key; Fault(UNAVAILABLE) also when the token has no such key.

        ``steady``: ask the token afterwards whether it is there, whatever the outcome.
        """

        def with_key(held: _Session) -> T:
            private = held.objects.get(reference.id)
            if private is None:
                private = objects.find(self._searched(held), reference)
                if len(held.objects) >= _MAX_OBJECTS:
                    held.objects.clear()
                held.objects[reference.id] = private
            result = operation(private)
            if steady:
                held.session.token.slot.get_token()
            return result

        return self._run(what, with_key)

    # -- operators -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise Fault(UNAVAILABLE) unless the token is there and open."""
        self._run("look", lambda held: held.session.token.slot.get_token())

    def status(self) -> TokenStatus:
        """Return what the token is, and has."""

        def look(held: _Session) -> TokenStatus:
            token = self._searched(held).token.slot.get_token()
            return TokenStatus(
                label=token.label,
                manufacturer=token.manufacturer_id or "",
                model=token.model or "",
                serial=token.serial.decode("ascii", "replace").strip(),
                mechanisms=objects.mechanisms(held.session),
                keys=objects.listing(held.session),
            )

        return self._run("look", look)

    # -- sessions ------------------------------------------------------------------------------------------------------

    def _run(self, what: str, operation: Callable[[_Session], T]) -> T:
        for last in (False, True):
            with self._module.lease() as (library, epoch):
                import pkcs11  # the lease has seen that it is there

                held = self._borrow(library, epoch)
                try:
                    result = operation(held)
                except (Fault, pkcs11.PKCS11Error) as error:
                    lost = self._is_lost(held, error)
                    self._give_back(held, keep=isinstance(error, Fault) and not lost)
                    if lost:
                        self._module.lost(epoch)
                    if not lost or last:
                        self._raise(what, error, lost=lost)
                except BaseException:
                    self._give_back(held, keep=False)
                    raise
                else:
                    self._give_back(held, keep=True)
                    return result
        raise AssertionError  # pragma: no cover  the second time returns or raises

    def _searched(self, held: _Session) -> pkcs11.Session:
        """Return the session for a search in it."""
        import pkcs11

        handle: int = held.session.handle  # type: ignore[attr-defined]  # its stub lacks it
        if not self._module.has_session(handle):
            raise pkcs11.SessionHandleInvalid
        return held.session

    def _raise(self, what: str, error: Exception, *, lost: bool) -> None:
        import pkcs11

        if isinstance(error, pkcs11.PKCS11Error):
            where = f"token {self.label!r}: {what}"
            if lost:
                raise TokenFault(f"{where}: {type(error).__name__}") from None
            raise faults.failed(where, error) from None
        raise error

    def _is_lost(self, held: _Session, error: Exception) -> bool:
        """Tell whether it was not the operation that failed, but the token. A missing key may mean either."""
        import pkcs11

        if faults.is_lost(error):
            return True
        if not faults.is_vague(error) and not isinstance(error, objects.MissingKey):
            return False
        try:
            held.session.token.slot.get_token()
        except pkcs11.PKCS11Error:
            return True
        return False

    def _borrow(self, library: Library, epoch: int) -> _Session:
        import pkcs11

        with self._condition:
            if self._epoch != epoch:  # the library was started anew: handles of before are void
                self._idle, self._open, self._login, self._epoch = [], 0, None, epoch
            if self._login is None:
                self._enter(library, epoch)
            while not self._idle:
                if self._open < self._config.sessions:
                    try:
                        opened = _Session(self._opened().open(rw=True), epoch)
                    except pkcs11.PKCS11Error as error:
                        if type(error).__name__ == "SessionCount" and self._open:
                            self._condition.wait(_PATIENCE)
                            continue
                        self._module.lost(epoch)
                        raise TokenFault(f"token {self.label!r}: no session: {type(error).__name__}") from None
                    self._open += 1
                    return opened
                if not self._condition.wait(_PATIENCE):
                    raise TokenFault(f"token {self.label!r}: every session is busy")
            return self._idle.pop()

    def _give_back(self, held: _Session, *, keep: bool) -> None:
        import pkcs11

        if not keep:
            try:
                held.session.close()
            except pkcs11.PKCS11Error:
                held.objects.clear()
        with self._condition:
            if held.epoch == self._epoch:
                if keep:
                    self._idle.append(held)
                else:
                    self._open -= 1
                self._condition.notify()

    def _opened(self) -> pkcs11.Token:
        if self._token is None:
            raise TokenFault(f"token {self.label!r} is not open")
        return self._token

    def _enter(self, library: Library, epoch: int) -> None:
        """Find the token and log in, at most once a second."""
        now = self._clock.monotonic()
        if self._refused:
            raise TokenFault(self._refused)
        if self._failure is not None and now < self._failure[0]:
            raise TokenFault(self._failure[1])
        try:
            self._token = self._find(library)
            self._login = self._log_in(self._token)
        except Fault as fault:
            self._failure = (now + _RETRY, fault.detail.removeprefix("HSM: "))
            self._module.lost(epoch)  # some libraries see a token again only after a new start
            raise
        self._failure = None

    def _find(self, library: Library) -> pkcs11.Token:
        found = [token for token in list_opened(library) if token.label == self.label]
        if not found:
            raise TokenFault(f"there is no token {self.label!r} in {self._config.module}")
        if len(found) > 1:
            raise TokenFault(f"there are {len(found)} tokens {self.label!r} in {self._config.module}")
        return found[0]

    def _log_in(self, token: pkcs11.Token) -> pkcs11.Session:
        import pkcs11

        try:
            return token.open(rw=True, user_pin=self._config.pin)
        except pkcs11.UserAlreadyLoggedIn:  # another handle of this process
            return token.open(rw=True)
        except pkcs11.PKCS11Error as error:
            trouble = faults.pin_trouble(error)
            if trouble:
                self._refused = (
                    f"token {self.label!r}: {trouble}; it is not tried again before the service is started anew"
                )
                raise TokenFault(self._refused) from None
            raise TokenFault(f"token {self.label!r}: no login: {type(error).__name__}") from None


def list_opened(library: Library) -> list[pkcs11.Token]:
    """Return every token that answers."""
    import pkcs11

    found = []
    try:
        slots = library.get_slots(token_present=True)
    except pkcs11.PKCS11Error as error:
        raise TokenFault(f"no slots: {error or type(error).__name__}") from None
    for slot in slots:
        try:
            found.append(slot.get_token())
        except pkcs11.PKCS11Error:  # one that is broken hides no other
            continue
    return found


def list_tokens(path: str, clock: Clock) -> list[str]:
    """Return the labels of the tokens that a library has; Fault(UNAVAILABLE)."""
    with module(path, clock).lease() as (library, _):
        return [token.label for token in list_opened(library) if token.label]
