"""What the path of a request means."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """A label, resolved. ``explicit``: it was in the path; else the requester's own profile and CA are taken."""

    tenant_id: str
    authority: str
    profile: str
    explicit: bool
    chain: tuple[bytes, ...] = field(repr=False)  # the CA's certificate first, up to the root's
