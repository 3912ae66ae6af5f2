"""The bounded way out: nothing of a receiver's trouble reaches who appends."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from pycryptoutil.service.telemetry.pipe import Pipe, PipeCounts
from tests.support.edge import until

WAIT = 30.0


class Sender:
    """Takes, refuses, raises or hangs."""

    def __init__(self) -> None:
        self.took: list[int] = []
        self.sizes: list[int] = []
        self.answer: Any = True
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items: Sequence[int]) -> bool:
        self.calls += 1
        assert self.gate.wait(WAIT)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer:
            self.took += items
            self.sizes.append(len(items))
        return bool(self.answer)


@pytest.fixture
def said() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as found:
        yield found


def made(sender: Sender, **options: Any) -> Pipe[int]:
    return Pipe("traces", sender, **{"depth": 10, "batch": 4, "interval": 0.01, **options})


def test_all_is_sent_in_order_in_batches() -> None:
    sender = Sender()
    pipe = made(sender, depth=100)
    for number in range(10):
        pipe.put(number)
    pipe.start()
    until(lambda: pipe.exported == 10, "all is exported")
    pipe.stop()
    assert pipe.join(WAIT)
    assert sender.took == list(range(10))
    assert sender.sizes == [4, 4, 2]
    assert (pipe.dropped, pipe.failed) == (0, 0)


def test_a_hanging_receiver_costs_what_is_beyond_the_queue() -> None:
    sender = Sender()
    sender.gate.clear()
    pipe = made(sender)
    pipe.start()
    pipe.put(0)
    until(lambda: sender.calls == 1, "the first is being sent")
    for number in range(1, 31):
        pipe.put(number)  # would hang here for ever if it waited for the receiver
    assert len(pipe) == 10
    assert pipe.dropped == 20
    sender.gate.set()
    pipe.stop()
    assert pipe.join(WAIT)
    assert sender.took == list(range(11))


@pytest.mark.parametrize("trouble", [False, ValueError("password=hunter2")])
def test_failing_and_recovering_are_one_line_each(said: list[Any], trouble: Any) -> None:
    sender = Sender()
    sender.answer = trouble
    pipe = made(sender, interval=0.001)
    pipe.start()
    pipe.put(1)
    until(lambda: pipe.failed == 1, "the first failed")
    pipe.put(2)
    pipe._wake.set()
    until(lambda: pipe.failed == 2, "the second failed")
    sender.answer = True
    pipe.put(3)
    pipe._wake.set()
    until(lambda: pipe.exported == 1, "the third came through")
    pipe.stop()
    assert pipe.join(WAIT)
    assert [line["log_level"] for line in said] == ["warning", "info"]
    assert said[1]["failed"] == 2
    assert "hunter2" not in str([{k: v for k, v in line.items() if k != "exc_info"} for line in said])


def test_a_failure_does_not_burn_the_queue(said: list[Any]) -> None:
    """One batch is risked at a time; the rest waits for a better moment."""
    sender = Sender()
    sender.answer = False
    pipe = made(sender)
    for number in range(10):
        pipe.put(number)
    assert pipe._empty() is False
    assert sender.calls == 1
    assert (pipe.failed, len(pipe)) == (4, 6)
    assert len(said) == 1


def test_stopping_with_a_dead_receiver_ends_and_counts() -> None:
    sender = Sender()
    sender.gate.clear()
    pipe = made(sender)
    pipe.start()
    pipe.put(1)
    until(lambda: sender.calls == 1, "the first is being sent")
    pipe.put(2)
    pipe.put(3)
    pipe.stop()
    assert pipe.join(0.01) is False
    assert pipe.dropped == 2
    sender.gate.set()
    assert pipe.join(WAIT)


def test_counts_are_metrics() -> None:
    pipe = made(Sender())
    for number in range(12):
        pipe.put(number)
    registry = CollectorRegistry()
    registry.register(PipeCounts([pipe]))
    text = generate_latest(registry).decode()
    assert 'telemetry_items_total{result="dropped",signal="traces"} 2.0' in text
    assert 'telemetry_queue_depth{signal="traces"} 10.0' in text
