"""CAs whose parents' keys are elsewhere: requests to be signed there, and what comes back."""

from pycryptoutil.authority.lifecycle.offline.install import Installed, InstallOrder, install
from pycryptoutil.authority.lifecycle.offline.requests import RequestOrder, create, delete, get, listing
from pycryptoutil.authority.lifecycle.offline.store import RequestRow

__all__ = [
    "InstallOrder",
    "Installed",
    "RequestOrder",
    "RequestRow",
    "create",
    "delete",
    "get",
    "install",
    "listing",
]
