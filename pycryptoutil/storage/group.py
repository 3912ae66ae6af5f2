"""Group commit for SQLite: units of work that arrive together share one durable COMMIT.

One connection writes. A unit holds the *turn* while its body runs, inside a SAVEPOINT of the shared transaction. When
it ends, and others are waiting, it hands the turn on and waits; the last of those waiting commits for all. Nobody
waiting means commit at once: a group is never held open in the hope of company. A body that fails takes back only its
own savepoint; a COMMIT that fails, fails every member.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pycryptoutil_protocols.faults import Fault
from sqlalchemy import Connection

from pycryptoutil.clock import Clock
from pycryptoutil.storage.failures import busy, fault_of, unavailable

_SAVEPOINT: Final = "group_member"


class _Group:
    """The units of one shared transaction."""

    __slots__ = ("connection", "deadline", "done", "error", "members")

    def __init__(self, connection: Connection, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline
        self.members = 0
        self.done = threading.Event()
        self.error: BaseException | None = None


class GroupCommit:
    """The single writer of this process."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        clock: Clock,
        *,
        max_members: int = 64,
        max_seconds: float = 0.02,
        wait_seconds: float = 10.0,
    ) -> None:
        """``connect`` gives the writing connection with its transaction begun (BEGIN IMMEDIATE)."""
        self._connect = connect
        self._clock = clock
        self._max_members = max_members
        self._max_seconds = max_seconds
        self._wait_seconds = wait_seconds
        self._mutex = threading.Lock()  # guards the three below
        self._queue: deque[threading.Lock] = deque()
        self._held = False
        self._group: _Group | None = None  # touched only by who holds the turn
        self.commits = 0
        self.units = 0

    @contextmanager
    def unit(self) -> Iterator[Connection]:
        """Run one unit; durable when the block has ended, taken back if it raises."""
        self._take_turn()
        group = self._join()
        try:
            yield group.connection
            _driver_execute(group.connection, f"RELEASE {_SAVEPOINT}")
        except BaseException as error:
            self._take_back(group, error)
            raise
        group.members += 1
        self.units += 1
        self._leave(group)
        if group.error is not None:
            raise _copy(group.error)

    def _take_turn(self) -> None:
        with self._mutex:
            if not self._held:
                self._held = True
                return
            ticket = threading.Lock()
            ticket.acquire()
            self._queue.append(ticket)
        try:
            came = ticket.acquire(timeout=self._wait_seconds)
        except BaseException:
            if not self._give_up(ticket):
                self._leave_turn()
            raise
        if not came and self._give_up(ticket):
            raise busy("waited too long for the writer")

    def _give_up(self, ticket: threading.Lock) -> bool:
        """Leave the queue; False when the turn was handed over in the meantime."""
        with self._mutex:
            if ticket in self._queue:
                self._queue.remove(ticket)
                return True
            return False

    def _leave_turn(self) -> None:
        """Pass on a turn that is not wanted any more; those whose unit ended wait for us."""
        if self._group is not None:
            self._finish(self._group)
        else:
            self._pass_turn()

    def _pass_turn(self) -> None:
        with self._mutex:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._held = False

    def _join(self) -> _Group:
        group = self._group
        try:
            if group is None:
                group = self._group = _Group(self._connect(), self._clock.monotonic() + self._max_seconds)
            _driver_execute(group.connection, f"SAVEPOINT {_SAVEPOINT}")
        except BaseException as error:
            if group is not None:
                self._break(group, error)
            else:
                self._pass_turn()
            raise
        return group

    def _take_back(self, group: _Group, error: BaseException) -> None:
        """Undo one member. What it saw of earlier members may not have become durable: it waits for them too."""
        try:
            # SQLite ends the whole transaction by itself after some errors (full, I/O): then nobody's work is left
            if not group.connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
                self._break(group, error)
                return
            _driver_execute(group.connection, f"ROLLBACK TO {_SAVEPOINT}")
            _driver_execute(group.connection, f"RELEASE {_SAVEPOINT}")
        except BaseException as second:  # noqa: BLE001  whatever it is, the others must not wait forever
            self._break(group, second)
            return
        self._leave(group)
        if group.error is not None:
            raise _copy(group.error) from error

    def _leave(self, group: _Group) -> None:
        """Hand the turn on, or commit for all when nobody waits or the group is full."""
        if group.members < self._max_members and self._clock.monotonic() < group.deadline:
            with self._mutex:
                successor = self._queue.popleft() if self._queue else None
            if successor is not None:
                successor.release()
                if group.members:
                    group.done.wait()
                return
        self._finish(group)

    def _finish(self, group: _Group) -> None:
        self._group = None
        try:
            if group.members:
                group.connection.commit()
                self.commits += 1
            else:
                group.connection.rollback()
        except BaseException as error:  # noqa: BLE001  handed to every member
            group.error = error
            self._discard(group.connection)
        finally:
            self._pass_turn()
            group.done.set()

    def _break(self, group: _Group, error: BaseException) -> None:
        """The shared transaction is gone: every member fails."""
        self._group = None
        group.error = error
        self._discard(group.connection)
        self._pass_turn()
        group.done.set()

    @staticmethod
    def _discard(connection: Connection) -> None:
        with suppress(Exception):
            connection.rollback()
        with suppress(Exception):
            connection.invalidate()
        with suppress(Exception):
            connection.close()


def _copy(error: BaseException) -> BaseException:
    """Each member raises its own exception object: one object raised in many threads mixes their tracebacks."""
    if isinstance(error, Fault):
        return Fault(error.kind, error.detail, error.public, retry_after=error.retry_after)
    fault = fault_of(error)
    return fault if fault is not None else unavailable(f"the shared commit failed: {type(error).__name__}")


def _driver_execute(connection: Connection, statement: str) -> None:
    driver = connection.connection.driver_connection
    if driver is None:
        raise unavailable("the writing connection is closed")
    driver.execute(statement)
