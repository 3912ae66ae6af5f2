"""The CA behind CMC: what :mod:`pycryptoutil_protocols.cmc.server` asks of it."""

from pycryptoutil.authority.cmc.backend import PROTOCOL, CaBackend, Choices
from pycryptoutil.authority.cmc.expiry import sweep

__all__ = ["PROTOCOL", "CaBackend", "Choices", "sweep"]
