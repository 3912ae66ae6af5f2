"""What every part of the CA works with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import store
from pycryptoutil.authority.keys import CaKeys
from pycryptoutil.authority.model import Authority, AuthorityKind, AuthorityStatus, DistributionUrls
from pycryptoutil.authority.profile import Profile
from pycryptoutil.authority.profile_file import built_in_profiles, parse_stored
from pycryptoutil.authority.settings import AuthoritySettings
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.authority.vault import KeyVault
from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import Clock
from pycryptoutil.storage import Database, Reader

_STANDING: Final = frozenset({AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED})
_REPLACED: Final = frozenset({AuthorityStatus.SUPERSEDED, AuthorityStatus.RETIRED})


@dataclass(frozen=True, slots=True)
class Room:
    """Shared by every thread of a process."""

    database: Database
    barrier: Barrier
    clock: Clock
    urls: DistributionUrls
    settings: AuthoritySettings
    instance: int
    keys: CaKeys = field(repr=False)

    @property
    def vault(self) -> KeyVault:
        """Where private keys are made and opened."""
        return self.keys.vault

    def find(self, rows: list[AuthorityRow], name: str) -> AuthorityRow:
        """Return the CA of this name, or for an empty one the default; Fault(NOT_FOUND).

        The default is the issuing CA of the configuration, or else the tenant's first.
        """
        by_name = {row.name: row for row in rows}
        if name:
            found = by_name.get(name)
        else:
            usable = [row for row in rows if row.status is AuthorityStatus.ACTIVE and not row.offline]
            issuing = [row for row in usable if row.kind is AuthorityKind.ISSUING]
            found = by_name.get(self.settings.issuing_name) or next(iter([*issuing, *usable, *rows]), None)
        if found is None:
            text = (
                f"there is no certificate authority {name[:64]!r}" if name else "there is no certificate authority yet"
            )
            raise Fault(FaultKind.NOT_FOUND, text, text)
        return found

    def crl_url(self, row: AuthorityRow, serial: bytes) -> str:
        """The CRL distribution point of a certificate: of the shard that its serial's last octet chooses."""
        count = self.settings.crl_shards
        if not count or row.kind is AuthorityKind.ROOT:
            return self.urls.crl(row.public_id)
        return self.urls.shard(row.public_id, count, serial[-1] % count)

    def delta_url(self, row: AuthorityRow) -> str:
        """Where the delta to a CA's CRL is; empty if it has none: a root has few revocations."""
        wanted = self.settings.crl_delta_minutes and row.kind is not AuthorityKind.ROOT
        return self.urls.delta(row.public_id) if wanted else ""

    def authority(self, row: AuthorityRow, rows: list[AuthorityRow]) -> Authority:
        """Return what others see of a CA; ``rows`` are its tenant's, for the chain."""
        return Authority(
            id=row.id,
            tenant_id=row.tenant_id,
            name=row.name,
            public_id=row.public_id,
            kind=row.kind,
            parent_id=row.parent_id,
            status=row.status,
            subject=row.subject,
            certificate=row.certificate,
            chain=chain(row, rows),
            key_algorithm=row.key_algorithm,
            signature_algorithm=row.signature_algorithm,
            not_before=row.not_before,
            not_after=row.not_after,
            created_at=row.created_at,
            ocsp_url=self.urls.ocsp(row.public_id),
            crl_url=self.urls.crl(row.public_id),
            issuer_url=self.urls.issuer(row.public_id),
            line=row.first,
            generation=row.generation,
            offline=row.offline,
        )


def above(row: AuthorityRow, rows: list[AuthorityRow]) -> tuple[AuthorityRow, ...]:
    """Return this CA and every one above it, up to the root."""
    by_id = {one.id: one for one in rows}
    found = [row]
    while found[-1].parent_id in by_id and len(found) <= len(rows):
        found.append(by_id[found[-1].parent_id])
    return tuple(found)


def chain(row: AuthorityRow, rows: list[AuthorityRow]) -> tuple[bytes, ...]:
    """Return the certificates from this CA's own up to the root's."""
    return tuple(one.certificate for one in above(row, rows))


def current(row: AuthorityRow, rows: Iterable[AuthorityRow]) -> AuthorityRow:
    """Return the generation of a CA that stands for it now; the CA itself unless another has taken its place."""
    if row.status not in _REPLACED:
        return row
    line = [one for one in rows if one.first == row.first and one.status in _STANDING]
    return max(line, key=lambda one: one.generation, default=row)


def names(rows: list[AuthorityRow]) -> dict[str, str]:
    """Return CA id → the name under which its certificates go: of the generation that stands for it now."""
    return {row.id: current(row, rows).name for row in rows}


def generations(row: AuthorityRow, rows: Iterable[AuthorityRow]) -> frozenset[str]:
    """Return the ids of a CA and of its earlier generations: whoever names it means the certificates of all."""
    return frozenset(one.id for one in rows if one.first == row.first and one.generation <= row.generation)


def load_profile(reader: Reader, name: str) -> Profile:
    """Return the tenant's profile of this name, or the built-in one; Fault(NOT_FOUND)."""
    document = store.profile_document(reader, name)
    if document is not None:
        return parse_stored(name, document)
    built_in = built_in_profiles().get(name)
    if built_in is None:
        text = f"there is no profile {name[:64]!r}"
        raise Fault(FaultKind.NOT_FOUND, text, text)
    return built_in
