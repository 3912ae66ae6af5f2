"""The ready-file: written whole when every listener is ready, removed at exit."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pycryptoutil.service.config import Configuration

CREDENTIALS_FILE = "admin.json"
DEFAULT_PREFIX = "/admin/v1"


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where one service answers; ``plain`` is empty without that listener.

    ``local`` is where the public listener is bound, if it is advertised as another address (``public.url``): on this
    machine, or in this container, the advertised one may lead nowhere.
    """

    public: str
    admin: str
    pid: int
    plain: str = ""
    local: str = ""

    def document(self) -> dict[str, Any]:
        """Return the members as the ready-file has them."""
        plain = {"plain": self.plain} if self.plain else {}
        local = {"local": self.local} if self.local else {}
        return {"public": self.public, **local, **plain, "admin": self.admin, "pid": self.pid}


@dataclass(frozen=True, slots=True)
class Ready:
    """The ready-file's content."""

    services: Mapping[str, ServiceAddress]
    trust_bundle: Path
    admin_credentials: Path
    data_dir: Path
    admin_prefix: Mapping[str, str] = field(default_factory=dict)  # only the services whose prefix is not the default

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        prefixes = {"admin_prefix": dict(self.admin_prefix)} if self.admin_prefix else {}
        return {
            "services": {name: address.document() for name, address in self.services.items()},
            "trust_bundle": str(self.trust_bundle),
            "admin_credentials": str(self.admin_credentials),
            "data_dir": str(self.data_dir),
            **prefixes,
        }


def write_private(path: Path, content: str | bytes) -> None:
    """Write a 0600 file atomically and durably."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    data = content.encode() if isinstance(content, str) else content
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # the name is durable too
    finally:
        os.close(directory)


def write(path: Path, ready: Ready) -> None:
    """Write the ready-file; OSError if it cannot be."""
    write_private(path, json.dumps(ready.document(), indent=2) + "\n")


def remove(path: Path) -> None:
    """Remove it, if it is there."""
    with contextlib.suppress(OSError):
        path.unlink()


def addresses(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, ServiceAddress]:
    """Read what :meth:`ServiceAddress.document` wrote."""
    return {
        name: ServiceAddress(
            found["public"], found["admin"], found["pid"], found.get("plain", ""), found.get("local", "")
        )
        for name, found in documents.items()
    }


def describe(configuration: Configuration, services: Mapping[str, ServiceAddress], trust_bundle: Path) -> Ready:
    """Put the ready-file's content together."""
    prefixes = {name: configuration.services[name].admin.prefix for name in services}
    return Ready(
        services,
        trust_bundle,
        configuration.data_dir / CREDENTIALS_FILE,
        configuration.data_dir,
        {name: prefix for name, prefix in prefixes.items() if prefix != DEFAULT_PREFIX},
    )
