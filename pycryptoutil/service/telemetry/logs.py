"""Log lines as OTLP records: what was redacted for standard error already, with the trace that they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

_SEVERITIES: Mapping[str, SeverityNumber] = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
_OWN_FIELDS = frozenset({"event", "level", "time", "trace_id", "span_id", "exception"})


def record(event: Mapping[str, Any], resource: Resource, scope: InstrumentationScope, now: int) -> ReadableLogRecord:
    """Turn one redacted event into a record; the trace is the current one. ``now`` is nanoseconds since 1970."""
    level = str(event.get("level", "info"))
    attributes = {name: _attribute(value) for name, value in event.items() if name not in _OWN_FIELDS}
    attributes.update(_exception(event.get("exception")))
    made = LogRecord(
        timestamp=now,
        observed_timestamp=now,
        severity_text=level.upper(),
        severity_number=_SEVERITIES.get(level, SeverityNumber.INFO),
        body=str(event.get("event", "")),
        attributes=attributes,
    )
    return ReadableLogRecord(made, resource, scope)


def _attribute(value: Any) -> str | bool | int | float:
    if isinstance(value, str | bool | int | float):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=lambda other: type(other).__name__)


def _exception(described: Any) -> dict[str, str]:
    """Name an exception as semantic conventions do; its message is there only where it is one of ours."""
    if not isinstance(described, Mapping):
        return {}
    found = {"exception.type": str(described.get("type", ""))}
    if "detail" in described:
        found["exception.message"] = str(described["detail"])
    if frames := described.get("frames"):
        found["exception.stacktrace"] = "\n".join(map(str, frames))
    return found
