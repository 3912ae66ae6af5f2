"""Path validation (RFC 5280 section 6) against given anchors, for every algorithm that the policy believes.

``cryptography``'s own verifier holds the profile of the public web, which private certificates need not meet: it
refuses Ed25519, ML-DSA, and leaves without a subject alternative name. Revocation is left to the caller. Policy trees
are not built: critical policyConstraints are refused, like any other critical extension that is unknown here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from pycryptoutil_protocols import algorithms
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import decode_name
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.crypto import constraints, policy

CLIENT_AUTH: Final = "1.3.6.1.5.5.7.3.2"
SERVER_AUTH: Final = "1.3.6.1.5.5.7.3.1"
_ANY_PURPOSE: Final = "2.5.29.37.0"
_T = TypeVar("_T", bound=x509.ExtensionType)
MAX_PATH: Final = 8
MAX_INTERMEDIATES: Final = 16
_MAX_SIGNATURES: Final = 32  # a hostile set of intermediates cannot ask for more
_UNDERSTOOD: Final = frozenset(
    {
        "2.5.29.15",  # keyUsage
        "2.5.29.17",  # subjectAltName
        "2.5.29.19",  # basicConstraints
        "2.5.29.30",  # nameConstraints
        "2.5.29.31",  # cRLDistributionPoints
        "2.5.29.32",  # certificatePolicies
        "2.5.29.37",  # extKeyUsage
        "2.5.29.54",  # inhibitAnyPolicy: no policy is asked for
    }
)


@dataclass(slots=True)
class _Search:
    now: datetime
    anchors: Sequence[Certificate]
    pool: Sequence[Certificate]
    signatures: int = 0
    reason: str = "no path to an anchor"
    expired: bool = False
    parsed: dict[bytes, x509.Certificate] = field(default_factory=dict)

    def parse(self, certificate: Certificate) -> x509.Certificate:
        found = self.parsed.get(certificate.der)
        if found is None:
            try:
                found = x509.load_der_x509_certificate(certificate.der)
                _ = found.extensions, found.subject
            except (ValueError, TypeError, x509.UnsupportedGeneralNameType, x509.DuplicateExtension) as error:
                detail = f"certificate: {type(error).__name__}"
                raise Fault(FaultKind.MALFORMED, detail, "the certificate is malformed") from None
            self.parsed[certificate.der] = found
        return found


def verify_chain(
    leaf: bytes,
    intermediates: Sequence[bytes],
    anchors: Sequence[bytes],
    now: datetime,
    *,
    purpose: str | None = None,
) -> tuple[bytes, ...]:
    """Return the path found, leaf first and anchor last; ``intermediates`` may be in any order.

    ``purpose`` is an extended key usage that the leaf must allow, where it restricts them. Fault(EXPIRED) when the leaf
    or the only path is outside its validity, Fault(UNAUTHENTICATED) for other reasons, Fault(MALFORMED) for bad DER.
    """
    if len(intermediates) > MAX_INTERMEDIATES:
        raise _refused(f"{len(intermediates)} intermediates")
    first = decode_certificate(leaf)
    trusted, pool = ([decode_certificate(der) for der in ders] for ders in (anchors, intermediates))
    search = _Search(now, trusted, pool)
    if not first.not_before <= now <= first.not_after:
        raise _expired("the leaf")
    parsed = search.parse(first)
    _check_extensions(first)
    _check_purpose(parsed, purpose)
    if any(anchor.der == leaf for anchor in search.anchors):
        return (leaf,)
    path = _extend(search, (first,))
    if path is None:
        raise _expired("the path") if search.expired else _refused(search.reason)
    return tuple(certificate.der for certificate in path)


def verify_client_chain(chain: Sequence[bytes], anchors: Sequence[bytes], now: datetime) -> tuple[bytes, ...]:
    """Validate what a TLS client sent, leaf first, for client authentication; as :func:`verify_chain`."""
    if not chain:
        raise Fault(FaultKind.UNAUTHENTICATED, "an empty chain", "a client certificate is required")
    return verify_chain(chain[0], chain[1:], anchors, now, purpose=CLIENT_AUTH)


def _extend(search: _Search, path: tuple[Certificate, ...]) -> tuple[Certificate, ...] | None:
    """Look for a path depth first, anchors before intermediates."""
    if len(path) >= MAX_PATH:
        search.reason = "the path is too long"
        return None
    for anchored, candidates in ((True, search.anchors), (False, search.pool)):
        for issuer in candidates:
            if any(issuer.der == used.der for used in path) or not _names_match(path[-1], issuer):
                continue
            if not _accepts(search, path, issuer):
                continue
            longer = (*path, issuer)
            found = longer if anchored else _extend(search, longer)
            if found is not None:
                return found
    return None


def _names_match(certificate: Certificate, issuer: Certificate) -> bool:
    if certificate.issuer == issuer.subject:
        return True
    return decode_name(certificate.issuer).comparable() == decode_name(issuer.subject).comparable()


def _accepts(search: _Search, path: tuple[Certificate, ...], issuer: Certificate) -> bool:
    """Check one step upwards; the reason of a refusal is kept for the case that nothing else is found."""
    if not issuer.not_before <= search.now <= issuer.not_after:
        search.expired = True
        return False
    search.signatures += 1
    if search.signatures > _MAX_SIGNATURES:
        raise _refused("too many candidates")
    try:
        _check_extensions(issuer)
        _check_issuer(search.parse(issuer), path)
        child = path[-1]
        policy.check_request_signature(child.signature_algorithm, issuer.spki)
        algorithms.verify(issuer.spki, child.signature_algorithm, child.tbs, child.signature)
        limits = _constraints_of(search.parse(issuer))
        for below in path:
            # a CA's certificate issued to itself is exempt, but the leaf never is (RFC 5280 section 6.1.4 b, c)
            if below is path[0] or below.issuer != below.subject:
                constraints.check(search.parse(below), limits)
    except Fault as fault:
        search.reason = fault.detail
        return False
    return True


def _check_issuer(issuer: x509.Certificate, path: tuple[Certificate, ...]) -> None:
    basic = _value(issuer, x509.BasicConstraints)
    if basic is None or not basic.ca:
        raise _refused("an issuer that is no CA")
    below = sum(1 for certificate in path[1:] if certificate.issuer != certificate.subject)
    if basic.path_length is not None and below > basic.path_length:
        raise _refused("pathLenConstraint")
    usage = _value(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise _refused("an issuer whose key may not sign certificates")


def _check_purpose(leaf: x509.Certificate, purpose: str | None) -> None:
    if purpose is None:
        return
    allowed = _value(leaf, x509.ExtendedKeyUsage)
    if allowed is not None and not {purpose, _ANY_PURPOSE} & {one.dotted_string for one in allowed}:
        raise _refused(f"extended key usage without {purpose}")
    usage = _value(leaf, x509.KeyUsage)
    if purpose == CLIENT_AUTH and usage is not None and not usage.digital_signature:
        raise _refused("key usage without digitalSignature")


def _check_extensions(certificate: Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise _refused(f"critical extension {extension.oid}")


def _constraints_of(issuer: x509.Certificate) -> tuple[x509.NameConstraints, ...]:
    found = _value(issuer, x509.NameConstraints)
    return () if found is None else (found,)


def _value(certificate: x509.Certificate, kind: type[_T]) -> _T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _expired(what: str) -> Fault:
    return Fault(FaultKind.EXPIRED, f"{what} is outside its validity", "the certificate is outside its validity")


def _refused(detail: str) -> Fault:
    return Fault(FaultKind.UNAUTHENTICATED, f"certificate path: {detail}", "the certificate is not trusted")
