"""What signs: single messages, certificates, OCSP responses and revocation lists.

With a key in the core, encoding and signing are in Rust; with another one, :mod:`pycryptoutil.crypto.outside` encodes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from pycryptoutil import _core
from pycryptoutil.crypto import outside, policy
from pycryptoutil.crypto.keys import KeyHandle, PrivateKey
from pycryptoutil.crypto.outside import CrlEntry, SingleStatus
from pycryptoutil.crypto.timing import timed

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

    def __init__(self, key: KeyHandle, signature_algorithm: str = "") -> None:
        """Without ``signature_algorithm`` the policy's default; Fault(BAD_ALGORITHM) for one that does not fit."""
        chosen = signature_algorithm or policy.default_signature(key.algorithm)
        self._algorithm = policy.check_signature(key.algorithm, chosen)
        self._key = key

    @property
    def key(self) -> KeyHandle:
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


class CertificateSigner:
    """Builds and signs the certificates of one issuer; what is constant is encoded once."""

    __slots__ = ("_builder",)

    def __init__(self, signer: KeySigner, issuer: bytes) -> None:
        """``issuer`` is its DER Name."""
        self._builder: _core.CertificateSigner | outside.CertificateBuilder = (
            _core.CertificateSigner(signer.key, signer.signature_algorithm, issuer)
            if isinstance(signer.key, PrivateKey)
            else outside.CertificateBuilder(signer, issuer)
        )

    def tbs(
        self, serial: bytes, not_before: int, not_after: int, subject: bytes, spki: bytes, extensions: bytes
    ) -> bytes:
        """Return a DER TBSCertificate v3.

        ``serial`` is a big-endian magnitude, times are Unix seconds, ``extensions`` is DER SEQUENCE OF Extension.
        """
        return self._builder.tbs(serial, not_before, not_after, subject, spki, extensions)

    def sign(self, tbs: bytes) -> bytes:
        """Return the DER Certificate over exactly these bytes."""
        return timed("sign-certificate", self._builder.sign, tbs)


class OcspSigner:
    """Builds and signs the OCSP responses of one responder (RFC 6960 section 4.2.1), named by its key."""

    __slots__ = ("_builder",)

    def __init__(self, signer: KeySigner, certificates: Sequence[bytes]) -> None:
        """``certificates``: DER, sent along, the responder's own first; empty when the CA itself answers."""
        self._builder: _core.OcspSigner | outside.OcspBuilder = (
            _core.OcspSigner(signer.key, signer.signature_algorithm, certificates)
            if isinstance(signer.key, PrivateKey)
            else outside.OcspBuilder(signer, certificates)
        )

    def sign(
        self, singles: Sequence[SingleStatus], produced_at: int, nonce: bytes | None = None, extensions: bytes = b""
    ) -> bytes:
        """Return a whole DER OCSPResponse."""
        return timed("sign-ocsp", self._builder.sign, singles, produced_at, nonce, extensions)

    @property
    def in_core(self) -> bool:
        """Tell whether the key is the core's, and not a token's."""
        return isinstance(self._builder, _core.OcspSigner)

    def sign_many(self, singles: Sequence[SingleStatus], produced_at: int) -> list[bytes]:
        """Return one response for each; with a key in the core on every processor."""
        return self._builder.sign_many(singles, produced_at)


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
    if not isinstance(signer.key, PrivateKey):
        return timed("sign-crl", outside.build_crl, signer, issuer, this_update, next_update, extensions, entries)
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
    if not isinstance(signer.key, PrivateKey):
        return timed(
            "sign-crl", outside.build_crl_file, path, signer, issuer, this_update, next_update, extensions, entries
        )
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
