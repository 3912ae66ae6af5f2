"""What signs: single messages, certificates, OCSP responses and revocation lists. Encoding and signing are in Rust."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Self, TypeAlias

from pycryptoutil import _core
from pycryptoutil.crypto import policy
from pycryptoutil.crypto.keys import PrivateKey
from pycryptoutil.crypto.timing import timed

SingleStatus: TypeAlias = tuple[bytes, int, int, int, int, int, bytes]
"""(CertID DER, 0 good 1 revoked 2 unknown, revoked at, reason or -1, thisUpdate, nextUpdate or 0, singleExtensions);
times are Unix seconds."""

CrlEntry: TypeAlias = tuple[bytes, int, int, int]
"""(serial magnitude, revoked at, reason or -1, invalidity date or 0); times are Unix seconds."""

check_crl_entries = _core.check_crl_entries
encode_crl_entries = _core.encode_crl_entries

__all__ = [
    "CertificateSigner",
    "CrlEntry",
    "KeySigner",
    "OcspSigner",
    "SingleStatus",
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
        self._algorithm = policy.check_signature(key.algorithm, chosen)
        self._key = key

    @property
    def key(self) -> PrivateKey:
        """The key."""
        return self._key

    @property
    def signature_algorithm(self) -> str:
        """The name of the algorithm."""
        return self._algorithm.value

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self._key.public_spki

    def sign(self, data: bytes) -> bytes:
        """Sign ``data``; ECDSA signatures are DER (RFC 3279 section 2.2.3)."""
        return timed("sign", self._key.sign, self._algorithm, data)

    def __repr__(self) -> str:
        return f"KeySigner({self._key.algorithm}, {self._algorithm})"


class CertificateSigner(_core.CertificateSigner):
    """Builds and signs the certificates of one issuer; what is constant is encoded once."""

    def __new__(cls, signer: KeySigner, issuer: bytes) -> Self:
        """``issuer`` is its DER Name."""
        return super().__new__(cls, signer.key, signer.signature_algorithm, issuer)

    def sign(self, tbs: bytes) -> bytes:
        """Return the DER Certificate over exactly these bytes."""
        return timed("sign-certificate", super().sign, tbs)


class OcspSigner(_core.OcspSigner):
    """Builds and signs the OCSP responses of one responder (RFC 6960 section 4.2.1), named by its key."""

    def __new__(cls, signer: KeySigner, certificates: Sequence[bytes]) -> Self:
        """``certificates``: DER, sent along, the responder's own first; empty when the CA itself answers."""
        return super().__new__(cls, signer.key, signer.signature_algorithm, certificates)

    def sign(
        self, singles: Sequence[SingleStatus], produced_at: int, nonce: bytes | None = None, extensions: bytes = b""
    ) -> bytes:
        """Return a whole DER OCSPResponse."""
        return timed("sign-ocsp", super().sign, singles, produced_at, nonce, extensions)


def build_crl(
    signer: KeySigner,
    issuer: bytes,
    this_update: int,
    next_update: int,
    extensions: bytes,
    entries: Iterable[CrlEntry | bytes],
) -> bytes:
    """Return a DER CertificateList. An entry is a tuple, or octets from :func:`encode_crl_entries`.

    Times are Unix seconds; ``extensions`` is DER SEQUENCE OF Extension. Memory peaks near the size of the result.
    """
    return timed(
        "sign-crl",
        _core.build_crl,
        signer.key,
        signer.signature_algorithm,
        issuer,
        this_update,
        next_update,
        extensions,
        entries,
    )


def build_crl_file(
    path: str | os.PathLike[str],
    signer: KeySigner,
    issuer: bytes,
    this_update: int,
    next_update: int,
    extensions: bytes,
    entries: Iterable[CrlEntry | bytes],
) -> int:
    """Write the same to a file in bounded memory, durable and renamed into place; return its length in octets."""
    return timed(
        "sign-crl",
        _core.build_crl_file,
        path,
        signer.key,
        signer.signature_algorithm,
        issuer,
        this_update,
        next_update,
        extensions,
        entries,
    )


def encode_crl_entry(serial: bytes, revoked_at: int, reason: int = -1, invalidity: int = 0) -> bytes:
    """Encode one entry as :func:`build_crl` takes it back: times in Unix seconds, a reason of RFC 5280 section 5.3.1.

    A store that keeps these octets beside each revocation makes a large list four times as fast as tuples do.
    """
    return encode_crl_entries(((serial, revoked_at, reason, invalidity),))
