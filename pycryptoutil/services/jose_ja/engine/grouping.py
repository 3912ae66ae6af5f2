"""Items of a batch that differ in their payload alone are done by one call, on every core of the machine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from pycryptoutil_protocols.faults import Fault
from pydantic import BaseModel

from pycryptoutil.services.jose_ja.using.work import Work

Together = Callable[[Work, Sequence[Any]], "list[BaseModel | Fault]"]
Alone = Callable[[Work, Any], BaseModel]


def grouped(alike: Callable[[Any], Hashable | None], together: Together, alone: Alone) -> Together:
    """Return what does the items of each group together, and those without a group one by one."""

    def run(work: Work, bodies: Sequence[Any]) -> list[BaseModel | Fault]:
        results: list[BaseModel | Fault | None] = [None] * len(bodies)
        groups: dict[Hashable, list[int]] = {}
        for position, body in enumerate(bodies):
            try:
                name = alike(body)
            except Fault as fault:
                results[position] = fault
                continue
            if name is None:
                results[position] = _one(alone, work, body)
            else:
                groups.setdefault(name, []).append(position)
        for positions in groups.values():
            found = _some(together, alone, work, [bodies[position] for position in positions])
            for position, one in zip(positions, found, strict=True):
                results[position] = one
        return [one for one in results if one is not None]

    return run


def _one(alone: Alone, work: Work, body: Any) -> BaseModel | Fault:
    try:
        return alone(work, body)
    except Fault as fault:
        return fault


def _some(together: Together, alone: Alone, work: Work, bodies: Sequence[Any]) -> list[BaseModel | Fault]:
    """Do a group; if one item spoils the call itself, such as by its base64url, do them one by one."""
    try:
        return together(work, bodies)
    except Fault:
        return [_one(alone, work, body) for body in bodies]
