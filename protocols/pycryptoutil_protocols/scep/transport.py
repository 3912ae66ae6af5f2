"""What SCEP asks over HTTP (RFC 8894 section 4): an operation, and a message in the query or the body."""

from __future__ import annotations

import base64
import binascii
import enum
from collections.abc import Collection

from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import MAX_MESSAGE


class Operation(enum.Enum):
    """The ``operation`` of a request; clients write it in any case."""

    GET_CA_CAPS = "GetCACaps"
    GET_CA_CERT = "GetCACert"
    GET_NEXT_CA_CERT = "GetNextCACert"
    PKI_OPERATION = "PKIOperation"


_OPERATIONS = {operation.value.lower(): operation for operation in Operation}
# section 3.5.2; AES is AES-128-CBC and more, SHA-512 also says that SHA-384 is understood
CAPABILITIES = ("AES", "POSTPKIOperation", "Renewal", "SHA-256", "SHA-512", "SCEPStandard")
NEXT_CAPABILITY = "GetNextCACert"


def decode_operation(value: str) -> Operation:
    """Return the operation of a name; Fault(UNSUPPORTED)."""
    found = _OPERATIONS.get(value.lower())
    if found is None:
        text = f"operation is one of {', '.join(one.value for one in Operation)}"
        raise Fault(FaultKind.UNSUPPORTED, f"operation {value[:40]!r}", text)
    return found


def encode_capabilities(*, has_next: bool, extra: Collection[str] = ()) -> bytes:
    """Return the lines of GetCACaps."""
    lines = (*CAPABILITIES, *extra, *((NEXT_CAPABILITY,) if has_next else ()))
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def decode_capabilities(body: bytes) -> frozenset[str]:
    """Return the capabilities in lower case; an unknown one is for the reader to ignore."""
    return frozenset(line.strip().lower() for line in body[:4096].decode("latin-1").splitlines() if line.strip())


def decode_get(value: str) -> bytes:
    """Decode the ``message`` of a GET, whose query has been percent-decoded; Fault(MALFORMED, TOO_LARGE).

    macOS and others leave ``+`` unescaped, which form decoding takes for a space: base64 has no spaces, so each was a
    plus. Line feeds, percent-encoded by old Cisco routers, and missing padding do no harm either.
    """
    packed = "".join(value.replace(" ", "+").split())
    if len(packed) > MAX_MESSAGE * 4 // 3 + 4:
        raise Fault(FaultKind.TOO_LARGE, f"message of {len(packed)} characters", "the message is too large")
    packed = packed.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Fault(FaultKind.MALFORMED, "message is not base64", "the message is not base64") from None


def encode_get(message: bytes) -> str:
    """Return the ``message`` of a GET, not yet percent-encoded."""
    return base64.b64encode(message).decode("ascii")
