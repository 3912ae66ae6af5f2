"""Where the shared test vectors lie: ``$PYCRYPTOUTIL_VECTORS``, else ``../shared/vectors`` beside the checkout.

In CI a missing set is a failure; elsewhere it is one named skip. What RFCs print themselves is in the tests.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def folder() -> Path:
    """Return the folder of the vectors, or skip."""
    found = Path(os.environ.get("PYCRYPTOUTIL_VECTORS") or _ROOT.parent / "shared" / "vectors")
    if not found.is_dir():
        message = f"the test vectors are not at {found} (set PYCRYPTOUTIL_VECTORS)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


def wycheproof(name: str) -> list[dict[str, Any]]:
    """Return the test groups of ``<name>_test.json``."""
    document = json.loads((folder() / "wycheproof" / f"{name}_test.json").read_text())
    groups: list[dict[str, Any]] = document["testGroups"]
    assert groups
    return groups
