"""Elastic keys, their versions, and what is asked of them: frozen values without behaviour that needs a database."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from pycryptoutil.jose.jwk import Jwk, JwkPublic
from pycryptoutil.keyring.catalog import Purpose

MAX_NAME: Final = 128
MAX_LABELS: Final = 64


class KeyStatus(enum.StrEnum):
    """Of an elastic key."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"  # softly: can be restored until its waiting period ends
    DESTROYED = "destroyed"  # its versions are gone; the row remains for the audit


class VersionStatus(enum.StrEnum):
    """Of a version. Exactly one is active."""

    PENDING = "pending"  # published, and not used yet
    ACTIVE = "active"  # protects and reads
    RETIRED = "retired"  # reads what it protected
    DISABLED = "disabled"  # neither, until it is enabled again
    REVOKED = "revoked"  # never protects again; reads only where the key's policy says so
    DESTROYED = "destroyed"


class Operation(enum.StrEnum):
    """What somebody wants to do with a version."""

    ENCRYPT = "encrypt"
    DECRYPT = "decrypt"
    SIGN = "sign"
    VERIFY = "verify"
    MAC = "mac"
    VERIFY_MAC = "verify-mac"
    WRAP = "wrap"
    UNWRAP = "unwrap"
    DERIVE = "derive"
    ENCAPSULATE = "encapsulate"
    DECAPSULATE = "decapsulate"
    EXPORT = "export"
    PUBLISH = "publish"


class Origin(enum.StrEnum):
    """Where a version's material came from."""

    GENERATED = "generated"
    IMPORTED = "imported"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """What an elastic key allows. Periods are in seconds; 0 is never, or no limit."""

    versioning_allowed: bool = True
    import_allowed: bool = False
    export_allowed: bool = False
    rotation_period: int = 0
    min_decrypt_version: int = 1
    min_encrypt_version: int = 1
    max_versions: int = 0
    read_revoked: bool = False  # revoked versions still verify and decrypt
    quorum: int = 0  # approvals that destroying and exporting need


@dataclass(frozen=True, slots=True)
class ElasticKey:
    """A named ring of one tenant."""

    id: str
    tenant_id: str
    name: str
    description: str
    algorithm: str
    purpose: Purpose
    status: KeyStatus
    policy: KeyPolicy
    labels: Mapping[str, str]
    latest_version: int
    active_version: int
    created_at: datetime
    updated_at: datetime
    rotated_at: datetime
    rotates_at: datetime | None
    delete_at: datetime | None
    change: int  # grows with every update: what an ETag is made of


@dataclass(frozen=True, slots=True)
class Usage:
    """How often a version was used. Counters only grow."""

    protected: int = 0  # encrypt, sign, mac, wrap …
    processed: int = 0  # decrypt, verify …
    rewrapped: int = 0  # objects of this version that were brought to a newer one
    last_used_at: datetime | None = None

    @property
    def outstanding(self) -> int:
        """About how many objects still hang on the version; 0 says that it is safe to retire."""
        return max(0, self.protected - self.rewrapped)


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of an elastic key, without its secret."""

    key_id: str
    version: int
    kid: str
    status: VersionStatus
    origin: Origin
    public: JwkPublic | None  # None for secrets
    created_at: datetime
    activated_at: datetime | None
    revoked_at: datetime | None
    destroyed_at: datetime | None
    reason: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class UsableKey:
    """What the gate let through: a version and its handle, for one operation now."""

    key: ElasticKey
    version: KeyVersion
    jwk: Jwk = field(repr=False)
    alg: str = ""


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """An elastic key to be made."""

    name: str
    algorithm: str
    purpose: Purpose
    description: str = ""
    policy: KeyPolicy = KeyPolicy()
    labels: Mapping[str, str] = field(default_factory=dict)
    generate: bool = True  # False: no version yet, the first one is imported


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which elastic keys a list shows; empty fields do not narrow. ``name`` is a part of the name."""

    name: str = ""
    algorithm: str = ""
    purpose: Purpose | None = None
    status: KeyStatus | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


Sort = Literal["name", "created_at", "updated_at", "rotated_at"]


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Part of a list; ``cursor`` gets the next part and is empty at the end. ``total`` counts the whole list."""

    items: tuple[ElasticKey, ...]
    cursor: str
    total: int


class ApprovalState(enum.StrEnum):
    """Of a request for a quorum."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Approval:
    """A request to do what one person may not do alone."""

    id: str
    key_id: str
    action: str  # destroy | export
    version: int  # 0: the whole key
    state: ApprovalState
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    approved_by: tuple[str, ...]
    needed: int
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImportKey:
    """A key of ours that wraps one import."""

    id: str
    public: JwkPublic
    expires_at: datetime
