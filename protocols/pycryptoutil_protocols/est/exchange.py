"""What an EST server decides about an enrolment before a profile is asked (RFC 7030 sections 3.5 and 4.2)."""

from __future__ import annotations

import base64
import binascii
import enum
import hmac
from dataclasses import dataclass, field

from pycryptoutil_protocols import csr as pkcs10
from pycryptoutil_protocols import names, x509
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName, GeneralNameKind
from pycryptoutil_protocols.x509 import Certificate

EXPORTER_LABEL = b"EXPORTER-Channel-Binding"  # RFC 9266 section 2
EXPORTER_LENGTH = 32


class BindingPolicy(enum.Enum):
    """How channel binding is treated."""

    VERIFY = "verify"  # checked when the client claims it
    REQUIRE = "require"  # a request without it is refused


@dataclass(frozen=True, slots=True)
class ChannelBinding:
    """What the connection can be bound to: RFC 9266's exporter value, and tls-unique where TLS 1.2 has it."""

    exporter: bytes = field(default=b"", repr=False)
    unique: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class EnrolPolicy:
    """The switches of a profile that concern enrolment itself."""

    binding: BindingPolicy = BindingPolicy.VERIFY
    allow_name_change: bool = False  # honour ChangeSubjectName (RFC 6402 section 2.8) at re-enrolment


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What to issue: the names, and whether the client proved the channel and brings a new key."""

    csr: CertificationRequest
    subject: bytes
    sans: tuple[GeneralName, ...]
    channel_bound: bool
    rekeyed: bool = True
    renamed: bool = False


def check_enrol(
    csr: CertificationRequest,
    *,
    binding: ChannelBinding,
    policy: EnrolPolicy,
    server_keygen: bool = False,
) -> Enrolment:
    """Check possession and channel binding.

    With ``server_keygen`` the request's key and signature mean nothing and are ignored (RFC 7030 section 4.4.1);
    its challengePassword is then signed by nobody and proves no channel. Fault(BAD_POP, BAD_ALGORITHM, WEAK_KEY).
    """
    if server_keygen:
        return Enrolment(csr, csr.subject, csr.sans, channel_bound=False)
    pkcs10.verify_csr(csr)
    return Enrolment(csr, csr.subject, csr.sans, channel_bound=check_binding(csr, binding, policy.binding))


def check_binding(csr: CertificationRequest, binding: ChannelBinding, policy: BindingPolicy) -> bool:
    """Return whether the request is bound to this TLS connection; Fault(BAD_POP) if it is bound to another one.

    The value is base64 in estIdentityLinking (RFC 7894), which means nothing else, or in challengePassword, which
    ``openssl req`` also fills with a person's words: only what has the length of a channel binding is taken for one.
    """
    expected = tuple(value for value in (binding.exporter, binding.unique) if value)
    claimed = csr.identity_linking
    if claimed is None and csr.challenge_password is not None:
        decoded = _decode_claim(csr.challenge_password)
        lengths = {EXPORTER_LENGTH, *map(len, expected)}
        claimed = csr.challenge_password if len(decoded) in lengths else None
    if claimed is None:
        if policy is BindingPolicy.REQUIRE:
            raise Fault(FaultKind.BAD_POP, "no channel binding", "the request must be bound to the TLS connection")
        return False
    found = _decode_claim(claimed)
    matches = [hmac.compare_digest(found, value) for value in expected]  # all of them: time says nothing
    if not any(matches):
        raise Fault(FaultKind.BAD_POP, "channel binding differs", "the request is bound to another TLS connection")
    return True


def _decode_claim(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return b""


def encode_binding(value: bytes) -> str:
    """Return the text of challengePassword or estIdentityLinking for a channel binding."""
    return base64.b64encode(value).decode("ascii")


def check_reenrol(
    csr: CertificationRequest,
    current: bytes,
    *,
    binding: ChannelBinding,
    policy: EnrolPolicy,
    server_keygen: bool = False,
) -> Enrolment:
    """Check a renewal or rekey of the certificate ``current`` (DER), which the caller has authenticated.

    Subject and subjectAltName must be those of the certificate; other names come only by ChangeSubjectName, where
    the profile honours it (RFC 7030 section 4.2.2). Fault(POLICY) besides those of ``check_enrol``.
    """
    first = check_enrol(csr, binding=binding, policy=policy, server_keygen=server_keygen)
    certificate = x509.decode_certificate(current)
    if names.decode_name(csr.subject).comparable() != names.decode_name(certificate.subject).comparable():
        raise _names_differ("subject")
    sans = certificate.sans
    if not _same_names(csr.sans, sans) and not (not csr.sans and _follows_from_subject(certificate)):
        raise _names_differ("subjectAltName")
    change = csr.change_subject_name
    if change is not None and not policy.allow_name_change:
        raise Fault(FaultKind.POLICY, "ChangeSubjectName", "the profile does not allow a change of name")
    return Enrolment(
        csr=csr,
        subject=change.subject if change is not None and change.subject is not None else certificate.subject,
        sans=change.sans if change is not None and change.sans is not None else sans,
        channel_bound=first.channel_bound,
        rekeyed=server_keygen or csr.spki != certificate.spki,
        renamed=change is not None,
    )


def _names_differ(field_name: str) -> Fault:
    return Fault(
        FaultKind.POLICY, f"{field_name} differs from the certificate", f"the {field_name} must be the certificate's"
    )


def _same_names(left: tuple[GeneralName, ...], right: tuple[GeneralName, ...]) -> bool:
    return {one.comparable() for one in left} == {one.comparable() for one in right}


def _follows_from_subject(certificate: Certificate) -> bool:
    """Whether the certificate's names are but its common names, which a profile copied there for the client."""
    common = {name.lower() for name in names.decode_name(certificate.subject).common_names}
    return all(one.kind is GeneralNameKind.DNS and one.value.lower() in common for one in certificate.sans)
