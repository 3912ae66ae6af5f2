"""An offline root in a directory: no database and no service; its key needs M of N custodians."""

from pycryptoutil.authority.lifecycle.ceremony.custody import Custodian, NewShare
from pycryptoutil.authority.lifecycle.ceremony.root import (
    CrlOrder,
    InitOrder,
    Made,
    SignOrder,
    initialise,
    sign_crl,
    sign_csr,
)
from pycryptoutil.authority.lifecycle.ceremony.transcript import Entry
from pycryptoutil.authority.lifecycle.ceremony.verify import Report, verify

__all__ = [
    "CrlOrder",
    "Custodian",
    "Entry",
    "InitOrder",
    "Made",
    "NewShare",
    "Report",
    "SignOrder",
    "initialise",
    "sign_crl",
    "sign_csr",
    "verify",
]
