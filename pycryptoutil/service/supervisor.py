"""``--workers N``: one supervisor, N worker processes on the same sockets.

The supervisor binds the sockets, forks the workers (which inherit them), starts a dead one again with growing delays,
passes shares and seals between them, and drains all at SIGTERM. It opens no database and runs no reactor, so a fork
of it is clean. Worker 0 alone has the admin listeners and starts first: it migrates and bootstraps, the others follow.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from pycryptoutil.clock import Clock
from pycryptoutil.service import control
from pycryptoutil.service.control import MAX_PACKET, REPEAT_SECONDS, Message

FIRST_DELAY = 0.1
LAST_DELAY = 30.0
STEADY = 60.0  # a worker that lived so long starts again without delay
GRACE = 5.0  # beyond the workers' own shutdown timeout

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

WorkerMain = Callable[[int, socket.socket], int]
"""``(worker number, its end of the control pair) -> exit code``, run in the forked child."""

log = structlog.get_logger()


@dataclass
class _Worker:
    number: int
    pid: int = 0
    link: socket.socket | None = None
    ready: bool = False
    started: float = 0.0
    deaths: int = 0
    start_at: float | None = None  # monotonic time of the next attempt; None while it runs
    services: dict[str, dict[str, Any]] = field(default_factory=dict)


class Supervisor:
    """Keeps N workers running until told to stop."""

    def __init__(
        self,
        count: int,
        main: WorkerMain,
        *,
        clock: Clock,
        shutdown_timeout: float,
        on_ready: Callable[[Message], None],
        on_reload: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._workers = [_Worker(number) for number in range(count)]
        self._main = main
        self._clock = clock
        self._shutdown_timeout = shutdown_timeout
        self._on_ready = on_ready
        self._on_reload = on_reload
        self._on_stop = on_stop
        self._selector = selectors.DefaultSelector()
        self._announced = False
        self._first_ready: Message | None = None
        self._shares: list[str] = []  # unseal shares seen since the last seal, for workers that start later
        self._stopping_since: float | None = None
        self._stop_signals = 0
        self._failure = 0
        self._reload = False
        self._wakeup: tuple[socket.socket, socket.socket] | None = None

    def run(self) -> int:
        """Run to the end; returns the process's exit code."""
        self._install_signals()
        self._workers[0].start_at = self._clock.monotonic()
        try:
            while not self._finished():
                self._start_due()
                for key, _ in self._selector.select(self._wait()):
                    self._handle(key)
                self._reap()
                self._enforce_timeout()
        finally:
            self._kill_all(signal.SIGKILL)  # only after something unforeseen: none is left otherwise
            self._selector.close()
        return self._failure

    # --- signals

    def _install_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._wakeup = (reader, writer)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ, None)
        for number in _SIGNALS:
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, _frame: object) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            self._stop_signals += 1
        elif number == signal.SIGHUP:
            self._reload = True

    def _act_on_signals(self) -> None:
        if self._stop_signals and self._stopping_since is None:
            self._stop(0)
        elif self._stop_signals > 1 and self._stopping_since is not None:
            self._stop_signals = 1
            if self._clock.monotonic() - self._stopping_since > REPEAT_SECONDS:
                self._failure = self._failure or 1
                for worker in self._workers:
                    self._send(worker, Message("stop"))
        if self._reload:
            self._reload = False
            self._on_reload()
            self._kill_all(signal.SIGHUP)

    def _stop(self, code: int) -> None:
        """Drain every worker; the first reason decides the exit code."""
        if self._stopping_since is None:
            self._stopping_since = self._clock.monotonic()
            self._failure = code
            self._stop_signals = max(self._stop_signals, 1)
            self._on_stop()
            self._kill_all(signal.SIGTERM)

    def _kill_all(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, number)

    def _finished(self) -> bool:
        return self._stopping_since is not None and not any(worker.pid for worker in self._workers)

    def _enforce_timeout(self) -> None:
        if self._stopping_since is None:
            return
        if self._clock.monotonic() - self._stopping_since > self._shutdown_timeout + GRACE:
            log.warning("workers did not stop in time")
            self._failure = self._failure or 1
            self._kill_all(signal.SIGKILL)

    # --- workers

    def _wait(self) -> float:
        now = self._clock.monotonic()
        due = [worker.start_at - now for worker in self._workers if worker.start_at is not None]
        if self._stopping_since is not None:
            due = [self._stopping_since + self._shutdown_timeout + GRACE - now]
        return min(max(min(due, default=5.0), 0.0), 5.0)

    def _start_due(self) -> None:
        if self._stopping_since is not None:
            return
        now = self._clock.monotonic()
        for worker in self._workers:
            if worker.start_at is not None and worker.start_at <= now:
                self._start(worker, now)

    def _start(self, worker: _Worker, now: float) -> None:
        ours, theirs = control.pair()
        # A signal to the child must wait until the child has left our handlers behind: they would swallow it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            os._exit(self._become(worker.number, ours, theirs))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
        worker.pid, worker.link, worker.ready, worker.started, worker.start_at = pid, ours, False, now, None
        self._selector.register(ours, selectors.EVENT_READ, worker)
        for share in self._shares:
            self._send(worker, Message("unseal", share=share))
        log.info("worker started", worker=worker.number, pid=pid)

    def _become(self, number: int, ours: socket.socket, theirs: socket.socket) -> int:
        """Be a worker: in the child, leave behind what is the supervisor's."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for one in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(one, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to load anew
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the supervisor passes it on
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._selector.close()
            for opened in (*(self._wakeup or ()), ours, *(w.link for w in self._workers if w.link is not None)):
                opened.close()
            code = self._main(number, theirs)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            log.exception("worker failed", worker=number)
        return code

    def _reap(self) -> None:
        for worker in self._workers:
            if not worker.pid:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._died(worker, os.waitstatus_to_exitcode(status))

    def _died(self, worker: _Worker, code: int) -> None:
        now = self._clock.monotonic()
        if worker.link is not None:
            self._read(worker)  # its last words
            self._selector.unregister(worker.link)
            worker.link.close()
        was_ready, lived = worker.ready, now - worker.started
        worker.pid, worker.link, worker.ready = 0, None, False
        if self._stopping_since is not None:
            return
        if not was_ready and not self._announced and code > 0:
            self._stop(code)  # it told why; the first start does not try again
            return
        worker.deaths = 1 if lived > STEADY else worker.deaths + 1
        delay = min(FIRST_DELAY * 2 ** (worker.deaths - 1), LAST_DELAY)
        worker.start_at = now + delay
        log.error("worker died", worker=worker.number, exit_code=code, restart_in_seconds=delay)
        self._tell_count()

    # --- messages

    def _handle(self, key: selectors.SelectorKey) -> None:
        if isinstance(key.data, _Worker):
            self._read(key.data)
        else:
            with contextlib.suppress(BlockingIOError):
                while key.fileobj.recv(4096):  # type: ignore[union-attr]
                    pass
            self._act_on_signals()

    def _read(self, worker: _Worker) -> None:
        while worker.link is not None:
            try:
                packet = worker.link.recv(MAX_PACKET)
            except (BlockingIOError, ConnectionError):
                return
            if not packet:
                return
            try:
                self._received(worker, Message.decode(packet))
            except ValueError:
                log.exception("worker said something that is no message", worker=worker.number)

    def _received(self, worker: _Worker, message: Message) -> None:
        match message.kind:
            case "ready":
                worker.ready = True
                worker.services = message.services
                if worker.number == 0:
                    self._first_ready = message
                    for other in self._workers:
                        if not other.pid and other.start_at is None:
                            other.start_at = self._clock.monotonic()
                if not self._announced and self._first_ready and all(one.ready for one in self._workers):
                    self._announced = True
                    self._on_ready(self._first_ready)
                self._tell_count()
            case "unseal" | "seal" | "guess":
                self._remember(message)
                self._tell_others(worker, message)
            case "shutdown":
                self._stop(0)
            case "workers" | "stop":
                pass  # only ever said by the supervisor

    def _remember(self, message: Message) -> None:
        if message.kind == "unseal":
            self._shares.append(message.share)
        elif message.kind == "seal":
            self._shares.clear()

    def _tell_others(self, speaker: _Worker, message: Message) -> None:
        for worker in self._workers:
            if worker is not speaker:
                self._send(worker, message)

    def _tell_count(self) -> None:
        ready = sum(worker.ready for worker in self._workers)
        for worker in self._workers:
            self._send(worker, Message("workers", ready=ready, wanted=len(self._workers)))

    def _send(self, worker: _Worker, message: Message) -> None:
        if worker.link is not None:
            with contextlib.suppress(OSError):  # full or gone: its death is noticed elsewhere
                worker.link.send(message.encode())
