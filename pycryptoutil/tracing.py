"""Spans within a request, told to one tracer for the whole process; without one, nothing is made.

What a room does that takes time is wrapped in ``with span("barrier.decrypt")``. Names are few and fixed, and nothing of
a request's content belongs into an attribute.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Tracer(Protocol):
    """Makes spans below the one that this thread is in; outside of any it makes none."""

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[object]:
        """Cover a block."""

    def outbound(self) -> Mapping[str, str]:
        """Return the header fields that continue the trace elsewhere (W3C Trace Context)."""


_NOTHING = nullcontext()
_tracer: Tracer | None = None


def trace_by(tracer: Tracer | None) -> None:
    """Use this tracer from now on; None to stop."""
    global _tracer  # noqa: PLW0603  one for the process, as the receiver is
    _tracer = tracer


def span(name: str, **attributes: str) -> AbstractContextManager[object]:
    """Cover a block with a span; costs next to nothing while nobody traces."""
    tracer = _tracer
    return _NOTHING if tracer is None else tracer.span(name, attributes)


def traced(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Cover each call of a function with a span."""

    def wrap(run: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(run)
        def covered(*args: P.args, **kwargs: P.kwargs) -> R:
            tracer = _tracer
            if tracer is None:
                return run(*args, **kwargs)
            with tracer.span(name, {}):
                return run(*args, **kwargs)

        return covered

    return wrap


def outbound() -> Mapping[str, str]:
    """Return what to add to a request that this one causes; empty while nobody traces."""
    tracer = _tracer
    return {} if tracer is None else tracer.outbound()
