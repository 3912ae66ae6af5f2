"""Reaching out to machines that somebody else has named: never inside a unit of work, and each attempt ends in time.

ACME's validators, SCEP's judges, webhooks and CT logs share what is here: whom one may connect to, how long it may
take, and how much is read.
"""

from pycryptoutil.authority.outreach.connection import Deadline, Step, SystemNames, Unreachable
from pycryptoutil.authority.outreach.guard import AddressGuard, Network
from pycryptoutil.authority.outreach.jobs import Jobs
from pycryptoutil.authority.outreach.post import Answer, Poster, client_context

__all__ = [
    "AddressGuard",
    "Answer",
    "Deadline",
    "Jobs",
    "Network",
    "Poster",
    "Step",
    "SystemNames",
    "Unreachable",
    "client_context",
]
