"""The CA's tables (branch ``authority``), and the statements on authorities, signers and profiles.

Certificates and credentials have stores of their own. Every statement is filtered by tenant; row-level security is the
second lock on PostgreSQL.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    or_,
    select,
    text,
    update,
)

from pycryptoutil.authority.model import AuthorityKind, AuthorityStatus
from pycryptoutil.barrier import SealedColumn
from pycryptoutil.storage import Instant, Json, Prepared, Reader, UnitOfWork
from pycryptoutil.storage.schema import tenants

metadata = MetaData()
_SERIAL: Final = 40  # 20 octets in hex (RFC 5280 section 4.1.2.2)

authorities = Table(
    "authorities",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("name", String(64), nullable=False),
    Column("public_id", String(128), nullable=False),  # in URLs, unique over all tenants
    Column("kind", String(16), nullable=False),
    Column("parent_id", String(32), nullable=False, server_default=""),
    Column("status", String(16), nullable=False),
    Column("subject", Text, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),  # empty: the key is kept elsewhere
    Column("key_algorithm", String(16), nullable=False),
    Column("signature_algorithm", String(24), nullable=False),
    Column("spki_sha256", String(64), nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("not_after", Instant, nullable=False),
    Column("crl_number", BigInteger, nullable=False, server_default="0"),  # the last one given out
    Column("created_at", Instant, nullable=False),
    Column("line", String(32), nullable=False, server_default=""),  # id of the first generation; empty: its own
    Column("generation", Integer, nullable=False, server_default="1"),
    PrimaryKeyConstraint("id", name="authorities_pk"),
    UniqueConstraint("tenant_id", "name", name="authorities_name_unique"),
    UniqueConstraint("public_id", name="authorities_public_id_unique"),
)

signers = Table(
    "authority_signers",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("authority_id", String(32), nullable=False),
    Column("purpose", String(16), nullable=False),  # ocsp | scep | cmp | cmc | timestamp | ssh-host | ssh-user
    Column("certificate", LargeBinary, nullable=False),  # empty for ssh, which has none
    Column("public_key", LargeBinary, nullable=False),  # SPKI
    Column("sealed_key", LargeBinary, nullable=False),
    Column("key_algorithm", String(16), nullable=False),
    Column("signature_algorithm", String(24), nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("not_after", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("id", name="authority_signers_pk"),
    Index("authority_signers_by_authority", "tenant_id", "authority_id", "purpose"),
)

profiles = Table(
    "certificate_profiles",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("document", Text, nullable=False),  # YAML as given
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String(300), nullable=False),
    PrimaryKeyConstraint("tenant_id", "name", name="certificate_profiles_pk"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("authority_id", String(32), nullable=False),
    Column("serial", String(_SERIAL), nullable=False),
    Column("state", String(16), nullable=False),  # reserved | issued | failed
    Column("subject", Text, nullable=False),
    Column("names", Text, nullable=False),  # SANs as type:value, one a line, in the certificate's order
    Column("search", Text, nullable=False),  # subject and names in lower case
    Column("spki_sha256", String(64), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("not_after", Instant, nullable=False),
    Column("tbs_sha256", String(64), nullable=False),
    Column("requester", String(300), nullable=False),
    Column("credential_id", String(32), nullable=False, server_default=""),
    Column("protocol", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("reason", Integer),
    Column("invalidity_date", Instant),
    Column("der", LargeBinary),
    # serials are random over the whole installation, but an imported CA brings its own
    PrimaryKeyConstraint("authority_id", "serial", name="certificates_pk"),
    Index("certificates_by_serial", "tenant_id", "serial", "created_at"),
    Index("certificates_by_creation", "tenant_id", "created_at", "serial"),
    Index("certificates_by_key", "tenant_id", "spki_sha256", "created_at", "serial"),
    Index("certificates_by_requester", "tenant_id", "requester", "created_at", "serial"),
    Index("certificates_by_profile", "tenant_id", "profile", "created_at", "serial"),
    Index("certificates_by_protocol", "tenant_id", "protocol", "created_at", "serial"),
    Index("certificates_by_authority", "tenant_id", "authority_id", "created_at", "serial"),
    Index(
        "certificates_revoked_by_creation",
        "tenant_id",
        "created_at",
        "serial",
        sqlite_where=text("revoked_at IS NOT NULL"),
        postgresql_where=text("revoked_at IS NOT NULL"),
    ),
    Index(
        "certificates_by_expiry",
        "tenant_id",
        "not_after",
        "serial",
        "revoked_at",
        "state",  # or SQLite looks it up in the row
        sqlite_where=text("state = 'issued'"),
        postgresql_where=text("state = 'issued'"),
    ),
    Index(
        "certificates_by_revocation",
        "tenant_id",
        "revoked_at",
        "reason",
        sqlite_where=text("revoked_at IS NOT NULL"),
        postgresql_where=text("revoked_at IS NOT NULL"),
    ),
    Index(
        "certificates_revoked",
        "authority_id",
        "not_after",
        sqlite_where=text("revoked_at IS NOT NULL"),
        postgresql_where=text("revoked_at IS NOT NULL"),
    ),
    Index(
        "certificates_unfinished",
        "tenant_id",
        "created_at",
        sqlite_where=text("state = 'reserved'"),
        postgresql_where=text("state = 'reserved'"),
    ),
)

certificate_names = Table(  # what exact names and domains are looked up in, newest certificate first
    "certificate_names",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("term", String(256), nullable=False),  # =name, or .domain for each domain above a DNS name
    Column("created_at", Instant, nullable=False),
    Column("serial", String(_SERIAL), nullable=False),
    Column("authority_id", String(32), nullable=False),
    PrimaryKeyConstraint("tenant_id", "term", "created_at", "serial", "authority_id", name="certificate_names_pk"),
    sqlite_with_rowid=False,
)

revocation_events = Table(
    "revocation_events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), nullable=False, autoincrement=True),
    Column("tenant_id", String(64), nullable=False),
    Column("authority_id", String(32), nullable=False),
    Column("serial", String(_SERIAL), nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("seq", name="revocation_events_pk"),
    Index("revocation_events_by_authority", "authority_id", "seq"),
    sqlite_autoincrement=True,
)

crls = Table(
    "crls",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("authority_id", String(32), nullable=False),
    Column("scope", String(32), nullable=False),  # full
    Column("number", BigInteger, nullable=False),
    Column("this_update", Instant, nullable=False),
    Column("next_update", Instant, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("revocation_seq", BigInteger, nullable=False),  # the last revocation event that it holds
    Column("sha256", String(64), nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("authority_id", "scope", "number", name="crls_pk"),
)

credentials = Table(
    "enrollment_credentials",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("username", String(64), nullable=False),
    Column("lookup", String(128), nullable=False),  # keyed hash of the secret
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("profile", String(64), nullable=False),
    Column("authority_id", String(32), nullable=False),
    Column("names", Json, nullable=False),
    Column("protocols", Json, nullable=False),
    Column("max_uses", Integer),
    Column("uses", Integer, nullable=False, server_default="0"),
    Column("expires_at", Instant),
    Column("status", String(16), nullable=False),  # active | disabled
    Column("description", String(300), nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(300), nullable=False),
    PrimaryKeyConstraint("id", name="enrollment_credentials_pk"),
    UniqueConstraint("username", name="enrollment_credentials_username_unique"),
    UniqueConstraint("lookup", name="enrollment_credentials_lookup_unique"),
    Index("enrollment_credentials_by_creation", "tenant_id", "created_at", "id"),
)

repeats = Table(
    "issuance_repeats",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("digest", String(64), nullable=False),  # over requester, request and idempotency key
    Column("authority_id", String(32), nullable=False),
    Column("serial", String(_SERIAL), nullable=False),
    Column("expires_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "digest", name="issuance_repeats_pk"),
    Index("issuance_repeats_by_expiry", "tenant_id", "expires_at"),
)

precertificates: Final = Table(
    "precertificates",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("authority_id", String(32), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("authority_id", "serial", name="precertificates_pk"),
)

AUTHORITY_KEYS: Final = SealedColumn("authorities", ("id",), "sealed_key", "authority-key")
SIGNER_KEYS: Final = SealedColumn("authority_signers", ("id",), "sealed_key", "authority-signer-key")
CREDENTIAL_SECRETS: Final = SealedColumn(
    "enrollment_credentials", ("id",), "sealed_secret", "enrollment-credential-secret"
)
ENROLMENT_KEYS: Final = SealedColumn("enrolments", ("id",), "sealed_key", "enrolment-key")
TRANSACTION_SECRETS: Final = SealedColumn(
    "protocol_transactions", ("protocol", "id"), "sealed_secret", "protocol-transaction-secret"
)
REQUEST_KEYS: Final = SealedColumn("authority_requests", ("id",), "sealed_key", "authority-request-key")
WEBHOOK_SECRETS: Final = SealedColumn("event_subscriptions", ("id",), "sealed_secret", "webhook-secret")
SEALED_COLUMNS: Final = (
    AUTHORITY_KEYS,
    SIGNER_KEYS,
    CREDENTIAL_SECRETS,
    ENROLMENT_KEYS,
    TRANSACTION_SECRETS,
    REQUEST_KEYS,
    WEBHOOK_SECRETS,
)


def aad(column: SealedColumn, tenant_id: str, row_id: str) -> bytes:
    """Return what binds a sealed value to its row; the barrier's rewrap job makes the same."""
    return column.aad(tenant_id, row_id)


@dataclass(frozen=True, slots=True)
class AuthorityRow:
    """A row of ``authorities``."""

    id: str
    tenant_id: str
    name: str
    public_id: str
    kind: AuthorityKind
    parent_id: str
    status: AuthorityStatus
    subject: str
    certificate: bytes = field(repr=False)
    sealed_key: bytes = field(repr=False)
    key_algorithm: str
    signature_algorithm: str
    spki_sha256: str
    not_before: datetime
    not_after: datetime
    created_at: datetime
    line: str = ""
    generation: int = 1

    @property
    def offline(self) -> bool:
        """Tell whether its key is not here: it issues nothing, and its CRLs are brought in."""
        return not self.sealed_key

    @property
    def first(self) -> str:
        """Return the id of the CA's first generation, which all generations share."""
        return self.line or self.id


@dataclass(frozen=True, slots=True)
class SignerRow:
    """A row of ``authority_signers``."""

    id: str
    tenant_id: str
    authority_id: str
    purpose: str
    certificate: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    sealed_key: bytes = field(repr=False)
    key_algorithm: str
    signature_algorithm: str
    not_before: datetime
    not_after: datetime


_AUTHORITY_COLUMNS: Final = tuple(authorities.c[name] for name in AuthorityRow.__slots__)
_SIGNER_COLUMNS: Final = tuple(signers.c[name] for name in SignerRow.__slots__)


@functools.lru_cache(maxsize=256)  # every request reads its tenant's few CAs, and mostly finds them as they were
def _authority(row: Any) -> AuthorityRow:
    values = row._asdict()
    values["kind"] = AuthorityKind(values["kind"])
    values["status"] = AuthorityStatus(values["status"])
    return AuthorityRow(**values)


# what every issuance asks
_TENANT: Final[BindParameter[str]] = bindparam("tenant_id")
_ALL_AUTHORITIES: Final = Prepared(
    select(*_AUTHORITY_COLUMNS)
    .where(authorities.c.tenant_id == _TENANT)
    .order_by(authorities.c.created_at, authorities.c.parent_id, authorities.c.id)
)
_STATUS: Final = Prepared(
    select(authorities.c.status).where(
        authorities.c.tenant_id == _TENANT, authorities.c.id == bindparam("authority_id")
    )
)
_PROFILE: Final = Prepared(
    select(profiles.c.document).where(profiles.c.tenant_id == _TENANT, profiles.c.name == bindparam("name"))
)
_PROFILES: Final = Prepared(
    select(profiles.c.name, profiles.c.document).where(profiles.c.tenant_id == _TENANT).order_by(profiles.c.name)
)


def all_authorities(reader: Reader) -> list[AuthorityRow]:
    """Every CA of the tenant, roots and older ones first."""
    return [_authority(row) for row in reader.execute(_ALL_AUTHORITIES, {"tenant_id": reader.tenant_id})]


def authority_by_name(reader: Reader, name: str) -> AuthorityRow | None:
    """Return the tenant's CA of this name."""
    row = reader.execute(
        select(*_AUTHORITY_COLUMNS).where(authorities.c.tenant_id == reader.tenant_id, authorities.c.name == name)
    ).one_or_none()
    return _authority(row) if row is not None else None


def authority_by_id(reader: Reader, authority_id: str) -> AuthorityRow | None:
    """Return the tenant's CA of this id."""
    row = reader.execute(
        select(*_AUTHORITY_COLUMNS).where(authorities.c.tenant_id == reader.tenant_id, authorities.c.id == authority_id)
    ).one_or_none()
    return _authority(row) if row is not None else None


def tenant_of_public_id(reader: Reader, public_id: str) -> tuple[str, str] | None:
    """Return (tenant, CA id) for a name in a public URL; the reader must be the system tenant's."""
    row = reader.execute(
        select(authorities.c.tenant_id, authorities.c.id).where(authorities.c.public_id == public_id)
    ).one_or_none()
    return (row.tenant_id, row.id) if row is not None else None


def authorities_by_subject(reader: Reader, subject: str) -> list[AuthorityRow]:
    """Return the CAs of this RFC 4514 subject; the system tenant finds those of every tenant."""
    found = reader.execute(select(*_AUTHORITY_COLUMNS).where(authorities.c.subject == subject))
    return [_authority(row) for row in found]


def tenants_with_authorities(reader: Reader) -> list[str]:
    """Return every tenant that has a CA; the reader must be the system tenant's."""
    return list(reader.execute(select(authorities.c.tenant_id).distinct().order_by(authorities.c.tenant_id)).scalars())


def find_tenant(reader: Reader, name: str) -> str | None:
    """Return the active tenant of this name or id; the reader must be the system tenant's."""
    found: str | None = (
        reader.execute(
            select(tenants.c.tenant_id)
            .where(or_(tenants.c.name == name, tenants.c.tenant_id == name), tenants.c.status == "active")
            .limit(1)
        )
        .scalars()
        .first()
    )
    return found


def insert_authority(uow: UnitOfWork, row: AuthorityRow) -> None:
    """Fault(CONFLICT) if the name is taken."""
    values = {name: getattr(row, name) for name in AuthorityRow.__slots__}
    uow.execute(authorities.insert().values(**values | {"kind": row.kind.value, "status": row.status.value}))


def set_authority_status(uow: UnitOfWork, authority_id: str, status: AuthorityStatus) -> None:
    """Enable or disable."""
    uow.execute(
        update(authorities)
        .where(authorities.c.tenant_id == uow.tenant_id, authorities.c.id == authority_id)
        .values(status=status.value)
    )


def authority_is_active(reader: Reader, authority_id: str) -> bool:
    """Ask again inside the unit of work that signs."""
    found = reader.execute(_STATUS, {"tenant_id": reader.tenant_id, "authority_id": authority_id})
    return bool(found.scalar_one_or_none() == AuthorityStatus.ACTIVE.value)


def insert_signer(uow: UnitOfWork, row: SignerRow, created_at: datetime) -> None:
    """Add a signer; older ones stay until they have expired."""
    values = {name: getattr(row, name) for name in SignerRow.__slots__}
    uow.execute(signers.insert().values(**values, created_at=created_at))


def signers_of(reader: Reader, authority_id: str, purpose: str) -> list[SignerRow]:
    """Return the CA's signers for a purpose, the one that lives longest first."""
    found = reader.execute(
        select(*_SIGNER_COLUMNS)
        .where(
            signers.c.tenant_id == reader.tenant_id,
            signers.c.authority_id == authority_id,
            signers.c.purpose == purpose,
        )
        .order_by(signers.c.not_after.desc(), signers.c.id)
    )
    return [SignerRow(**row._asdict()) for row in found]


def signer_purposes(reader: Reader) -> frozenset[tuple[str, str]]:
    """Return (CA id, purpose) of every signer that the tenant has."""
    found = reader.execute(
        select(signers.c.authority_id, signers.c.purpose).where(signers.c.tenant_id == reader.tenant_id).distinct()
    )
    return frozenset((row.authority_id, row.purpose) for row in found)


def delete_expired_signers(uow: UnitOfWork, before: datetime) -> list[SignerRow]:
    """Destroy keys that nothing can be signed with any more; return what their rows were."""
    ended = (signers.c.tenant_id == uow.tenant_id, signers.c.not_after < before)
    found = uow.execute(signers.delete().where(*ended).returning(*_SIGNER_COLUMNS))
    return [SignerRow(**row._asdict()) for row in found]


def profile_documents(reader: Reader) -> dict[str, str]:
    """Return the tenant's own profiles: name → YAML."""
    return {row.name: row.document for row in reader.execute(_PROFILES, {"tenant_id": reader.tenant_id})}


def profile_document(reader: Reader, name: str) -> str | None:
    """Return one of the tenant's own profiles."""
    found: str | None = reader.execute(_PROFILE, {"tenant_id": reader.tenant_id, "name": name}).scalar_one_or_none()
    return found


def put_profile(uow: UnitOfWork, name: str, document: str, actor: str, now: datetime) -> None:
    """Create or replace."""
    statement = uow.insert(profiles).values(
        tenant_id=uow.tenant_id, name=name, document=document, created_at=now, updated_at=now, updated_by=actor
    )
    uow.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "name"],
            set_={"document": document, "updated_at": now, "updated_by": actor},
        )
    )


def delete_profile(uow: UnitOfWork, name: str) -> bool:
    """Return whether there was one."""
    found = uow.execute(profiles.delete().where(profiles.c.tenant_id == uow.tenant_id, profiles.c.name == name))
    return bool(found.rowcount)


def profile_in_use(reader: Reader, name: str, actives: Sequence[str] = ("active",)) -> bool:
    """Tell whether an enrolment credential is bound to it."""
    found = reader.execute(
        select(credentials.c.id)
        .where(
            credentials.c.tenant_id == reader.tenant_id,
            credentials.c.profile == name,
            credentials.c.status.in_(actives),
        )
        .limit(1)
    )
    return found.first() is not None
