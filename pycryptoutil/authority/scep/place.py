"""Where a request came in, and who asks there."""

from __future__ import annotations

from dataclasses import dataclass, field

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.model import Authority, CertificateRecord, Credential
from pycryptoutil.authority.signers import ServiceSigner


@dataclass(frozen=True, slots=True)
class Place:
    """A label resolved. ``named`` is false under the default label, where a credential may be for any profile."""

    tenant_id: str
    authority: Authority
    profile: str
    named: bool
    responder: ServiceSigner = field(repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who enrols, for which profile. ``certificate`` is what is renewed; ``challenge`` opens answers to EC keys."""

    profile: str
    actor: str
    credential: Credential | None = None
    certificate: CertificateRecord | None = None
    challenge: str = field(default="", repr=False)


def refuse(text: str, detail: str = "") -> Fault:
    """Return the fault of somebody who may not."""
    return Fault(FaultKind.FORBIDDEN, detail or text, text)
