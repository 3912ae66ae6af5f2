"""A whole service in the test's process: its life, its listeners' TLS, and what a reload takes."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from structlog.testing import capture_logs

from pycryptoutil.barrier import Barrier
from pycryptoutil.errors import ConfigurationError
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service import tenants
from pycryptoutil.service.app import ServiceApp
from pycryptoutil.service.definition import BackgroundTask, ReadinessCheck, Resources, ServiceDefinition
from pycryptoutil.service.hashing import Hasher
from pycryptoutil.service.settings import (
    AdminSettings,
    BarrierSettings,
    ListenerSettings,
    NetworkSettings,
    PlainSettings,
    ServiceSettings,
    TlsSettings,
)
from pycryptoutil.storage import Database, migrate
from tests.support import certificates
from tests.support.certificates import CLIENT, SERVER
from tests.support.edge import CLOCK, PATIENCE, Answer, Client, Reactor, head, on_reactor, until


class Held:
    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()

    def __call__(self, context: Any, _request: Request) -> Response:
        self.entered.set()
        assert self.go.wait(PATIENCE)
        return Response(200, context.state.encode(), "text/plain")


class World:
    """Starts services; ends them after the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database.open(f"sqlite:///{folder / 'test.db'}", clock=CLOCK)
        migrate.upgrade(self.database, ())
        self.barrier = Barrier.open(self.database, BarrierSettings(mode="dev"), CLOCK, folder)
        self.tenant = tenants.bootstrap(self.database, Hasher(self.barrier.pepper), CLOCK, lambda _: None)
        self.apps: list[ServiceApp] = []
        self.held = Held()
        self.ticks: list[str] = []
        self.closed: list[str] = []
        self.closing: Callable[[], object] = lambda: None
        self.well = True

    def definition(self) -> ServiceDefinition:
        def check(_state: str) -> None:
            if not self.well:
                raise Fault(FaultKind.UNAVAILABLE, "internal", "not well")

        return ServiceDefinition(
            name="toy",
            product="Toys",
            title="Toy",
            public_port=0,
            admin_port=0,
            plain_port=0,
            routes=(Route("held", ("GET",), "/held", self.held, gate=Gate.PROTOCOL),),
            build=self.build,
            background=(BackgroundTask("tick", 0.01, self.ticks.append),),
            readiness=(ReadinessCheck("toy", check),),
            close=self.close_state,
        )

    def close_state(self, state: str) -> None:
        assert threading.current_thread() is not threading.main_thread()
        self.database.ping()  # it is still open
        self.closing()
        self.closed.append(state)

    def build(self, resources: Resources) -> str:
        assert resources.urls.public.startswith("https://127.0.0.1:")
        assert resources.urls.plain.startswith("http://127.0.0.1:")
        return f"state of {resources.default_tenant_id}"

    def start(self, *, enter: bool = True, **sections: Any) -> ServiceApp:
        settings = self.settings(**sections)
        app = ServiceApp(
            self.definition(), settings=settings, own=None, database=self.database, barrier=self.barrier, clock=CLOCK,
            reactor=Reactor.start(), data_dir=self.folder, default_tenant_id=self.tenant,
        )  # fmt: skip
        self.apps.append(app)
        on_reactor(app.listen)
        if enter:
            on_reactor(app.enter, app.build(self.tenant))
        return app

    def settings(self, **sections: Any) -> ServiceSettings:
        given = {"plain": PlainSettings(enabled=True), **sections}
        return ServiceSettings(profile="test", data_dir=self.folder, **given)

    def close(self) -> None:
        self.held.go.set()
        for app in self.apps:
            on_reactor(app.drain, 1.0)
        self.database.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def trust(app: ServiceApp) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(app.trust_bundle))
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a static chain may come without its root
    return made


def get(url: str, path: str, context: ssl.SSLContext | None) -> Answer:
    with Client(int(url.rpartition(":")[2]), context) as client:
        client.send(head("GET", path))
        return client.read()


def refused(url: str, path: str, context: ssl.SSLContext) -> bool:
    """Nobody answers any more: the kernel resets what it had queued when the port was closed, then refuses."""
    try:
        answer = get(url, path, context)
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    raise AssertionError(f"answered while draining: {answer.status}")


def test_life(world: World) -> None:
    app = world.start(enter=False)
    context = trust(app)
    starting = get(app.urls.public, "/service/api/v1/health", context)
    assert (starting.status, starting.json["type"]) == (503, "urn:pycryptoutil:problem:unavailable")
    ready = get(app.urls.admin, "/admin/v1/readyz", context)
    assert ready.status == 503
    assert {check["name"]: check["state"] for check in ready.json["checks"]} == {
        "database": "ok", "migrations": "ok", "barrier": "ok", "workers": "ok", "processes": "ok", "toy": "failed",
    }  # fmt: skip
    on_reactor(app.enter, app.build(world.tenant))
    for prefix in ("service", "browser"):
        assert get(app.urls.public, f"/{prefix}/api/v1/health", context).json == {"status": "ok"}
    assert get(app.urls.plain, "/service/api/v1/health", None).status == 404
    assert get(app.urls.admin, "/admin/v1/readyz", context).status == 200
    until(lambda: len(world.ticks) > 2, "background runs")
    assert world.ticks[0] == f"state of {world.tenant}"
    world.well = False
    assert get(app.urls.admin, "/admin/v1/readyz", context).status == 503
    world.well = True

    on_reactor(app.leave)  # sealed: its state is gone
    assert app.edge.state is None
    until(lambda: world.closed == [f"state of {world.tenant}"], "the sealed state is closed")
    assert get(app.urls.public, "/service/api/v1/health", context).status == 503
    count = len(world.ticks)
    on_reactor(app.enter, app.build(world.tenant))
    assert get(app.urls.public, "/service/api/v1/health", context).status == 200
    until(lambda: len(world.ticks) > count + 1, "background runs again")


def test_drain_waits_for_what_is_in_flight_and_answers_health_until_the_end(world: World) -> None:
    app = world.start()
    context = trust(app)
    with Client(int(app.urls.public.rpartition(":")[2]), context) as client:
        client.send(head("GET", "/held"))
        assert world.held.entered.wait(PATIENCE)
        ended = threading.Event()
        on_reactor(lambda: app.drain(PATIENCE).addCallback(lambda _: ended.set()) and None)
        until(lambda: refused(app.urls.public, "/service/api/v1/health", context), "the public port is closed")
        assert get(app.urls.admin, "/admin/v1/livez", context).status == 200
        assert get(app.urls.admin, "/admin/v1/readyz", context).json["phase"] == "draining"
        assert not ended.is_set()
        assert world.closed == []  # a request may still use it
        world.held.go.set()
        assert client.read().status == 200
    assert ended.wait(PATIENCE)
    assert world.closed == [f"state of {world.tenant}"]
    until(lambda: refused(app.urls.admin, "/admin/v1/livez", context), "the admin port is closed")
    world.apps.clear()


def test_drain_ends_at_its_timeout(world: World) -> None:
    app = world.start()
    with Client(int(app.urls.public.rpartition(":")[2]), trust(app)) as client:
        client.send(head("GET", "/held"))
        assert world.held.entered.wait(PATIENCE)
        on_reactor(app.drain, 0.05)
        assert client.ended()
    assert world.closed == [f"state of {world.tenant}"]  # the request that hangs does not keep it from that
    world.apps.clear()


def test_a_state_that_cannot_be_closed_does_not_keep_the_service_from_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, hanging = threading.Event(), threading.Event()

    def fail() -> None:
        failing.set()
        raise Fault(FaultKind.UNAVAILABLE, "the database is gone")

    with capture_logs() as logs:
        world.closing = fail
        on_reactor(world.start().drain, 1.0)
        assert failing.is_set()
        monkeypatch.setattr("pycryptoutil.service.app.CLOSE_SECONDS", 0.1)
        world.closing = lambda: hanging.wait(PATIENCE)
        on_reactor(world.start().drain, 0.1)  # returns when it has ended
        assert world.closed == []
    assert [(line["event"], type(line["exc_info"]).__name__) for line in logs if line["log_level"] == "error"] == [
        ("state not closed", "Fault"),
        ("state not closed", "TimeoutError"),
    ]
    hanging.set()
    world.apps.clear()


def test_nothing_is_closed_that_was_not_built(world: World) -> None:
    on_reactor(world.start(enter=False).drain, 1.0)
    assert world.closed == []
    world.apps.clear()


def test_the_admin_listener_may_ask_for_certificates(world: World, tmp_path: Path) -> None:
    authority = certificates.root("Operators")
    bundle = tmp_path / "operators.pem"
    bundle.write_bytes(authority.pem)
    tls = TlsSettings(client_policy="require-and-verify", client_ca=str(bundle), client_revocation=False)
    app = world.start(admin=AdminSettings(tls=tls))
    context = trust(app)
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        get(app.urls.admin, "/admin/v1/livez", context)
    context.load_cert_chain(*authority.issue("operator", usage=CLIENT).write(tmp_path, "operator"))
    assert get(app.urls.admin, "/admin/v1/livez", context).status == 200


def test_revocation_that_cannot_be_known_refuses(world: World, tmp_path: Path) -> None:
    authority = certificates.root("Clients")
    bundle = tmp_path / "clients.pem"
    bundle.write_bytes(authority.pem)
    tls = TlsSettings(client_policy="verify-if-given", client_ca=str(bundle))
    app = world.start(public=ListenerSettings(tls=tls))
    context = trust(app)
    assert get(app.urls.public, "/service/api/v1/health", context).status == 200
    context.load_cert_chain(*authority.issue("client", usage=CLIENT).write(tmp_path, "client"))
    answer = get(app.urls.public, "/service/api/v1/health", context)
    assert answer.status == 503
    assert "revocation" in answer.json["detail"]


def test_reload_takes_all_or_nothing(world: World, tmp_path: Path) -> None:
    app = world.start()
    context = trust(app)
    chain, key = certificates.root("New").issue("new", usage=SERVER, sans=("localhost",)).write(tmp_path, "new")
    static = TlsSettings(certificate=str(chain), private_key=str(key))
    closed = NetworkSettings(allowed=("192.0.2.0/24",))
    broken = world.settings(
        public=ListenerSettings(tls=static),
        network=closed,
        admin=AdminSettings(tls=TlsSettings(certificate=str(chain))),
    )
    with pytest.raises(ConfigurationError) as caught:
        on_reactor(app.reload, broken)
    assert caught.value.key == "admin.tls.private_key"
    assert get(app.urls.public, "/service/api/v1/health", context).status == 200
    on_reactor(app.reload, world.settings(public=ListenerSettings(tls=static), network=closed))
    with pytest.raises(ssl.SSLError):
        get(app.urls.public, "/service/api/v1/health", context)
    both = trust(app)  # the bundle follows
    assert get(app.urls.public, "/service/api/v1/health", both).status == 403
    assert get(app.urls.admin, "/admin/v1/livez", both).status == 200


def test_a_service_cannot_start_on_contradictions(world: World) -> None:
    with pytest.raises(ConfigurationError) as caught:
        world.start(public=ListenerSettings(tls=TlsSettings(client_policy="require-and-verify")))
    assert caught.value.key == "public.tls.client_ca"
    with pytest.raises(ConfigurationError) as caught:
        world.start(admin=AdminSettings(tls=TlsSettings(mode="static")))
    assert caught.value.key == "admin.tls.mode"
