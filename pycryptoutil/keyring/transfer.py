"""Keys that come in and go out, always wrapped: in to an ephemeral key of ours, out to the caller's."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import jose
from pycryptoutil.crypto import keys
from pycryptoutil.crypto.jose import encryption_algorithms
from pycryptoutil.jose.jwk import Jwk, JwkPrivate, JwkPublic, JwkSecret, Usage, from_der
from pycryptoutil.jose.text import dumps
from pycryptoutil.keyring import gate, material
from pycryptoutil.keyring.model import ImportKey, KeyVersion, Operation, Origin, VersionStatus
from pycryptoutil.keyring.quorum import Asked
from pycryptoutil.keyring.room import conflict, invalid
from pycryptoutil.keyring.store import approvals as store
from pycryptoutil.keyring.store.approvals import ImportRow
from pycryptoutil.keyring.store.tables import IMPORTS
from pycryptoutil.keyring.use import Uses
from pycryptoutil.storage import UnitOfWork

IMPORT_ALGS: Final = {
    "RSA-OAEP-256": "RSA-3072",
    "ECDH-ES+A256KW": "EC-P256",
    "ML-KEM-768+A192KW": "ML-KEM-768",
    "ML-KEM-1024+A256KW": "ML-KEM-1024",
}
"""By what a key may be wrapped that is imported, and the key of ours for it."""
_LIFETIME: Final = timedelta(hours=1)


class Transfer(Uses):
    """Import and export of versions."""

    def import_key(self, tenant_id: str, reference: str, alg: str, actor: str, request_id: str = "") -> ImportKey:
        """Make a key that wraps one import within the hour; without a reference, one restore.

        Fault(NOT_FOUND, CONFLICT, FORBIDDEN if the key takes no import, BAD_ALGORITHM).
        """
        kind = IMPORT_ALGS.get(alg)
        if kind is None:
            raise Fault(FaultKind.BAD_ALGORITHM, f"import by {alg[:40]!r}", f"alg is one of {', '.join(IMPORT_ALGS)}")
        made = keys.generate(kind)
        identifier, end = uuid.uuid4().hex, self._clock.now() + _LIFETIME
        sealed = self._barrier.seal_key(made, IMPORTS.aad(tenant_id, identifier))
        with self._database.unit_of_work(tenant_id) as uow:
            key_id = ""
            if reference:
                key = self._alive(uow, reference)
                self._importable(key.policy.import_allowed)
                key_id = key.id
            store.insert_import(uow, ImportRow(identifier, key_id, alg, end, sealed))
            self._record(uow, "import-key", actor, request_id, key_id or tenant_id, alg=alg)
        return ImportKey(identifier, JwkPrivate.of(made, Usage(alg, identifier, "enc")).public, end)

    @staticmethod
    def _importable(allowed: bool) -> None:
        if not allowed:
            raise Fault(FaultKind.FORBIDDEN, "the key takes no import", "the key's policy does not allow import")

    def _unwrapped(self, tenant_id: str, key_id: str, import_id: str, wrapped: str) -> bytes:
        """Return what was wrapped to an import key; Fault(NOT_FOUND, EXPIRED, BAD_SIGNATURE, MALFORMED)."""
        with self._database.read(tenant_id) as reader:
            row = store.import_key(reader, import_id[:32])
        if row is None or row.id != import_id or row.key_id != key_id:
            raise Fault(FaultKind.NOT_FOUND, f"no import key {import_id[:64]!r}", "there is no such import key")
        if row.expires_at <= self._clock.now():
            raise Fault(FaultKind.EXPIRED, f"import key {row.id} has expired", "the import key has expired")
        handle = self._barrier.open_key(row.sealed_key, IMPORTS.aad(tenant_id, row.id))
        return jose.decrypt(JwkPrivate.of(handle, Usage(row.alg, row.id, "enc")), wrapped).plaintext

    def _taken(self, uow: UnitOfWork, import_id: str) -> None:
        if not store.take_import(uow, import_id):
            raise conflict(f"import key {import_id} was used meanwhile", "the import key was used already")

    def import_version(
        self, tenant_id: str, reference: str, import_id: str, wrapped: str, actor: str, request_id: str = ""
    ) -> KeyVersion:
        """Take a key as the next version, active at once: a compact JWE of a JWK or a PKCS#8 document.

        The public half is derived, or must be the private one's. Fault(NOT_FOUND, CONFLICT, FORBIDDEN, EXPIRED,
        MALFORMED, INVALID for another kind of key, WEAK_KEY, BAD_ALGORITHM, BAD_SIGNATURE).
        """
        key = self.get(tenant_id, reference)
        self._importable(key.policy.import_allowed)
        jwk = material.fitting(self._spec(key), read_key(self._unwrapped(tenant_id, key.id, import_id, wrapped)))
        now = self._ready(tenant_id)
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, key.id)
            self._importable(key.policy.import_allowed)
            self._taken(uow, import_id)
            number = self._added(uow, key, jwk, VersionStatus.ACTIVE, Origin.IMPORTED, now)
            self._turned(uow, key, number, number, now)
            self._record(uow, "import", actor, request_id, key.id, version=number, kid=jwk.kid)
            return self._row(uow, key, number).version

    def export_version(
        self,
        tenant_id: str,
        reference: str,
        number: int,
        recipient: JwkPublic,
        actor: str,
        request_id: str = "",
        *,
        approval_id: str = "",
    ) -> str:
        """Return a version as a private or secret JWK in a compact JWE to the caller's key.

        Fault(NOT_FOUND, CONFLICT, FORBIDDEN by policy or for want of an approval, INVALID, BAD_ALGORITHM).
        """
        check_recipient(recipient)
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._locked(uow, reference)
            row = self._row(uow, key, number)
            gate.check(key, row.version, Operation.EXPORT)
            self._spend(uow, key, Asked("export", number, recipient.thumbprint()), approval_id)
            jwk = self._vault.open(uow, row, self._named(key)[1])
            to = recipient.thumbprint()
            self._record(uow, "export", actor, request_id, key.id, version=number, recipient=to)
        return jose.encrypt(recipient, dumps(jwk.export()), header={"cty": "jwk+json"})


def check_recipient(recipient: JwkPublic) -> None:
    """Raise Fault(INVALID) for a key that nothing can be encrypted to."""
    if not encryption_algorithms(recipient.algorithm) or recipient.usage.use == "sig":
        raise invalid("the recipient's key does not encrypt", "recipient")


def read_key(document: bytes) -> JwkPrivate | JwkSecret:
    """Read a private or secret JWK, or PKCS#8; Fault(MALFORMED, INVALID, WEAK_KEY, BAD_ALGORITHM)."""
    found: Jwk = jose.parse(document) if document[:1] == b"{" else from_der(document)
    if isinstance(found, JwkPublic):
        raise invalid("the wrapped key is public")
    return found
