"""ACME in one process: the real handlers behind the real router, over a database that several replicas share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pycryptoutil.authority import CredentialOrder
from pycryptoutil.authority.acme import AcmeRules, AcmeService, Limits
from pycryptoutil.authority.model import NamePatterns
from pycryptoutil.http.message import Headers, Listener, Request
from pycryptoutil.service.definition import Context, Principal, PrincipalKind, Urls
from pycryptoutil.service.router import Router
from pycryptoutil.services.pki_ca.acme import handlers, routes
from tests.support.acme import AccountKey, AcmeClient, FakeFetcher, Internet, Reply
from tests.support.authority import TENANT, World, csr, new_key, open_world
from tests.support.databases import Databases

PACKAGES = ("pycryptoutil.storage", "pycryptoutil.authority")
BASE = "https://ca.example.com"
RULES = AcmeRules(external_account_required=False, caa_identities=("ca.example.com",))
ANYBODY = Principal("", TENANT, PrincipalKind.ANONYMOUS, "anonymous")


@dataclass
class Replica:
    """One process of pki-ca."""

    world: World
    service: AcmeService
    internet: Internet
    peer: str = "192.0.2.7"
    _router: Router = field(default_factory=lambda: Router(routes.ROUTES, Listener.PUBLIC, "/admin/v1"))

    def send(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """What the edge does with a request, as far as a handler can tell."""
        path = urlsplit(url).path
        found = self._router.find(unquote(path))
        request = Request(
            method, unquote(path), path, {}, Headers(headers.items()), body, Listener.PUBLIC, self.peer, "r"
        )
        state: Any = SimpleNamespace(acme=self.service, authority=self.world.service)
        resources: Any = SimpleNamespace(urls=Urls(BASE, ""))
        assert found is not None, path
        route = found.resource.methods[method].route
        try:
            answer = route.handler(Context(state, ANYBODY, resources, found.parameters), request)
        except Exception as error:
            answer = handlers.faults(error, request)  # type: ignore[arg-type]
        links = {m[2]: m[1] for _, value in answer.headers if (m := re.match(r'<(.+)>;rel="(.+)"', value))}
        assert isinstance(answer.body, bytes)
        return Reply(answer.status, {"content-type": answer.media_type, **dict(answer.headers)}, answer.body, links)

    def client(self, label: str = "tls-server", key: AccountKey | None = None) -> AcmeClient:
        return AcmeClient(self.send, f"{BASE}/acme/{label}/directory", key)

    def account(self, label: str = "tls-server", **payload: Any) -> AcmeClient:
        """A client with an account."""
        client = self.client(label)
        reply = client.register(**payload)
        assert reply.status == 201, reply.body
        return client

    def credential(self, *dns: str, profile: str = "tls-server", **more: Any) -> tuple[str, str]:
        order = CredentialOrder(profile, names=NamePatterns(dns=dns, wildcards=True), **more)
        made = self.world.service.credential_add(TENANT, order, "tester")
        return made.username, made.password

    def validated(self, client: AcmeClient, *names: str, kind: str = "http-01", **more: Any) -> Reply:
        """Order names and prove control of them; return the order."""
        order = client.order(*names, **more)
        assert order.status == 201, order.body
        for one in client.authorizations(order):
            if one.json["status"] == "valid":
                continue
            challenge = client.challenge(one, kind)
            put = self.internet.put_http if kind == "http-01" else self.internet.put_txt
            put(client, one.json["identifier"]["value"], challenge)
            assert client.post(challenge["url"], {}).status == 200
        self.settle()
        return client.post(order.headers["location"])

    def settle(self) -> None:
        """Let every validation that was asked for come to its end, with its retries."""
        for _ in range(20):
            if not self.service.work() and not self._waiting():
                return
            self.world.clock.advance(5)

    def _waiting(self) -> bool:
        from pycryptoutil.authority.acme.store import orders as store

        with self.world.database.read(TENANT) as reader:
            return bool(store.due(reader, self.world.clock.now() + timedelta(days=1), 1))

    def issued(self, client: AcmeClient, *names: str, key: ec.EllipticCurvePrivateKey | None = None) -> Reply:
        """Go the whole way; return the order."""
        order = self.validated(client, *names)
        assert order.json["status"] == "ready", order.body
        plain = [one for one in names if not one.startswith("ip:")]
        done = client.finalize(order, csr(*plain, key=key or new_key()))
        assert done.json["status"] == "valid", done.body
        return done


class NoJobs:
    """Tests say themselves when a validator works."""

    def submit(self, _job: object) -> None:
        return


MakeReplica = Callable[..., Replica]


def build(stack: ExitStack, url: str, folder: Path, internet: Internet, rules: AcmeRules, instance: int = 0) -> Replica:
    world = stack.enter_context(open_world(url, folder))
    room = replace(world.service.room, instance=instance)
    service = AcmeService(room, world.service, rules, [FakeFetcher(internet)])  # type: ignore[list-item]
    service._jobs = NoJobs()  # type: ignore[assignment]
    return Replica(world, service, internet)


@pytest.fixture
def internet() -> Internet:
    return Internet()


@pytest.fixture
def make_replica(databases: Databases, tmp_path: Path, internet: Internet) -> Iterator[MakeReplica]:
    """Every call gives another replica on the same database; keywords are rules."""
    url = databases.fresh(PACKAGES)
    with ExitStack() as stack:
        yield lambda **rules: build(stack, url, tmp_path, internet, replace(RULES, **rules))


@pytest.fixture
def replica(make_replica: MakeReplica) -> Replica:
    return make_replica()


@pytest.fixture
def make_sqlite(_sqlite_databases: Databases, tmp_path: Path, internet: Internet) -> Iterator[MakeReplica]:
    """The same on SQLite alone, for what is decided before the database is asked."""
    url = _sqlite_databases.fresh(PACKAGES)
    with ExitStack() as stack:
        yield lambda **rules: build(stack, url, tmp_path, internet, replace(RULES, **rules))


@pytest.fixture
def one(make_sqlite: MakeReplica) -> Replica:
    return make_sqlite()


@pytest.fixture(scope="module")
def shared(_sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """One replica for all tests of a module that do not mind what others leave behind."""
    url, folder = _sqlite_databases.fresh(PACKAGES), tmp_path_factory.mktemp("shared")
    rules = replace(RULES, limits=Limits(0, 0, 0, 0))
    with ExitStack() as stack:
        yield build(stack, url, folder, Internet(), rules)
