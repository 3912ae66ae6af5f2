"""Bounded threads, and background tasks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from twisted.internet import task

from pycryptoutil.service.definition import BackgroundTask
from pycryptoutil.service.metrics import Metrics
from pycryptoutil.service.workers import BackgroundTasks, WorkerPool
from tests.support.edge import PATIENCE, until


class HandReactor(task.Clock):
    """Time moves, and other threads' calls run, when told."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: queue.Queue[tuple[Callable[..., Any], tuple[Any, ...]]] = queue.Queue()

    def callFromThread(self, callable: Callable[..., Any], *args: Any) -> None:  # noqa: A002
        self.posted.put((callable, args))

    def turn(self) -> None:
        run, arguments = self.posted.get(timeout=PATIENCE)
        run(*arguments)


def test_results_and_errors_come_back() -> None:
    reactor, got = HandReactor(), []
    pool = WorkerPool("p", reactor, threads=1, depth=2)
    pool.start()
    pool.submit(lambda: 1, got.append)
    reactor.turn()
    error = RuntimeError()

    def fail() -> None:
        raise error

    pool.submit(fail, got.append)
    reactor.turn()
    assert got == [1, error]
    assert pool.pending == 0
    assert pool.alive
    pool.stop()


def test_a_full_queue_is_an_answer() -> None:
    reactor, go = HandReactor(), threading.Event()
    pool = WorkerPool("p", reactor, threads=1, depth=1)
    pool.start()
    for _ in range(2):
        pool.submit(go.wait, lambda _: None)
    with pytest.raises(Fault) as caught:
        pool.submit(go.wait, lambda _: None)
    assert (caught.value.kind, caught.value.retry_after) == (FaultKind.BUSY, 1)
    failed: list[Any] = []
    pool.run(go.wait).addErrback(failed.append)
    assert failed[0].value.kind is FaultKind.BUSY
    pool.submit(lambda: None, lambda _: None, urgent=True)
    assert pool.pending == 3
    go.set()
    while pool.pending:
        reactor.turn()
    pool.stop()
    with pytest.raises(Fault):
        pool.submit(lambda: None, lambda _: None)


def test_a_delivery_that_fails_does_not_lose_the_others() -> None:
    reactor, got = HandReactor(), []
    pool = WorkerPool("p", reactor, threads=1, depth=9)

    def bad(_: object) -> None:
        raise RuntimeError

    pool.submit(lambda: 1, bad)
    pool.submit(lambda: 2, got.append)
    pool.start()
    until(lambda: not pool._queue.qsize(), "done")
    while not got:
        reactor.turn()
    assert got == [2]
    assert pool.pending == 0
    pool.stop()


def test_background_tasks_run_on_their_interval_and_go_on_after_errors() -> None:
    reactor, metrics, runs = HandReactor(), Metrics("s"), []

    def run(state: str) -> None:
        runs.append(state)
        if len(runs) == 1:
            raise RuntimeError("first time")

    tasks = BackgroundTasks((BackgroundTask("t", 10.0, run),), "state", reactor, metrics, service="s")
    tasks.start()
    for expected in (1, 2, 3):
        reactor.advance(10)
        reactor.turn()
        assert len(runs) == expected
    assert runs == ["state"] * 3
    text = metrics.merged().decode()
    assert 'background_runs_total{result="error",task="t"} 1.0' in text
    assert 'background_runs_total{result="ok",task="t"} 2.0' in text
    stopped: list[object] = []
    tasks.stop().addCallback(stopped.append)
    assert stopped
    reactor.advance(100)
    assert len(runs) == 3


def test_a_run_that_goes_on_is_not_doubled_and_is_waited_for() -> None:
    reactor, go, runs = HandReactor(), threading.Event(), []

    def run(_state: object) -> None:
        runs.append(1)
        go.wait(PATIENCE)

    tasks = BackgroundTasks((BackgroundTask("t", 1.0, run),), None, reactor, Metrics("s"), service="s")
    tasks.start()
    reactor.advance(1)
    until(lambda: runs, "runs")
    reactor.advance(10)
    stopped: list[object] = []
    tasks.stop().addCallback(stopped.append)
    assert not stopped
    go.set()
    reactor.turn()
    assert stopped
    assert len(runs) == 1
