"""Keep secrets and personal data out of log lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

MASK = "***"
MAX_DEPTH = 6
MAX_TEXT = 4096

_SECRET_NAME = re.compile(
    r"(?:^|[_\-.])(?:pass(?:word|wd|phrase)?|secret|token|authorization|cookie|set-cookie|credentials?|private|share|"
    r"pin|pepper|api_?key|key|assertion|session|otp|challenge|e-?mail|phone|username|subject_name)s?$",
    re.IGNORECASE,
)
_SECRET_TEXT = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+@"), f"{MASK}@"),
)


def redact_text(text: str) -> str:
    """Mask what looks like a private key, an Authorization value or a password in a URL; bound the length."""
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({len(text)} characters)"
    if " " in text or "://" in text or "-----" in text:  # most values are a word, and a word is no such thing
        for pattern, replacement in _SECRET_TEXT:
            text = pattern.sub(replacement, text)
    return text


@lru_cache(maxsize=1024)  # the names are our own, and few
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def redact_value(name: str, value: Any, depth: int = 0) -> Any:
    """Return ``value`` fit for a log line under ``name``; unknown types become their type's name."""
    if _names_a_secret(name) and value not in {None, "", True, False}:
        return MASK
    return _clean(value, depth)


def _clean(value: Any, depth: int) -> Any:  # noqa: PLR0911  one return for each kind of value
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): redact_value(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, BaseException):
        return type(value).__name__
    # a repr may show anything; a name, a path or an enum's value says enough
    return (
        redact_text(str(value)) if hasattr(value, "__fspath__") else str(getattr(value, "value", type(value).__name__))
    )
