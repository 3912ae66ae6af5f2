"""Protecting messages and checking protection (RFC 9810 section 5.1.3, RFC 9483 sections 3.2 and 3.5).

``seal`` makes a whole message with a :class:`Protector`. On arrival ``mechanism`` says how a message is protected,
``verify_mac`` and ``verify_signature`` check it; both raise a Fault whose failInfo says what is wrong.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pycryptoutil_protocols import algorithms, der, names, x509
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.ports import Signer
from pycryptoutil_protocols.x509 import Certificate

from . import codec, mac
from .failures import CmpFault
from .mac import DEFAULT_LIMITS, MacLimits, MacParameters
from .messages import Body, BodyType, PKIFailureInfo, PKIHeader, PKIMessage, name_in


class Mechanism(enum.Enum):
    """How a message is protected."""

    NONE = "none"
    PASSWORD_BASED_MAC = "pbm"  # noqa: S105 - a name
    PBMAC1 = "pbmac1"
    KEM_BASED_MAC = "kem"
    DH_BASED_MAC = "dh"
    SIGNATURE = "signature"

    @property
    def by_secret(self) -> bool:
        """Whether a shared secret with a reference stands behind it."""
        return self in (Mechanism.PASSWORD_BASED_MAC, Mechanism.PBMAC1)


_MECHANISMS = {
    mac.PASSWORD_BASED_MAC: Mechanism.PASSWORD_BASED_MAC,
    mac.PBMAC1: Mechanism.PBMAC1,
    mac.KEM_BASED_MAC: Mechanism.KEM_BASED_MAC,
    mac.DH_BASED_MAC: Mechanism.DH_BASED_MAC,
}


def _check(detail: str, public: str = "the protection of the message is not valid") -> CmpFault:
    return CmpFault(PKIFailureInfo.BAD_MESSAGE_CHECK, detail, public)


class Protector(Protocol):
    """Makes the protection of a message."""

    @property
    def algorithm(self) -> bytes:
        """DER AlgorithmIdentifier for protectionAlg."""

    def protect(self, protected: bytes) -> bytes:
        """Return the protection of a DER ProtectedPart."""


@dataclass(frozen=True, slots=True)
class MacProtector:
    """Protects by a MAC: a shared secret, or the shared secret of a KEM."""

    secret: bytes = field(repr=False)
    parameters: MacParameters

    @property
    def algorithm(self) -> bytes:
        """DER AlgorithmIdentifier."""
        return self.parameters.encode()

    def protect(self, protected: bytes) -> bytes:
        """Return the MAC."""
        return self.parameters.compute(self.secret, protected)


@dataclass(frozen=True, slots=True)
class SignatureProtector:
    """Protects by a signature."""

    signer: Signer

    @property
    def algorithm(self) -> bytes:
        """DER AlgorithmIdentifier."""
        return algorithms.signature_identifier(self.signer.signature_algorithm)

    def protect(self, protected: bytes) -> bytes:
        """Return the signature."""
        return self.signer.sign(protected)


def seal(
    header: PKIHeader,
    kind: BodyType,
    body: Body,
    protector: Protector | None = None,
    extra_certificates: tuple[bytes, ...] = (),
) -> PKIMessage:
    """Return a whole message; its header's protectionAlg is the protector's, or absent without one."""
    header = replace(header, protection_algorithm=protector.algorithm if protector else b"")
    protected = codec.encode_protected(header, kind, body)
    protection = protector.protect(protected) if protector else None
    encoded = codec.assemble(protected, protection, extra_certificates)
    return PKIMessage(header, kind, body, protection, extra_certificates, encoded, protected)


def mechanism(message: PKIMessage) -> Mechanism:
    """Return how a message is protected; CmpFault(BAD_MESSAGE_CHECK) when it only half is."""
    algorithm = message.header.protection_algorithm
    if not algorithm and message.protection is None:
        return Mechanism.NONE
    if not algorithm or message.protection is None:
        raise _check("protectionAlg and protection go together")  # RFC 9483 section 3.5
    oid, _ = algorithms.split_algorithm(der.read(algorithm))
    return _MECHANISMS.get(oid, Mechanism.SIGNATURE)


def mac_parameters(message: PKIMessage, limits: MacLimits = DEFAULT_LIMITS) -> MacParameters:
    """Return the MAC that protects a message; Fault(BAD_ALGORITHM), or WRONG_INTEGRITY when it is signed."""
    how = mechanism(message)
    if how in (Mechanism.NONE, Mechanism.SIGNATURE):
        raise CmpFault(PKIFailureInfo.WRONG_INTEGRITY, f"{how.value} instead of a MAC", "a MAC is expected")
    return mac.decode_mac(message.header.protection_algorithm, limits, message.header.transaction_id or b"")


def verify_mac(message: PKIMessage, secret: bytes, limits: MacLimits = DEFAULT_LIMITS) -> MacParameters:
    """Check a message's MAC and return its parameters; CmpFault(BAD_MESSAGE_CHECK, WRONG_INTEGRITY), BAD_ALGORITHM."""
    parameters = mac_parameters(message, limits)
    expected = parameters.compute(secret, message.protected)
    if not hmac.compare_digest(expected, message.protection or b""):
        raise _check("MAC differs")
    return parameters


def signer_certificate(message: PKIMessage, candidates: Sequence[bytes] = ()) -> Certificate:
    """Return the certificate that a signed message names as its signer's; nothing of it is verified.

    It is the first of extraCerts (RFC 9483 section 3.3), or of ``candidates`` where the caller knows others as well,
    whose subject is the sender and whose key identifier is the senderKID: CmpFault(BAD_MESSAGE_CHECK) without one.
    """
    if mechanism(message) is not Mechanism.SIGNATURE:
        raise CmpFault(PKIFailureInfo.WRONG_INTEGRITY, "not signed", "a signature is expected")
    found = [_certificate(one) for one in candidates or message.extra_certificates]
    if not found:
        raise _check("no extraCerts", "the signer's certificate is missing in extraCerts")
    kid, sender = message.header.sender_kid, name_in(message.header.sender)
    named = [one for one in found if kid is None or one.subject_key_identifier in (b"", kid)]
    matching = [one for one in named if _is_name_of(message.header.sender, sender, one)]
    if not matching:
        raise _check("no certificate of the sender", "no certificate in extraCerts has the sender's name and key")
    return matching[0]


def _is_name_of(sender: GeneralName, directory: bytes | None, certificate: Certificate) -> bool:
    """The sender is the subject, or a name of another kind that the certificate has (RFC 9810 section 5.1.1)."""
    if directory is not None:
        return names.same_name(directory, certificate.subject)
    return sender.comparable() in {one.comparable() for one in certificate.sans}


def _certificate(encoded: bytes) -> Certificate:
    try:
        return x509.decode_certificate(encoded)
    except Fault as fault:
        raise CmpFault(PKIFailureInfo.BAD_DATA_FORMAT, fault.detail, "a certificate cannot be read") from None


def verify_signature(message: PKIMessage, spki: bytes) -> str:
    """Check a message's signature and return its algorithm's name; BAD_MESSAGE_CHECK, WRONG_INTEGRITY, BAD_ALG."""
    if mechanism(message) is not Mechanism.SIGNATURE:
        raise CmpFault(PKIFailureInfo.WRONG_INTEGRITY, "not signed", "a signature is expected")
    try:
        algorithms.verify(spki, message.header.protection_algorithm, message.protected, message.protection or b"")
    except Fault as fault:
        if fault.kind is FaultKind.BAD_SIGNATURE:
            raise _check(fault.detail) from None
        raise
    return algorithms.decode_signature(message.header.protection_algorithm).name
