"""JSON as JOSE wants it: bounded, no member twice, no NaN; and base64url in its one form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import jose as core

MAX_JSON = 1 << 20

b64e = core.base64url_encode
b64d = core.base64url_decode


def malformed(detail: str, public: str = "") -> Fault:
    """Return the fault of something that cannot be decoded."""
    return Fault(FaultKind.MALFORMED, detail, public or detail)


def invalid(detail: str, public: str = "") -> Fault:
    """Return the fault of something that decodes, but breaks a rule."""
    return Fault(FaultKind.INVALID, detail, public or detail)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise malformed("JSON: a member occurs twice")
    return found


def _constant(name: str) -> NoReturn:
    raise malformed(f"JSON: {name}")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_constant)


def loads(text: str | bytes, what: str = "JSON", limit: int = MAX_JSON) -> dict[str, Any]:
    """Read one JSON object; Fault(MALFORMED), Fault(TOO_LARGE) over ``limit`` octets."""
    if len(text) > limit:
        raise Fault(FaultKind.TOO_LARGE, f"{what}: over {limit} octets", f"{what} is too long")
    try:
        found = _DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError) as error:
        raise malformed(f"{what}: {error}"[:200], f"{what} is not acceptable JSON") from None
    if not isinstance(found, dict):
        raise malformed(f"{what} is not an object")
    return found


def dumps(value: Any) -> bytes:
    """Write compact JSON in UTF-8; Fault(INVALID) for what JSON cannot say."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError, UnicodeEncodeError) as error:
        raise invalid(f"JSON: {error}"[:200], "a value cannot be written as JSON") from None


def string(members: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a member that must be a string; absent, the default or Fault(MALFORMED)."""
    value = members.get(name, default)
    if not isinstance(value, str):
        raise malformed(f"{name} is missing, or not a string")
    return value


def octets(members: Mapping[str, Any], name: str) -> bytes:
    """Return a member that must be base64url."""
    return b64d(string(members, name))


def number(members: Mapping[str, Any], name: str) -> int:
    """Return a Base64urlUInt (RFC 7518 section 2): no leading zero octets."""
    value = octets(members, name)
    if not value or (value[0] == 0 and len(value) > 1):
        raise malformed(f"{name} is not minimal")
    return int.from_bytes(value)


def unsigned(value: int) -> str:
    """Write a Base64urlUInt."""
    return b64e(value.to_bytes(max(1, (value.bit_length() + 7) // 8)))
