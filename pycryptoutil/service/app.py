"""One running service: its listeners, threads, middleware and state. Told what to do by the process it is in.

``listen`` → ``build`` (any thread, barrier open) → ``enter`` → requests are served → ``leave`` (sealed) or ``drain``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from cryptography.hazmat.primitives.serialization import Encoding
from pycryptoutil_protocols.faults import Fault, FaultKind
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import Clock
from pycryptoutil.crypto import timing
from pycryptoutil.http.message import Listener, Request, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service import admin, ready, sockets
from pycryptoutil.service.access import Access
from pycryptoutil.service.admin import AdminState, Status
from pycryptoutil.service.api import template_routes
from pycryptoutil.service.client_certificates import RevocationCheck
from pycryptoutil.service.definition import BackgroundTask, Resources, ServiceDefinition, Urls
from pycryptoutil.service.exchange import Edge, Phase
from pycryptoutil.service.health import Check, Health
from pycryptoutil.service.hooks import ProcessHooks
from pycryptoutil.service.listeners import HttpListener
from pycryptoutil.service.metrics import CRYPTO, Metrics
from pycryptoutil.service.middleware import check_route
from pycryptoutil.service.pipeline import Dispatcher
from pycryptoutil.service.router import Router
from pycryptoutil.service.settings import ServiceSettings, TlsSettings
from pycryptoutil.service.tls import ListenerTls
from pycryptoutil.service.tls_material import leaf_names, trust_bundle
from pycryptoutil.service.workers import BackgroundTasks, WorkerPool
from pycryptoutil.storage import Database, migrate

if TYPE_CHECKING:
    from pycryptoutil.service.telemetry.process import Telemetry  # the extra may not be installed

log = structlog.get_logger()

SWEEP_SECONDS = 1.0
TLS_WATCH_SECONDS = 5.0
PUBLISH_SECONDS = 1.0
DRAIN_LOOK_SECONDS = 0.05
CLOSE_SECONDS = 2.0  # a state has at least so long to close, though the drain has used its time up
FAREWELL_SECONDS = 1.0  # for admin requests in flight when everything else has ended
ADMIN_THREADS = 2
ADMIN_DEPTH = 32

WELL = Response(200, b'{"status":"ok"}', "application/json")


def _well(_state: Any, _request: Request, _parameters: Any) -> Response:
    return WELL  # sealed, starting or draining, the middleware has answered 503 already


def _health(_context: Any, _request: Request) -> Response:
    return WELL


HEALTH_ROUTES: tuple[Route, ...] = (
    Route(
        "health",
        ("GET",),
        "/health",
        _health,
        gate=Gate.API,
        scope=None,
        summary="The service answers.",
        tag="health",
        response=Status,
        fast=_well,
        rate_limited=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Built:
    """What ``build`` made, for ``enter``."""

    resources: Resources
    state: Any


class _Alone:
    """The hooks of a process without any: tests, and a service run by itself."""

    def shutdown(self) -> None:
        """Nobody to tell."""

    def unsealed_by(self, share: str) -> None:
        """Nobody to tell."""

    def sealed(self) -> None:
        """Nobody to tell."""

    def guessed(self, service: str, group: str, account: str, failed: bool) -> None:
        """Nobody to tell."""

    def check_workers(self) -> None:
        """Nobody to count."""


class ServiceApp:
    """See the module. Everything runs on the reactor's thread, but for ``build``."""

    def __init__(
        self,
        definition: ServiceDefinition,
        *,
        settings: ServiceSettings,
        own: Any,
        database: Database,
        barrier: Barrier,
        clock: Clock,
        reactor: Any,
        data_dir: Path,
        default_tenant_id: str,
        instance: int = 0,
        metrics_directory: Path | None = None,
        hooks: ProcessHooks | None = None,
        sockets: sockets.Sockets | Mapping[Listener, Any] | None = None,
        background: tuple[BackgroundTask, ...] = (),
        upkeep: Any = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Provision TLS and bind what is not bound yet. ConfigurationError or StartupError if that cannot be.

        ``background`` are the process's own tasks, run on the state ``upkeep``.
        """
        self.definition = definition
        self._settings = settings
        self._own = own
        self._database = database
        self._barrier = barrier
        self._clock = clock
        self._reactor = reactor
        self._data_dir = data_dir
        self._tenant = default_tenant_id
        self._instance = instance
        self._process_tasks = (background, upkeep)
        self._hooks: ProcessHooks = hooks or _Alone()
        self._background: list[BackgroundTasks] = []
        self._loops: list[LoopingCall] = []
        self.metrics = Metrics(definition.name, directory=metrics_directory, instance=instance)
        self._telemetry = telemetry.of(definition.name, self.metrics) if telemetry is not None else None

        limits = settings.limits
        self._pool = WorkerPool(definition.name, reactor, threads=limits.worker_threads, depth=limits.queue_depth)
        self._admin_pool = WorkerPool(f"{definition.name}-admin", reactor, threads=ADMIN_THREADS, depth=ADMIN_DEPTH)
        self._tls = self._provision_tls(settings, with_admin=self._wants_admin(sockets))
        self.access = self._make_access()
        self.edge = Edge(
            settings=settings,
            clock=clock,
            barrier=barrier,
            metrics=self.metrics,
            authenticator=self.access.authenticator,
            limiter=self.access.limiter,
            default_tenant_id=default_tenant_id,
            service=definition.name,
            certificates=self._revocation_check(settings),
        )
        self.health = Health(clock, tuple(self._checks()), lambda: self.edge.phase)
        self.edge.admin_state = AdminState(
            barrier,
            self.health,
            self.metrics,
            on_shutdown=self._hooks.shutdown,
            on_unseal=self._hooks.unsealed_by,
            on_seal=self._hooks.sealed,
        )
        self.dispatcher = self._make_dispatcher()
        self.listeners = self._make_listeners(sockets)
        self.urls = self._make_urls()
        self.edge.own_origins = frozenset({self.urls.public.lower().rstrip("/")})
        self._expose_gauges()

    # --- making

    @staticmethod
    def _wants_admin(given: Mapping[Any, Any] | None) -> bool:
        return given is None or Listener.ADMIN in given

    def _provision_tls(self, settings: ServiceSettings, *, with_admin: bool) -> dict[Listener, ListenerTls]:
        public, administration = settings.public, settings.admin
        made = {Listener.PUBLIC: self._one_tls(Listener.PUBLIC, public.tls, public.bind_address, public.url)}
        if with_admin:
            made[Listener.ADMIN] = self._one_tls(Listener.ADMIN, administration.tls, administration.bind_address, "")
        return made

    def _one_tls(self, kind: Listener, settings: TlsSettings, address: str, url: str) -> ListenerTls:
        return ListenerTls(
            settings,
            prefix=f"{kind.value}.tls",
            clock=self._clock,
            data_dir=self._data_dir,
            names=lambda tls: leaf_names(tls, address, url),
            count=lambda result: self.metrics.count("tls_reloads", kind.value, result),
        )

    def _make_access(self) -> Access:
        def tell(group: str, account: str, failed: bool) -> None:
            self._hooks.guessed(self.definition.name, group, account, failed)

        return Access.build(self._settings, self._database, self._barrier, self._clock, self._tenant, tell)

    def heard(self, group: str, account: str, failed: bool) -> None:
        """Count a login that failed at another service or worker; any thread."""
        self.access.throttle.heard(group, account, failed)

    def _make_dispatcher(self) -> Dispatcher:
        pools = {Listener.PUBLIC: self._pool, Listener.PLAIN: self._pool, Listener.ADMIN: self._admin_pool}
        if self._telemetry is None or self._telemetry.requests is None:
            return Dispatcher(self.edge, self._routers(), pools)
        from pycryptoutil.service.telemetry.dispatcher import TracedDispatcher

        return TracedDispatcher(self.edge, self._routers(), pools, self._telemetry.requests)

    def _revocation_check(self, settings: ServiceSettings) -> RevocationCheck | None:
        checking = [tls for tls in (settings.public.tls, settings.admin.tls) if _checks_revocation(tls)]
        if not checking:
            return None

        def anchors() -> tuple[Any, ...]:
            return tuple(anchor for tls in self._tls.values() for anchor in tls.anchors)

        return RevocationCheck(self._clock, anchors, timeout=max(tls.revocation_timeout for tls in checking))

    def _routers(self) -> dict[Listener, Router]:
        template = template_routes(self.access, self.definition, HEALTH_ROUTES)
        routes = (*self.definition.routes, *template, *HEALTH_ROUTES, *admin.ROUTES)
        for route in routes:
            check_route(route)
        prefix = self._settings.admin.prefix
        return {kind: Router(routes, kind, prefix) for kind in Listener}

    def _make_listeners(self, given: Mapping[Any, Any] | None) -> dict[Listener, HttpListener]:
        if given is None:
            bound = sockets.bind(sockets.addresses(self.definition, self._settings))
            given = {listener: opened for (_, listener), opened in bound.items()}
        return {
            kind: HttpListener(kind, opened, self.dispatcher, self._settings.limits, self._reactor, self._tls.get(kind))
            for kind, opened in given.items()
        }

    def _make_urls(self) -> Urls:
        bound = {kind: listener.url for kind, listener in self.listeners.items()}
        settings = self._settings
        plain = bound.get(Listener.PLAIN, "")
        return Urls(
            public=(settings.public.url or bound[Listener.PUBLIC]).rstrip("/"),
            admin=bound.get(Listener.ADMIN, ""),
            plain=(settings.plain.url or plain).rstrip("/") if plain else "",
        )

    @property
    def local_url(self) -> str:
        """Where the public listener is bound, if that is not what it is advertised as."""
        bound = self.listeners[Listener.PUBLIC].url
        return "" if bound == self.urls.public else bound

    def _expose_gauges(self) -> None:
        pool, gauge = self._pool, self.metrics.gauge
        gauge("http_requests_in_flight", "Requests not answered yet.", lambda: self.dispatcher.in_flight)
        gauge(
            "http_connections_open",
            "Open connections.",
            lambda: sum(listener.connections for listener in self.listeners.values()),
        )
        gauge("worker_threads", "Threads for handlers.", lambda: pool.threads)
        gauge("worker_threads_busy", "Threads at work.", lambda: pool.busy)
        gauge("worker_queue_depth", "Requests that wait for a thread.", lambda: pool.queued)
        gauge("worker_queue_limit", "How many may wait.", lambda: pool.depth)
        gauge("barrier_sealed", "1 while the barrier is sealed.", lambda: float(self._barrier.sealed))

    def _checks(self) -> list[Check]:
        def unsealed() -> None:
            if self._barrier.sealed:
                raise Fault(FaultKind.SEALED, "the barrier is sealed", "sealed")

        def workers() -> None:
            if not self._pool.alive:
                raise Fault(FaultKind.UNAVAILABLE, "a worker thread has ended")
            if self._pool.queued >= self._pool.depth:
                raise Fault(FaultKind.BUSY, "the queue is full", "the queue is full")

        def of_service(look: Callable[[Any], None]) -> Callable[[], None]:
            def run() -> None:
                if self.edge.resources is None:
                    raise Fault(FaultKind.UNAVAILABLE, "the service is not built", "not built yet")
                look(self.edge.state)

            return run

        return [
            Check("database", self._database.ping),
            Check("migrations", lambda: migrate.check(self._database, self.definition.migrations)),
            Check("barrier", unsealed),
            Check("workers", workers),
            Check("processes", self._hooks.check_workers),
            *(Check(one.name, of_service(one.check), one.required) for one in self.definition.readiness),
        ]

    # --- serving

    def listen(self) -> None:
        """Accept connections; until ``enter`` business requests are answered 503."""
        timing.observe_by(self._observe_crypto())
        self._pool.start()
        self._admin_pool.start()
        for listener in self.listeners.values():
            listener.open()
        self._loop(self._sweep, SWEEP_SECONDS)
        self._loop(self._watch_tls, TLS_WATCH_SECONDS)
        if self.metrics.shared:
            self._loop(lambda: self._admin_pool.run(self.metrics.publish).addErrback(_logged), PUBLISH_SECONDS)

    def _observe_crypto(self) -> timing.Observer:
        if self._telemetry is None or self._telemetry.requests is None:
            return CRYPTO.observe
        traced = self._telemetry.operation

        def observe(operation: str, seconds: float) -> None:
            CRYPTO.observe(operation, seconds)
            traced(operation, seconds)

        return observe

    def build(self, tenant_id: str) -> Built:
        """Make the service's state; any thread, the barrier open."""
        resources = Resources(
            settings=self._own,
            database=self._database,
            barrier=self._barrier,
            clock=self._clock,
            urls=self.urls,
            data_dir=self._data_dir,
            default_tenant_id=tenant_id,
            instance=self._instance,
            profile=self._settings.profile,
        )
        return Built(resources, self.definition.build(resources))

    def enter(self, built: Built) -> None:
        """Serve requests with this state."""
        edge = self.edge
        edge.resources, edge.state = built.resources, built.state
        if self._tenant != built.resources.default_tenant_id:
            self._tenant = built.resources.default_tenant_id
            self._compose()
        self._start_background(built.state)
        if edge.phase is Phase.STARTING:
            edge.phase = Phase.READY

    def leave(self) -> None:
        """The barrier is sealed: drop the state; requests are answered 503."""
        if self.edge.phase is Phase.READY:
            self.edge.phase = Phase.STARTING
        self._close_state(self._settings.limits.shutdown_timeout)
        self.edge.resources = self.edge.state = None
        self._stop_background()

    def _compose(self) -> None:
        """Put settings and tenant to use: authentication, limits and routes are made anew."""
        edge = self.edge
        self.access = self._make_access()
        edge.take(self._settings, self._tenant, self.access.authenticator, self.access.limiter)
        self.dispatcher.route(self._routers())

    def _start_background(self, state: Any) -> None:
        shared, upkeep = self._process_tasks
        for tasks, of in ((self.definition.background, state), (shared, upkeep)):
            mine = tuple(one for one in tasks if one.every_worker or self._instance == 0)
            if mine:
                running = BackgroundTasks(mine, of, self._reactor, self.metrics, service=self.definition.name)
                running.start()
                self._background.append(running)

    def _stop_background(self) -> Deferred[Any]:
        running, self._background = self._background, []
        waiting: Deferred[Any] = succeed(None)
        for one in running:
            stopped = one.stop()
            waiting = waiting.addBoth(_then, stopped)
        return waiting

    # --- time

    def _loop(self, run: Callable[[], Any], seconds: float) -> None:
        loop = LoopingCall(run)
        loop.clock = self._reactor
        self._loops.append(loop)
        loop.start(seconds, now=False).addErrback(_logged)

    def _sweep(self) -> None:
        for listener in self.listeners.values():
            listener.factory.sweep()

    def _watch_tls(self) -> Deferred[Any]:
        def look() -> None:
            for tls in self._tls.values():
                if tls.due():
                    tls.reload()

        return self._admin_pool.run(look).addErrback(_logged)

    # --- changing

    def reload(self, settings: ServiceSettings) -> None:
        """Take changed certificates, secrets and lists. Addresses and thread counts stay until the next start.

        ConfigurationError, with everything as before, if the new certificates cannot be used.
        """
        fresh = {Listener.PUBLIC: settings.public.tls, Listener.ADMIN: settings.admin.tls}
        prepared = [(tls, tls.prepare(fresh[kind])) for kind, tls in self._tls.items()]
        for tls, loaded in prepared:
            tls.take(loaded)
        self._settings = settings.model_copy(update={"admin": self._settings.admin, "plain": self._settings.plain})
        self.edge.certificates = self._revocation_check(settings)
        self._compose()

    def reload_tls(self) -> None:
        """Load certificates anew from where they are."""
        for tls in self._tls.values():
            tls.reload()

    @property
    def trust_bundle(self) -> Path:
        """A PEM file of what clients must trust to reach this service's listeners."""
        if all(tls.settings.provisioning == "auto" for tls in self._tls.values()):
            return trust_bundle(self._data_dir)
        path = self._data_dir / "tls" / f"trust-{self.definition.name}.pem"
        if Listener.ADMIN in self._tls:  # only the first of several workers has it, and so knows every anchor
            anchors = {tls.anchor.public_bytes(Encoding.PEM) for tls in self._tls.values()}
            ready.write_private(path, b"".join(sorted(anchors)))
        return path

    # --- ending

    def drain(self, timeout: float) -> Deferred[Any]:
        """Stop accepting, finish what is in flight for up to ``timeout`` seconds, then end; fires when it has ended."""
        self.edge.phase = Phase.DRAINING
        business = [listener for kind, listener in self.listeners.items() if kind is not Listener.ADMIN]
        for listener in business:
            listener.stop_accepting()
        background = self._stop_background()
        state = {"background": False}
        background.addBoth(lambda _: state.update(background=True))
        until = self._clock.monotonic() + timeout
        finished: Deferred[Any] = Deferred()

        def look() -> None:
            left = sum(listener.connections for listener in business)
            late = self._clock.monotonic() >= until
            if (left == 0 and state["background"]) or late:
                if left:
                    log.warning("connections cut at shutdown", service=self.definition.name, connections=left)
                closed = self._close_state(until - self._clock.monotonic())
                closed.addCallback(lambda _: self._say_goodbye(finished))
            else:
                self._reactor.callLater(DRAIN_LOOK_SECONDS, look)

        look()
        return finished

    def _close_state(self, seconds: float) -> Deferred[Any]:
        """Let the service end what it has in memory; fires when it has, or its time is up."""
        close, state, name = self.definition.close, self.edge.state, self.definition.name
        if close is None or state is None:
            return succeed(None)

        def failed(failure: Any) -> None:
            log.error("state not closed", service=name, exc_info=failure.value)

        closed = self._admin_pool.run(lambda: close(state))  # its threads are there when handlers hold all the others
        return closed.addTimeout(max(seconds, CLOSE_SECONDS), self._reactor).addErrback(failed)

    def _say_goodbye(self, finished: Deferred[Any]) -> None:
        """Let the admin listener answer who asked for the shutdown, then end."""
        administration = self.listeners.get(Listener.ADMIN)
        until = self._clock.monotonic() + FAREWELL_SECONDS
        if administration is not None:
            administration.stop_accepting()

        def look() -> None:
            if administration is None or not administration.connections or self._clock.monotonic() >= until:
                self._end()
                self._reactor.callLater(DRAIN_LOOK_SECONDS, finished.callback, None)  # the cuts take a turn
            else:
                self._reactor.callLater(DRAIN_LOOK_SECONDS, look)

        look()

    def _end(self) -> None:
        for loop in self._loops:
            if loop.running:
                loop.stop()
        self._loops.clear()
        for listener in self.listeners.values():
            listener.stop_accepting()
            listener.factory.abort()
        self._pool.stop()
        self._admin_pool.stop()
        self.metrics.forget()


def _checks_revocation(tls: TlsSettings) -> bool:
    return tls.verifies_clients and tls.client_revocation


def _then(_: object, following: Deferred[Any]) -> Deferred[Any]:
    return following


def _logged(failure: Any) -> None:
    log.error("periodic work failed", exc_info=failure.value)
