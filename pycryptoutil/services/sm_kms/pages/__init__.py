"""The pages of keys for people: their table, and where they stand in the navigation."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.page import Entry, PageSet
from pycryptoutil.keyring.pages import NOTICES, PACKAGE
from pycryptoutil.services.sm_kms.pages import approvals, keys
from pycryptoutil.services.sm_kms.pages.keys import DESK

PAGES: Final = PageSet(
    package="pycryptoutil.services.sm_kms",
    pages=(*keys.PAGES, *approvals.PAGES),
    navigation=(
        Entry(DESK.place, "Keys", DESK.read),
        Entry(approvals.PATH, "Key approvals", "keys:read"),
    ),
    shared=PACKAGE,
    notices={
        **{name: said.format(one=DESK.one) for name, said in NOTICES.items()},
        "approved": "Your approval is recorded.",
        "rejected": "The request is rejected.",
    },
)
