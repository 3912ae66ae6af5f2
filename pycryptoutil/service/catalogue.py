"""Which services this installation has: every package under ``pycryptoutil.services`` that exposes ``SERVICE``.

Adding a service is adding its folder; nothing here is edited. Names are found without importing the services.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from difflib import get_close_matches
from pathlib import Path

import pycryptoutil
from pycryptoutil.errors import ConfigurationError
from pycryptoutil.service.definition import ServiceDefinition

PACKAGE = "pycryptoutil.services"
SUITE = "suite"
_FOLDER = Path(pycryptoutil.__file__).parent / "services"


def section(name: str) -> str:
    """Return the configuration section and module name of a service: ``pki-ca`` is ``pki_ca``."""
    return name.replace("-", "_")


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of the services that exist, without importing them."""
    return tuple(sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules([str(_FOLDER)]) if m.ispkg))


@functools.cache
def definition(name: str) -> ServiceDefinition:
    """Import one service; ConfigurationError with the nearest name if there is none of this one."""
    if name not in names():
        near = get_close_matches(name, (*names(), SUITE), 1, 0.4)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join((*names(), SUITE))}"
        raise ConfigurationError(f"there is no service {name!r}{hint}", "service")
    found = importlib.import_module(f"{PACKAGE}.{section(name)}").SERVICE
    if not isinstance(found, ServiceDefinition):  # a mistake of whoever wrote the service, told plainly
        raise ConfigurationError(f"{PACKAGE}.{section(name)}.SERVICE is not a ServiceDefinition", "service")
    return found


def select(selection: str) -> tuple[ServiceDefinition, ...]:
    """Return the services that a name, a product (``pki``, ``learn``) or ``suite`` stands for, in port order."""
    if selection in names():
        return (definition(selection),)
    everything = sorted((definition(name) for name in names()), key=lambda found: found.admin_port)
    if selection == SUITE:
        return tuple(everything)
    product = tuple(found for found in everything if found.product.lower().replace(" ", "-") == selection.lower())
    return product or (definition(selection),)
