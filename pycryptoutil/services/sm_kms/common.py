"""What the folders of sm-kms share."""

from __future__ import annotations

from typing import Annotated, Any

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import Field

from pycryptoutil.jose.jwk import JwkPublic, parse_public
from pycryptoutil.jose.text import b64d, b64e, dumps
from pycryptoutil.keyring import KeyringService
from pycryptoutil.keyring.rules import number
from pycryptoutil.keyring.transfer import check_recipient
from pycryptoutil.service.definition import Context

Base64Url = Annotated[str, Field(description="base64url without padding", json_schema_extra={"format": "base64url"})]
Jwk = Annotated[dict[str, Any], Field(description="JSON Web Key (RFC 7517)")]
Version = Annotated[int, Field(ge=1, le=10_000_000)]
Reason = Annotated[str, Field(max_length=300)]
ApprovalId = Annotated[str, Field(max_length=32, description="a spent approval, where the key has a quorum")]


def keyring_of(context: Context) -> KeyringService:
    """Return the keyring."""
    found: KeyringService = context.state.keyring
    return found


def recipient(members: Any, pointer: str = "recipient") -> JwkPublic:
    """Read the public key that something is to be encrypted to; Fault(INVALID, MALFORMED, WEAK_KEY)."""
    try:
        found = parse_public(dumps(members))
        check_recipient(found)
    except Fault as fault:
        raise Fault(fault.kind, fault.detail, fault.public, pointer=f"#/{pointer}") from None
    return found


def octets(text: str, pointer: str) -> bytes:
    """Decode base64url; Fault(MALFORMED) names the member."""
    try:
        return b64d(text)
    except Fault as fault:
        public = f"{pointer} is not base64url without padding"
        raise Fault(FaultKind.MALFORMED, fault.detail, public, pointer=f"#/{pointer}") from None


__all__ = [
    "ApprovalId",
    "Base64Url",
    "Jwk",
    "Reason",
    "Version",
    "b64e",
    "keyring_of",
    "number",
    "octets",
    "recipient",
]
