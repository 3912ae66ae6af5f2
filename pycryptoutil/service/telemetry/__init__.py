"""OpenTelemetry over OTLP: traces, metrics and logs, when an endpoint is configured.

Without one nothing here is imported but this file, and nothing of it runs. The libraries are the extra ``otel``.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pycryptoutil.clock import Clock
from pycryptoutil.errors import ConfigurationError
from pycryptoutil.service.settings import TelemetrySettings

if TYPE_CHECKING:
    from pycryptoutil.service.telemetry.process import Telemetry

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def check(settings: TelemetrySettings) -> None:
    """Raise ConfigurationError if an endpoint is configured and the libraries or its files are not there."""
    if not settings.endpoint:
        return
    for name in ("certificate", "client_certificate", "client_key"):
        path = getattr(settings, name)
        if path is not None and not os.access(path, os.R_OK):
            raise ConfigurationError(f"telemetry.{name}: cannot read {path}", f"telemetry.{name}")
    if settings.client_certificate is not None and settings.client_key is None:
        message = "telemetry.client_key: is missing: client_certificate is given without it"
        raise ConfigurationError(message, "telemetry.client_key")
    if not all(map(_installed, _NEEDED)):
        message = "telemetry.endpoint needs the extra 'otel': pip install 'pycryptoutil[otel]'"
        raise ConfigurationError(message, "telemetry.endpoint")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # a package above it is missing
        return False


def load(settings: TelemetrySettings) -> None:
    """Import what ``open`` needs; in a supervisor, once for all workers. It starts no thread and opens nothing."""
    if settings.endpoint:
        check(settings)
        importlib.import_module("pycryptoutil.service.telemetry.process")


def open_telemetry(settings: TelemetrySettings, clock: Clock, instance: int = 0) -> Telemetry | None:
    """Return this process's telemetry, not started yet; None without an endpoint. After the fork only."""
    if not settings.endpoint:
        return None
    check(settings)
    from pycryptoutil.service.telemetry.process import Telemetry

    return Telemetry(settings, clock, instance)
