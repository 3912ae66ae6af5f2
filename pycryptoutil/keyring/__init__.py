"""Elastic keys and their versions: what sm-kms and jose-ja share.

:class:`~pycryptoutil.keyring.service.KeyringService` is the façade; every use of a key goes through its gate.
"""

from __future__ import annotations

from pycryptoutil.keyring.backup import Restored
from pycryptoutil.keyring.catalog import Purpose
from pycryptoutil.keyring.lifecycle import KeyPatch
from pycryptoutil.keyring.model import (
    Approval,
    ApprovalState,
    ElasticKey,
    ImportKey,
    KeyFilter,
    KeyOrder,
    KeyPage,
    KeyPolicy,
    KeyStatus,
    KeyVersion,
    Operation,
    Sort,
    UsableKey,
    Usage,
    VersionStatus,
)
from pycryptoutil.keyring.quorum import Asked
from pycryptoutil.keyring.ring import retired_at
from pycryptoutil.keyring.service import KeyringService
from pycryptoutil.keyring.store.tables import SEALED_COLUMNS

__all__ = [
    "SEALED_COLUMNS",
    "Approval",
    "ApprovalState",
    "Asked",
    "ElasticKey",
    "ImportKey",
    "KeyFilter",
    "KeyOrder",
    "KeyPage",
    "KeyPatch",
    "KeyPolicy",
    "KeyStatus",
    "KeyVersion",
    "KeyringService",
    "Operation",
    "Purpose",
    "Restored",
    "Sort",
    "UsableKey",
    "Usage",
    "VersionStatus",
    "retired_at",
]
