"""Who a client is: how it protects its messages, and how it recognises the answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from pycryptoutil_protocols import x509
from pycryptoutil_protocols.cmp import protection
from pycryptoutil_protocols.cmp.failures import CmpFault
from pycryptoutil_protocols.cmp.mac import KemMacParameters, MacParameters, Pbmac1Parameters, PbmParameters
from pycryptoutil_protocols.cmp.messages import NULL_NAME, PKIFailureInfo, PKIMessage, directory_name
from pycryptoutil_protocols.cmp.protection import MacProtector, Mechanism, Protector, SignatureProtector
from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.ports import Signer

from .trust import Trust


class Identity(Protocol):
    """What an exchange needs to know of its own side, and of who may answer."""

    @property
    def sender(self) -> GeneralName:
        """For the header."""

    @property
    def sender_kid(self) -> bytes | None:
        """For the header."""

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """For extraCerts: one's own first."""

    def protector(self, transaction_id: bytes) -> Protector | None:
        """What protects the next message; None for messages that go unprotected."""

    def verify(self, message: PKIMessage, now: datetime) -> None:
        """Check the protection of an answer."""


def _verify_by_trust(trust: Trust | None, message: PKIMessage, now: datetime) -> None:
    if trust is None:
        raise CmpFault(PKIFailureInfo.WRONG_INTEGRITY, "signed answer without trust anchors", "a MAC is expected")
    trust.verify(message, now)


@dataclass(frozen=True, slots=True)
class PasswordIdentity:
    """A reference and a shared secret. Signed answers are believed too where there is ``trust``."""

    reference: bytes
    secret: bytes = field(repr=False)
    sender: GeneralName = NULL_NAME
    pbmac1: bool = False
    iterations: int = 0  # 0: the mechanism's default
    trust: Trust | None = None

    @property
    def sender_kid(self) -> bytes | None:
        """The reference."""
        return self.reference

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """None."""
        return ()

    def protector(self, transaction_id: bytes) -> Protector:  # noqa: ARG002 - the same in every transaction
        """A MAC with a new salt."""
        parameters: MacParameters
        if self.pbmac1:
            parameters = Pbmac1Parameters.fresh(self.iterations or 10_000)
        else:
            parameters = PbmParameters.fresh(self.iterations or 500)
        return MacProtector(self.secret, parameters)

    def verify(self, message: PKIMessage, now: datetime) -> None:
        """A MAC by the same secret."""
        if protection.mechanism(message) is Mechanism.SIGNATURE:
            _verify_by_trust(self.trust, message, now)
        else:
            protection.verify_mac(message, self.secret)


@dataclass(frozen=True, slots=True)
class SignatureIdentity:
    """A certificate with its key and chain; answers are signed by somebody trusted."""

    signer: Signer
    certificate: bytes = field(repr=False)
    trust: Trust
    chain: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def sender(self) -> GeneralName:
        """The certificate's subject."""
        return directory_name(x509.decode_certificate(self.certificate).subject)

    @property
    def sender_kid(self) -> bytes | None:
        """The certificate's key identifier."""
        return x509.decode_certificate(self.certificate).subject_key_identifier or None

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """The certificate and its chain."""
        return (self.certificate, *self.chain)

    def protector(self, transaction_id: bytes) -> Protector:  # noqa: ARG002 - the same in every transaction
        """A signature."""
        return SignatureProtector(self.signer)

    def verify(self, message: PKIMessage, now: datetime) -> None:
        """A trusted signature."""
        self.trust.verify(message, now)


@dataclass(frozen=True, slots=True)
class KemIdentity:
    """A certificate of a KEM key; ``secret`` is what the server's ciphertext held, empty before it has come.

    Before, messages go unprotected and their answers are signed; afterwards both are MACed (RFC 9810 section 5.1.3.4).
    """

    certificate: bytes = field(repr=False)
    trust: Trust
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    secret: bytes = field(default=b"", repr=False)

    def with_secret(self, secret: bytes) -> KemIdentity:
        """Return the identity that the rest of the transaction has."""
        return replace(self, secret=secret)

    @property
    def sender(self) -> GeneralName:
        """The certificate's subject."""
        return directory_name(x509.decode_certificate(self.certificate).subject)

    @property
    def sender_kid(self) -> bytes | None:
        """The certificate's key identifier."""
        return x509.decode_certificate(self.certificate).subject_key_identifier or None

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """The certificate and its chain."""
        return (self.certificate, *self.chain)

    def protector(self, transaction_id: bytes) -> Protector | None:
        """A MAC that is bound to the transaction."""
        return MacProtector(self.secret, KemMacParameters(transaction_id)) if self.secret else None

    def verify(self, message: PKIMessage, now: datetime) -> None:
        """A MAC by the secret, or a trusted signature before there is one."""
        if self.secret and protection.mechanism(message) is Mechanism.KEM_BASED_MAC:
            protection.verify_mac(message, self.secret)
        else:
            self.trust.verify(message, now)


@dataclass(frozen=True, slots=True)
class Nobody:
    """A client without credentials, for support messages that need none; answers are signed."""

    trust: Trust
    sender: GeneralName = NULL_NAME
    sender_kid: bytes | None = None
    certificates: tuple[bytes, ...] = ()

    def protector(self, transaction_id: bytes) -> Protector | None:  # noqa: ARG002 - never any
        """None."""
        return None

    def verify(self, message: PKIMessage, now: datetime) -> None:
        """A trusted signature."""
        self.trust.verify(message, now)
