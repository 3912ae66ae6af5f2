"""Structured logs on standard error: one JSON object a line, or text on a terminal.

Everything passes one redaction; what Twisted and standard logging say comes through the same door. An unexpected
exception is logged as its type and its frames (file, line, function), never its message or values: those may hold
secrets. Rooms log by ``structlog.get_logger()``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, cast

import structlog
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.clock import Clock, SystemClock
from pycryptoutil.errors import ConfigurationError, CoreError, StartupError
from pycryptoutil.service.redaction import redact_text, redact_value
from pycryptoutil.service.settings import LoggingSettings

LEVELS: Mapping[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50, "exception": 40}
MAX_FRAMES = 30

_TELLING = (Fault, ConfigurationError, CoreError, StartupError)  # these are written by us, for the log

if TYPE_CHECKING:
    from twisted.logger import ILogObserver

Event = MutableMapping[str, Any]


class _Sink:
    """Standard error, written a whole line at a time so that several processes do not mix theirs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.descriptor = 2

    def msg(self, message: str) -> None:
        data = message.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock, contextlib.suppress(OSError):  # a closed standard error must not stop a service
            while data:
                data = data[os.write(self.descriptor, data) :]

    debug = info = warning = error = critical = exception = log = fatal = failure = warn = msg


class _State:
    """What ``configure`` set; read on every event, so that a reload takes effect at once."""

    def __init__(self) -> None:
        self.level = LEVELS["info"]
        self.text = False
        self.clock: Clock = SystemClock()
        self.sink = _Sink()
        self.common: Mapping[str, Any] = {}
        self.trace: Callable[[], tuple[str, str] | None] | None = None
        self.exporter: Callable[[Mapping[str, Any]], None] | None = None


_state = _State()


def configure(settings: LoggingSettings, clock: Clock | None = None) -> None:
    """Set level and format; may be called again."""
    _state.level = LEVELS[settings.level]
    _state.text = settings.format == "text" or (settings.format == "auto" and os.isatty(2))
    _state.clock = clock or _state.clock
    structlog.configure(
        processors=[_filter, structlog.contextvars.merge_contextvars, _stamp, _exception, _redact, _export, _render],
        wrapper_class=structlog.BoundLogger,
        logger_factory=lambda *_: _state.sink,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(logging.WARNING)  # libraries: only what needs attention
    logging.captureWarnings(True)


def always(**values: Any) -> None:
    """Add these to every line of this process, such as the worker's number."""
    _state.common = values


def name_traces_by(current: Callable[[], tuple[str, str] | None] | None) -> None:
    """Add the trace's and the span's id to lines that belong to one; None to stop."""
    _state.trace = current


def export_to(exporter: Callable[[Mapping[str, Any]], None] | None) -> None:
    """Give each redacted line to this too, on the thread that logs: it must be quick; None to stop."""
    _state.exporter = exporter


def bridge_twisted() -> None:
    """Send Twisted's log to ours, and to nowhere else."""
    from twisted.logger import globalLogBeginner

    with contextlib.suppress(AttributeError):
        globalLogBeginner.beginLoggingTo([cast("ILogObserver", _twisted)], discardBuffer=True, redirectStandardIO=False)


def describe(error: BaseException) -> dict[str, Any]:
    """Return an exception as loggable data: type, frames, and the detail where the exception is one of ours."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    described: dict[str, Any] = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        "frames": [f"{os.path.relpath(f.filename, _ROOT)}:{f.lineno} {f.name}" for f in frames],
    }
    if isinstance(error, _TELLING):
        described["detail"] = redact_text(str(error))
    if isinstance(error, OSError) and error.strerror:
        described["detail"] = error.strerror
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and cause is not error:
        described["cause"] = type(cause).__qualname__
    return described


_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100,PTH120  read once


# --- processors -------------------------------------------------------------------------------------------------------


def _filter(_logger: Any, method: str, event: Event) -> Event:
    if LEVELS.get(method, 20) < _state.level:
        raise structlog.DropEvent
    event["level"] = "error" if method == "exception" else method
    if method == "exception":
        event.setdefault("exc_info", True)
    return event


def _stamp(_logger: Any, _method: str, event: Event) -> Event:
    for name, value in _state.common.items():
        event.setdefault(name, value)
    ids = _state.trace() if _state.trace is not None else None
    if ids is not None:
        event["trace_id"], event["span_id"] = ids
    event["time"] = _state.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _exception(_logger: Any, _method: str, event: Event) -> Event:
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()[1]
    elif isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        event["exception"] = describe(given)
    return event


def _redact(_logger: Any, _method: str, event: Event) -> Event:
    return {name: redact_value(name, value) for name, value in event.items()}


def _export(_logger: Any, _method: str, event: Event) -> Event:
    if _state.exporter is not None:
        with contextlib.suppress(Exception):  # a log line must never stop what it reports on
            _state.exporter(event)
    return event


_FIRST = ("time", "level", "event")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=lambda value: type(value).__name__)


def _render(_logger: Any, _method: str, event: Event) -> str:
    ordered = {name: event[name] for name in _FIRST if name in event}
    ordered.update((name, value) for name, value in event.items() if name not in _FIRST)
    if not _state.text:
        return _ENCODER.encode(ordered)
    clock, level = str(ordered.pop("time", ""))[11:23], str(ordered.pop("level", ""))
    said, colour = str(ordered.pop("event", "")), {"error": "31", "warning": "33"}.get(level, "2")
    rest = " ".join(f"{name}={_inline(value)}" for name, value in ordered.items())
    # escaped, so that no peer's bytes drive the terminal
    line = f"{said}  {rest}" if rest else said
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
    return f"\x1b[{colour}m{clock} {level:<7}\x1b[0m {printable}"


def _inline(value: Any) -> str:
    return value if isinstance(value, str) and " " not in value else json.dumps(value, ensure_ascii=False, default=str)


# --- bridges ----------------------------------------------------------------------------------------------------------


class _Bridge(logging.Handler):
    """Standard logging's records, as our events."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            error = record.exc_info[1] if record.exc_info else None
            method = record.levelname.lower() if record.levelname.lower() in LEVELS else "warning"
            log = structlog.get_logger()
            getattr(log, method)(record.getMessage().split("\n", 1)[0], logger=record.name, exc_info=error)
        except Exception:  # noqa: BLE001  a log line must never stop what it reports on
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Say nothing: the default prints a traceback."""


_NOISE = ("Starting factory", "Stopping factory", "Main loop terminated", "starting on", "Received SIG")


def _twisted(event: Any) -> None:
    """Twisted's observer."""
    from twisted.logger import formatEvent

    failure = event.get("log_failure")
    level = getattr(event.get("log_level"), "name", "info")
    text = formatEvent(event).split("\n", 1)[0] if failure is None else "unhandled error in the reactor"
    if level == "info":
        level = "debug"  # Twisted's info is our debug
    if any(noise in text for noise in _NOISE):
        return
    method = {"warn": "warning", "critical": "error"}.get(level, level)
    error = failure.value if failure is not None else None
    if error is not None and error.__traceback__ is None:
        error = error.with_traceback(failure.getTracebackObject())
    getattr(structlog.get_logger(), method)(text, logger=str(event.get("log_namespace", "twisted")), exc_info=error)
