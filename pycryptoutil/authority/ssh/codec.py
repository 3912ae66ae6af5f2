"""The wire format of OpenSSH keys and certificates (RFC 4251 section 5, OpenSSH's PROTOCOL.certkeys)."""

from __future__ import annotations

import base64
import binascii
import enum
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from pycryptoutil_protocols.faults import Fault, FaultKind

MAX_KEY: Final = 8192
ED25519: Final = "ssh-ed25519"
_KEY_TYPES: Final = frozenset({ED25519, "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"})
_SUFFIX: Final = "-cert-v01@openssh.com"


class CertificateType(enum.IntEnum):
    """SSH_CERT_TYPE."""

    USER = 1
    HOST = 2


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as in an authorized_keys line: ``fields`` is what follows the type inside of the blob."""

    type: str
    fields: bytes
    spki: bytes


@dataclass(frozen=True, slots=True)
class Body:
    """What a certificate says; times are Unix seconds, ``valid_before`` excluded."""

    key: PublicKey
    nonce: bytes
    serial: int
    type: CertificateType
    key_id: str
    principals: Sequence[str]
    valid_after: int
    valid_before: int
    critical_options: Mapping[str, str]
    extensions: Sequence[str]
    signature_key: bytes  # the CA's public key blob


def string(value: bytes | str) -> bytes:
    """A length and that many octets."""
    content = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(content)) + content


def _malformed(detail: str) -> Fault:
    return Fault(FaultKind.MALFORMED, f"SSH public key: {detail}", f"the SSH public key {detail}", pointer="public_key")


def decode_public_key(line: str) -> PublicKey:
    """Read ``type base64 [comment]``; Fault(MALFORMED, BAD_ALGORITHM)."""
    parts = line.strip().split(None, 2)
    if len(line) > MAX_KEY or len(parts) < 2 or "\n" in line.strip():
        raise _malformed("is not one line of type and key")
    name = parts[0]
    if name not in _KEY_TYPES:
        text = f"keys of type {name[:60]} are not certified"
        raise Fault(FaultKind.BAD_ALGORITHM, text, text, pointer="public_key")
    try:
        blob = base64.b64decode(parts[1], validate=True)
        spki = load_ssh_public_key(f"{name} {parts[1]}".encode()).public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise _malformed("does not decode") from None
    prefix = string(name)
    if not blob.startswith(prefix):
        raise _malformed("is of another type than it says")
    return PublicKey(name, blob[len(prefix) :], spki)


def ed25519_blob(spki: bytes) -> bytes:
    """The public key blob of an Ed25519 key: its 32 octets end the SubjectPublicKeyInfo (RFC 8410)."""
    return string(ED25519) + string(spki[-32:])


def line(blob: bytes, name: str, comment: str) -> str:
    """Write ``type base64 comment``."""
    return f"{name} {base64.b64encode(blob).decode()} {comment}"


def to_be_signed(body: Body) -> bytes:
    """Everything but the signature."""
    options = b"".join(string(k) + string(string(v)) for k, v in sorted(body.critical_options.items()))
    extensions = b"".join(string(name) + string(b"") for name in sorted(body.extensions))
    return b"".join(
        (
            string(body.key.type + _SUFFIX),
            string(body.nonce),
            body.key.fields,
            struct.pack(">QI", body.serial, body.type),
            string(body.key_id),
            string(b"".join(map(string, body.principals))),
            struct.pack(">QQ", body.valid_after, body.valid_before),
            string(options),
            string(extensions),
            string(b""),  # reserved
            string(body.signature_key),
        )
    )


def certificate(body: Body, tbs: bytes, signature: bytes) -> str:
    """The line of a ``-cert.pub`` file; ``signature`` is the 64 octets of Ed25519."""
    blob = tbs + string(string(ED25519) + string(signature))
    return line(blob, body.key.type + _SUFFIX, body.key_id)
