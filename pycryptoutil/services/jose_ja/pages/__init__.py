"""The pages of rings for people: their table, and where they stand in the navigation."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.page import Entry, PageSet
from pycryptoutil.keyring.pages import NOTICES, PACKAGE
from pycryptoutil.services.jose_ja.pages import rings
from pycryptoutil.services.jose_ja.pages.rings import DESK

PAGES: Final = PageSet(
    package="pycryptoutil.services.jose_ja",
    shared=PACKAGE,
    pages=rings.PAGES,
    navigation=(Entry(DESK.place, "Rings", DESK.read),),
    notices={name: said.format(one=DESK.one) for name, said in NOTICES.items()}
    | {"rotated": "The next key is active, and the one after it is published."},
)
