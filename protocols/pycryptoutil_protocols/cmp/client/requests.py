"""The bodies that a client sends: certificate requests, revocation, key updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pycryptoutil_protocols import der, oids, x509
from pycryptoutil_protocols.cmp import pop
from pycryptoutil_protocols.cmp.messages import CertRequests, RevDetails, RevRequest, directory_name
from pycryptoutil_protocols.crmf.messages import (
    CertId,
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Controls,
    PrivateKeyPop,
    ProofOfPossession,
    SubsequentMessage,
)
from pycryptoutil_protocols.names import GeneralName, encode_general_names
from pycryptoutil_protocols.ports import Signer
from pycryptoutil_protocols.x509 import Extension


def subject_alternative_names(names: Sequence[GeneralName]) -> tuple[Extension, ...]:
    """Return the extension that asks for names; none for none."""
    return (Extension(oids.SUBJECT_ALT_NAME, False, encode_general_names(names)),) if names else ()


def template(
    subject: bytes | None, spki: bytes | None, sans: Sequence[GeneralName] = (), extensions: Sequence[Extension] = ()
) -> CertTemplate:
    """Return a template that asks for a subject (DER Name), a key, names and further extensions."""
    return CertTemplate(subject=subject, spki=spki, extensions=(*subject_alternative_names(sans), *extensions))


def signed(
    wanted: CertTemplate,
    signer: Signer,
    *,
    request_id: int = 0,
    controls: Controls = Controls(),  # noqa: B008 - frozen
    sender: GeneralName | None = None,
    secret: bytes | None = None,
) -> CertRequests:
    """Ask for a certificate of a key that signs; ``sender`` or ``secret`` for a template without subject."""
    request = CertRequest(request_id, replace(wanted, spki=wanted.spki or signer.public_spki), controls)
    return CertRequests((CertReqMsg(request, pop.sign(request, signer, sender=sender, secret=secret)),))


def encrypted(
    wanted: CertTemplate, *, request_id: int = 0, agreement: bool = False, challenge: bool = False
) -> CertRequests:
    """Ask for a certificate of a key that only decrypts: it comes encrypted, or after a challenge."""
    later = SubsequentMessage.CHALLENGE_RESP if challenge else SubsequentMessage.ENCR_CERT
    return unproved(wanted, PrivateKeyPop(agreement, subsequent=later), request_id=request_id)


def generated(wanted: CertTemplate, algorithm: bytes = b"", *, request_id: int = 0) -> CertRequests:
    """Ask the CA to make the key too, of a DER AlgorithmIdentifier or of any kind (RFC 9483 section 4.1.6)."""
    spki = der.sequence(algorithm, der.bit_string(b"")) if algorithm else None
    return unproved(replace(wanted, spki=spki), None, request_id=request_id)


def unproved(wanted: CertTemplate, proof: ProofOfPossession | None, *, request_id: int = 0) -> CertRequests:
    """Ask with any other proof of possession, or none."""
    return CertRequests((CertReqMsg(CertRequest(request_id, wanted), proof),))


def update_of(certificate: bytes) -> Controls:
    """Return the control of a key update request that says which certificate it is for."""
    decoded = x509.decode_certificate(certificate)
    return Controls(old_certificate=CertId(directory_name(decoded.issuer), decoded.serial))


def revocation(certificate: bytes, reason: int | None = None) -> RevRequest:
    """Ask for revocation, with a reason of RFC 5280 section 5.3.1."""
    decoded = x509.decode_certificate(certificate)
    entry = () if reason is None else (Extension(oids.REASON_CODE, False, der.enumerated(reason)),)
    return RevRequest((RevDetails(CertTemplate(serial=decoded.serial, issuer=decoded.issuer), entry),))
