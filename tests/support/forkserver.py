"""Run the program under test in a fork of a process that has imported it already.

Importing everything keeps a core busy for more than a second, and the tests start the program many hundreds of times.
Each pytest process has one such server; what it forks is in a session of its own, with its own environment, directory,
streams and arguments, and ends as ``python -m MODULE`` would. Between the server and the program stands one small
process that waits for the program's end and tells it, so that the tests see a process like ``subprocess.Popen``'s.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "pycryptoutil"
# The program and what it imports as late as it can; not the reactor, whose descriptors a fork would share.
PRELOADED = (
    "pycryptoutil.cli.run",
    "pycryptoutil.service.catalogue",
    "pycryptoutil.service.config",
    "pycryptoutil.service.lifecycle",
    "pycryptoutil.service.prepare",
    "pycryptoutil.service.process",
    "pycryptoutil.services.jose_ja",
    "pycryptoutil.services.learn_ps",
    "pycryptoutil.services.pki_ca",
    "pycryptoutil.services.sm_kms",
    "pycryptoutil.storage.migrate",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "OpenSSL.SSL",
)
_LONGEST = 1 << 20


class Forked:
    """A program that runs; it is used as a ``subprocess.Popen``."""

    def __init__(self, arguments: Sequence[str], told: socket.socket) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self._told = told
        self._heard = b""
        self.pid = int(self._line(None))

    def __del__(self) -> None:
        self._told.close()

    def _line(self, timeout: float | None) -> bytes:
        while b"\n" not in self._heard:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            more = self._told.recv(64)
            if not more:
                raise ChildProcessError("who waited for the program has ended")
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code, negative for a signal; TimeoutExpired if it is still there after ``timeout`` s."""
        if self.returncode is None:
            self.returncode = int(self._line(timeout))
        return self.returncode

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Piped:
    """A program whose input and output are pipes of text."""

    def __init__(self, module: str, arguments: Sequence[str | Path], env: Mapping[str, str]) -> None:
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        self.stdin = os.fdopen(ours_in, "w")
        self.stdout = os.fdopen(ours_out)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  end() closes it
        self._process = start(
            arguments, env=env, cwd=ROOT, stdin=theirs_in, stdout=theirs_out, stderr=self._errors.fileno(),
            module=module,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)

    def kill(self) -> None:
        self._process.kill()

    def say(self, text: str) -> None:
        self.stdin.write(text)
        self.stdin.flush()

    def end(self, timeout: float = 60) -> tuple[int, str, str]:
        """Return its exit code, the rest of its output, and its errors."""
        self.stdin.close()
        rest = self.stdout.read()
        self.stdout.close()
        code = self._process.wait(timeout)
        self._errors.seek(0)
        with self._errors:
            return code, rest, self._errors.read().decode()


class _Server:
    """The server as the tests see it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._life, theirs = socket.socketpair()  # it ends when this end does, however that happens
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(16)
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(listener.fileno()), str(theirs.fileno())],
            pass_fds=(listener.fileno(), theirs.fileno()), cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        listener.close()
        theirs.close()

    def run(self, request: Mapping[str, Any], streams: Sequence[int]) -> Forked:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        line = json.dumps(request).encode() + b"\n"
        assert len(line) < _LONGEST
        sent = socket.send_fds(connection, [line], streams)
        connection.sendall(line[sent:])
        return Forked(request["arguments"], connection)


@functools.cache
def _server(_process: int) -> _Server:
    folder = tempfile.mkdtemp(prefix="pycryptoutil-fork-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return _Server(f"{folder}/server")


def start(
    arguments: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, stdout: int, stderr: int, stdin: int = -1,
    module: str = PROGRAM,
) -> Forked:  # fmt: skip
    """Start ``python -m module arguments``; the streams are descriptors, without ``stdin`` there is no input."""
    request = {"module": module, "arguments": list(map(str, arguments)), "env": dict(env), "cwd": str(cwd)}
    with Path(os.devnull).open("rb") as nothing:
        return _server(os.getpid()).run(request, (nothing.fileno() if stdin < 0 else stdin, stdout, stderr))


def run(
    arguments: Sequence[str | Path], *, env: Mapping[str, str], data: bytes = b"", timeout: float = 120,
    module: str = PROGRAM,
) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    """Run ``python -m module arguments`` to its end with ``data`` on its input; TimeoutExpired after ``timeout`` s."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(data)
        given.seek(0)
        process = start(
            arguments, env=env, cwd=ROOT, stdin=given.fileno(), stdout=out.fileno(), stderr=err.fileno(), module=module
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read())
    return subprocess.CompletedProcess(list(arguments), code, *texts)


# --- what runs in the server


def _serve(listener: socket.socket, life: socket.socket) -> dict[str, Any]:
    """Fork for everybody who connects; return, in the fork, what it is to be."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel collects who waits for the programs
    while True:
        readable, _, _ = select.select([listener, life], [], [])
        if life in readable:
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            life.close()
            return _mind(connection)
        connection.close()


def _mind(connection: socket.socket) -> dict[str, Any]:
    """Fork the program, tell its number and then its end; return in the program."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    line, streams, _, _ = socket.recv_fds(connection, _LONGEST, 3)
    while not line.endswith(b"\n"):
        line += connection.recv(_LONGEST)
    child = os.fork()
    if child == 0:
        os.setsid()
        connection.sendall(b"%d\n" % os.getpid())  # only now: whoever knows the number may signal the group
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        request: dict[str, Any] = json.loads(line)
        return request
    for stream in streams:
        os.close(stream)
    try:
        _, status = os.waitpid(child, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def _main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    assert "twisted.internet.reactor" not in sys.modules, "a fork would share its descriptors"
    gc.collect()
    gc.freeze()
    request = _serve(*(socket.socket(fileno=int(number)) for number in sys.argv[1:3]))
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = [request["module"], *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
