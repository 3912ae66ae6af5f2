"""What the routes of import, backup and restore take and give."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, SecretStr

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.pki_ca.lifecycle.models import Pem
from pycryptoutil.services.pki_ca.rest.models import Name


class ImportBody(JsonModel):
    """A CA to take over. PEM; ``chain`` is above it, its issuer first, up to the root; the key is PKCS#8."""

    name: Name
    certificate: Pem
    chain: Annotated[tuple[Pem, ...], Field(max_length=10)] = ()
    private_key: Annotated[SecretStr, Field(max_length=50_000)]
    crl_number: Annotated[int, Field(ge=0, description="the last one that was given out")] = 0


class ImportView(JsonModel):
    """The CA as it is here now."""

    id: str
    name: str
    status: str
    subject: str
    key_algorithm: str


class ImportRow(JsonModel):
    """A certificate that the CA has issued. Without ``certificate`` (base64 of DER) only its status is taken."""

    serial: Annotated[str, Field(min_length=1, max_length=100)]
    not_after: AwareDatetime
    subject: Annotated[str, Field(max_length=2000)] = ""
    revoked_at: AwareDatetime | None = None
    reason: str | None = None
    invalidity_date: AwareDatetime | None = None
    certificate: Annotated[str, Field(max_length=100_000)] | None = None


class ImportRowsBody(JsonModel):
    """Some of them. ``profile``: what they are renewed under; without one they are not."""

    profile: Name | None = None
    items: Annotated[tuple[ImportRow, ...], Field(max_length=500)]


class ImportProblem(JsonModel):
    """A row that did not come in as it was, and why."""

    serial: str
    problem: str


class ImportRowsView(JsonModel):
    """How many were added, revoked since or known, and what was wrong."""

    added: int
    changed: int
    known: int
    problems: tuple[ImportProblem, ...]


class BackupBody(JsonModel):
    """Which part of a backup, and whom it is for: a certificate or a public key in PEM. No ``cursor``: the first."""

    recipient: Pem
    cursor: Annotated[str, Field(max_length=1000)] = ""


class BackupView(JsonModel):
    """One part: CMS AuthEnvelopedData, base64 of DER. ``cursor`` gets the next one; null after the last."""

    part: str
    cursor: str | None


class RestoreBody(JsonModel):
    """One decrypted part, base64. The first part is given once more at the end, with ``finish``: then the CA works.

    ``override`` goes on where the backup is older than what is here; ``replace`` lets a CA of the same name that has
    issued nothing give way.
    """

    document: Annotated[SecretStr, Field(max_length=3_000_000)]
    override: bool = False
    replace: bool = False
    finish: bool = False


class RestoreView(JsonModel):
    """What a part has brought."""

    backup: str
    index: int
    last: bool
    name: str
    added: int
    notes: tuple[str, ...]
