"""Bind listening sockets before anything slow happens, so that a port in use is told at once.

A supervisor binds them for its workers, which inherit them: all accept from one queue, none is lost when a worker dies,
and no second suite can slip onto the same port unnoticed (which ``SO_REUSEPORT`` would allow).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pycryptoutil.errors import StartupError
from pycryptoutil.http.message import Listener
from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.service.settings import ServiceSettings

BACKLOG = 1024

Sockets = Mapping[tuple[str, Listener], socket.socket]
"""By service name and listener."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener is to be bound; port 0 is any free one."""

    service: str
    listener: Listener
    host: str
    port: int


def addresses(found: ServiceDefinition, settings: ServiceSettings) -> Iterable[Address]:
    """Yield the addresses of one service."""
    public, admin, plain = settings.public, settings.admin, settings.plain
    yield Address(found.name, Listener.PUBLIC, public.bind_address, _port(public.port, found.public_port))
    yield Address(found.name, Listener.ADMIN, admin.bind_address, _port(admin.port, found.admin_port))
    if plain.enabled and found.plain_port is not None:
        yield Address(found.name, Listener.PLAIN, plain.bind_address, _port(plain.port, found.plain_port))


def _port(given: int | None, default: int) -> int:
    return default if given is None else given


def bind(wanted: Iterable[Address]) -> dict[tuple[str, Listener], socket.socket]:
    """Bind and listen; StartupError naming the address that cannot be had, with none left open."""
    bound: dict[tuple[str, Listener], socket.socket] = {}
    try:
        for address in wanted:
            bound[address.service, address.listener] = _listen(address)
    except StartupError:
        for opened in bound.values():
            opened.close()
        raise
    return bound


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(address.host).version == 6 else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        where = f"{address.host}:{address.port} ({address.service} {address.listener.value})"
        match error.errno:
            case errno.EADDRINUSE:
                why = "the port is in use by another process"
            case errno.EACCES:
                why = "no permission to take this port"
            case errno.EADDRNOTAVAIL:
                why = "this machine has no such address"
            case _:
                why = error.strerror or "cannot be bound"
        raise StartupError(f"{where}: {why}") from None
    return listening
