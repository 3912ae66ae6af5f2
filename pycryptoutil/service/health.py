"""Readiness: what must be well before requests are served, each with its state and how long the look took."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.clock import Clock
from pycryptoutil.service.exchange import Phase

log = structlog.get_logger()

State = Literal["ok", "failed", "timeout"]
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line: ``look`` raises if it is not well."""

    name: str
    look: Callable[[], None]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. ``reason`` is for operators: the admin listener is theirs."""

    name: str
    state: State
    required: bool
    duration_ms: float
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """Return the JSON members."""
        found: dict[str, Any] = {
            "name": self.name,
            "state": self.state,
            "required": self.required,
            "duration_ms": self.duration_ms,
        }
        return {**found, "reason": self.reason} if self.reason else found


class Health:
    """Runs the checks, each on its own thread with bounded patience: one that hangs is reported, not waited for."""

    def __init__(self, clock: Clock, checks: tuple[Check, ...], phase: Callable[[], Phase]) -> None:
        self._clock = clock
        self._checks = checks
        self._phase = phase
        self._hanging: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    def look(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the service is ready, and why not. May take seconds: not for the reactor."""
        phase = self._phase()
        findings = [self._run(check) for check in self._checks]
        well = all(finding.state == "ok" for finding in findings if finding.required)
        ready = well and phase is Phase.READY
        return ready, {
            "status": "ready" if ready else "not-ready",
            "phase": phase.value,
            "checks": [finding.document() for finding in findings],
        }

    def _run(self, check: Check) -> Finding:
        started = self._clock.monotonic()
        outcome: list[BaseException | None] = []

        def look() -> None:
            try:
                check.look()
                outcome.append(None)
            except BaseException as error:  # noqa: BLE001  reported as the check's state
                outcome.append(error)

        with self._lock:
            thread = self._hanging.get(check.name)
            if thread is not None and thread.is_alive():
                return Finding(check.name, "timeout", check.required, 0.0, "an earlier look has not come back")
            thread = threading.Thread(target=look, name=f"health-{check.name}", daemon=True)
            self._hanging[check.name] = thread
            thread.start()
        thread.join(PATIENCE)
        duration = round((self._clock.monotonic() - started) * 1000, 3)
        if not outcome:
            return Finding(check.name, "timeout", check.required, duration, f"no answer in {PATIENCE:g} s")
        error = outcome[0]
        if error is None:
            return Finding(check.name, "ok", check.required, duration)
        if not isinstance(error, Fault):
            log.warning("readiness check failed", check=check.name, exc_info=error)
        reason = (error.public or error.detail) if isinstance(error, Fault) else type(error).__name__
        return Finding(check.name, "failed", check.required, duration, reason)
