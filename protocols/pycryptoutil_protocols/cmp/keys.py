"""Private keys that the CA makes (RFC 9483 section 4.1.6, RFC 5958): signed by who made them, then encrypted.

The EnvelopedData holds a SignedData of an AsymmetricKeyPackage with one key. The signer's certificate has the extended
key usage id-kp-cmKGA, unless it is the CA's own.

OpenSSL 3.5 speaks a dialect: its client asks under CMP version 2, although EnvelopedData needs version 3, and can read
the key only if no AsymmetricKeyPackage is around it (``d2i_PrivateKey``); its server says id-data for every content
type. ``wrap`` writes that form when ``package`` is false, ``unwrap`` reads both.
"""

from __future__ import annotations

from collections.abc import Sequence

from pycryptoutil_protocols import algorithms, cms, der, oids, x509
from pycryptoutil_protocols.crmf import encrypted
from pycryptoutil_protocols.crmf.messages import EncryptedKey
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Decryptor, Signer
from pycryptoutil_protocols.x509 import Certificate

KEY_GENERATION_AUTHORITY = "1.3.6.1.5.5.7.3.32"  # id-kp-cmKGA
_V2 = 1


def with_public_key(pkcs8: bytes, spki: bytes) -> bytes:
    """Return a PKCS#8 key as OneAsymmetricKey version 2, with its public key (RFC 5958 section 2)."""
    algorithm, key, attributes = _parts(pkcs8)
    bits = b"\x00" + algorithms.key_info(spki).key
    return der.sequence(der.integer(_V2), algorithm, key, attributes, der.implicit(1, bits))


def without_public_key(one_asymmetric_key: bytes) -> bytes:
    """Return a key as PKCS#8 version 1 (RFC 5208), which every library can read."""
    algorithm, key, attributes = _parts(one_asymmetric_key)
    return der.sequence(der.integer(0), algorithm, key, attributes)


def _parts(encoded: bytes) -> tuple[bytes, bytes, bytes]:
    reader = der.read_sequence(encoded)
    if reader.take(der.INTEGER, "version").integer() not in (0, _V2):
        raise Fault(FaultKind.UNSUPPORTED, "OneAsymmetricKey version", "this version is not supported")
    algorithm, key = reader.take(der.SEQUENCE, "algorithm"), reader.take(der.OCTET_STRING, "privateKey")
    attributes = reader.optional(der.context(0))
    reader.optional(der.context(1, constructed=False))
    reader.end("OneAsymmetricKey")
    return algorithm.encoded, key.encoded, attributes.encoded if attributes else b""


def wrap(
    pkcs8: bytes, recipient: cms.Recipient, signer: Signer, certificates: Sequence[bytes], *, package: bool = True
) -> EncryptedKey:
    """Sign a key and encrypt it; ``certificates`` are the signer's and its chain."""
    signed = cms.build_signed_data(
        oids.ASYMMETRIC_KEY_PACKAGE,
        der.sequence(pkcs8) if package else pkcs8,
        signer,
        certificates[0],
        certificates=certificates,
        by_key_identifier=bool(x509.decode_certificate(certificates[0]).subject_key_identifier),
        bare=True,
    )
    return encrypted.seal(oids.SIGNED_DATA, signed, (recipient,))


def unwrap(
    key: EncryptedKey, opener: Decryptor | bytes, *, allow_pkcs1: bool = False
) -> tuple[bytes, Certificate, tuple[bytes, ...]]:
    """Return (PKCS#8 version 1, the signer's certificate, all certificates); ``opener`` is a key or a password.

    The signature is checked; that the signer may make keys is for ``check_maker`` and a chain check.
    """
    if isinstance(opener, bytes):
        kind, content = encrypted.unseal_by_password(key, opener)
    else:
        kind, content = encrypted.unseal(key, opener, allow_pkcs1=allow_pkcs1)
    if kind not in (oids.SIGNED_DATA, oids.DATA):
        raise Fault(FaultKind.MALFORMED, f"content type {kind}", "the private key is not signed")
    signed = cms.decode_signed_data(content, bare=True)
    (maker, *_) = cms.verify_signed_data(signed)
    if signed.content_type not in (oids.ASYMMETRIC_KEY_PACKAGE, oids.DATA) or signed.content is None:
        raise der.malformed("not an AsymmetricKeyPackage")
    return without_public_key(_only_key(signed.content)), maker, signed.certificates


def _only_key(content: bytes) -> bytes:
    found = der.read(content).expect(der.SEQUENCE, "AsymmetricKeyPackage").children()
    if found and found[0].tag == der.INTEGER:  # a key that nothing is around
        return content
    if len(found) != 1:
        raise der.malformed("not exactly one key")
    return found[0].encoded


def check_maker(maker: Certificate, issuers: Sequence[bytes]) -> None:
    """Check that a signer may make keys: a CA certificate known to us, or id-kp-cmKGA; Fault(FORBIDDEN)."""
    if maker.der in issuers:
        return
    usage = maker.extension(oids.EXTENDED_KEY_USAGE)
    purposes = [one.oid() for one in der.read(usage.value).children()] if usage else []
    if KEY_GENERATION_AUTHORITY not in purposes:
        raise Fault(FaultKind.FORBIDDEN, "signer of a key without id-kp-cmKGA", "the key's signer may not make keys")
