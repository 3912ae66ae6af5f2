"""As process 1 of a PID namespace, which is what a container's program is: signals arrive, orphans are collected."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.suite import command, environment, until

TOY = """
import os, signal, sys, time
from pycryptoutil.cli import first_process
first_process.stand_aside()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
signal.signal(signal.SIGHUP, lambda *_: os.write(1, b"reload\\n"))
os.write(1, b"serving %d\\n" % os.getpid())
while True:
    time.sleep(1)
"""


class Contained:
    """A program that is process 1 of a namespace of its own."""

    def __init__(self, folder: Path, *line: str) -> None:
        programs.need("unshare", "nsenter")
        self._log = folder / "contained.log"
        user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        with self._log.open("wb") as out:
            self._outer = subprocess.Popen(
                ["unshare", *user, "--pid", "--fork", "--mount-proc", "--kill-child", *line],
                stdout=out, stderr=out, env=environment(), cwd=folder,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self._log.read_text()

    @property
    def first(self) -> int:
        """Process 1's number outside."""
        task = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        return int(until(lambda: task.read_text().split(), f"process 1 runs:\n{self.text}")[0])

    def inside(self, script: str) -> str:
        """Run a shell script in the namespace, as ``docker exec`` does."""
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        line = ["nsenter", "--target", str(self.first), "--pid", "--mount", *user, "sh", "-c", script]
        return subprocess.run(line, capture_output=True, text=True, check=True, timeout=30).stdout

    def zombies(self) -> list[str]:
        states = self.inside('for p in /proc/[0-9]*; do sed -n "s/^State:.//p" $p/status 2>/dev/null; done; true')
        return [line for line in states.splitlines() if line.startswith("Z")]

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.first, number)

    def end(self) -> int:
        return self._outer.wait(30)

    def close(self) -> None:
        if self._outer.poll() is None:
            self._outer.kill()
            self._outer.wait(10)


@pytest.fixture
def contained(tmp_path: Path) -> Iterator[type[Contained]]:
    probe = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, check=False)
    if probe.returncode != 0 and os.geteuid() == 0:
        programs.missing("PID namespaces cannot be made here")
    started: list[Contained] = []

    class Kept(Contained):
        def __init__(self, *line: str) -> None:
            super().__init__(tmp_path, *line)
            started.append(self)

    yield Kept  # type: ignore[misc]
    for one in started:
        one.close()


def test_signals_and_the_exit_code_pass_through(contained: type) -> None:
    toy = contained(sys.executable, "-c", TOY)
    until(lambda: "serving" in toy.text, "it serves")
    assert "serving 1\n" not in toy.text  # the program is an ordinary process
    toy.signal(signal.SIGHUP)
    until(lambda: "reload" in toy.text, "SIGHUP arrived")
    toy.signal(signal.SIGTERM)
    assert toy.end() == 7


def test_death_by_a_signal_is_told_as_a_shell_tells_it(contained: type) -> None:
    toy = contained(sys.executable, "-c", TOY.replace("signal.signal(signal.SIGTERM", "0 and (signal.SIGTERM"))
    until(lambda: "serving" in toy.text, "it serves")
    toy.signal(signal.SIGTERM)
    assert toy.end() == 128 + signal.SIGTERM


def test_orphans_are_collected(contained: type) -> None:
    toy = contained(sys.executable, "-c", TOY)
    until(lambda: "serving" in toy.text, "it serves")
    toy.inside("(sleep 0.2 &) ; (sleep 0.2 &) ; exit 0")
    until(lambda: toy.inside("pgrep -c sleep || true").strip() == "0", "the orphans have ended", 10)
    assert toy.zombies() == []
    toy.signal(signal.SIGTERM)
    assert toy.end() == 7


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_as_process_1_drains(contained: type, tmp_path: Path, workers: int) -> None:
    ready = tmp_path / "ready.json"
    line = command(
        "run", "learn-ps", "--profile", "test", "--data-dir", tmp_path / "data", "--ready-file", ready,
        "--workers", str(workers),
    )  # fmt: skip
    service = contained(*line)
    until(lambda: ready.exists() or service._outer.poll() is not None, "it is ready")
    assert ready.exists(), service.text
    assert json.loads(ready.read_bytes())["services"]["learn-ps"]["pid"] != 1
    service.signal(signal.SIGTERM)
    assert service.end() == 0
    assert not ready.exists()
    assert "draining" in service.text


def test_sigterm_during_the_imports_is_not_lost(contained: type, tmp_path: Path) -> None:
    line = command("run", "learn-ps", "--profile", "test", "--data-dir", tmp_path / "data")
    service = contained(*line)
    children = Path(f"/proc/{service.first}/task/{service.first}/children")
    until(lambda: children.read_text().split(), "the program is begun")  # long before it has handlers
    service.signal(signal.SIGTERM)
    assert service.end() in {0, 128 + signal.SIGTERM}
