"""Templates: the house's and a service's own, escaped always; what they may call; the static files beside them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pycryptoutil.service.pages import charts

_STATIC_TYPES: Mapping[str, str] = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
STATIC_TYPES = tuple(kind.partition(";")[0] for kind in _STATIC_TYPES.values())
_UNITS = (  # from how many seconds on, a unit of how many, its name
    (86400 * 730, 86400 * 365, "year"),
    (86400 * 61, 86400 * 30, "month"),
    (86400, 86400, "day"),
    (3600, 3600, "hour"),
    (60, 60, "minute"),
)


def when(moment: datetime | None, nothing: str = "never") -> Markup:
    """Write a time, to the minute, in UTC."""
    if moment is None:
        return Markup('<span class="quiet">{0}</span>').format(nothing)
    utc = moment.astimezone(UTC)
    machine = utc.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{0}">{1} <span class="zone">UTC</span></time>').format(
        machine, f"{utc:%Y-%m-%d %H:%M}"
    )


def day(moment: datetime) -> Markup:
    """Write a date, in UTC."""
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{0}" title="{1} UTC">{2}</time>').format(
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"), f"{utc:%Y-%m-%d %H:%M:%S}", f"{utc:%Y-%m-%d}"
    )


def span(length: timedelta) -> str:
    """Say how long, in its largest unit: 3 days, 1 hour, less than a minute."""
    seconds = abs(length.total_seconds())
    for least, size, unit in _UNITS:
        if seconds >= least:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"


def relative(moment: datetime, now: datetime) -> str:
    """Say how far off: in 3 days, 2 hours ago."""
    distance = moment - now
    return f"in {span(distance)}" if distance > timedelta(0) else f"{span(distance)} ago"


def spaced(text: str, size: int = 2, separator: str = ":") -> str:
    """Part a hexadecimal text into groups, to be compared by eye."""
    return separator.join(text[start : start + size] for start in range(0, len(text), size))


def plural(count: int, one: str, many: str = "") -> str:
    """Count something: 1 certificate, 2 certificates."""
    return f"{charts.grouped(count)} {one if count == 1 else many or one + 's'}"


@functools.cache
def environment(package: str = "", shared: str = "") -> Environment:
    """Return the templates: an unknown name is an error. A service can replace none of the house's or of the shared."""
    loaders: list[BaseLoader] = [PackageLoader("pycryptoutil.service", "pages/templates")]
    loaders += [PackageLoader(one, "pages/templates") for one in (shared, package) if one]
    made = Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Any] = {
        "when": when, "day": day, "span": span, "relative": relative, "spaced": spaced, "grouped": charts.grouped,
    }  # fmt: skip
    made.filters.update(filters)
    made.globals.update(charts=charts, plural=plural)
    return made


@functools.cache
def static_files() -> Mapping[str, tuple[bytes, str, str]]:
    """Return name -> (content, media type, entity tag) of the files beside the templates."""
    found = {}
    for entry in resources.files("pycryptoutil.service").joinpath("pages", "static").iterdir():
        media_type = _STATIC_TYPES.get(entry.name[entry.name.rfind(".") :])
        if media_type:
            content = entry.read_bytes()
            found[entry.name] = (content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found
