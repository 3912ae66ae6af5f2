"""What a time-stamping authority grants, and what its client checks: pure decisions; the time is a parameter."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

from .failures import Refused
from .messages import FailureInfo, TimeStampReply, TimeStampRequest, TstInfo

HASHES = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"})
_QUALIFIED = Extension(  # ETSI EN 319 422 section 9.1
    oids.QC_STATEMENTS, False, der.sequence(der.sequence(der.oid(oids.QUALIFIED_TIME_STAMP)))
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How this authority stamps. ``policies``: object identifiers, the first being the default."""

    policies: tuple[str, ...]
    accuracy: int | None = 1_000_000  # microseconds
    ordering: bool = False
    fraction_digits: int = 0
    include_name: bool = False
    qualified: bool = False  # tokens carry the statement of ETSI EN 319 422


def check_request(request: TimeStampRequest, policy: Policy) -> str:
    """Return the policy to stamp under; Fault by the rules of RFC 3161 section 2.4.1."""
    name, digest = request.imprint.hash_algorithm, request.imprint.digest
    if name not in HASHES:
        raise Fault(FaultKind.BAD_ALGORITHM, f"imprint by {name}", "the hash algorithm is not accepted")
    if len(digest) != algorithms.hash_algorithm(name).digest_size:
        text = f"the digest has {len(digest)} octets, which {name} has not"
        raise Refused(FaultKind.MALFORMED, FailureInfo.BAD_DATA_FORMAT, text)
    if request.policy and request.policy not in policy.policies:
        text = f"policy {request.policy} is not offered"
        raise Refused(FaultKind.POLICY, FailureInfo.UNACCEPTED_POLICY, text)
    for extension in request.extensions:
        _check_extension(extension, policy)
    return request.policy or policy.policies[0]


def _check_extension(extension: Extension, policy: Policy) -> None:
    """An extension that is not recognised is refused, critical or not (section 2.4.1)."""
    if extension.oid != oids.QC_STATEMENTS:
        text = f"extension {extension.oid} is not known here"
        raise Refused(FaultKind.UNSUPPORTED, FailureInfo.UNACCEPTED_EXTENSION, text)
    if not policy.qualified:
        text = "these time-stamps carry no statement that they are qualified"
        raise Refused(FaultKind.NOT_ACCEPTABLE, FailureInfo.ADD_INFO_NOT_AVAILABLE, text)


def decide(request: TimeStampRequest, policy: Policy, gen_time: datetime, serial: int, subject: bytes) -> TstInfo:
    """Return what the token says; Fault as :func:`check_request`. ``subject`` is the signer's DER Name."""
    return TstInfo(
        policy=check_request(request, policy),
        imprint=request.imprint,
        serial=serial,
        gen_time=gen_time,
        accuracy=policy.accuracy,
        ordering=policy.ordering,
        nonce=request.nonce,
        tsa=der.explicit(4, subject) if policy.include_name else b"",
        extensions=(_QUALIFIED,) if policy.qualified else (),
        fraction_digits=policy.fraction_digits,
    )


def check_reply(request: TimeStampRequest, reply: TimeStampReply, info: TstInfo) -> None:
    """Check that a token answers a request (section 2.4.2); Fault(INVALID) names what differs."""
    same = (
        ("imprint", info.imprint.hash_algorithm == request.imprint.hash_algorithm),
        ("imprint", hmac.compare_digest(info.imprint.digest, request.imprint.digest)),
        ("nonce", info.nonce == request.nonce),
        ("policy", not request.policy or info.policy == request.policy),
        ("token", bool(reply.token)),
    )
    for what, fits in same:
        if not fits:
            text = f"the time-stamp has another {what}"
            raise Fault(FaultKind.INVALID, text, text)
