"""Rows as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A row of ``acme_accounts``."""

    tenant_id: str
    id: str
    scope: str
    thumbprint: str
    jwk: str
    status: str
    contact: list[str] = field(repr=False)
    terms: str
    credential_id: str
    external_binding: Mapping[str, Any] | None = field(repr=False)
    url: str  # as it was first told to the client, and as CAA records name it
    peer: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A row of ``acme_orders``."""

    tenant_id: str
    id: str
    account_id: str
    status: str
    identifiers: list[list[str]]
    not_before: datetime | None
    not_after: datetime | None
    expires_at: datetime
    error: Mapping[str, Any] | None
    csr: bytes | None = field(repr=False)
    enrolment_id: str
    authority: str
    profile: str
    serial: str
    replaces: str
    auto_renewal: Mapping[str, Any] | None
    renew_at: datetime | None
    renewals: int
    created_at: datetime
    changed_at: datetime
    caa_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationRow:
    """A row of ``acme_authorizations``; a wildcard's value is without its ``*.``."""

    tenant_id: str
    id: str
    account_id: str
    type: str
    value: str
    wildcard: bool
    status: str
    expires_at: datetime
    validated_at: datetime | None
    method: str
    attested_spki: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ChallengeRow:
    """A row of ``acme_challenges``."""

    tenant_id: str
    id: str
    authorization_id: str
    type: str
    token: str
    status: str
    validated_at: datetime | None
    error: Mapping[str, Any] | None
    attempts: int
    due_at: datetime | None
    claimed_until: datetime | None
