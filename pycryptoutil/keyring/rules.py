"""What a name, labels and a policy may be, and how a policy may change: limits, once tightened, stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.keyring.model import MAX_LABELS, MAX_NAME, ElasticKey, KeyPolicy
from pycryptoutil.keyring.room import invalid

MIN_PERIOD: Final = 60  # seconds
MAX_PERIOD: Final = 10 * 366 * 86400
MAX_VERSIONS: Final = 10_000
MAX_QUORUM: Final = 20
MAX_DESCRIPTION: Final = 1000
_MAX_LABEL: Final = 200
# a name stands in paths, so it has no slash; 32 hex digits would look like an id
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._~@+-]{{0,{MAX_NAME - 1}}}")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")


def check_name(name: str) -> None:
    """Raise Fault(INVALID) for what is no name."""
    if not _NAME.fullmatch(name) or _ID.fullmatch(name):
        text = f"a name is 1 to {MAX_NAME} letters, digits and . _ ~ @ + -, begins with a letter or a digit"
        raise invalid("not a name", "name", f"{text}, and does not look like an id")


def check_texts(description: str, labels: Mapping[str, str]) -> None:
    """Raise Fault(INVALID) for what is too long."""
    if len(description) > MAX_DESCRIPTION:
        raise invalid(f"a description is at most {MAX_DESCRIPTION} characters", "description")
    if len(labels) > MAX_LABELS:
        raise invalid(f"a key has at most {MAX_LABELS} labels", "labels")
    if any(not _LABEL.fullmatch(name) or len(value) > _MAX_LABEL for name, value in labels.items()):
        text = f"a label's name is 1 to 63 letters, digits and . _ / -, its value at most {_MAX_LABEL} characters"
        raise invalid("not a label", "labels", text)


def check_policy(policy: KeyPolicy, active: int = 1) -> None:
    """Raise Fault(INVALID) for values out of range, or that leave no version to protect with."""
    if policy.rotation_period and not MIN_PERIOD <= policy.rotation_period <= MAX_PERIOD:
        raise invalid(f"rotation_period is 0 or {MIN_PERIOD} to {MAX_PERIOD} seconds", "rotation_period")
    if policy.rotation_period and not policy.versioning_allowed:
        raise invalid("a key without versioning does not rotate", "rotation_period")
    if not 0 <= policy.max_versions <= MAX_VERSIONS:
        raise invalid(f"max_versions is 0 to {MAX_VERSIONS}", "max_versions")
    if not 0 <= policy.quorum <= MAX_QUORUM:
        raise invalid(f"quorum is 0 to {MAX_QUORUM}", "quorum")
    for name in ("min_decrypt_version", "min_encrypt_version"):
        if not 1 <= getattr(policy, name) <= max(1, active):
            raise invalid(f"{name} is 1 to the active version", name)


def check_change(key: ElasticKey, after: KeyPolicy) -> None:
    """Raise Fault(INVALID) unless a policy may become this one.

    Minimum versions and the quorum only grow; export and the reading of revoked versions can be taken away, and not
    be given: whoever relied on the stricter policy when a version was made relies on it still.
    """
    before = key.policy
    check_policy(after, key.active_version)
    for name in ("min_decrypt_version", "min_encrypt_version", "quorum"):
        if getattr(after, name) < getattr(before, name):
            raise invalid(f"{name} only grows", name)
    for name in ("export_allowed", "read_revoked"):
        if getattr(after, name) and not getattr(before, name):
            raise invalid(f"{name} can be taken away, not given", name)


def next_rotation(policy: KeyPolicy, now: datetime) -> datetime | None:
    """Return when a key that is rotated now is due again."""
    return now + timedelta(seconds=policy.rotation_period) if policy.rotation_period else None


def number(text: str) -> int:
    """Return the version of a path; Fault(NOT_FOUND) for what is no number."""
    if not text.isascii() or not text.isdigit() or len(text) > 8 or text.startswith("0"):
        raise Fault(FaultKind.NOT_FOUND, f"version {text[:20]!r}", "the key has no such version")
    return int(text)
