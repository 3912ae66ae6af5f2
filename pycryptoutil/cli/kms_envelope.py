"""The envelope of files of any size: a data key that the service wraps, and segments in the manner of STREAM.

    line 1    the data key: a compact JWE, or a flattened one where there is additional data
    line 2    pycryptoutil-kms-1 SEGMENT PREFIX      octets of a segment; 7 octets in base64url
    the rest  segments: AES-256-GCM of SEGMENT octets, each with its tag of 16; the last one is shorter, or full

The nonce is the prefix, the segment's number in four octets, and 01 for the last segment, 00 for others; the additional
data is line 2 without its end. So nothing can be cut off, repeated or put in another order, and rewrapping changes line
1 alone. docs/kms.md describes it too.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import IO, Final

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.cli.exits import FAILED, INTEGRITY, CommandError
from pycryptoutil.crypto.jose import base64url_decode, base64url_encode
from pycryptoutil.crypto.keys import aead_decrypt, aead_encrypt

MAGIC: Final = b"pycryptoutil-kms-1 "
SEGMENT: Final = 64 * 1024
MAX_HEADER: Final = 64 * 1024
MAX_SEGMENT: Final = 1 << 24
_TAG: Final = 16
_PREFIX: Final = 7
_MOST: Final = 1 << 32
_ALGORITHM: Final = "aes-256-gcm"
Progressed = Callable[[int], object]


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    if number >= _MOST:
        raise CommandError("the file is too long for one data key")
    return prefix + number.to_bytes(4) + (b"\x01" if last else b"\x00")


def _pieces(stream: IO[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Yield pieces of a stream, and whether each is the last one; one empty piece of an empty stream."""
    piece = _whole(stream, size)
    while True:
        following = _whole(stream, size) if len(piece) == size else b""
        yield piece, not following
        if not following:
            return
        piece = following


def _whole(stream: IO[bytes], size: int) -> bytes:
    """Read so many octets, fewer at the end only: a pipe gives what it has."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def seal(key: bytes, wrapped: str, source: IO[bytes], target: IO[bytes], progressed: Progressed) -> None:
    """Write an envelope."""
    prefix = secrets.token_bytes(_PREFIX)
    line = MAGIC + f"{SEGMENT} {base64url_encode(prefix)}".encode()
    target.write(wrapped.encode() + b"\n" + line + b"\n")
    done = 0
    for number, (piece, last) in enumerate(_pieces(source, SEGMENT)):
        target.write(aead_encrypt(_ALGORITHM, key, _nonce(prefix, number, last), piece, line))
        done += len(piece)
        progressed(done)


def open_(key: bytes, line: bytes, source: IO[bytes], target: IO[bytes], progressed: Progressed) -> None:
    """Write what an envelope holds, from the stream behind line 2; CommandError(INTEGRITY) at the first bad segment.

    What was written before that is true, and not all: the exit code says so.
    """
    size, prefix = _read_line(line)
    done = 0
    for number, (piece, last) in enumerate(_pieces(source, size + _TAG)):
        try:
            plain = aead_decrypt(_ALGORITHM, key, _nonce(prefix, number, last), piece, line)
        except Fault:
            text = f"segment {number} is not what was encrypted: the file is cut off, changed, or in another order"
            raise CommandError(text, INTEGRITY) from None
        target.write(plain)
        done += len(plain)
        progressed(done)


def _read_line(line: bytes) -> tuple[int, bytes]:
    try:
        size, prefix = line.removeprefix(MAGIC).decode("ascii").split(" ")
        found = int(size), base64url_decode(prefix)
    except (ValueError, Fault):
        raise CommandError("the envelope's second line cannot be read", FAILED) from None
    if not 1 <= found[0] <= MAX_SEGMENT or len(found[1]) != _PREFIX:
        raise CommandError("the envelope's second line has values out of range", FAILED)
    return found


def read_head(source: IO[bytes], most: int) -> tuple[bytes, bytes]:
    """Return the first line, and the second if this is an envelope; a plain JWE, up to ``most`` octets, is all first.

    CommandError for what is neither.
    """
    first = source.readline(MAX_HEADER)
    second = source.readline(MAX_HEADER) if first.endswith(b"\n") else b""
    if second.startswith(MAGIC) and second.endswith(b"\n"):
        return first[:-1], second[:-1]
    rest = source.read(most + 1)
    whole = (first + second + rest).strip()
    if len(whole) > most or not whole or b"\n" in whole:
        raise CommandError("neither an envelope nor a JWE", FAILED)
    return whole, b""
