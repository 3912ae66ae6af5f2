"""Sockets that accept: bound early, opened late, and closed without losing what is in flight."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.protocols.tls import TLSMemoryBIOFactory

from pycryptoutil.errors import StartupError
from pycryptoutil.http.message import Listener
from pycryptoutil.service.pipeline import Dispatcher
from pycryptoutil.service.settings import LimitSettings
from pycryptoutil.service.tls import ListenerTls, tls_info
from pycryptoutil.service.web import HttpFactory

BACKLOG = 1024


class _AdmittingTlsFactory(TLSMemoryBIOFactory):
    """Refuses a connection over a limit before any TLS is spent on it."""

    noisy = False

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802  Twisted's name
        wrapped = self.wrappedFactory.buildProtocol(addr)
        return None if wrapped is None else self.protocol(self, wrapped)


def bind(address: str, port: int, what: str, *, reuse_port: bool = False) -> socket.socket:
    """Bind without listening: the port is ours, and nobody is answered yet. StartupError if it cannot be had."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise StartupError(f"{what}: cannot bind {address}:{port}: {error.strerror}") from None
    return bound


class HttpListener:
    """One of a service's listeners."""

    def __init__(
        self,
        kind: Listener,
        bound: socket.socket,
        dispatcher: Dispatcher,
        limits: LimitSettings,
        reactor: Any,
        tls: ListenerTls | None,
    ) -> None:
        self.kind = kind
        self.tls = tls
        self.factory = HttpFactory(dispatcher, kind, limits)
        self._bound = bound
        self._reactor = reactor
        self._port: Any = None

    @property
    def url(self) -> str:
        """The base URL of the bound address; an unspecified address is told as loopback."""
        host, port = self._bound.getsockname()[:2]
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "::1"
        name = f"[{host}]" if ":" in host else host
        return f"{'http' if self.tls is None else 'https'}://{name}:{port}"

    def open(self) -> None:
        """Accept connections from now on."""
        factory: Any = self.factory
        if self.tls is not None:
            creator: Any = self.tls  # zope's interfaces are not Python types
            self.factory.secure = True
            self.factory.tls_info = lambda transport: tls_info(transport.getHandle(), reactor=self._reactor)
            factory = _AdmittingTlsFactory(creator, False, factory, self._reactor)
        if not self._bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._bound.listen(BACKLOG)
        self._bound.setblocking(False)
        self._port = self._reactor.adoptStreamPort(self._bound.fileno(), self._bound.family, factory)

    def stop_accepting(self) -> Deferred[Any]:
        """Close the socket, and the connections that are idle."""
        port, self._port = self._port, None
        closed: Deferred[Any] = succeed(None) if port is None else maybeDeferred(port.stopListening)
        self._bound.close()
        self.factory.drain()
        return closed

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self.factory.connections)
