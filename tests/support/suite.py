"""Start a real suite: a process of its own, every port free, found through its ready-file.

``suite`` is a fixture that gives a function; every suite it started is stopped when the test ends::

    def test_something(suite, tmp_path):
        running = suite(tmp_path)                       # every service, profile test, SQLite in tmp_path/data
        running.http("pki-ca").get("/service/api/v1/health")
        running.cli_json("ca", "list")

``shared_suite`` is one suite for a whole test module, for tests that do not disturb it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from pycryptoutil.clock import SystemClock
from tests.support import forkserver

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0  # generous: the machine may be busy with other tests
_CLOCK = SystemClock()


class NotStartedError(AssertionError):
    """The process ended, or was not ready in time."""


def until(condition: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
    """Wait until ``condition`` is true and return what it returned."""
    end = _CLOCK.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if _CLOCK.monotonic() > end:
            raise AssertionError(f"not in {seconds:g} s: {what}")
        _CLOCK.sleep(0.02)


def environment(**extra: str) -> dict[str, str]:
    """Return an environment in which the program under test is found, and nothing configures it by accident."""
    foreign = ("CRYPTOUTIL_", "PYCRYPTOUTIL_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = os.pathsep.join([str(ROOT), str(ROOT / "protocols"), *filter(None, [kept.get("PYTHONPATH", "")])])
    inherited = {name: os.environ[name] for name in ("PYCRYPTOUTIL_SKIP_CORE_DIGEST",) if name in os.environ}
    return {**kept, **inherited, "PYTHONPATH": path, **extra}


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of the program under test."""
    return [sys.executable, "-m", "pycryptoutil", *map(str, arguments)]


def run_cli(
    *arguments: str | Path, stdin: str = "", timeout: float = 120, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, as a process."""
    done = forkserver.run(arguments, env=environment(**extra), data=stdin.encode(), timeout=timeout)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def call_cli(*arguments: str | Path, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
    """Run one command within this process: the same code as :func:`run_cli`, without a second of imports."""
    from pycryptoutil import cli

    words = list(map(str, arguments))
    kept, given_environment = dict(os.environ), environment(**extra)
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    given, sys.stdin = sys.stdin, io.StringIO(stdin)
    try:
        os.environ.clear()
        os.environ.update(given_environment)
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            cli.main(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdin = given
        os.environ.clear()
        os.environ.update(kept)
    texts = []
    for stream in streams:
        buffer = stream.buffer
        assert isinstance(buffer, io.BytesIO)
        texts.append(buffer.getvalue().decode())
    return subprocess.CompletedProcess(words, code, *texts)


@dataclass
class Suite:
    """A running process of services."""

    folder: Path
    arguments: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | forkserver.Forked | None = None
    forked: bool = True  # of a process that has imported it; False for an interpreter of its own
    ready: dict[str, Any] = field(default_factory=dict)
    _clients: list[httpx.Client] = field(default_factory=list)

    @property
    def ready_file(self) -> Path:
        return self.folder / "ready.json"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def log_file(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    # --- life

    def start(self, *, wait: bool = True) -> Suite:
        """Start it (again: the data directory stays)."""
        self.ready_file.unlink(missing_ok=True)
        with self.log_file.open("ab") as log:
            env = environment(**self.env)
            self.process = (
                forkserver.start(self.arguments, stdout=log.fileno(), stderr=log.fileno(), env=env, cwd=self.folder)
                if self.forked
                else subprocess.Popen(
                    command(*self.arguments), stdout=log, stderr=log, env=env, cwd=self.folder, start_new_session=True
                )
            )
        return self.wait_ready() if wait else self

    def wait_ready(self, seconds: float = START_SECONDS) -> Suite:
        """Wait for the ready-file."""
        assert self.process is not None

        def look() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise NotStartedError(f"exit code {self.process.returncode}:\n{self.log_text()[-4000:]}")
            return self.ready_file.exists()

        try:
            until(look, "the suite is ready", seconds)
        except NotStartedError:
            raise
        except AssertionError as error:
            raise NotStartedError(f"{error}:\n{self.log_text()[-4000:]}") from None
        self.ready = json.loads(self.ready_file.read_bytes())
        return self

    def kill(self) -> None:
        """Kill -9 the process and every worker of it."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, timeout: float = 30) -> int:
        """Drain it by SIGTERM; return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout: float = 30) -> int:
        """Wait for its end; return its exit code."""
        assert self.process is not None
        return self.process.wait(timeout)

    def restart(self) -> Suite:
        """Stop and start it."""
        assert self.stop() == 0
        return self.start()

    def close(self) -> None:
        """Clean up after a test, whatever state it left."""
        for client in self._clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        if self.process is not None:  # workers that outlived their supervisor
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    # --- asking it

    def url(self, service: str = "", listener: str = "public") -> str:
        """Return a listener's base URL; of the first service (pki-ca, if it runs) unless named."""
        running = self.ready["services"]
        first = "pki-ca" if "pki-ca" in running else next(iter(running))
        return str(running[service or first][listener])

    @property
    def trust_bundle(self) -> Path:
        return Path(self.ready["trust_bundle"])

    @property
    def credentials(self) -> dict[str, str]:
        """Return the administrator's one-time secret."""
        found: dict[str, str] = json.loads(Path(self.ready["admin_credentials"]).read_bytes())
        return found

    @property
    def basic(self) -> tuple[str, str]:
        """Return the administrator's client id and secret."""
        return self.credentials["client_id"], self.credentials["client_secret"]

    def tls(self, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
        """Return a context that trusts the suite's bundle and nothing else."""
        context = ssl.create_default_context(cafile=str(self.trust_bundle))
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        return context

    def http(
        self, service: str = "", listener: str = "public", *, auth: Any = None, certificate: Path | None = None,
        key: Path | None = None, **options: Any,
    ) -> httpx.Client:  # fmt: skip
        """Return a client at a listener's root, without credentials unless given."""
        options.setdefault("timeout", 60)
        verify: Any = True if listener == "plain" else self.tls(certificate, key)
        client = httpx.Client(
            base_url=self.url(service, listener), verify=verify, auth=auth, trust_env=False, **options
        )
        self._clients.append(client)
        return client

    def api(self, service: str = "", **options: Any) -> httpx.Client:
        """Return the administrator's client at ``/service/api/v1``."""
        client = self.http(service, auth=self.basic, **options)
        client.base_url = httpx.URL(self.url(service) + "/service/api/v1/")
        return client

    def admin(self, service: str = "", **options: Any) -> httpx.Client:
        """Return a client at the admin listener's prefix."""
        client = self.http(service, "admin", **options)
        client.base_url = httpx.URL(self.url(service, "admin") + "/admin/v1/")
        return client

    def cli(self, *arguments: str | Path, stdin: str = "", code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run an administrator's command against it; the exit code must be ``code`` (None: any)."""
        done = call_cli(*arguments, stdin=stdin, PYCRYPTOUTIL_READY_FILE=str(self.ready_file))
        assert code is None or done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def cli_json(self, *arguments: str | Path, stdin: str = "") -> Any:
        """Run a command with ``--json`` and return what it printed."""
        return json.loads(self.cli(*arguments, "--json", stdin=stdin).stdout)

    def log_text(self) -> str:
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def logs(self) -> list[dict[str, Any]]:
        """Return every log line; each must be a JSON object."""
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]

    def foreign_lines(self) -> list[str]:
        """Return the lines of output that are no JSON log lines: tracebacks and other leaks."""
        return [line for line in self.log_text().splitlines() if line and not line.startswith("{")]


StartSuite = Callable[..., Suite]


def make_suite(
    folder: Path,
    services: str = "suite",
    extra_config: Mapping[str, Any] | None = None,
    *,
    workers: int = 1,
    database_url: str = "",
    profile: str = "test",
    env: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    forked: bool = True,
) -> Suite:
    """Describe a suite without starting it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(dict(extra_config or {})))
    suite = Suite(folder, (), dict(env or {}), forked=forked)
    suite.arguments = (
        "run", services, "--profile", profile, "--config", config, "--data-dir", suite.data_dir,
        "--ready-file", suite.ready_file, "--workers", str(workers), *arguments,
    )  # fmt: skip
    if database_url:
        suite.env = {**suite.env, "CRYPTOUTIL_DATABASE_URL": database_url}
    return suite


@pytest.fixture
def suite() -> Iterator[StartSuite]:
    """Give a function that starts suites: ``suite(folder, services, extra_config, workers=…, database_url=…)``."""
    with contextlib.ExitStack() as stack:

        def start(
            folder: Path, services: str = "suite", extra_config: Mapping[str, Any] | None = None, *, wait: bool = True,
            **options: Any,
        ) -> Suite:  # fmt: skip
            made = make_suite(folder, services, extra_config, **options)
            stack.callback(made.close)
            return made.start(wait=wait)

        yield start


@pytest.fixture(scope="module")
def shared_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """Give one running suite to all tests of a module that leave it as they found it."""
    made = make_suite(tmp_path_factory.mktemp("suite"))
    try:
        yield made.start()
    finally:
        made.close()
