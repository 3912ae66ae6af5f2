"""Certificates, OCSP responses and CRLs by keys that are not in the core, such as those in a PKCS#11 token.

What is signed is encoded by the Python twins in ``pycryptoutil_protocols``, octet for octet what the core encodes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias, runtime_checkable

from pycryptoutil_protocols import algorithms, crl, der, x509
from pycryptoutil_protocols.ocsp import response

from pycryptoutil import _core
from pycryptoutil.crypto.keys import KeyHandle

SingleStatus: TypeAlias = tuple[bytes, int, int, int, int, int, bytes]
"""(CertID DER, 0 good 1 revoked 2 unknown, revoked at, reason or -1, thisUpdate, nextUpdate or 0, singleExtensions);
times are Unix seconds."""

CrlEntry: TypeAlias = tuple[bytes, int, int, int]
"""(serial magnitude, revoked at, reason or -1, invalidity date or 0); times are Unix seconds."""

_BLOCK: Final = 1 << 20


@runtime_checkable
class StreamingKey(Protocol):
    """A key that signs what does not fit into memory."""

    def sign_stream(self, signature_algorithm: str, parts: Iterable[bytes]) -> bytes:
        """Sign the concatenation of ``parts``."""


class Signer(Protocol):
    """A key with its algorithm, as :class:`pycryptoutil.crypto.signer.KeySigner` is one."""

    @property
    def key(self) -> KeyHandle:
        """The key."""

    @property
    def signature_algorithm(self) -> str:
        """The name of the algorithm."""

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""

    def sign(self, data: bytes) -> bytes:
        """Sign ``data``."""


class CertificateBuilder:
    """What the core's ``CertificateSigner`` is."""

    __slots__ = ("_issuer", "_signer")

    def __init__(self, signer: Signer, issuer: bytes) -> None:
        self._signer = signer
        self._issuer = issuer

    def tbs(
        self, serial: bytes, not_before: int, not_after: int, subject: bytes, spki: bytes, extensions: bytes
    ) -> bytes:
        """Return a DER TBSCertificate."""
        algorithm = self._signer.signature_algorithm
        return x509.build_tbs(algorithm, self._issuer, serial, not_before, not_after, subject, spki, extensions)

    def sign(self, tbs: bytes) -> bytes:
        """Return the DER Certificate over exactly these bytes."""
        return x509.sign_tbs(tbs, self._signer)


class OcspBuilder:
    """What the core's ``OcspSigner`` is."""

    __slots__ = ("_certificates", "_signer")

    def __init__(self, signer: Signer, certificates: Sequence[bytes]) -> None:
        for certificate in certificates:
            der.read_sequence(certificate)
        self._signer = signer
        self._certificates = tuple(certificates)

    def sign(
        self, singles: Sequence[SingleStatus], produced_at: int, nonce: bytes | None = None, extensions: bytes = b""
    ) -> bytes:
        """Return a whole DER OCSPResponse."""
        return response.build_response(singles, produced_at, self._signer, self._certificates, nonce, extensions)

    def sign_many(self, singles: Sequence[SingleStatus], produced_at: int) -> list[bytes]:
        """Return one response for each."""
        return [self.sign((single,), produced_at) for single in singles]


def build_crl(
    signer: Signer,
    issuer: bytes,
    this_update: int,
    next_update: int,
    extensions: bytes,
    entries: Iterable[CrlEntry | bytes],
) -> bytes:
    """Return a DER CertificateList."""
    run = _core.encode_crl_entries(entries)
    name = signer.signature_algorithm
    before, after = crl.frame(name, issuer, this_update, next_update, extensions, len(run))
    tbs = b"".join((before, run, after))
    return der.sequence(tbs, algorithms.signature_identifier(name), der.bit_string(signer.sign(tbs)))


def build_crl_file(
    path: str | os.PathLike[str],
    signer: Signer,
    issuer: bytes,
    this_update: int,
    next_update: int,
    extensions: bytes,
    entries: Iterable[CrlEntry | bytes],
) -> int:
    """Write the same to a file in bounded memory, durable and renamed into place; return its length in octets.

    A key that cannot sign in parts has the list in memory once.
    """
    target, name = Path(path), signer.signature_algorithm
    with tempfile.TemporaryFile(dir=target.parent) as spool:
        for entry in entries:
            spool.write(_core.encode_crl_entries((entry,)))
        length = spool.tell()
        before, after = crl.frame(name, issuer, this_update, next_update, extensions, length)

        def parts() -> Iterator[bytes]:
            yield before
            spool.seek(0)
            while block := spool.read(_BLOCK):
                yield block
            yield after

        signature = der.bit_string(_sign_parts(signer, parts()))
        rest = algorithms.signature_identifier(name) + signature
        head = der.header(der.SEQUENCE, len(before) + length + len(after) + len(rest))
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            try:
                file.write(head)
                file.writelines(parts())
                file.write(rest)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    _sync(target.parent)
    return len(head) + len(before) + length + len(after) + len(rest)


def _sign_parts(signer: Signer, parts: Iterable[bytes]) -> bytes:
    if isinstance(signer.key, StreamingKey):
        return signer.key.sign_stream(signer.signature_algorithm, parts)
    return signer.sign(b"".join(parts))


def _sync(folder: Path) -> None:
    """Make the rename durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
