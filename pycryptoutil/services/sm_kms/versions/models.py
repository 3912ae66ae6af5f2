"""Versions, import and export, approvals and backups as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from pycryptoutil.http.paging import JsonModel
from pycryptoutil.services.sm_kms.common import ApprovalId, Jwk, Reason

MAX_WRAPPED = 256 * 1024
MAX_BACKUP = 64 * 1024 * 1024
Wrapped = Annotated[str, Field(max_length=MAX_WRAPPED, description="compact JWE to the import key")]


class UsageView(JsonModel):
    """How often a version was used. ``outstanding``: about how many objects still hang on it; 0 is safe to retire."""

    protected: int
    processed: int
    rewrapped: int
    outstanding: int
    last_used_at: AwareDatetime | None


class VersionView(JsonModel):
    """One version; of an asymmetric key with its public half."""

    version: int
    kid: str
    status: str
    origin: str
    created_at: AwareDatetime
    activated_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    destroyed_at: AwareDatetime | None
    reason: str
    usage: UsageView
    public_jwk: Jwk | None
    public_pem: str | None


class VersionList(JsonModel):
    """Every version, the first one first."""

    items: tuple[VersionView, ...]


class RevokeBody(JsonModel):
    """Why."""

    reason: Reason = ""


class ImportKeyBody(JsonModel):
    """By what the import will be wrapped."""

    alg: Literal["RSA-OAEP-256", "ECDH-ES+A256KW", "ML-KEM-768+A192KW", "ML-KEM-1024+A256KW"] = "RSA-OAEP-256"


class ImportKeyView(JsonModel):
    """A key to wrap one import or one restore with, within the hour."""

    id: str
    public_jwk: Jwk
    expires_at: AwareDatetime


class ImportBody(JsonModel):
    """A JWK or PKCS#8 document, encrypted to an import key."""

    import_key: Annotated[str, Field(max_length=32)]
    wrapped: Wrapped


class ExportBody(JsonModel):
    """To whom a version is exported."""

    recipient: Jwk
    approval: ApprovalId = ""


class WrappedView(JsonModel):
    """A compact JWE."""

    jwe: str


class ApprovalBody(JsonModel):
    """What shall be approved. ``recipient`` is the RFC 7638 thumbprint of the key an export or backup goes to."""

    action: Literal["destroy", "export", "backup"]
    version: Annotated[int, Field(ge=0, le=10_000_000, description="0: the whole key")] = 0
    recipient: Annotated[str, Field(max_length=64)] = ""


class ApprovalView(JsonModel):
    """A request for the approval of several."""

    id: str
    key: str
    action: str
    version: int
    recipient: str
    state: str
    requested_by: str
    requested_at: AwareDatetime
    expires_at: AwareDatetime
    approved_by: tuple[str, ...]
    needed: int


class ApprovalList(JsonModel):
    """The newest requests."""

    items: tuple[ApprovalView, ...]


class BackupBody(JsonModel):
    """The recovery key that a backup is encrypted to."""

    recovery_key: Jwk
    approval: ApprovalId = ""


class RestoreBody(JsonModel):
    """A backup, decrypted by the recovery key and encrypted anew to an import key."""

    import_key: Annotated[str, Field(max_length=32)]
    wrapped: Annotated[str, Field(max_length=MAX_BACKUP)]


class RestoredView(JsonModel):
    """What came back."""

    keys: tuple[str, ...]
    versions: int
    kept: int


class RootView(JsonModel):
    """How many versions hang on the new root now."""

    versions: Annotated[int, Field(ge=0)]
