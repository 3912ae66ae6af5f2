"""The supervisor with toy workers: starting, restarting, passing on, draining."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pycryptoutil.clock import SystemClock
from pycryptoutil.service.control import REPEAT_SECONDS
from tests.support.suite import environment, until


class Toy:
    """A running toy supervisor."""

    def __init__(self, folder: Path, count: int, behaviour: str) -> None:
        self._out = folder / "out"
        script = Path(__file__).with_name("toy_supervisor.py")
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(count), behaviour],
                stdout=out,
                stderr=out,
                env=environment(),
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self._out.read_text()

    def said(self, line: str, times: int = 1) -> None:
        until(lambda: self.text.splitlines().count(line) >= times, f"{line!r} is said in:\n{self.text}")

    def pids(self, number: int) -> list[int]:
        return [int(pid) for pid in re.findall(rf"^worker {number} (\d+)$", self.text, re.MULTILINE)]

    def end(self) -> int:
        return self.process.wait(30)


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Callable[..., Toy]]:
    started: list[Toy] = []

    def start(count: int, behaviour: str = "serve") -> Toy:
        started.append(Toy(tmp_path, count, behaviour))
        return started[-1]

    yield start
    for one in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait(10)


def test_all_start_and_drain_at_sigterm(toy: Callable[..., Toy]) -> None:
    running = toy(3)
    running.said("all ready ['toy']")
    for number in range(3):
        assert len(running.pids(number)) == 1
        running.said(f"heard {number} workers 3/3")
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0
    assert sorted(re.findall(r"^drained (\d)$", running.text, re.MULTILINE)) == ["0", "1", "2"]


def test_dead_worker_is_started_again_and_the_others_are_told(toy: Callable[..., Toy]) -> None:
    running = toy(2)
    running.said("all ready ['toy']")
    os.kill(running.pids(1)[0], signal.SIGKILL)
    running.said("heard 0 workers 1/2")
    until(lambda: len(running.pids(1)) == 2, "worker 1 runs again")
    running.said("heard 0 workers 2/2", 2)
    assert len(running.pids(0)) == 1
    assert '"event":"worker died"' in running.text
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0


def test_delay_grows_while_a_worker_keeps_dying(toy: Callable[..., Toy]) -> None:
    running = toy(2)
    running.said("all ready ['toy']")
    for times in range(1, 4):
        until(lambda times=times: len(running.pids(1)) == times, "worker 1 runs")
        os.kill(running.pids(1)[-1], signal.SIGKILL)
    until(lambda: running.text.count("worker died") == 3, "three deaths")
    delays = [float(delay) for delay in re.findall(r'"restart_in_seconds":([\d.]+)', running.text)]
    assert delays == [0.1, 0.2, 0.4]


def test_worker_that_cannot_start_decides_the_exit_code(toy: Callable[..., Toy]) -> None:
    running = toy(3, "fail")
    assert running.end() == 4
    assert len(running.pids(0)) == 1
    assert not running.pids(1)
    assert "Traceback" not in running.text


def test_share_reaches_the_others_and_those_that_start_later(toy: Callable[..., Toy]) -> None:
    running = toy(2, "unseal")
    running.said("heard 1 unseal s10/0")
    os.kill(running.pids(1)[0], signal.SIGKILL)
    running.said("heard 1 unseal s10/0", 2)
    assert "heard 0 unseal" not in running.text


def test_shutdown_asked_of_one_reaches_all(toy: Callable[..., Toy]) -> None:
    running = toy(3, "shutdown")
    assert running.end() == 0
    assert len(re.findall(r"^drained \d$", running.text, re.MULTILINE)) == 3


def test_worker_that_does_not_stop_is_killed(toy: Callable[..., Toy]) -> None:
    running = toy(2, "stubborn")
    running.said("all ready ['toy']")
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 1
    assert "workers did not stop in time" in running.text


def test_second_signal_stops_at_once(toy: Callable[..., Toy]) -> None:
    running = toy(2, "patient")
    running.said("all ready ['toy']")
    running.process.send_signal(signal.SIGTERM)
    SystemClock().sleep(2 * REPEAT_SECONDS)
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 1
    assert "workers did not stop in time" not in running.text


def test_hangup_reaches_all(toy: Callable[..., Toy]) -> None:
    running = toy(2)
    running.said("all ready ['toy']")
    running.process.send_signal(signal.SIGHUP)
    for line in ("reload", "reload 0", "reload 1"):
        running.said(line)


def test_workers_end_when_the_supervisor_is_killed(toy: Callable[..., Toy]) -> None:
    running = toy(2)
    running.said("all ready ['toy']")
    running.process.kill()
    running.said("orphan 0")
    running.said("orphan 1")
