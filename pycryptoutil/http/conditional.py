"""Entity tags made of version numbers, and If-Match: how two writers do not undo each other (RFC 9110 section 13)."""

from __future__ import annotations

from pycryptoutil.http.message import Request
from pycryptoutil.http.problem import PreconditionFailed


def etag(version: int) -> str:
    """Return the strong entity tag of a row's version."""
    return f'"{version}"'


def check_if_match(request: Request, version: int) -> None:
    """PreconditionFailed if If-Match is there and names another version; without it the last writer wins."""
    fields = request.headers.get_all("if-match")
    wanted = [one.strip() for one in ",".join(fields).split(",") if one.strip()]
    if wanted and wanted != ["*"] and etag(version) not in wanted:
        raise PreconditionFailed(f"at version {version}, which If-Match does not name")
