"""Runs the middleware: entry and exit steps on the reactor, work steps on a worker, or a route's ``fast=`` at once."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.message import Listener, Request, TlsInfo
from pycryptoutil.service.exchange import Deliver, Edge, Exchange
from pycryptoutil.service.http1 import Head
from pycryptoutil.service.middleware import Stage, encode_fault, recover, steps
from pycryptoutil.service.router import Router, Side
from pycryptoutil.service.workers import WorkerPool

ENTRY = steps(Stage.ENTRY)
WORK = steps(Stage.WORK)
EXIT = steps(Stage.EXIT)

_ADMIN = Side.ADMIN  # read once: an attribute of an enum costs as much as a call
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_TIMED_OUT = "The service did not answer in time; what was asked may still happen."


class Dispatcher:
    """One service's way from a head to an answer. Everything but the work steps runs on the reactor's thread."""

    def __init__(self, edge: Edge, routers: Mapping[Listener, Router], pools: Mapping[Listener, WorkerPool]) -> None:
        self.edge = edge
        self._find = {kind.name: router.find for kind, router in routers.items()}  # by name: hashing an enum is slow
        self._monotonic = edge.clock.monotonic
        self._now = edge.clock.now
        self._pools = pools
        self._ids = itertools.count(1)
        self._prefix = secrets.token_hex(8)
        self.in_flight = 0

    def route(self, routers: Mapping[Listener, Router]) -> None:
        """Use these tables from the next request on."""
        self._find = {kind.name: router.find for kind, router in routers.items()}

    def pool(self, listener: Listener) -> WorkerPool:
        """Return the threads that serve a listener."""
        return self._pools[listener]

    def request_id(self, given: str = "") -> str:
        """Return the peer's id if it is well-formed, or a new one."""
        if given and _REQUEST_ID.fullmatch(given):
            return given
        return f"{self._prefix}-{next(self._ids):x}"

    def open(self, head: Head, body: bytes, listener: Listener, label: str, peer: str, tls: TlsInfo | None) -> Exchange:
        """Begin, with the body if it is here already; there is a response if an entry step refused.

        ``label`` is the listener's name, read once: reading it off an enum is slow.
        """
        fields = head.fields
        request = Request(
            head.method,
            head.path,
            head.raw_path,
            head.query,
            fields.headers,
            body,
            listener,
            peer,
            self.request_id(fields.request_id),
            self._now(),
            tls,
        )
        exchange = Exchange(request, self._find[label](head.path), fields.length, self._monotonic(), label)
        self.in_flight += 1
        self._enter(exchange)
        return exchange

    def _enter(self, exchange: Exchange) -> None:
        edge = self.edge
        try:
            for step in ENTRY:
                step(edge, exchange)
                if exchange.response is not None:
                    break
        except Exception as error:  # noqa: BLE001  recover is the one place where everything ends
            recover(edge, exchange, error)

    def run(self, exchange: Exchange, body: bytes, deliver: Deliver) -> bool:
        """Answer a whole request, ``body`` being what has come since ``open``.

        True: the answer is there. False: a worker makes it, and ``deliver`` is called on the reactor when it has.
        """
        if body:
            exchange.request = replace(exchange.request, body=body)
        try:
            if self._answered_fast(exchange):
                return True
            self._pools[exchange.request.listener].submit(lambda: self._work(exchange), lambda _: deliver(exchange))
        except Exception as error:  # noqa: BLE001
            recover(self.edge, exchange, error)
            return True
        return False

    def _answered_fast(self, exchange: Exchange) -> bool:
        mount, edge = exchange.mount, self.edge
        if mount is None or mount.route.fast is None:
            return False
        tls = exchange.request.tls
        if edge.certificates is not None and tls is not None and tls.client_verified:
            return False  # its certificate's revocation is looked up by a worker
        state = edge.admin_state if mount.side is _ADMIN else edge.state
        exchange.response = mount.route.fast(state, exchange.request, exchange.parameters)
        exchange.fast = exchange.response is not None
        return exchange.fast

    def _work(self, exchange: Exchange) -> None:
        """Run on a worker's thread. What an exchange that timed out still computes, nobody reads."""
        edge = self.edge
        if exchange.abandoned:  # while it waited in the queue: nothing was begun, and nobody waits
            return
        try:
            for step in WORK:
                step(edge, exchange)
                if exchange.response is not None:
                    return
        except Exception as error:  # noqa: BLE001
            recover(edge, exchange, error)

    def refuse(self, exchange: Exchange, fault: Fault) -> None:
        """Answer a fault found by the adapter (a body too large, a bad chunk) in the path's own form."""
        recover(self.edge, exchange, fault)

    def timed_out(self, exchange: Exchange) -> Exchange:
        """Give up waiting for a worker: return another exchange, with the 503; what the worker brings is dropped."""
        exchange.abandoned = True
        other = Exchange(exchange.request, exchange.match, exchange.framed_length, exchange.started, exchange.label)
        other.mount, other.extra_headers, other.principal = exchange.mount, exchange.extra_headers, self.edge.anonymous
        fault = Fault(FaultKind.UNAVAILABLE, "request timeout", _TIMED_OUT, retry_after=5)
        other.fault = fault
        other.response = encode_fault(other, fault)
        return other

    def close(self, exchange: Exchange) -> None:
        """Run the exit steps; after this the response is sent as it is."""
        self.in_flight -= 1
        try:
            for step in EXIT:
                step(self.edge, exchange)
        except Exception as error:  # noqa: BLE001
            recover(self.edge, exchange, error)

    def forget(self, exchange: Exchange) -> None:  # noqa: ARG002  who traces wants to know which
        """Count out a request whose peer is gone before its answer."""
        self.in_flight -= 1
