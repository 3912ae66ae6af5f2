"""The CA as a CMP server sees it (RFC 9810): who may ask, what is issued for it, and what is remembered."""

from pycryptoutil.authority.cmp.rules import CmpRules
from pycryptoutil.authority.cmp.service import CmpService

__all__ = ["CmpRules", "CmpService"]
