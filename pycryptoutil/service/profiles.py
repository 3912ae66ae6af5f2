"""The built-in profiles: what each changes from the defaults. ``prod`` is the defaults themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "prod": {},
    "dev": {
        "data_dir": ".dev",
        "plain": {"enabled": True},
        "barrier": {"mode": "dev"},
    },
    # every port free, no limit that a test would run into by being quick
    "test": {
        "data_dir": ".dev/test",
        "public": {"port": 0},
        "admin": {"port": 0},
        "plain": {"enabled": True, "port": 0},
        "barrier": {"mode": "dev"},
        "limits": {"shutdown_timeout": 10},
        "rate_limit": {"enabled": False},
        "logging": {"format": "json"},
    },
}
