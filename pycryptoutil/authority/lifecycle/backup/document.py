"""How a part of a backup is written: canonical JSON, signed by the CA's own key, in CMS for the recovery key."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols import cms, oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.pem import decode_body
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.crypto import policy, x509
from pycryptoutil.crypto.keys import PrivateKey, verify
from pycryptoutil.crypto.signer import KeySigner
from pycryptoutil.storage import canonical_json

VERSION: Final = 1
MAX_PART: Final = 900_000  # octets of a message: what the CMS reader takes
_CONTEXT: Final = b"pycryptoutil CA backup\n"
_MAX_KEY: Final = 16 * 1024


def text(value: bytes | None) -> str | None:
    """Base64; None stays None."""
    return None if value is None else base64.b64encode(value).decode("ascii")


def octets(value: Any) -> bytes:
    """Return what :func:`text` has written; Fault(MALFORMED)."""
    try:
        return base64.b64decode(str(value or ""), validate=True)
    except (ValueError, binascii.Error):
        raise malformed() from None


def values(row: object, names: Sequence[str]) -> dict[str, Any]:
    """Return a row as JSON."""
    return {name: _value(getattr(row, name)) for name in names}


def _value(value: Any) -> Any:
    match value:
        case bytes():
            return text(value)
        case datetime():
            return value.isoformat()
        case str() | int() | None:
            return value
        case _:
            return value.value  # an enum


def moment(value: Any) -> datetime:
    """Read a time; Fault(MALFORMED)."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise malformed() from None
    if found.tzinfo is None:
        raise malformed()
    return found


def recipient(pem: bytes) -> tuple[cms.Recipient, str]:
    """Return the recipient of a certificate or a public key in PEM, and its fingerprint; Fault(BAD_ALGORITHM)."""
    try:
        if b"BEGIN CERTIFICATE" in pem:
            spki = decode_certificate(x509.certificates_of(pem)[0]).spki
        else:
            spki = decode_body(pem, _MAX_KEY, ("PUBLIC KEY",))
    except Fault:
        said = "the recipient is neither a certificate nor a public key in PEM"
        raise Fault(FaultKind.INVALID, said, said, pointer="recipient") from None
    policy.check_public_key(spki)
    return cms.recipient_for_key(spki, key_identifier=x509.ski(spki)), x509.fingerprint(spki)


def write(payload: Mapping[str, Any], signer: KeySigner, to: cms.Recipient) -> bytes:
    """Return a part as CMS AuthEnvelopedData, DER."""
    said = canonical_json(dict(payload)).encode("ascii")
    document = {
        "payload": text(said),
        "algorithm": signer.signature_algorithm,
        "signature": text(signer.sign(_CONTEXT + said)),
    }
    return cms.encrypt(oids.DATA, canonical_json(document).encode("ascii"), [to], cipher="aes-256-gcm")


def decrypt(part: bytes, key: PrivateKey) -> bytes:
    """Return the signed document in a part; Fault(MALFORMED, NOT_FOUND) for another key, or what was damaged."""
    enveloped = cms.decode_enveloped(part)
    identifier = x509.ski(key.public_spki)
    for one in enveloped.recipients:
        if one.key_identifier == identifier:
            return cms.decrypt(enveloped, one, cms.unwrap_with(key))
    said = "the backup is encrypted to another recovery key"
    raise Fault(FaultKind.NOT_FOUND, said, said)


def read(document: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Return (payload, payload as signed, signature) of a decrypted part; Fault(MALFORMED)."""
    try:
        outer = json.loads(document)
        said = octets(outer["payload"])
        payload = json.loads(said)
        if payload["version"] != VERSION or not isinstance(payload["kind"], str):
            raise malformed()
        return payload, said, octets(outer["signature"])
    except (ValueError, KeyError, TypeError):
        raise malformed() from None


def check(said: bytes, signature: bytes, spki: bytes, algorithm: str) -> None:
    """Check the CA's signature; Fault(BAD_SIGNATURE)."""
    try:
        verify(spki, algorithm, _CONTEXT + said, signature)
    except Fault:
        wrong = "the backup is not signed by the certificate authority that it is of"
        raise Fault(FaultKind.BAD_SIGNATURE, wrong, wrong) from None


def malformed() -> Fault:
    """Return the fault of what is no backup."""
    said = "this is not a backup of a certificate authority"
    return Fault(FaultKind.MALFORMED, said, said)
