"""tls-exporter channel binding (RFC 9266 in RFC 7030 section 3.5), over connections whose exporter the client has."""

from __future__ import annotations

import base64
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, NameOID
from OpenSSL import SSL

from tests.support.authority import new_key
from tests.support.pki import EST, Ca
from tests.support.suite import StartSuite, Suite


def bound_csr(name: str, password: bytes | None) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
    if password is not None:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, password)
    return builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.DER)


def enrol(suite: Suite, credential: tuple[str, str], proof: str, version: int = SSL.TLS1_3_VERSION) -> tuple[int, str]:
    """Enrol over one connection, with its own exporter, another connection's, a person's words, or nothing."""
    place = urlsplit(suite.url())
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.load_verify_locations(str(suite.trust_bundle))
    context.set_verify(SSL.VERIFY_PEER)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    connection = SSL.Connection(context, socket.create_connection((place.hostname, place.port), 30))
    connection.set_connect_state()
    connection.get_context()
    while True:
        try:
            connection.do_handshake()
            break
        except SSL.WantReadError:
            continue
    exported = connection.export_keying_material(b"EXPORTER-Channel-Binding", 32)
    passwords = {
        "own": base64.b64encode(exported),
        "another": base64.b64encode(bytes(reversed(exported))),
        "words": b"correct horse",
        "none": None,
    }
    body = base64.encodebytes(bound_csr("c.example.test", passwords[proof]))
    basic = base64.b64encode(":".join(credential).encode()).decode()
    head = (
        f"POST {EST}/simpleenroll HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Basic {basic}\r\n"
        f"Content-Type: application/pkcs10\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    answer = b""
    while True:
        try:
            answer += connection.recv(65536)
        except SSL.WantReadError:
            continue
        except (SSL.ZeroReturnError, SSL.SysCallError):
            break
    status, _, rest = answer.partition(b"\r\n")
    return int(status.split()[1]), rest.decode("latin-1")


@pytest.mark.parametrize(("proof", "status"), [("own", 200), ("another", 400), ("words", 200), ("none", 200)])
def test_a_claimed_binding_is_verified(ca: Ca, proof: str, status: int) -> None:
    found, text = enrol(ca.suite, ca.credential("tls-server"), proof)
    assert found == status, text
    if status == 400:
        assert "another TLS connection" in text


def test_a_binding_can_be_required(suite: StartSuite, tmp_path: Path) -> None:
    config = {"pki_ca": {"est_channel_binding": "require"}, "public": {"tls": {"minimum_version": "1.2"}}}
    running = suite(tmp_path, "pki-ca", config)
    ca = Ca(running)
    credential = ca.credential("tls-server")
    for version in (SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
        assert enrol(running, credential, "own", version)[0] == 200
    for proof in ("none", "words", "another"):
        assert enrol(running, credential, proof)[0] == 400
    attributes = base64.b64decode(running.http().get(ca.est("csrattrs")).content)
    assert bytes.fromhex("06092a864886f70d010907") in attributes  # challengePassword: the client is told
