"""The pages of keys for people: their table, and where they stand in the navigation."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.page import Entry, PageSet
from pycryptoutil.services.sm_kms.pages import approvals, keys, versions

PAGES: Final = PageSet(
    package="pycryptoutil.services.sm_kms",
    pages=(*keys.PAGES, *versions.PAGES, *approvals.PAGES),
    navigation=(
        Entry(keys.PATH, "Keys", "keys:read"),
        Entry(approvals.PATH, "Key approvals", "keys:read"),
    ),
    notices={
        "created": "The key is made, with its first version.",
        "rotated": "A new version is active. Older ones go on reading what they protected.",
        "key-enabled": "The key can be used again.",
        "key-disabled": "Every use of the key is refused until it is enabled.",
        "key-deleted": "The key is deleted. It can be restored until its waiting period ends.",
        "key-restored": "The deletion is taken back. The key is disabled: enabling it is a decision of its own.",
        "version-revoked": "The version is revoked, on every replica at once.",
        "version-disabled": "Every use of the version is refused until it is enabled.",
        "version-enabled": "The version can be used again, for what its place in the ring allows.",
        "approved": "Your approval is recorded.",
        "rejected": "The request is rejected.",
    },
)
