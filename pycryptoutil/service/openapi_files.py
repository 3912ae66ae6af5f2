"""The OpenAPI document of a service: made from its table, kept under docs/openapi, compared so that it cannot drift."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from pycryptoutil.http import openapi
from pycryptoutil.http.route import Route
from pycryptoutil.service.access import Access
from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.service.tenants import TEMPLATE_SCOPES

API_VERSION = "1"


def document(definition: ServiceDefinition, routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document of a service with these routes."""
    return openapi.generate(
        title=definition.title,
        description=f"{definition.title} ({definition.name}), of {definition.product}.",
        version=API_VERSION,
        routes=routes,
        scopes={**TEMPLATE_SCOPES, **definition.scopes},
    )


def generate(definition: ServiceDefinition) -> dict[str, Any]:
    """Return the document of a service that is not running."""
    from pycryptoutil.service.api import every_route

    nobody = cast("Access", None)  # the table is only read: no handler runs
    return document(definition, every_route(nobody, definition))


def file_of(definition: ServiceDefinition, folder: Path) -> Path:
    """Return where a service's document is kept."""
    return folder / f"{definition.name}.json"


def write(definitions: Sequence[ServiceDefinition], folder: Path) -> list[Path]:
    """Write every document; return the files that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for definition in definitions:
        text, path = openapi.dumps(generate(definition)), file_of(definition, folder)
        if not path.exists() or path.read_bytes() != text:
            path.write_bytes(text)
            changed.append(path)
    return changed


def drift(definitions: Sequence[ServiceDefinition], folder: Path, *, whole: bool = True) -> list[str]:
    """Return one line for each file that is not what its table says; ``whole``: no other file may be there."""
    found = []
    for definition in definitions:
        path = file_of(definition, folder)
        if not path.exists():
            found.append(f"{path} is missing")
        elif path.read_bytes() != openapi.dumps(generate(definition)):
            found.append(f"{path} is not what the route table of {definition.name} says")
    known = {file_of(definition, folder).name for definition in definitions}
    if whole and folder.is_dir():
        found += [f"{path} belongs to no service" for path in sorted(folder.glob("*.json")) if path.name not in known]
    return found
