"""HTTP header fields of an OCSP response (RFC 5019 section 6)."""

from __future__ import annotations

import hashlib
from email.utils import formatdate

CONTENT_TYPE = "application/ocsp-response"
REQUEST_TYPE = "application/ocsp-request"


def entity_tag(response: bytes) -> str:
    """Return the strong ETag of a response's bytes."""
    return f'"{hashlib.sha256(response).hexdigest()[:40]}"'


def headers(
    response: bytes, this_update: int, next_update: int, now: int, *, max_age: int | None = None
) -> tuple[tuple[str, str], ...]:
    """Return the header fields of a response that any cache may keep, times in Unix seconds.

    ``max_age`` caps how long caches keep it, for a revocation to be seen sooner than nextUpdate. A response that has
    ended already, or has a nonce, takes :func:`no_store`.
    """
    left = next_update - now
    if left <= 0:
        return no_store()
    kept = left if max_age is None else min(left, max_age)
    return (
        ("content-type", CONTENT_TYPE),
        ("last-modified", formatdate(this_update, usegmt=True)),
        ("expires", formatdate(now + kept, usegmt=True)),
        ("etag", entity_tag(response)),
        ("cache-control", f"max-age={kept}, public, no-transform, must-revalidate"),
    )


def no_store() -> tuple[tuple[str, str], ...]:
    """Return the header fields of a response to one client alone: with a nonce, or an error."""
    return (("content-type", CONTENT_TYPE), ("cache-control", "no-store"))
