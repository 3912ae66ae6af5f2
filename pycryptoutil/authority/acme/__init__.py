"""ACME (RFC 8555): :class:`.service.AcmeService` for every CA and profile, with validation as durable jobs."""

from __future__ import annotations

from pycryptoutil.authority.acme.model import AcmeRules, AutoRenewalRules, Limits, Place, Reach
from pycryptoutil.authority.acme.service import AcmeService

__all__ = ["AcmeRules", "AcmeService", "AutoRenewalRules", "Limits", "Place", "Reach"]
