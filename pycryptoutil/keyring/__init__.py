"""Elastic keys and their versions: what sm-kms and jose-ja share.

:class:`~pycryptoutil.keyring.service.KeyringService` is the façade; every use of a key goes through its gate.
"""

from __future__ import annotations

from pycryptoutil.keyring.catalog import Purpose
from pycryptoutil.keyring.model import (
    ElasticKey,
    KeyFilter,
    KeyOrder,
    KeyPolicy,
    KeyStatus,
    KeyVersion,
    Operation,
    UsableKey,
    VersionStatus,
)
from pycryptoutil.keyring.service import KeyringService

__all__ = [
    "ElasticKey",
    "KeyFilter",
    "KeyOrder",
    "KeyPolicy",
    "KeyStatus",
    "KeyVersion",
    "KeyringService",
    "Operation",
    "Purpose",
    "UsableKey",
    "VersionStatus",
]
