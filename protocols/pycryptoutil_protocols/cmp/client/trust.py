"""Whom a client believes: a chain from the signer of an answer to a trust anchor.

As much of RFC 5280 section 6 as CMP needs: names, signatures, validity, basicConstraints, keyUsage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols import algorithms, der, names, oids, x509
from pycryptoutil_protocols.cmp import protection
from pycryptoutil_protocols.cmp.failures import CmpFault
from pycryptoutil_protocols.cmp.messages import PKIFailureInfo, PKIMessage
from pycryptoutil_protocols.faults import Fault
from pycryptoutil_protocols.x509 import Certificate

_MAX_CHAIN = 8
_DIGITAL_SIGNATURE, _KEY_CERT_SIGN = 0, 5


def _distrust(detail: str) -> CmpFault:
    return CmpFault(PKIFailureInfo.SIGNER_NOT_TRUSTED, detail, "the signer of the message is not trusted")


@dataclass(frozen=True, slots=True)
class Trust:
    """``anchors`` end chains; ``untrusted`` help to build them; a ``pinned`` certificate is believed as it is."""

    anchors: tuple[bytes, ...] = field(repr=False)
    untrusted: tuple[bytes, ...] = field(default=(), repr=False)
    pinned: tuple[bytes, ...] = field(default=(), repr=False)

    def verify(self, message: PKIMessage, now: datetime) -> Certificate:
        """Check a message's signature and its signer; CmpFault(BAD_MESSAGE_CHECK, SIGNER_NOT_TRUSTED, …)."""
        signer = self._signer(message)
        protection.verify_signature(message, signer.spki)
        self.check(signer, message.extra_certificates, now)
        return signer

    def _signer(self, message: PKIMessage) -> Certificate:
        known = (*message.extra_certificates, *self.pinned, *self.untrusted, *self.anchors)
        return protection.signer_certificate(message, known)

    def check(self, signer: Certificate, others: Sequence[bytes], now: datetime) -> None:
        """Check that a signer may sign messages now; CmpFault(SIGNER_NOT_TRUSTED)."""
        if not _usage_allows(signer, _DIGITAL_SIGNATURE):
            raise _distrust("the signer's key usage has no digitalSignature")
        if signer.der in self.pinned:
            _check_validity(signer, now)
            return
        known = [x509.decode_certificate(one) for one in (*self.untrusted, *others)]
        anchors = [x509.decode_certificate(one) for one in self.anchors]
        self._walk(signer, known, anchors, now)

    def _walk(
        self, signer: Certificate, known: Sequence[Certificate], anchors: Sequence[Certificate], now: datetime
    ) -> None:
        current = signer
        for length in range(_MAX_CHAIN):
            _check_validity(current, now)
            if length and not _is_ca(current):
                raise _distrust("an issuer in the chain is no CA")
            if current.der in self.anchors:
                return
            anchor = next((one for one in anchors if _issued(one, current)), None)
            if anchor is not None:
                _check_validity(anchor, now)
                return
            issuer = next((one for one in known if one.der != current.der and _issued(one, current)), None)
            if issuer is None:
                raise _distrust("no chain to a trust anchor")
            current = issuer
        raise _distrust("the chain is too long")


def _check_validity(certificate: Certificate, now: datetime) -> None:
    if not certificate.not_before <= now <= certificate.not_after:
        raise _distrust("a certificate of the chain is not valid now")


def _issued(issuer: Certificate, certificate: Certificate) -> bool:
    if not names.same_name(issuer.subject, certificate.issuer) or not _is_ca(issuer):
        return False
    try:
        algorithms.verify(issuer.spki, certificate.signature_algorithm, certificate.tbs, certificate.signature)
    except Fault:
        return False
    return True


def _is_ca(certificate: Certificate) -> bool:
    constraints = certificate.extension(oids.BASIC_CONSTRAINTS)
    if constraints is None:
        return False
    flag = der.read_sequence(constraints.value).optional(der.BOOLEAN)
    return flag is not None and flag.boolean() and _usage_allows(certificate, _KEY_CERT_SIGN)


def _usage_allows(certificate: Certificate, bit: int) -> bool:
    usage = certificate.extension(oids.KEY_USAGE)
    if usage is None:
        return True
    content = der.read(usage.value).expect(der.BIT_STRING).content
    return len(content) > 1 and bool(content[1] & 0x80 >> bit)
