"""The dispatcher with a span around each request; without telemetry the plain one is used, at no cost."""

from __future__ import annotations

from collections.abc import Mapping

from pycryptoutil.http.message import Listener
from pycryptoutil.service.exchange import Deliver, Edge, Exchange
from pycryptoutil.service.pipeline import Dispatcher
from pycryptoutil.service.router import Router
from pycryptoutil.service.telemetry.traces import RequestTracing
from pycryptoutil.service.workers import WorkerPool


class TracedDispatcher(Dispatcher):
    """Every stage runs below the request's span, whichever thread it is on."""

    def __init__(
        self,
        edge: Edge,
        routers: Mapping[Listener, Router],
        pools: Mapping[Listener, WorkerPool],
        tracing: RequestTracing,
    ) -> None:
        super().__init__(edge, routers, pools)
        self._tracing = tracing

    def _enter(self, exchange: Exchange) -> None:
        self._tracing.begin(exchange)
        with self._tracing.within(exchange):
            super()._enter(exchange)

    def run(self, exchange: Exchange, body: bytes, deliver: Deliver) -> bool:
        """As the plain one."""
        with self._tracing.within(exchange):
            return super().run(exchange, body, deliver)

    def _work(self, exchange: Exchange) -> None:
        with self._tracing.within(exchange):
            super()._work(exchange)

    def timed_out(self, exchange: Exchange) -> Exchange:
        """As the plain one; the span ends with the answer that the peer gets."""
        with self._tracing.within(exchange):
            other = super().timed_out(exchange)
        other.trace = exchange.trace
        return other

    def close(self, exchange: Exchange) -> None:
        """As the plain one; the span ends here."""
        with self._tracing.within(exchange):
            super().close(exchange)
        self._tracing.end(exchange)

    def forget(self, exchange: Exchange) -> None:
        """As the plain one."""
        super().forget(exchange)
        self._tracing.end(exchange, gone=True)
