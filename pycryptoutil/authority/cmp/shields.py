"""Protecting answers: by the requester's own secret, or by the CA's CMP signer (RFC 9483 section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pycryptoutil_protocols.cmp.mac import MacParameters
from pycryptoutil_protocols.cmp.messages import Body, BodyType, PKIHeader, directory_name
from pycryptoutil_protocols.cmp.protection import MacProtector, SignatureProtector, seal
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority.signers import ServiceSigner


@dataclass(frozen=True, slots=True)
class MacShield:
    """Answers with the secret, the kind of MAC and the reference that the request had."""

    secret: bytes = field(repr=False)
    parameters: MacParameters
    reference: bytes | None
    authority: bytes  # DER Name of the CA

    def protect(self, header: PKIHeader, kind: BodyType, body: Body, certificates: Sequence[bytes]) -> bytes:
        """Return a whole message."""
        named = replace(header, sender=directory_name(self.authority), sender_kid=self.reference)
        protector = MacProtector(self.secret, self.parameters.answering())
        return seal(named, kind, body, protector, _without_roots(certificates)).encoded


@dataclass(frozen=True, slots=True)
class SignedShield:
    """Answers with the signature of the CA's CMP signer, whose certificate and chain are sent along."""

    signer: ServiceSigner

    def protect(self, header: PKIHeader, kind: BodyType, body: Body, certificates: Sequence[bytes]) -> bytes:
        """Return a whole message."""
        facts = decode_certificate(self.signer.certificate)
        named = replace(header, sender=directory_name(facts.subject), sender_kid=facts.subject_key_identifier or None)
        chain = (self.signer.certificate, *_without_roots((*self.signer.chain, *certificates)))
        return seal(named, kind, body, SignatureProtector(self.signer.signer), chain).encoded


def _without_roots(certificates: Sequence[bytes]) -> tuple[bytes, ...]:
    """Leave out self-signed certificates (RFC 9483 section 3.3): nobody trusts one because a peer sends it."""
    facts = {encoded: decode_certificate(encoded) for encoded in dict.fromkeys(certificates)}
    return tuple(encoded for encoded, one in facts.items() if one.issuer != one.subject)
