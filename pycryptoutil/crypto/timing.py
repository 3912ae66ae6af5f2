"""How long signatures take, told to one listener for the whole process; without one, nothing is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from pycryptoutil.clock import SystemClock

P = ParamSpec("P")
R = TypeVar("R")

Observer = Callable[[str, float], None]
"""``(operation, seconds)``; called on the thread that signed, so it must be quick and thread-safe."""

_monotonic = SystemClock().monotonic
_observer: Observer | None = None


def observe_by(observer: Observer | None) -> None:
    """Tell this listener from now on; None to stop."""
    global _observer  # noqa: PLW0603  one for the process, as the metrics are
    _observer = observer


def timed(operation: str, run: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a key operation and tell how long it took, whether it succeeded or not."""
    observer = _observer
    if observer is None:
        return run(*args, **kwargs)
    started = _monotonic()
    try:
        return run(*args, **kwargs)
    finally:
        observer(operation, _monotonic() - started)
