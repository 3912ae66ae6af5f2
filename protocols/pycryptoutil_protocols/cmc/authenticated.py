"""AuthenticatedData under a shared secret (RFC 5652 section 9, password recipient): what CMC's authData carries.

The secret is the password of a PasswordRecipientInfo (PBKDF2, then AES-KW or PWRI-KEK); the MAC is HMAC with SHA-2 over
authenticated attributes, which content of another type than id-data must have.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from pycryptoutil_protocols import algorithms, cms, der, oids
from pycryptoutil_protocols.attributes import Attribute, decode_attributes, single_value
from pycryptoutil_protocols.faults import Fault, FaultKind

AUTHENTICATED_DATA = "1.2.840.113549.1.9.16.1.2"
ITERATIONS = 2048  # the secrets are random, of 192 bits: SP 800-132 asks for 1000
MAX_ITERATIONS = 100_000
_MACS = {oids.HMAC_SHA256: "sha256", oids.HMAC_SHA384: "sha384", oids.HMAC_SHA512: "sha512"}
_PASSWORD = der.context(3)
_MAX_RECIPIENTS = 8


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A decoded AuthenticatedData; ``attributes_der`` is as SET OF, what the MAC is over."""

    content_type: str
    content: bytes = field(repr=False)
    recipient: cms.RecipientInfo
    mac_algorithm: str
    digest_algorithm: str
    attributes: tuple[Attribute, ...]
    attributes_der: bytes = field(repr=False)
    mac: bytes = field(repr=False)


def authenticate(content_type: str, content: bytes, secret: bytes, *, attributes: tuple[Attribute, ...] = ()) -> bytes:
    """DER ContentInfo of an AuthenticatedData around ``content``."""
    key = os.urandom(32)
    derivation = cms.pbkdf2_identifier(os.urandom(16), ITERATIONS, 32)
    wrapping = cms.password_key(derivation, 32, secret, ITERATIONS)
    recipient = der.explicit(
        3,
        der.integer(0),
        der.retag(der.context(0), derivation),
        algorithms.algorithm_identifier(oids.AES_256_WRAP),
        der.octet_string(aes_key_wrap(wrapping, key)),
    )
    covered = cms.signed_attributes(content_type, algorithms.digest("sha256", content), attributes)
    body = der.sequence(
        der.integer(0),
        der.set_of((recipient,)),
        algorithms.algorithm_identifier(oids.HMAC_SHA256),
        der.retag(der.context(1), algorithms.hash_identifier("sha256")),
        der.sequence(der.oid(content_type), der.explicit(0, der.octet_string(content))),
        der.retag(der.context(2), covered),
        der.octet_string(hmac.digest(key, covered, "sha256")),
    )
    return cms.content_info(AUTHENTICATED_DATA, body)


def decode_authenticated(encoded: bytes) -> Authenticated:
    """Decode a ContentInfo of AuthenticatedData for a password; Fault(MALFORMED, UNSUPPORTED, BAD_ALGORITHM)."""
    _, element = cms.split_content_info(encoded, AUTHENTICATED_DATA)
    reader = element.expect(der.SEQUENCE, "AuthenticatedData").reader()
    if reader.take(der.INTEGER, "version").integer() not in (0, 1, 3):
        raise Fault(FaultKind.UNSUPPORTED, "AuthenticatedData version", "this version is not supported")
    reader.optional(der.context(0))  # originatorInfo
    recipients = reader.take(der.SET, "recipientInfos").children()
    mac_oid, _ = algorithms.split_algorithm(reader.take(der.SEQUENCE, "macAlgorithm"))
    digest = reader.optional(der.context(1))
    inner = reader.take(der.SEQUENCE, "encapContentInfo").reader()
    content_type = inner.take(der.OID, "eContentType").oid()
    content = inner.take(der.context(0), "eContent").inner().octets()
    inner.end("encapContentInfo")
    attributes = reader.optional(der.context(2))
    mac = reader.take(der.OCTET_STRING, "mac").octets()
    reader.optional(der.context(3))  # unauthenticated attributes
    reader.end("AuthenticatedData")
    if mac_oid not in _MACS:
        raise Fault(FaultKind.BAD_ALGORITHM, f"MAC {mac_oid}", "the MAC algorithm is not supported")
    if digest is None or attributes is None:
        raise Fault(FaultKind.INVALID, "AuthenticatedData without attributes", "authenticated attributes are missing")
    return Authenticated(
        content_type,
        content,
        _recipient(recipients),
        _MACS[mac_oid],
        algorithms.decode_hash(der.read(der.retag(der.SEQUENCE, digest.encoded))),
        decode_attributes(attributes.children()),
        der.retag(der.SET, attributes.encoded),
        mac,
    )


def _recipient(infos: tuple[der.Element, ...]) -> cms.RecipientInfo:
    if len(infos) > _MAX_RECIPIENTS:
        raise Fault(FaultKind.TOO_LARGE, f"{len(infos)} recipients", "too many recipients")
    found = next((info for info in infos if info.tag == _PASSWORD), None)
    if found is None:
        raise Fault(FaultKind.UNSUPPORTED, "no password recipient", "only a shared secret can authenticate data here")
    reader = found.reader()
    reader.take(der.INTEGER, "version")
    derivation = reader.take(der.context(0), "keyDerivationAlgorithm")
    algorithm = reader.take(der.SEQUENCE, "keyEncryptionAlgorithm").encoded
    encrypted = reader.take(der.OCTET_STRING, "encryptedKey").octets()
    reader.end("PasswordRecipientInfo")
    kind, chosen = cms.RecipientKind.PASSWORD, der.retag(der.SEQUENCE, derivation.encoded)
    return cms.RecipientInfo(kind, b"", b"", algorithm, encrypted, derivation=chosen)


def verify(found: Authenticated, secret: bytes) -> None:
    """Raise Fault(BAD_SIGNATURE) unless the secret is right and nothing was changed; BAD_ALGORITHM before."""
    try:
        key = cms.unwrap_password(secret, max_iterations=MAX_ITERATIONS)(found.recipient)
    except Fault as fault:
        if fault.kind is FaultKind.BAD_ALGORITHM:
            raise
        raise _wrong("the key does not unwrap") from None
    expected = hmac.digest(key, found.attributes_der, found.mac_algorithm)
    if not hmac.compare_digest(expected, found.mac):
        raise _wrong("MAC differs")
    kind = single_value(found.attributes, oids.CONTENT_TYPE)
    digest = single_value(found.attributes, oids.MESSAGE_DIGEST)
    if kind is None or digest is None or der.read(kind).oid() != found.content_type:
        raise _wrong("contentType or messageDigest attribute")
    if found.digest_algorithm == "sha1":
        raise Fault(FaultKind.BAD_ALGORITHM, "SHA-1 message digest", "SHA-1 is not accepted")
    computed = algorithms.digest(found.digest_algorithm, found.content)
    if not hmac.compare_digest(der.read(digest).octets(), computed):
        raise _wrong("messageDigest differs")


def _wrong(detail: str) -> Fault:
    return Fault(FaultKind.BAD_SIGNATURE, f"AuthenticatedData: {detail}", "the data is not authentic")
