"""Answering OCSP requests (RFC 6960) for every CA here, signed on demand or ahead."""

from pycryptoutil.authority.ocsp.cache import Presigned
from pycryptoutil.authority.ocsp.responder import OcspAnswer, OcspService

__all__ = ["OcspAnswer", "OcspService", "Presigned"]
