"""From the command to the ready-file: the whole suite, on a new data directory and on one that it knows."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pycryptoutil.clock import SystemClock
from tests.support.suite import environment, make_suite

ROUNDS = 3
CLOCK = SystemClock()
LIBRARIES = (
    "import twisted.internet.reactor, sqlalchemy, alembic, cryptography.x509, pydantic, structlog, OpenSSL, yaml"
)


def libraries() -> float:
    """Return the seconds that Python needs to import what the suite stands on."""
    began = CLOCK.monotonic()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True, env=environment())
    return CLOCK.monotonic() - began


def start(folder: Path) -> float:
    """Return the seconds from the command to the ready-file."""
    suite = make_suite(folder)
    try:
        began = CLOCK.monotonic()
        suite.start()
        return CLOCK.monotonic() - began
    finally:
        suite.stop()
        suite.close()


def run() -> list[dict[str, Any]]:
    """Start it several times; the best of each counts."""
    limit = min(libraries() for _ in range(ROUNDS))
    first, again = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="startup-bench-") as name:
            first.append(start(Path(name)))
            again.append(start(Path(name)))
    return [
        {
            "name": name,
            "value": min(values),
            "unit": "s",
            "limit_name": "importing its libraries",
            "limit_value": limit,
            "ratio": min(values) / limit,
            "aim": None,
            "better": "lower",
        }
        for name, values in (("start-up of the suite, first", first), ("start-up of the suite, again", again))
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
