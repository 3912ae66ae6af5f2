"""The edge on real sockets."""

from tests.support.edge import serve

__all__ = ["serve"]
