"""What signs: single messages, certificates, OCSP responses and revocation lists. Encoding and signing are in Rust."""

from __future__ import annotations

from collections.abc import Iterable

from pycryptoutil import _core
from pycryptoutil.crypto import policy
from pycryptoutil.crypto.keys import PrivateKey

CertificateSigner = _core.CertificateSigner
OcspSigner = _core.OcspSigner
build_crl = _core.build_crl
build_crl_file = _core.build_crl_file
check_crl_entries = _core.check_crl_entries
encode_crl_entries = _core.encode_crl_entries

__all__ = [
    "CertificateSigner",
    "KeySigner",
    "OcspSigner",
    "build_crl",
    "build_crl_file",
    "check_crl_entries",
    "encode_crl_entries",
    "encode_crl_entry",
]


class KeySigner:
    """A private key with one fixed algorithm: a :class:`pycryptoutil_protocols.ports.Signer`."""

    __slots__ = ("_algorithm", "_key")

    def __init__(self, key: PrivateKey, signature_algorithm: str = "") -> None:
        """Without ``signature_algorithm`` the policy's default; Fault(BAD_ALGORITHM) for one that does not fit."""
        chosen = signature_algorithm or policy.default_signature(key.algorithm)
        self._algorithm = policy.check_signs(key.algorithm, chosen)
        self._key = key

    @property
    def signature_algorithm(self) -> str:
        """The name of the algorithm."""
        return self._algorithm.value

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self._key.public_spki()

    def sign(self, data: bytes) -> bytes:
        """Sign ``data``; ECDSA signatures are DER (RFC 3279 section 2.2.3)."""
        return self._key.sign(self._algorithm, data)

    def __repr__(self) -> str:
        return f"KeySigner({self._key.algorithm}, {self._algorithm})"


def encode_crl_entry(serial: bytes, revoked_at: int, reason: int = -1, invalidity: int = 0) -> bytes:
    """Encode one entry as :func:`build_crl` takes it back: times in Unix seconds, a reason of RFC 5280 section 5.3.1.

    A store that keeps these octets beside each revocation makes a large list four times as fast as tuples do.
    """
    entries: Iterable[_core.CrlEntry] = ((serial, revoked_at, reason, invalidity),)
    return encode_crl_entries(entries)
