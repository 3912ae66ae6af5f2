"""One request on its way through the middleware, and the edge it passes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import Clock
from pycryptoutil.http.message import Request, Response
from pycryptoutil.service.definition import Principal, PrincipalKind, Resources
from pycryptoutil.service.metrics import Metrics
from pycryptoutil.service.router import Match, Mount
from pycryptoutil.service.settings import ServiceSettings


class Authenticator(Protocol):
    """Who is asking. Each raises Fault(UNAUTHENTICATED) or Fault(FORBIDDEN)."""

    def authenticate_service(self, request: Request) -> Principal:
        """HTTP Basic, Bearer or client certificate."""

    def authenticate_browser(self, request: Request) -> Principal:
        """Session cookie."""

    def check_csrf(self, request: Request, principal: Principal) -> None:
        """Compare the token of an unsafe request with the session's."""


class Limiter(Protocol):
    """How often. Fault(RATE_LIMITED, retry_after)."""

    def check_address(self, peer: str) -> None:
        """Count a request of an address."""

    def check_principal(self, principal_id: str) -> None:
        """Count a request of a principal."""


class ClientCertificateCheck(Protocol):
    """Whether a verified client certificate has been revoked since."""

    def check(self, chain: tuple[bytes, ...]) -> None:
        """Raise Fault(FORBIDDEN) if it has, or if nobody can be asked."""


class Phase(enum.Enum):
    """What the service does with business requests."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(slots=True)
class Edge:
    """What the middleware of one service needs. ``phase``, ``state`` and ``resources`` change as the service starts."""

    settings: ServiceSettings
    clock: Clock
    barrier: Barrier
    metrics: Metrics
    authenticator: Authenticator
    limiter: Limiter
    default_tenant_id: str
    service: str
    certificates: ClientCertificateCheck | None = None
    phase: Phase = Phase.STARTING
    state: Any = None
    resources: Resources | None = None
    admin_state: Any = None
    origins: frozenset[str] = frozenset()  # of other sites, by configuration
    own_origins: frozenset[str] = frozenset()
    anonymous: Principal = field(init=False)

    def __post_init__(self) -> None:
        self.take(self.settings, self.default_tenant_id, self.authenticator, self.limiter)

    def take(self, settings: ServiceSettings, tenant_id: str, authenticator: Authenticator, limiter: Limiter) -> None:
        """Go on with these."""
        self.settings, self.default_tenant_id = settings, tenant_id
        self.authenticator, self.limiter = authenticator, limiter
        self.anonymous = Principal("", tenant_id, PrincipalKind.ANONYMOUS, "anonymous")
        self.origins = frozenset(origin.lower() for origin in settings.cors.origins)


class Exchange:
    """A request, what is known of it so far, and its response once there is one."""

    __slots__ = (
        "abandoned",
        "body",
        "door",
        "ended",
        "extra_headers",
        "fast",
        "fault",
        "framed_length",
        "label",
        "match",
        "max_body",
        "mount",
        "origin",
        "principal",
        "query",
        "request",
        "response",
        "security",
        "side",
        "started",
        "trace",
    )

    def __init__(
        self, request: Request, match: Match | None, framed_length: int | None, started: float, label: str = ""
    ) -> None:
        self.request = request
        self.match = match
        self.label = label  # the listener's name
        self.door = match.resource.door if match else ""
        self.side = match.resource.side if match else None  # whose door the path is behind, if it exists
        self.framed_length = framed_length  # of the body; None when chunked
        self.started = started
        self.ended = 0.0  # when it was recorded, which is just before the answer is sent
        self.mount: Mount | None = None  # set when the method is one of the path's
        self.max_body = 0
        self.principal: Principal | None = None
        self.body: Any = None
        self.query: Any = None
        self.response: Response | None = None
        self.fault: Fault | None = None
        self.origin = ""  # a foreign origin that may read the answer
        self.extra_headers: tuple[tuple[str, str], ...] = ()
        self.security = ""  # header lines, ready to send
        self.fast = False  # answered on the reactor
        self.abandoned = False  # answered already (timeout) or nobody listens any more
        self.trace: Any = None  # the context of its span, while it is traced

    @property
    def parameters(self) -> Mapping[str, str]:
        """The path's parameters."""
        return self.match.parameters if self.match else {}


Deliver = Callable[[Exchange], None]
