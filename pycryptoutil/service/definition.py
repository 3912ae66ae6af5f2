"""What a service is, as data. The only part of the template that a service imports."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pycryptoutil.barrier import Barrier, SealedColumn
from pycryptoutil.clock import Clock
from pycryptoutil.http.page import PageSet
from pycryptoutil.http.route import Route
from pycryptoutil.storage import Database


class PrincipalKind(enum.Enum):
    """How somebody came to be known."""

    ANONYMOUS = "anonymous"
    USER = "user"
    CLIENT = "client"
    TOKEN = "token"  # noqa: S105  API token; the name of a kind, no secret
    CERTIFICATE = "certificate"


ADMINISTRATOR_SCOPE = "admin"
"""Holds every other scope of its tenant."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated party of one tenant, with what it may do. Re-evaluated on every request."""

    id: str
    tenant_id: str
    kind: PrincipalKind
    name: str
    scopes: frozenset[str] = frozenset()
    session_id: str = ""

    def may(self, scope: str) -> bool:
        """Tell whether ``scope`` is held."""
        return scope == "" or scope in self.scopes or ADMINISTRATOR_SCOPE in self.scopes


class NoSettings(BaseModel):
    """For a service that has none of its own."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Urls:
    """Where this service answers, known once its listeners are bound. ``plain`` is empty when that listener is off.

    These are the *advertised* base URLs (settings ``public.url`` / ``plain.url`` win over bound addresses).
    """

    public: str
    admin: str
    plain: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the template hands a service when it builds its state."""

    settings: Any  # an instance of ServiceDefinition.settings
    database: Database
    barrier: Barrier
    clock: Clock
    urls: Urls
    data_dir: Path
    default_tenant_id: str
    instance: int = 0  # worker number; prefixes serial numbers
    profile: str = "prod"  # dev | test | prod


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler gets beside the request."""

    state: Any  # what ServiceDefinition.build returned
    principal: Principal
    resources: Resources
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None  # the validated model of Route.body
    query: Any = None  # the validated model of Route.query

    @property
    def tenant_id(self) -> str:
        """The principal's tenant."""
        return self.principal.tenant_id

    @property
    def actor(self) -> str:
        """The principal, as audit events name it."""
        return f"{self.principal.kind.value}:{self.principal.name}"

    @property
    def database(self) -> Database:
        """Where units of work come from."""
        return self.resources.database


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """Run every ``interval`` seconds on a worker thread; errors are logged and it runs again."""

    name: str
    interval: float
    run: Callable[[Any], None]  # given the state
    every_worker: bool = True  # False: only worker 0 of this machine; what must happen once takes a database lease


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """One line of readyz: raises if not ready."""

    name: str
    check: Callable[[Any], None]  # given the state
    required: bool = True


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """A service, whole."""

    name: str  # pki-ca
    product: str
    title: str
    public_port: int
    admin_port: int
    routes: tuple[Route, ...]
    build: Callable[[Resources], Any]
    plain_port: int | None = None  # None: this service has no plain listener
    client_policy: str = "none"  # of the public listener, where configuration says nothing
    settings: type[BaseModel] = NoSettings
    migrations: tuple[str, ...] = ()  # packages with Alembic ``versions``, beside the template's own
    sealed_columns: tuple[SealedColumn, ...] = ()
    background: tuple[BackgroundTask, ...] = ()
    readiness: tuple[ReadinessCheck, ...] = ()
    scopes: Mapping[str, str] = field(default_factory=dict)  # scope -> what it allows
    pages: PageSet | None = None  # its own under /browser, beside the template's
    close: Callable[[Any], None] | None = None
    """Given the state when it is done with: drained, the database still open, or sealed. Runs in every worker process,
    on a thread, for no longer than the shutdown may take; an error is logged and changes no exit code."""
