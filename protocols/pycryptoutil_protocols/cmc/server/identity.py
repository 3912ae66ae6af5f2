"""Who sends a message (RFC 5272 sections 3.2 and 6.2, RFC 6402 section 2.5)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pycryptoutil_protocols import algorithms, cms, der, oids, x509
from pycryptoutil_protocols.cmc import authenticated, controls, layers, proofs
from pycryptoutil_protocols.cmc.failures import Refusal
from pycryptoutil_protocols.cmc.layers import Layer
from pycryptoutil_protocols.cmc.messages import FailInfo, PkiData, TaggedRequest
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

from .backend import Backend, Party, Role, Rules


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that may have signed without a certificate: those of the requests, and of what is waited for."""

    of_requests: tuple[bytes, ...] = field(default=(), repr=False)
    identifiers: tuple[bytes, ...] = ()  # those that requests ask for, in the order of the keys; empty: none
    awaited: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, requests: Iterable[TaggedRequest], awaited: Sequence[bytes] = ()) -> Keys:
        """Collect."""
        found = [(key_of(request), wanted_identifier(request)) for request in requests]
        kept = [(spki, identifier) for spki, identifier in found if spki]
        return cls(tuple(spki for spki, _ in kept), tuple(identifier for _, identifier in kept), tuple(awaited))

    def named(self, identifier: bytes) -> bytes:
        """Return the key that an identifier names; empty if none."""
        for spki, wanted in zip(self.of_requests, self.identifiers, strict=True):
            if identifier in (wanted, proofs.key_identifier(spki)):
                return spki
        return next((spki for spki in self.awaited if identifier == proofs.key_identifier(spki)), b"")


def key_of(request: TaggedRequest) -> bytes:
    """Return the SubjectPublicKeyInfo that a request is for; empty if it has none."""
    if request.csr is not None:
        return request.csr.spki
    if request.crmf is not None:
        return request.crmf.request.template.spki or b""
    return b""


def extensions_of(request: TaggedRequest) -> tuple[Extension, ...]:
    """Return the extensions that a request asks for."""
    if request.csr is not None:
        return request.csr.extensions
    return request.crmf.request.template.extensions if request.crmf is not None else ()


def wanted_identifier(request: TaggedRequest) -> bytes:
    """Return the subject key identifier that a request asks for; empty if none."""
    found = x509.find_extension(extensions_of(request), oids.SUBJECT_KEY_IDENTIFIER)
    return der.read(found.value).octets() if found is not None else b""


def authenticate(
    backend: Backend, rules: Rules, layer: Layer, data: PkiData, keys: Keys, skipped: frozenset[int]
) -> Party:
    """Verify the layer and return who made it; ``skipped`` are controls that an RA has processed already.

    Fault(BAD_SIGNATURE) when the message was changed, UNAUTHENTICATED when a proof is wrong.
    """
    chosen = tuple(control for control in data.controls if control.body_part not in skipped)
    identity = controls.IDENTIFICATION.one(chosen)
    if layer.authenticated is not None:
        return _by_secret(backend, layer.authenticated, identity)
    signer = _signer(backend, layer, keys)
    proof, older = controls.IDENTITY_PROOF_V2.one(chosen), controls.IDENTITY_PROOF.one(chosen)
    if proof is None and older is None:
        return signer
    if identity is None:
        public = "an identity proof needs an identification"
        raise Refusal(FailInfo.BAD_IDENTITY, "identity proof without identification", public)
    party = backend.shared_secret(identity)
    if proof is not None:
        proofs.check_identity(proof, party.secret, identity, data.request_sequence, sha1=rules.sha1_proofs)
    if older is not None:
        proofs.check_identity_v1(older, party.secret, identity, data.request_sequence, sha1=rules.sha1_proofs)
    # the proof covers the requests; a signature by the key of one of them ties the rest of the message to it
    tied = signer.known or (signer.role is Role.KEY and signer.spki in keys.of_requests)
    return replace(party, spki=signer.spki, whole=tied)


def _by_secret(backend: Backend, found: authenticated.Authenticated, identity: str | None) -> Party:
    if identity is None:
        public = "authenticated data needs an identification"
        raise Refusal(FailInfo.BAD_IDENTITY, "AuthenticatedData without identification", public)
    party = backend.shared_secret(identity)
    try:
        authenticated.verify(found, party.secret)
    except Fault as fault:
        if fault.kind is not FaultKind.BAD_SIGNATURE:
            raise
        raise Refusal(FailInfo.AUTH_DATA_FAIL, fault.detail, fault.public) from None
    return replace(party, whole=True)


def _signer(backend: Backend, layer: Layer, keys: Keys) -> Party:
    if layer.signer is None:
        raise Fault(FaultKind.BAD_SIGNATURE, "no signature", "the message is not signed")
    if layer.unsigned:
        layers.check_unsigned(layer)
        return Party(Role.NOBODY)
    certificate = _certificate(backend, layer, layer.signer)
    if certificate is not None:
        layers.verify(layer, certificate.spki)
        if certificate.spki in keys.of_requests and _is_self_signed(certificate):
            return Party(Role.KEY, spki=certificate.spki)
        return replace(backend.holder(certificate.der), certificate=certificate.der, spki=certificate.spki, whole=True)
    spki = keys.named(layer.signer.key_identifier) if layer.signer.key_identifier else b""
    if not spki:
        raise Fault(FaultKind.BAD_SIGNATURE, "signer unknown", "the signer's certificate or key is not known")
    layers.verify(layer, spki)
    return Party(Role.KEY, spki=spki)


def _certificate(backend: Backend, layer: Layer, signer: cms.SignerInfo) -> x509.Certificate | None:
    """Return the signer's certificate from the message, or else from those that were issued here."""
    for encoded in layer.certificates:
        certificate = x509.decode_certificate(encoded)
        if cms.is_signer(signer, certificate):
            return certificate
    if not signer.issuer_and_serial:
        return None
    issuer, serial = cms.split_issuer_and_serial(signer.issuer_and_serial)
    try:
        return x509.decode_certificate(backend.find(issuer, serial).certificate)
    except Fault as fault:
        if fault.kind is FaultKind.NOT_FOUND:
            return None
        raise


def _is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether a certificate says no more than its key does."""
    if certificate.issuer != certificate.subject:
        return False
    try:
        algorithms.verify(certificate.spki, certificate.signature_algorithm, certificate.tbs, certificate.signature)
    except Fault:
        return False
    return True


def check_time(layer: Layer, backend: Backend, rules: Rules) -> None:
    """Raise Fault(STALE) when the message says that it was signed at quite another time."""
    moment = layer.signing_time
    if moment is not None and abs(moment - backend.now()) > rules.time_window:
        raise Fault(FaultKind.STALE, f"signed at {moment}", "the message was signed at another time, or clocks differ")


def owner_of(party: Party) -> str:
    """Return the name under which something is kept for a party."""
    if party.known:
        return party.actor
    return f"key:{hashlib.sha256(party.spki).hexdigest()}" if party.spki else ""


def marks_of(party: Party) -> list[str]:
    """Return everything by which a party can be told again: its name, and the key that it signed with."""
    found = [party.actor] if party.known else []
    if party.spki:
        found.append(f"key:{hashlib.sha256(party.spki).hexdigest()}")
    return found
