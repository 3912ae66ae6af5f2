"""Pages of elastic keys for people, the same in every service that keeps some; a :class:`Desk` says what differs."""

from pycryptoutil.keyring.pages.desk import NOTICES, Desk, Visit
from pycryptoutil.keyring.pages.keys import button, key_of, pages, shown

PACKAGE = "pycryptoutil.keyring"

__all__ = ["NOTICES", "PACKAGE", "Desk", "Visit", "button", "key_of", "pages", "shown"]
