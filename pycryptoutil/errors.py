"""Failures of start-up and of the Rust core. Requests fail with ``pycryptoutil_protocols.faults.Fault``."""

from __future__ import annotations


class CoreError(Exception):
    """Raised by the Rust core with (kind, detail); ``pycryptoutil.crypto`` turns it into a Fault."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


class ConfigurationError(Exception):
    """A setting is wrong. ``key`` names it as written in configuration, for example ``barrier.secret_file``."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(f"{key}: {message}" if key else message)
        self.message = message
        self.key = key


class StartupError(Exception):
    """The service cannot start, and why; the text is meant for the operator."""
