"""One serving process: the only one, or a worker under a supervisor."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import structlog
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import SystemClock
from pycryptoutil.errors import ConfigurationError
from pycryptoutil.http.message import Listener
from pycryptoutil.service import bootstrap, logging, prepare, ready, telemetry, upkeep
from pycryptoutil.service.config import Configuration
from pycryptoutil.service.control import MAX_PACKET, REPEAT_SECONDS, Message
from pycryptoutil.service.ready import ServiceAddress
from pycryptoutil.service.sockets import Sockets
from pycryptoutil.service.tenants import default_tenant_id
from pycryptoutil.storage import Database

if TYPE_CHECKING:
    from pycryptoutil.service.app import ServiceApp  # it imports Twisted: after the fork only

WATCH_SECONDS = 0.2  # how often the barrier's state is looked at
RETRY_SECONDS = 2.0
GRACE_SECONDS = 5.0  # beyond the drain's own timeout
EXIT_FORCED = 1
EXIT_STARTUP = 4

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Role:
    """Which of how many workers this process is, and its line to the supervisor."""

    number: int = 0
    count: int = 1
    link: socket.socket | None = None
    metrics: Path | None = None


def serve(configuration: Configuration, bound: Sockets, role: Role) -> int:
    """Start, serve, drain; return the exit code. StartupError, ConfigurationError or Fault if it cannot start."""
    clock = SystemClock()
    database = prepare.database(configuration, clock)
    try:
        prepare.migrate_now(configuration, database)
        barrier = prepare.barrier(configuration, database, clock)
        process = Process(configuration, bound, role, database, barrier)
        code = process.run()
    finally:
        with contextlib.suppress(Fault):
            database.close()
    log.info("stopped", exit_code=code)
    return code


class Process:
    """The running part: reactor, services, signals. Reactor thread, but for what says otherwise."""

    def __init__(
        self, configuration: Configuration, bound: Sockets, role: Role, database: Database, barrier: Barrier
    ) -> None:
        from twisted.internet import reactor

        logging.bridge_twisted()
        self._reactor = cast("Any", reactor)
        self._configuration = configuration
        self._role = role
        self._clock = SystemClock()
        self._database = database
        self._barrier = barrier
        self._code = 0
        self._draining = False
        self._draining_since = 0.0
        self._open = False  # services are built and answer
        self._busy = False  # a build is going on
        self._retry_at = 0.0
        self._announced = False
        self._workers = (role.count, role.count)  # ready, wanted
        self._link = _Link(role.link, self._reactor, self._told) if role.link is not None else None
        self._upkeep = upkeep.Upkeep(
            database,
            barrier,
            self._clock,
            configuration.data_dir,
            f"{socket.gethostname()}:{os.getpid()}",
            prepare.sealed_columns(configuration),
        )
        self._telemetry = telemetry.open_telemetry(configuration.settings.telemetry, self._clock, role.number)
        self._apps = self._make_apps(bound)

    def _make_apps(self, bound: Sockets) -> dict[str, ServiceApp]:
        from pycryptoutil.service.app import ServiceApp

        tenant = default_tenant_id(self._database)
        first = True
        apps = {}
        for definition in self._configuration.definitions:
            mine = {
                listener: opened
                for (name, listener), opened in bound.items()
                if name == definition.name and (listener is not Listener.ADMIN or self._role.number == 0)
            }
            apps[definition.name] = ServiceApp(
                definition,
                settings=self._configuration.services[definition.name],
                own=self._configuration.own[definition.name],
                database=self._database,
                barrier=self._barrier,
                clock=self._clock,
                reactor=self._reactor,
                data_dir=self._configuration.data_dir,
                default_tenant_id=tenant,
                instance=self._role.number,
                metrics_directory=self._role.metrics,
                hooks=self,
                sockets=mine,
                background=upkeep.tasks(self._configuration.settings.audit.head_interval) if first else (),
                upkeep=self._upkeep,
                telemetry=self._telemetry,
            )
            first = False
        return apps

    # --- serving

    def run(self) -> int:
        """Listen, serve and drain; return the exit code."""
        if self._telemetry is not None:
            self._telemetry.start()
        for app in self._apps.values():
            app.listen()
        if self._link is not None:
            self._link.doRead()  # shares that the supervisor kept for whoever starts later
        if not self._barrier.sealed:
            self._enter(self._build())
        self._install_signals()
        self._reactor.callWhenRunning(self._announce)
        self._reactor.callWhenRunning(self._watch)
        try:
            self._reactor.run(installSignalHandlers=False)
        finally:
            ready_file = self._configuration.settings.process.ready_file
            if self._announced and self._link is None and ready_file is not None:
                ready.remove(ready_file)
            if self._telemetry is not None:
                self._telemetry.stop()
        return self._code

    def _build(self) -> dict[str, Any]:
        """Make the services' states; any thread. Needs the barrier open."""
        data_dir = self._configuration.data_dir
        tenant, written = bootstrap.bootstrap(self._database, self._barrier, data_dir)
        if written is not None:
            log.info("first start: an administrator was made", file=str(written))
        if shares := self._barrier.status().shares_file:  # written by this process, just now
            log.warning("unseal shares were made: give each to a keeper, then delete the file", file=shares)
        self._upkeep.publish_head_key()
        return {name: app.build(tenant) for name, app in self._apps.items()}

    def _enter(self, states: Mapping[str, Any]) -> None:
        for name, app in self._apps.items():
            app.enter(states[name])
        self._open = True

    def _announce(self) -> None:
        """Every listener is ready: tell whoever waits for that, or end if that is not possible."""
        try:
            self._tell_ready()
        except (Fault, OSError) as error:
            log.error("cannot tell that the suite is ready", exc_info=error)  # noqa: TRY400
            self._code = EXIT_STARTUP
            self._end()

    def _tell_ready(self) -> None:
        addresses = {name: self._address(app) for name, app in self._apps.items()}
        bundle = self._trust_bundle()
        self._announced = True
        gc.freeze()  # modules, routes and keys stay for good: no collection need walk them
        gc.enable()
        if self._link is not None:
            self._pass_new_shares_on()
            services = {name: address.document() for name, address in addresses.items()}
            self._link.send(Message("ready", services=services, trust_bundle=str(bundle)))
            return
        ready_file = self._configuration.settings.process.ready_file
        if ready_file is not None:
            ready.write(ready_file, ready.describe(self._configuration, addresses, bundle))
        where = {name: address.document() for name, address in addresses.items()}
        log.info("ready", services=where, sealed=self._barrier.sealed)

    def _trust_bundle(self) -> Path:
        """Return one PEM file of what clients must trust to reach every listener of this process."""
        paths = list(dict.fromkeys(app.trust_bundle for app in self._apps.values()))
        if len(paths) == 1:
            return paths[0]
        together = self._configuration.data_dir / "tls" / "trust.pem"
        ready.write_private(together, b"".join(path.read_bytes() for path in paths))
        return together

    def _pass_new_shares_on(self) -> None:
        """Open the siblings of the process that has just made the shares: it alone was born open."""
        path = self._barrier.status().shares_file
        if path and not self._barrier.sealed:
            for line in Path(path).read_text("utf-8").splitlines():
                if line and not line.startswith("#"):
                    self.unsealed_by(line)

    def _address(self, app: ServiceApp) -> ServiceAddress:
        return ServiceAddress(app.urls.public, app.urls.admin, os.getpid(), app.urls.plain, app.local_url)

    def _watch(self) -> None:
        """Follow the barrier: build the services when it opens, drop what they hold when it is sealed."""
        if self._draining:
            return
        self._reactor.callLater(WATCH_SECONDS, self._watch)
        if self._busy or self._clock.monotonic() < self._retry_at:
            return
        if self._open and self._barrier.sealed:
            self._open = False
            for app in self._apps.values():
                app.leave()
            log.warning("sealed")
        elif not self._open and not self._barrier.sealed:
            self._busy = True
            from twisted.internet.threads import deferToThread

            deferToThread(self._build).addCallbacks(self._entered, self._failed)

    def _entered(self, states: Mapping[str, Any]) -> None:
        self._busy = False
        if not self._draining and not self._barrier.sealed:
            self._enter(states)
            log.info("unsealed")

    def _failed(self, failure: Any) -> None:
        self._busy = False
        self._retry_at = self._clock.monotonic() + RETRY_SECONDS
        log.error("services cannot be built yet", exc_info=failure.value)

    # --- signals

    def _install_signals(self) -> None:
        stop = (signal.SIGTERM,) if self._link is not None else (signal.SIGTERM, signal.SIGINT)
        for number in stop:
            signal.signal(number, lambda *_: self._reactor.callFromThread(self._stop_signal))
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._reload))

    def _stop_signal(self) -> None:
        if not self._draining:
            self._drain()
        elif self._link is None and self._clock.monotonic() - self._draining_since > REPEAT_SECONDS:
            self._stop_at_once()  # of workers, the supervisor counts the signals

    def _stop_at_once(self) -> None:
        log.warning("stopping at once")
        self._code = EXIT_FORCED
        self._end()

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        self._draining_since = self._clock.monotonic()
        from twisted.internet.defer import DeferredList

        timeouts = [self._configuration.services[name].limits.shutdown_timeout for name in self._apps]
        log.info("draining", timeout_seconds=max(timeouts))
        drained = [app.drain(timeout) for app, timeout in zip(self._apps.values(), timeouts, strict=True)]
        DeferredList(drained, consumeErrors=True).addCallback(lambda _: self._end())
        self._reactor.callLater(max(timeouts) + GRACE_SECONDS, self._end)

    def _end(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def _reload(self) -> None:
        """Read configuration, certificates and secrets anew; what cannot be taken is told, and the old stays."""
        try:
            fresh = self._configuration.reload()
        except ConfigurationError as error:
            log.error("configuration not loaded anew", detail=error.message)  # noqa: TRY400  the line says it all
            return
        logging.configure(fresh.settings.logging)
        refused = []
        for name, app in self._apps.items():
            try:
                app.reload(fresh.services[name])
            except (ConfigurationError, Fault, OSError) as error:
                refused.append(name)
                log.error("not loaded anew", service=name, exc_info=error)  # noqa: TRY400
        waiting = self._configuration.needing_restart(fresh)
        if waiting:
            log.warning("some changes wait for the next start", changed=waiting)
        self._configuration = fresh
        self._trust_bundle()  # a new certificate may have a new anchor
        log.info("loaded anew", services=[name for name in self._apps if name not in refused], refused=refused)

    # --- hooks of the admin listener, and messages of the supervisor

    def shutdown(self) -> None:
        """Drain this process, and its sibling workers."""
        if self._link is not None:
            self._link.send(Message("shutdown"))
        else:
            self._reactor.callFromThread(self._drain)

    def unsealed_by(self, share: str) -> None:
        """Give a share that was accepted here to the siblings."""
        if self._link is not None:
            self._link.send(Message("unseal", share=share))

    def sealed(self) -> None:
        """Seal the siblings too."""
        if self._link is not None:
            self._link.send(Message("seal"))

    def guessed(self, service: str, group: str, account: str, failed: bool) -> None:
        """Count a failed login at the other services and the sibling workers too."""
        self._heard(group, account, failed, but=service)
        if self._link is not None:
            self._link.send(Message("guess", group=group, account=account, failed=failed))

    def _heard(self, group: str, account: str, failed: bool, but: str = "") -> None:
        for name, app in self._apps.items():
            if name != but:
                app.heard(group, account, failed)

    def check_workers(self) -> None:
        """Fault(UNAVAILABLE) unless every worker process is ready."""
        there, wanted = self._workers
        if there < wanted:
            raise Fault(FaultKind.UNAVAILABLE, f"{there} of {wanted} workers are ready")

    def _told(self, message: Message | None) -> None:
        """Hear the supervisor; None when it is gone."""
        if message is None:
            log.error("the supervisor is gone")
            self._drain()
            return
        match message.kind:
            case "workers":
                self._workers = (message.ready, message.wanted)
            case "unseal":
                with contextlib.suppress(Fault):  # given twice, or to one that is open already
                    self._barrier.unseal(message.share)
            case "seal":
                self._barrier.seal()
            case "guess":
                self._heard(message.group, message.account, message.failed)
            case "stop":
                self._stop_at_once()
            case "ready" | "shutdown":
                pass  # only ever said by workers


class _Link:
    """The worker's end of the control pair, as the reactor reads it."""

    def __init__(self, link: socket.socket, reactor: Any, told: Callable[[Message | None], None]) -> None:
        self._link = link
        self._reactor = reactor
        self._told = told
        self._reactor.addReader(self)

    def fileno(self) -> int:
        """What the reactor waits for."""
        return self._link.fileno()

    def logPrefix(self) -> str:  # noqa: N802  Twisted's interface
        """How Twisted's log names it."""
        return "supervisor"

    def send(self, message: Message) -> None:
        """Tell the supervisor; any thread."""
        with contextlib.suppress(OSError):
            self._link.send(message.encode())

    def doRead(self) -> None:  # noqa: N802  Twisted's interface
        """Read every packet that is there."""
        while True:
            try:
                packet = self._link.recv(MAX_PACKET)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._reactor.removeReader(self)
                self._told(None)
                return
            with contextlib.suppress(ValueError):
                self._told(Message.decode(packet))

    def connectionLost(self, _reason: object) -> None:  # noqa: N802  Twisted's interface
        """Nothing: doRead has told it."""
