"""Pages for people as plain data: what a service says of them, and what its handlers answer. The template renders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pycryptoutil.http.message import Request, Response

PREFIX = "/browser"


@dataclass(frozen=True, slots=True)
class View:
    """A template of the service, or of the house, with what it is filled with."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold what is shown once
    status: int = 200


PageHandler = Callable[[Any, Request], View | Response]
"""``(service.definition.Context, Request) -> View | Response``."""


@dataclass(frozen=True, slots=True)
class Page:
    """One operation under /browser, for a session. ``path`` and ``scope`` as in a route.

    A page with ``show`` answers GET. ``send`` answers POST of its form, whose CSRF token has been checked by then.
    """

    name: str  # operationId, unique in the service; the form's has "Form" behind it
    path: str
    summary: str
    scope: str
    show: PageHandler | None = None
    send: PageHandler | None = None
    send_scope: str = ""  # what the form needs, where it is more than ``scope``


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the navigation, for whoever holds the scope; the first one is where a login leads."""

    path: str
    label: str
    scope: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class PageSet:
    """What a service adds to the template's pages. ``package`` holds ``pages/templates``.

    ``notices`` are what a page says after a form was done: its key travels in the URL, never its text.
    """

    package: str
    pages: tuple[Page, ...] = ()
    navigation: tuple[Entry, ...] = ()
    notices: Mapping[str, str] = field(default_factory=dict)
    shared: str = ""  # a package whose ``pages/templates`` it uses, too: of a room that several services have


def done(path: str, notice: str = "") -> Response:
    """Lead on after a form (303, so that a reload sends nothing again), with a notice to be shown there."""
    query = f"{'&' if '?' in path else '?'}done={notice}" if notice else ""
    return Response(303, headers=(("Location", f"{path}{query}"), ("Cache-Control", "no-store")))
