"""PKI, key management, JOSE and identity servers in one install."""

__version__ = "0.1.0"
