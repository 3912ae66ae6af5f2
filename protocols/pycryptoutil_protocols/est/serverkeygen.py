"""Server-side key generation (RFC 7030 section 4.4): the protection asked for and the two-part answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from pycryptoutil_protocols import cms, der, oids, pem
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Signer

from .messages import CERTS_ONLY, PKCS8, SERVER_GENERATED_KEY, Payload

# base64 has no hyphen, so this cannot occur in a part
_BOUNDARY = "estServerKeyGenBoundary-4f1d"
_MAX_BODY = 1 << 20
_MAX_PARTS = 4


@dataclass(frozen=True, slots=True)
class Protection:
    """What a request asks the private key to be encrypted with; at most one of the identifiers is set."""

    symmetric_key_identifier: bytes = b""
    asymmetric_key_identifier: bytes = b""
    cipher: str = "aes-256-cbc"

    @property
    def wanted(self) -> bool:
        """Whether encryption beyond TLS is asked for."""
        return bool(self.symmetric_key_identifier or self.asymmetric_key_identifier)


def protection(csr: CertificationRequest) -> Protection:
    """Read the attributes of RFC 7030 sections 4.4.1.1 and 4.4.1.2; Fault(INVALID, BAD_ALGORITHM)."""
    symmetric, asymmetric = csr.decrypt_key_identifier, csr.asymmetric_decrypt_key_identifier
    if symmetric is not None and asymmetric is not None:
        raise Fault(FaultKind.INVALID, "two key identifiers", "only one decryption key can be asked for")
    if symmetric == b"" or asymmetric == b"":
        raise Fault(FaultKind.INVALID, "empty key identifier", "the key identifier is empty")
    return Protection(symmetric or b"", asymmetric or b"", cms.negotiate_cipher(csr.capabilities))


def protect(
    pkcs8: bytes, recipient: cms.Recipient, signer: Signer, certificate: bytes, *, cipher: str = "aes-256-cbc"
) -> bytes:
    """DER ContentInfo: the key as AsymmetricKeyPackage, signed by who made it, enveloped to who asked for it.

    RFC 7030 section 4.4.2 with RFC 5958 section 4. ``certificate`` is the signer's.
    """
    signed = cms.build_signed_data(oids.ASYMMETRIC_KEY_PACKAGE, der.sequence(pkcs8), signer, certificate, bare=True)
    return cms.encrypt(oids.SIGNED_DATA, signed, (recipient,), cipher=cipher)


def open_protected(encoded: bytes, unwrap: cms.Unwrap) -> tuple[bytes, bytes]:
    """Return (PKCS#8, the signer's certificate) of what ``protect`` made; the client's side of it."""
    enveloped = cms.decode_enveloped(encoded)
    if enveloped.content_type != oids.SIGNED_DATA or not enveloped.recipients:
        raise der.malformed("the key is not signed, or has no recipient that is supported")
    signed = cms.decode_signed_data(cms.decrypt(enveloped, enveloped.recipients[0], unwrap), bare=True)
    (signer, *_) = cms.verify_signed_data(signed)
    if signed.content_type != oids.ASYMMETRIC_KEY_PACKAGE or signed.content is None:
        raise der.malformed("not an AsymmetricKeyPackage")
    keys = der.split_sequence(signed.content)
    if len(keys) != 1:
        raise der.malformed("not exactly one key")
    return keys[0], signer.der


def encode_plain(pkcs8: bytes, certificate: bytes) -> Payload:
    """Answer with the key protected by TLS alone."""
    return _encode(PKCS8, pkcs8, certificate)


def encode_protected(enveloped: bytes, certificate: bytes) -> Payload:
    """Answer with the key in the CMS that ``protect`` made."""
    return _encode(SERVER_GENERATED_KEY, enveloped, certificate)


def _encode(key_type: str, key: bytes, certificate: bytes) -> Payload:
    parts = ((key_type, key), (CERTS_ONLY, cms.encode_certs_only((certificate,))))
    body = b"".join(
        b"--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n"
        % (_BOUNDARY.encode(), kind.encode(), pem.encode_base64(data).rstrip().replace(b"\n", b"\r\n"))
        for kind, data in parts
    )
    return Payload(f"multipart/mixed; boundary={_BOUNDARY}", body + b"--%s--\r\n" % _BOUNDARY.encode())


@dataclass(frozen=True, slots=True)
class Generated:
    """A decoded answer: the key as PKCS#8, or enveloped when ``enveloped`` is set, and the certificates."""

    key: bytes = field(repr=False)
    enveloped: bool
    certificates: tuple[bytes, ...]


def decode(body: bytes, content_type: str) -> Generated:
    """Decode an answer; Fault(MALFORMED, TOO_LARGE)."""
    if len(body) > _MAX_BODY:
        raise Fault(FaultKind.TOO_LARGE, f"multipart of {len(body)} octets", "the message is too large")
    boundary = _boundary(content_type)
    lines = (b"\r\n" + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).split(b"\r\n--" + boundary)
    if len(lines) < 3 or not lines[-1].startswith(b"--") or len(lines) > _MAX_PARTS + 2:
        raise der.malformed("multipart body")
    parts = dict(map(_part, lines[1:-1]))
    certificates = parts.get(CERTS_ONLY.replace(" ", ""))
    if certificates is None or len(parts) != 2:
        raise der.malformed("multipart body without certificates and a key")
    plain = parts.get(PKCS8)
    key = plain if plain is not None else parts.get(SERVER_GENERATED_KEY.replace(" ", ""))
    if key is None:
        raise der.malformed("multipart body without a key")
    return Generated(key, plain is None, cms.decode_certs_only(certificates))


def _boundary(content_type: str) -> bytes:
    kind, *parameters = content_type.split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        value = value.strip('"')
        if kind.strip().lower() == "multipart/mixed" and name.lower() == "boundary" and value and value.isascii():
            return value.encode()
    raise Fault(FaultKind.UNSUPPORTED_MEDIA_TYPE, "not multipart/mixed", "multipart/mixed is expected")


def _part(part: bytes) -> tuple[str, bytes]:
    head, separator, content = part.partition(b"\r\n\r\n")
    if not separator:
        raise der.malformed("part without a blank line")
    kind = ""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-type":
            kind = value.decode("latin-1").replace(" ", "").lower()
    return kind, pem.decode_base64(content, _MAX_BODY)
