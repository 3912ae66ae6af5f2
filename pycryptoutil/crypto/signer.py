"""What signs X.509 objects: certificates, OCSP responses, CRLs and plain data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from pycryptoutil.crypto import policy
from pycryptoutil.crypto._load import core, faults
from pycryptoutil.crypto.keys import PrivateKey

SingleStatus: TypeAlias = tuple[bytes, int, int, int, int, int, bytes]
"""(CertID DER, 0 good 1 revoked 2 unknown, revoked at, reason or -1, thisUpdate, nextUpdate or 0, singleExtensions);
times are Unix seconds."""

CrlEntry: TypeAlias = tuple[bytes, int, int, int]
"""(serial magnitude, revoked at, reason or -1, invalidity date or 0); times are Unix seconds."""


class KeySigner:
    """A key with the one signature algorithm that it uses (:class:`pycryptoutil_protocols.ports.Signer`)."""

    __slots__ = ("_algorithm", "_key")

    def __init__(self, key: PrivateKey, algorithm: policy.SignatureAlgorithm | str | None = None) -> None:
        self._key = key
        chosen = algorithm or policy.default_signature(key.algorithm)
        self._algorithm = policy.check_signature(key.algorithm, chosen)

    def __repr__(self) -> str:
        return f"<KeySigner {self._algorithm}>"

    @property
    def key(self) -> PrivateKey:
        """The key."""
        return self._key

    @property
    def signature_algorithm(self) -> str:
        """The algorithm's name."""
        return self._algorithm

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self._key.public_spki

    def sign(self, data: bytes) -> bytes:
        """Sign ``data``."""
        return self._key.sign(self._algorithm, data)


class CertificateSigner:
    """Builds and signs the certificates of one issuer."""

    __slots__ = ("_signer",)

    def __init__(self, signer: KeySigner, issuer: bytes) -> None:
        """``issuer`` is its DER Name."""
        with faults():
            self._signer = core.CertificateSigner(signer.key.handle, signer.signature_algorithm, issuer)

    def tbs(
        self, serial: bytes, not_before: int, not_after: int, subject: bytes, spki: bytes, extensions: bytes
    ) -> bytes:
        """Build a DER TBSCertificate; ``extensions`` is DER SEQUENCE OF Extension, times are Unix seconds."""
        with faults():
            return self._signer.tbs(serial, not_before, not_after, subject, spki, extensions)

    def sign(self, tbs: bytes) -> bytes:
        """Sign exactly these octets into a DER Certificate."""
        with faults():
            return self._signer.sign(tbs)


class OcspSigner:
    """Builds and signs the OCSP responses of one responder (RFC 6960 section 4.2.1)."""

    __slots__ = ("_signer",)

    def __init__(self, signer: KeySigner, certificates: Sequence[bytes]) -> None:
        """``certificates``: DER, sent along; empty when the CA itself answers."""
        with faults():
            self._signer = core.OcspSigner(signer.key.handle, signer.signature_algorithm, certificates)

    def sign(
        self,
        singles: Sequence[SingleStatus],
        produced_at: int,
        nonce: bytes | None = None,
        extensions: bytes = b"",
    ) -> bytes:
        """Return a whole DER OCSPResponse; ``extensions`` are further DER Extension values, concatenated."""
        with faults():
            return self._signer.sign(singles, produced_at, nonce, extensions)

    def sign_many(self, singles: Sequence[SingleStatus], produced_at: int) -> list[bytes]:
        """Return one response for each, made on every core."""
        with faults():
            return self._signer.sign_many(singles, produced_at)


def build_crl(
    signer: KeySigner,
    issuer: bytes,
    this_update: int,
    next_update: int,
    extensions: bytes,
    entries: Iterable[CrlEntry | bytes],
) -> bytes:
    """Return a DER CertificateList. An entry is a tuple, or octets from :func:`encode_crl_entries`."""
    with faults():
        return core.build_crl(
            signer.key.handle, signer.signature_algorithm, issuer, this_update, next_update, extensions, entries
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
    with faults():
        return core.build_crl_file(
            os.fspath(path),
            signer.key.handle,
            signer.signature_algorithm,
            issuer,
            this_update,
            next_update,
            extensions,
            entries,
        )


def encode_crl_entries(entries: Iterable[CrlEntry]) -> bytes:
    """Return the DER of CRL entries, to be kept and given to :func:`build_crl` again."""
    with faults():
        return core.encode_crl_entries(entries)
