"""From configuration to serving, and to a clean end: the order of things.

sockets → data directory → database → migrations → barrier → first tenant → listeners → services built → ready-file.
While the barrier is sealed the listeners answer (503, and the admin listener), and what needs keys is done as soon as
it is opened. Several processes may share one data directory: SQLite and PostgreSQL both decide what happens once, and a
second suite on the same ports fails on the first of them, before it touches anything.
"""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import signal
import socket
from dataclasses import replace
from pathlib import Path

import structlog
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.clock import SystemClock
from pycryptoutil.errors import ConfigurationError, StartupError
from pycryptoutil.service import logging, prepare, ready, sockets, telemetry
from pycryptoutil.service.config import Configuration
from pycryptoutil.service.control import Message
from pycryptoutil.service.process import EXIT_STARTUP, Role, serve
from pycryptoutil.service.sockets import Sockets

EXIT_CONFIGURATION = 3

log = structlog.get_logger()


def run(configuration: Configuration) -> int:
    """Serve until told to stop; return the process's exit code.

    StartupError or ConfigurationError, with a line for the operator, if it cannot start.
    """
    gc.disable()  # until everything is there that stays: see Process
    os.umask(0o077)
    signal.signal(signal.SIGTERM, _stop_while_starting)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to load anew
    logging.configure(configuration.settings.logging, SystemClock())
    wanted = [
        address
        for definition in configuration.definitions
        for address in sockets.addresses(definition, configuration.services[definition.name])
    ]
    bound = sockets.bind(wanted)
    try:
        prepare.data_directory(configuration.data_dir)
        if configuration.settings.process.ready_file:
            prepare.ready_file(configuration.settings.process.ready_file)
        if configuration.settings.process.workers > 1:
            return _supervise(configuration, bound)
        return serve(configuration, bound, Role())
    finally:
        for opened in bound.values():
            opened.close()


def _stop_while_starting(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def _supervise(configuration: Configuration, bound: Sockets) -> int:
    from pycryptoutil.service.supervisor import Supervisor

    count = configuration.settings.process.workers
    metrics = configuration.data_dir / f"metrics-{socket.gethostname()}-{os.getpid()}"  # containers have equal numbers
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(mode=0o700)
    ready_file = configuration.settings.process.ready_file
    supervisor_pid = os.getpid()

    def worker(number: int, link: socket.socket) -> int:
        return _worker(configuration, bound, Role(number, count, link, metrics))

    def announce(message: Message) -> None:
        if ready_file is not None:
            services = {
                name: replace(address, pid=supervisor_pid)
                for name, address in ready.addresses(message.services).items()
            }
            ready.write(ready_file, ready.describe(configuration, services, Path(message.trust_bundle)))
        log.info("ready", workers=count, services=sorted(message.services))

    def close_sockets() -> None:
        """While one process has a socket open, who connects waits in its queue, for nobody."""
        for opened in bound.values():
            opened.close()

    timeout = max(settings.limits.shutdown_timeout for settings in configuration.services.values())
    _load_before_fork(configuration)
    try:
        return Supervisor(
            count,
            worker,
            clock=SystemClock(),
            shutdown_timeout=timeout,
            on_ready=announce,
            on_reload=lambda: _reload_logging(configuration),
            on_stop=close_sockets,
        ).run()
    finally:
        if ready_file is not None:
            ready.remove(ready_file)
        shutil.rmtree(metrics, ignore_errors=True)


def _load_before_fork(configuration: Configuration) -> None:
    """Import what every worker needs, once; nothing of it starts a thread, a reactor or opens a descriptor."""
    importlib.import_module("pycryptoutil.service.app")
    telemetry.load(configuration.settings.telemetry)
    gc.freeze()
    gc.enable()


def _reload_logging(configuration: Configuration) -> None:
    try:
        logging.configure(configuration.reload().settings.logging)
    except ConfigurationError as error:
        log.error("configuration not loaded anew", detail=error.message)  # noqa: TRY400  the line says it all


def _worker(configuration: Configuration, bound: Sockets, role: Role) -> int:
    """Run in a forked worker: what stops it is told in one log line, and by the exit code."""
    signal.signal(signal.SIGTERM, _stop_while_starting)
    logging.always(worker=role.number)
    try:
        return serve(configuration, bound, role)
    except ConfigurationError as error:
        log.error("cannot start", detail=error.message)  # noqa: TRY400
        return EXIT_CONFIGURATION
    except (StartupError, Fault) as error:
        log.error("cannot start", detail=str(error))  # noqa: TRY400
        return EXIT_STARTUP
