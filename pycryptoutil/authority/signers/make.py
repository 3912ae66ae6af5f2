"""Making a CA's servants: which kinds there are, when they are renewed, and their certificates."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import decode_name
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority import internal, serials, store, subject
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.model import IssueOrder
from pycryptoutil.authority.profile import Profile
from pycryptoutil.authority.profile_file import built_in_profiles, internal_profiles
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.settings import AuthoritySettings
from pycryptoutil.authority.store import AuthorityRow, SignerRow
from pycryptoutil.crypto import policy
from pycryptoutil.crypto.keys import KeyHandle
from pycryptoutil.storage import Reader, UnitOfWork

OCSP: Final = "ocsp"
_EXPIRED_SIGNERS_KEPT: Final = timedelta(days=1)
_ORGANIZATION: Final = "2.5.4.10"


@dataclass(frozen=True, slots=True)
class Purpose:
    """One kind of servant. ``title`` stands behind the CA's name in its common name."""

    name: str
    profile: Callable[[], Profile]
    title: str
    algorithm: Callable[[AuthoritySettings, str], str]  # given the CA's own
    days: Callable[[AuthoritySettings], int]


def like(ca: str) -> str:
    """Return the algorithm for a short-lived servant of a CA: of the CA's kind, since its clients know that one."""
    if ca.startswith("RSA-"):
        return "RSA-2048"
    return "EC-P256" if ca.startswith("EC-") else ca


def _internal(name: str) -> Callable[[], Profile]:
    return lambda: internal_profiles()[name]


def _built_in(name: str) -> Callable[[], Profile]:
    return lambda: built_in_profiles()[name]


PURPOSES: Final = {
    one.name: one
    for one in (
        Purpose(
            OCSP,
            _built_in("ocsp-responder"),
            "OCSP responder",
            lambda settings, ca: settings.ocsp_signer_algorithm or like(ca),
            lambda settings: settings.ocsp_signer_days,
        ),
        Purpose(
            "scep",
            _internal("scep-ra"),
            "SCEP RA",
            lambda settings, _ca: settings.scep_signer_algorithm,
            lambda settings: settings.signer_days,
        ),
        Purpose(
            "cmp",
            _internal("cmp-responder"),
            "CMP responder",
            lambda settings, _ca: settings.signer_algorithm,
            lambda settings: settings.signer_days,
        ),
        Purpose(
            "cmc",
            _internal("cmc-responder"),
            "CMC responder",
            lambda settings, _ca: settings.signer_algorithm,
            lambda settings: settings.signer_days,
        ),
        Purpose(
            "timestamp",
            _built_in("timestamp"),
            "time-stamping",
            lambda settings, _ca: settings.timestamp_signer_algorithm,
            lambda settings: settings.timestamp_signer_days,
        ),
    )
}


def purpose_of(name: str) -> Purpose:
    """Return one kind; Fault(INTERNAL) for a name that no protocol here has."""
    found = PURPOSES.get(name)
    if found is None:
        raise Fault(FaultKind.INTERNAL, f"no signers for the purpose {name[:40]!r}")
    return found


def trusted(reader: Reader, authority_id: str, purpose: str) -> list[SignerRow]:
    """Return a CA's signers of a kind, the one that lives longest first, without those that were revoked.

    Some of their certificates say that nobody need check them (noCheck), so ours is the only look at it.
    """
    found = []
    for row in store.signers_of(reader, authority_id, purpose):
        serial = serials.to_hex(decode_certificate(row.certificate).serial)
        if all(one.revoked_at is None for one in certificates.by_serial(reader, serial, authority_id)):
            found.append(row)
    return found


def renew(room: Room, tenant_id: str, authority_id: str, kind: Purpose) -> None:
    """Give a CA a signer of this kind if it has none, or a third or less of the newest one's life is left."""
    with room.database.read(tenant_id) as reader:
        if _is_young(room, trusted(reader, authority_id, kind.name), kind):
            return
        row = store.authority_by_id(reader, authority_id)
    if row is None or row.not_after <= room.clock.now():
        return
    expired: list[SignerRow] = []
    with room.vault.new_keys() as made:
        key = made.generate(kind.name, kind.algorithm(room.settings, row.key_algorithm), row.name)
        with room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"signer:{authority_id}:{kind.name}")
            row = store.authority_by_id(uow, authority_id)
            if row is None or row.not_after <= room.clock.now():
                return
            if _is_young(room, trusted(uow, authority_id, kind.name), kind):
                return
            add(room, uow, row, key, kind)
            expired = store.delete_expired_signers(uow, room.clock.now() - _EXPIRED_SIGNERS_KEPT)
        made.keep()
    for old in expired:
        room.vault.destroy(old.sealed_key, store.aad(store.SIGNER_KEYS, tenant_id, old.id))


def _is_young(room: Room, signers: list[SignerRow], kind: Purpose) -> bool:
    if not signers:
        return False
    newest = signers[0]
    left = newest.not_after - room.clock.now()
    # one that ends with its CA cannot be made younger
    return left * 3 > timedelta(days=kind.days(room.settings)) or left * 3 > newest.not_after - newest.not_before


def add(room: Room, uow: UnitOfWork, ca: AuthorityRow, key: KeyHandle, kind: Purpose) -> None:
    """Certify ``key`` for this purpose in the caller's unit, and keep it."""
    profile = kind.profile()
    organization = decode_name(decode_certificate(ca.certificate).subject).find(_ORGANIZATION)
    rdns = [(subject.attribute("O", value),) for value in organization[:1]]
    rdns.append((subject.attribute("CN", f"{ca.name[:48]} {kind.title}"),))
    identifier = uuid.uuid4().hex
    i = Issuance(
        room=room,
        order=IssueOrder(profile=profile.name, protocol="internal"),
        actor=internal.SYSTEM,
        request_id="",
        now=room.clock.now(),
        rows=[],
        ca=ca,
        profile=profile,
        key=room.keys.of(ca),
        spki=key.public_spki,
        key_algorithm=key.algorithm,
        subject=subject.compose(decode_name(subject.encode(rdns)), profile, (), None),
    )
    internal.certify(i, uow, kind.days(room.settings) * 86400)
    row = SignerRow(
        id=identifier,
        tenant_id=uow.tenant_id,
        authority_id=ca.id,
        purpose=kind.name,
        certificate=i.der,
        public_key=key.public_spki,
        sealed_key=room.vault.seal(key, store.aad(store.SIGNER_KEYS, uow.tenant_id, identifier)),
        key_algorithm=key.algorithm,
        signature_algorithm=policy.default_signature(key.algorithm),
        not_before=i.not_before,
        not_after=i.not_after,
    )
    store.insert_signer(uow, row, room.clock.now())
