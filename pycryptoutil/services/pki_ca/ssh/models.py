"""What the API of SSH certificates takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from pycryptoutil.authority.ssh.codec import MAX_KEY
from pycryptoutil.http.paging import JsonModel

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]


class SshBody(JsonModel):
    """A certificate to issue: for a line of an ``id_….pub`` or ``ssh_host_…_key.pub`` file."""

    profile: Name
    authority: Name | None = None
    public_key: Annotated[str, Field(max_length=MAX_KEY)]
    principals: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=253)], ...], Field(max_length=256)]
    key_id: Annotated[str, Field(max_length=150, pattern=r"^[ -~]*$")] = ""
    validity_seconds: Annotated[int, Field(ge=1, le=366 * 86400)] | None = None
    critical_options: dict[Literal["force-command", "source-address"], str] = Field(default_factory=dict)


class SshView(JsonModel):
    """An SSH certificate; ``certificate`` is the line of a ``-cert.pub`` file."""

    serial: str
    authority: str
    profile: str
    key_id: str
    principals: tuple[str, ...]
    valid_after: AwareDatetime
    valid_before: AwareDatetime
    requester: str
    created_at: AwareDatetime
    certificate: str


class SshList(JsonModel):
    """A page of SSH certificates, newest first."""

    items: tuple[SshView, ...]
    next: str | None
