"""The CAs' private keys as handles: opened through the vault once, dropped when the barrier is sealed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.authority import store
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.authority.vault import KeyVault
from pycryptoutil.barrier import Barrier
from pycryptoutil.crypto.keys import KeyHandle, PublicKey
from pycryptoutil.crypto.signer import CertificateSigner, KeySigner

_MAX_HELD: Final = 1000


@dataclass(frozen=True, slots=True)
class CaKey:
    """A CA ready to sign."""

    authority_id: str
    certificate: Certificate = field(repr=False)
    signer: CertificateSigner = field(repr=False)
    public: PublicKey = field(repr=False)
    signature_algorithm: str
    message_signer: KeySigner = field(repr=False)  # for the few messages that the CA itself must sign


def sealed() -> Fault:
    """Return the fault of a barrier that is closed."""
    return Fault(FaultKind.SEALED, "the barrier is sealed", "the service is sealed", retry_after=30)


def offline(row: AuthorityRow) -> Fault:
    """Return the fault of a CA whose key is not here."""
    text = f"the key of {row.name} is kept offline"
    return Fault(FaultKind.CONFLICT, text, text)


class CaKeys:
    """Handles by CA id; shared by all threads."""

    def __init__(self, barrier: Barrier, vault: KeyVault | None = None) -> None:
        """Without ``vault`` every key is sealed by the barrier."""
        self._barrier = barrier
        self.vault = vault or KeyVault(barrier)
        self._lock = threading.Lock()
        self._held: dict[str, CaKey] = {}

    def of(self, row: AuthorityRow) -> CaKey:
        """Return the CA's key; Fault(SEALED), CONFLICT where it is kept elsewhere."""
        if self._barrier.sealed:
            self.forget()
            raise sealed()
        held = self._held.get(row.id)
        if held is not None and held.certificate.der == row.certificate:
            return held
        made = make(row.id, self.open(row), row.signature_algorithm, row.certificate)
        with self._lock:
            if len(self._held) >= _MAX_HELD:
                self._held.clear()
            self._held[row.id] = made
        return made

    def open(self, row: AuthorityRow) -> KeyHandle:
        """Return a handle to the CA's key that nobody else keeps; Fault(SEALED), CONFLICT where it is elsewhere."""
        if row.offline:
            raise offline(row)
        return self.vault.open(row.sealed_key, store.aad(store.AUTHORITY_KEYS, row.tenant_id, row.id))

    def forget(self) -> None:
        """Drop every handle."""
        with self._lock:
            self._held.clear()


def make(authority_id: str, key: KeyHandle, signature_algorithm: str, certificate: bytes) -> CaKey:
    """Bind a key to its CA certificate; Fault(INTERNAL) if they do not belong together."""
    facts = decode_certificate(certificate)
    if facts.spki != key.public_spki:
        raise Fault(FaultKind.INTERNAL, f"the key of CA {authority_id} is not that of its certificate")
    signer = KeySigner(key, signature_algorithm)
    public = PublicKey.from_spki(facts.spki)
    return CaKey(authority_id, facts, CertificateSigner(signer, facts.subject), public, signature_algorithm, signer)
