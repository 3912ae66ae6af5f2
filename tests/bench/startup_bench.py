"""From the command to the ready-file: the first start, which makes a CA, and the second one, which finds it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pycryptoutil.clock import SystemClock
from tests.support.suite import Suite, environment, make_suite

LIMIT = 10.0  # seconds, of the issue
ROUNDS = 2
CLOCK = SystemClock()
LIBRARIES = (
    "import twisted.internet.reactor, sqlalchemy, alembic, cryptography.x509, pydantic, structlog, OpenSSL, yaml"
)


def started(suite: Suite) -> float:
    """Seconds until the ready-file is there."""
    start = CLOCK.monotonic()
    suite.start()
    return CLOCK.monotonic() - start


def libraries() -> float:
    """Return the seconds that Python needs to import what the suite stands on, for comparison."""
    start = CLOCK.monotonic()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True, env=environment())
    return CLOCK.monotonic() - start


def row(name: str, value: float) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": "s",
        "limit_name": "what is allowed",
        "limit_value": LIMIT,
        "ratio": value / LIMIT,
        "aim": 1.0,
        "better": "lower",
    }


def run() -> list[dict[str, Any]]:
    """Start the whole suite, stop it, and start it again."""
    first, second = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="startup-bench-") as folder:
            suite = make_suite(Path(folder), forked=False)
            try:
                first.append(started(suite))
                suite.stop()
                second.append(started(suite))
            finally:
                suite.close()
    return [
        row("start of the suite, first", min(first)),
        row("start of the suite, second", min(second)),
        row("  importing its libraries alone", min(libraries() for _ in range(ROUNDS))) | {"aim": None},
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
