"""Issuing SSH certificates: by the same rules and in the same order as X.509 ones, short-lived and never revoked."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import names, store
from pycryptoutil.authority.model import AuthorityStatus
from pycryptoutil.authority.names import refused
from pycryptoutil.authority.profile import Profile, Ssh, format_duration
from pycryptoutil.authority.room import Room, load_profile
from pycryptoutil.authority.ssh import codec
from pycryptoutil.authority.ssh import store as ssh_store
from pycryptoutil.authority.ssh.codec import Body, CertificateType
from pycryptoutil.authority.ssh.store import SshRow
from pycryptoutil.authority.store import AuthorityRow, SignerRow
from pycryptoutil.crypto import policy
from pycryptoutil.crypto.keys import PrivateKey, generate, verify
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")
_MAX_COMMAND: Final = 1000
_ALGORITHM: Final = "Ed25519"
_SIGNATURE: Final = "ed25519"


@dataclass(frozen=True, slots=True)
class SshOrder:
    """What is asked for. ``public_key`` is a line of an ``id_….pub`` file; ``validity`` None: the profile's default."""

    profile: str
    public_key: str
    principals: tuple[str, ...]
    authority: str = ""
    key_id: str = ""
    validity: timedelta | None = None
    critical_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SshCertificate:
    """An issued certificate; ``certificate`` is the line of a ``-cert.pub`` file."""

    serial: str
    authority: str
    profile: str
    key_id: str
    principals: tuple[str, ...]
    valid_after: datetime
    valid_before: datetime
    requester: str
    created_at: datetime
    certificate: str


class SshService:
    """The SSH side of every CA: a key for hosts and another for users, made when first needed."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def authority_key(self, tenant_id: str, authority: str, kind: str) -> str:
        """Return the public key line that hosts (``ssh-user``) or clients (``ssh-host``) are to trust."""
        ca = self._find(tenant_id, authority)
        signer, _ = self._signer(tenant_id, ca, _purpose(kind))
        return codec.line(codec.ed25519_blob(signer.public_key), codec.ED25519, f"{ca.name} {kind}")

    def issue(self, tenant_id: str, order: SshOrder, actor: str, request_id: str = "") -> SshCertificate:
        """Issue; durable when this returns. Fault(POLICY, WEAK_KEY, BAD_ALGORITHM, MALFORMED, NOT_FOUND)."""
        room, now = self._room, self._room.clock.now().replace(microsecond=0)
        ca = self._find(tenant_id, order.authority)
        with room.database.read(tenant_id) as reader:
            profile = load_profile(reader, order.profile)
        if profile.ssh is None:
            raise refused(f"the profile {profile.name} is for X.509 certificates, not for SSH", "profile")
        public = codec.decode_public_key(order.public_key)
        _check_key(public.spki, profile)
        principals = _principals(order.principals, profile, profile.ssh)
        length = _validity(order.validity, profile)
        signer, key = self._signer(tenant_id, ca, _purpose(f"ssh-{profile.ssh.type}"))
        body = Body(
            key=public,
            nonce=secrets.token_bytes(32),
            serial=int.from_bytes(secrets.token_bytes(8), "big"),
            type=CertificateType.HOST if profile.ssh.type == "host" else CertificateType.USER,
            key_id=order.key_id or f"{profile.name}:{','.join(principals)[:100]}",
            principals=principals,
            valid_after=int((now - profile.validity.backdate).timestamp()),
            valid_before=int((now + length).timestamp()),
            critical_options=_options(order.critical_options, profile.ssh),
            extensions=profile.ssh.extensions,
            signature_key=codec.ed25519_blob(signer.public_key),
        )
        tbs = codec.to_be_signed(body)
        row = SshRow(
            tenant_id=tenant_id,
            authority_id=ca.id,
            serial=f"{body.serial:016x}",
            profile=profile.name,
            key_id=body.key_id,
            principals=principals,
            spki_sha256=hashlib.sha256(public.spki).hexdigest(),
            valid_after=now - profile.validity.backdate,
            valid_before=now + length,
            requester=actor,
            created_at=room.clock.now(),
            certificate="",
        )
        details = {"profile": profile.name, "tbs_sha256": hashlib.sha256(tbs).hexdigest()}
        with room.database.unit_of_work(tenant_id) as uow:
            if not store.authority_is_active(uow, ca.id):
                raise _disabled(ca)
            ssh_store.reserve(uow, row)
            event = AuditEvent("ssh.issue", actor, f"{ca.name}/{row.serial}", "success", details, request_id)
            audit.append(uow, event)
            signature = key.sign(_SIGNATURE, tbs)
            verify(signer.public_key, _SIGNATURE, tbs, signature)
            text = codec.certificate(body, tbs, signature)
            ssh_store.complete(uow, row, text)
        return _shown(row, ca.name, text)

    def listing(self, tenant_id: str, after: tuple[datetime, str] | None, limit: int) -> list[SshCertificate]:
        """Return SSH certificates, newest first."""
        with self._room.database.read(tenant_id) as reader:
            by_id = {row.id: row.name for row in store.all_authorities(reader)}
            rows = ssh_store.listing(reader, after, limit)
        return [_shown(row, by_id.get(row.authority_id, ""), row.certificate) for row in rows]

    def _find(self, tenant_id: str, authority: str) -> AuthorityRow:
        with self._room.database.read(tenant_id) as reader:
            ca = self._room.find(store.all_authorities(reader), authority)
        if ca.status is not AuthorityStatus.ACTIVE:
            raise _disabled(ca)
        return ca

    def _signer(self, tenant_id: str, ca: AuthorityRow, purpose: str) -> tuple[SignerRow, PrivateKey]:
        with self._room.database.read(tenant_id) as reader:
            found = store.signers_of(reader, ca.id, purpose)
        row = found[0] if found else self._make_signer(tenant_id, ca, purpose)
        return row, self._room.barrier.open_key(row.sealed_key, store.aad(store.SIGNER_KEYS, tenant_id, row.id))

    def _make_signer(self, tenant_id: str, ca: AuthorityRow, purpose: str) -> SignerRow:
        key, identifier, now = generate(_ALGORITHM), uuid.uuid4().hex, self._room.clock.now()
        row = SignerRow(
            id=identifier,
            tenant_id=tenant_id,
            authority_id=ca.id,
            purpose=purpose,
            certificate=b"",
            public_key=key.public_spki,
            sealed_key=self._room.barrier.seal_key(key, store.aad(store.SIGNER_KEYS, tenant_id, identifier)),
            key_algorithm=_ALGORITHM,
            signature_algorithm=_SIGNATURE,
            not_before=now,
            not_after=ca.not_after,
        )
        with self._room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"signer:{ca.id}:{purpose}")
            if found := store.signers_of(uow, ca.id, purpose):
                return found[0]
            store.insert_signer(uow, row, now)
            audit.append(uow, AuditEvent("ssh.key", "system", ca.name, details={"purpose": purpose}))
        return row


def _disabled(ca: AuthorityRow) -> Fault:
    return Fault(FaultKind.CONFLICT, f"CA {ca.name} is disabled", "the certificate authority is disabled")


def _purpose(kind: str) -> str:
    if kind not in {"ssh-host", "ssh-user"}:
        raise Fault(FaultKind.NOT_FOUND, f"no SSH key {kind[:40]!r}", "there is an ssh-host and an ssh-user key")
    return kind


def _check_key(spki: bytes, profile: Profile) -> None:
    info = policy.check_public_key(spki)
    if not profile.allows_key(info.algorithm):
        raise refused(f"the profile {profile.name} does not allow keys of {info.algorithm}", "public_key")
    if info.family == "RSA" and info.bits < profile.keys.rsa_minimum:
        text = f"the profile {profile.name} asks for RSA keys of {profile.keys.rsa_minimum} bits or more"
        raise Fault(FaultKind.WEAK_KEY, text, text, pointer="public_key")


def _principals(asked: tuple[str, ...], profile: Profile, rules: Ssh) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(asked))
    if (not found and rules.principals_required) or len(found) > rules.maximum_principals:
        # without principals a certificate would be good for every host, or every user
        raise refused(f"1 to {rules.maximum_principals} principals are needed", "principals")
    if rules.type == "host":
        sans = tuple(names.guess_name(text) for text in found)
        names.check_names(sans, profile.names)
        return tuple(san.value for san in sans)
    for text in found:
        if not _USER.fullmatch(text):
            raise refused(f"{text[:64]!r} is not a user's name", "principals")
    return found


def _validity(asked: timedelta | None, profile: Profile) -> timedelta:
    rules = profile.validity
    length = asked if asked is not None else rules.default
    if not rules.minimum <= length <= rules.maximum:
        limits = f"{format_duration(rules.minimum)} to {format_duration(rules.maximum)}"
        raise refused(f"the profile {profile.name} allows {limits}", "validity_seconds")
    return length


def _options(asked: Mapping[str, str], rules: Ssh) -> dict[str, str]:
    for name, value in asked.items():
        if name not in rules.critical_options:
            raise refused(f"the critical option {name[:60]!r} is not allowed", "critical_options")
        if not value or len(value) > _MAX_COMMAND or not value.isprintable():
            raise refused(f"the critical option {name} is empty, too long or not printable", "critical_options")
        if name == "source-address":
            _check_addresses(value)
    return dict(asked)


def _check_addresses(value: str) -> None:
    try:
        for part in value.split(","):
            ipaddress.ip_network(part, strict=True)
    except ValueError:
        raise refused("source-address is not a list of networks", "critical_options") from None


def _shown(row: SshRow, authority: str, certificate: str) -> SshCertificate:
    return SshCertificate(
        serial=row.serial,
        authority=authority,
        profile=row.profile,
        key_id=row.key_id,
        principals=tuple(row.principals),
        valid_after=row.valid_after,
        valid_before=row.valid_before,
        requester=row.requester,
        created_at=row.created_at,
        certificate=certificate,
    )
