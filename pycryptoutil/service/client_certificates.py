"""Whether a TLS client certificate has been revoked: by OCSP, else by CRL, asked where the certificate itself says.

The chain was verified in the handshake against the configured bundle, so these addresses are its issuers' own. Runs on
worker threads; verdicts are kept for as long as their issuer says. If nobody can be asked, nobody gets in.
"""

from __future__ import annotations

import http.client
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ocsp.response import decode_response, verify_response

from pycryptoutil import tracing
from pycryptoutil.clock import Clock

log = structlog.get_logger()

MAX_OCSP = 64 << 10
MAX_CRL = 32 << 20
MAX_KEPT = 4096
MAX_KEPT_CRLS = 64
LONGEST = timedelta(hours=24)
WITHOUT_NEXT_UPDATE = timedelta(hours=1)
AFTER_FAILURE = timedelta(seconds=30)
SKEW = timedelta(minutes=5)


class _Unknown(Exception):  # noqa: N818  not an error: the next source is asked
    """Raised when one source cannot tell."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    revoked: bool
    known: bool
    until: datetime


Fetch = Callable[[str, bytes | None, float, int], bytes]
"""``(url, body to POST or None to GET, timeout, size limit) -> body``; OSError or ValueError if that fails."""


@tracing.traced("revocation.fetch")
def fetch(url: str, body: bytes | None, timeout: float, limit: int) -> bytes:
    """Get a small object over plain HTTP, without redirects; OSError or ValueError if that fails."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.username:
        raise ValueError("only http URLs are fetched")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Connection": "close", **tracing.outbound()}
        if body is not None:
            headers["Content-Type"] = "application/ocsp-request"
        connection.request("GET" if body is None else "POST", target, body, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        data = response.read(limit + 1)
    except http.client.HTTPException as error:
        raise ValueError(type(error).__name__) from None
    finally:
        connection.close()
    if len(data) > limit:
        raise ValueError("answer too large")
    return data


class RevocationCheck:
    """Remembers verdicts and lists. Thread-safe; two threads may fetch the same thing, which does no harm."""

    def __init__(
        self,
        clock: Clock,
        anchors: Callable[[], tuple[x509.Certificate, ...]],
        *,
        timeout: float,
        fetch: Fetch = fetch,
    ) -> None:
        self._clock = clock
        self._anchors = anchors
        self._timeout = timeout
        self._fetch = fetch
        self._verdicts: OrderedDict[bytes, _Verdict] = OrderedDict()
        self._lists: OrderedDict[str, tuple[x509.CertificateRevocationList, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, chain: tuple[bytes, ...]) -> None:
        """Fault(FORBIDDEN) if a certificate of the chain is revoked; Fault(UNAVAILABLE) if that cannot be known."""
        try:
            given = [x509.load_der_x509_certificate(der) for der in chain]
        except ValueError:
            raise Fault(FaultKind.FORBIDDEN, "client chain does not parse", "The certificate is not valid.") from None
        anchors = self._anchors()
        subject, pool = given[0], [*given[1:], *anchors]
        for _ in range(len(chain) + 1):
            if subject in anchors:
                return
            issuer = _issuer(subject, pool)
            self._one(subject, issuer)
            subject = issuer
            if subject.subject == subject.issuer:
                return

    def _one(self, subject: x509.Certificate, issuer: x509.Certificate) -> None:
        key, now = subject.fingerprint(hashes.SHA256()), self._clock.now()
        with self._lock:
            verdict = self._verdicts.get(key)
        if verdict is None or now >= verdict.until:
            verdict = self._ask(subject, issuer, now)
            with self._lock:
                self._verdicts[key] = verdict
                while len(self._verdicts) > MAX_KEPT:
                    self._verdicts.popitem(last=False)
        serial = f"{subject.serial_number:x}"
        if not verdict.known:
            detail = f"neither OCSP nor CRL tells of client certificate {serial}"
            public = "The revocation status of the client certificate cannot be determined."
            raise Fault(FaultKind.UNAVAILABLE, detail, public, retry_after=int(AFTER_FAILURE.total_seconds()))
        if verdict.revoked:
            raise Fault(FaultKind.FORBIDDEN, f"client certificate {serial} is revoked", "The certificate is revoked.")

    def _ask(self, subject: x509.Certificate, issuer: x509.Certificate, now: datetime) -> _Verdict:
        for url in _ocsp_urls(subject):
            try:
                return self._by_ocsp(url, subject, issuer, now)
            except (_Unknown, OSError, ValueError, UnsupportedAlgorithm) as error:
                log.warning("OCSP responder cannot tell", url=url, reason=str(error))
        for url in _crl_urls(subject):
            try:
                return self._by_crl(url, subject, issuer, now)
            except (_Unknown, OSError, ValueError, UnsupportedAlgorithm) as error:
                log.warning("CRL cannot be used", url=url, reason=str(error))
        return _Verdict(revoked=False, known=False, until=now + AFTER_FAILURE)

    # --- OCSP (RFC 6960)

    def _by_ocsp(self, url: str, subject: x509.Certificate, issuer: x509.Certificate, now: datetime) -> _Verdict:
        digest = hashes.SHA1()  # noqa: S303  CertID is an identifier; every responder knows this one
        request = ocsp.OCSPRequestBuilder().add_certificate(subject, issuer, digest).build()
        data = self._fetch(url, request.public_bytes(Encoding.DER), self._timeout, MAX_OCSP)
        answer = ocsp.load_der_ocsp_response(data)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise _Unknown(answer.response_status.name)
        _check_responder(data, answer, issuer, now)
        for single in answer.responses:
            if (
                single.serial_number == request.serial_number
                and single.issuer_key_hash == request.issuer_key_hash
                and single.issuer_name_hash == request.issuer_name_hash
            ):
                return _single(single, now)
        raise _Unknown("answer is about another certificate")

    # --- CRL (RFC 5280 section 6.3)

    def _by_crl(self, url: str, subject: x509.Certificate, issuer: x509.Certificate, now: datetime) -> _Verdict:
        crl, until = self._list(url, issuer, now)
        _check_scope(crl, subject)
        found = crl.get_revoked_certificate_by_serial_number(subject.serial_number)
        revoked = found is not None and not _removed(found)
        return _Verdict(revoked=revoked, known=True, until=until)

    def _list(
        self, url: str, issuer: x509.Certificate, now: datetime
    ) -> tuple[x509.CertificateRevocationList, datetime]:
        with self._lock:
            kept = self._lists.get(url)
        if kept is not None and now < kept[1] and kept[0].issuer == issuer.subject:
            return kept
        data = self._fetch(url, None, self._timeout, MAX_CRL)
        pem = data.lstrip().startswith(b"-----BEGIN")
        crl = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
        if crl.issuer != issuer.subject or not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
            raise _Unknown("CRL is not of this issuer")
        for extension in crl.extensions:
            if extension.critical and not isinstance(extension.value, x509.IssuingDistributionPoint):
                raise _Unknown("CRL has a critical extension that is not understood")
        if crl.last_update_utc > now + SKEW or crl.next_update_utc is None or crl.next_update_utc <= now:
            raise _Unknown("CRL is not current")
        until = min(crl.next_update_utc, now + LONGEST)
        with self._lock:
            self._lists[url] = (crl, until)
            while len(self._lists) > MAX_KEPT_CRLS:
                self._lists.popitem(last=False)
        return crl, until


def _check_scope(crl: x509.CertificateRevocationList, subject: x509.Certificate) -> None:
    """The list would have this certificate in it: over http anybody can put another list of the issuer in its place."""
    try:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return
    if point.indirect_crl or point.only_contains_attribute_certs or point.only_some_reasons or point.relative_name:
        raise _Unknown("CRL covers only a part")
    if point.only_contains_user_certs if _is_authority(subject) else point.only_contains_ca_certs:
        raise _Unknown("CRL is for the other kind of certificates")
    names = [name.value for name in point.full_name or ()]
    if names and not set(names).intersection(_crl_urls(subject)):
        raise _Unknown("CRL is of another distribution point")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _removed(entry: x509.RevokedCertificate) -> bool:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return False
    return reason is x509.ReasonFlags.remove_from_crl


def _single(single: ocsp.OCSPSingleResponse, now: datetime) -> _Verdict:
    until = single.next_update_utc or (single.this_update_utc + WITHOUT_NEXT_UPDATE)
    if single.this_update_utc > now + SKEW or until + SKEW <= now:
        raise _Unknown("answer is not current")
    until = min(max(until, now + AFTER_FAILURE), now + LONGEST)
    match single.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return _Verdict(revoked=False, known=True, until=until)
        case ocsp.OCSPCertStatus.REVOKED:
            return _Verdict(revoked=True, known=True, until=until)
        case _:
            raise _Unknown("responder does not know the certificate")


def _check_responder(data: bytes, answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> None:
    """The issuer signed it, or whom the issuer certified for that (RFC 6960 section 4.2.2.2)."""
    signer = issuer
    for candidate in answer.certificates:
        if candidate != issuer and _is_responder(answer, candidate):
            _check_delegate(candidate, issuer, now)
            signer = candidate
            break
    spki = signer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        verify_response(decode_response(data), spki)
    except Fault as fault:
        raise _Unknown(fault.detail) from None


def _is_responder(answer: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    if answer.responder_name is not None:
        return answer.responder_name == candidate.subject
    identifier = x509.SubjectKeyIdentifier.from_public_key(candidate.public_key())
    return answer.responder_key_hash == identifier.digest


def _check_delegate(candidate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
    try:
        candidate.verify_directly_issued_by(issuer)
        usage = candidate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        raise _Unknown("responder is not the issuer's") from None
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
        raise _Unknown("responder may not sign OCSP")
    if not candidate.not_valid_before_utc <= now < candidate.not_valid_after_utc:
        raise _Unknown("responder's certificate is not valid now")


def _issuer(subject: x509.Certificate, pool: list[x509.Certificate]) -> x509.Certificate:
    for candidate in pool:
        if candidate.subject == subject.issuer:
            try:
                subject.verify_directly_issued_by(candidate)
            except (InvalidSignature, ValueError, TypeError):
                continue
            return candidate
    raise Fault(FaultKind.FORBIDDEN, "issuer of the client certificate is not at hand", "The certificate is not valid.")


def _ocsp_urls(certificate: x509.Certificate) -> list[str]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [
        one.access_location.value
        for one in access
        if one.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(one.access_location, x509.UniformResourceIdentifier)
    ][:3]


def _crl_urls(certificate: x509.Certificate) -> list[str]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [
        name.value
        for point in points
        if not point.crl_issuer and not point.reasons
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    ][:3]
