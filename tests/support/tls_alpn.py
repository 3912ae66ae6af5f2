"""Certificates as tls-alpn-01 wants them (RFC 8737 section 3)."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from pycryptoutil_protocols.acme.messages import Identifier

from tests.protocols import material
from tests.support.authority import new_key
from tests.support.pki import key_pem

KEY = new_key()
OID = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


def challenge_certificate(
    name: Identifier, digest: bytes, *, key: Any = KEY, critical: bool = True, extension: bool = True,
    more: tuple[x509.GeneralName, ...] = (), issuer: str = "challenge",
) -> x509.Certificate:  # fmt: skip
    """Self-signed, unless ``issuer`` says otherwise."""
    general: x509.GeneralName = x509.DNSName(name.value)
    if name.type == "ip":
        general = x509.IPAddress(ipaddress.ip_address(name.value))
    builder = (
        x509.CertificateBuilder()
        .subject_name(material.name("challenge"))
        .issuer_name(material.name(issuer))
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(material.NOT_BEFORE)
        .not_valid_after(material.NOT_AFTER)
        .add_extension(x509.SubjectAlternativeName([general, *more]), False)
    )
    if extension:
        builder = builder.add_extension(x509.UnrecognizedExtension(OID, b"\x04\x20" + digest), critical)
    return builder.sign(key, hashes.SHA256())


def write(folder: Path, certificate: x509.Certificate, _key: Any = None) -> tuple[Path, Path]:
    """Put certificate and key into files."""
    files = folder / "alpn.pem", folder / "alpn.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key_pem(KEY))
    return files
