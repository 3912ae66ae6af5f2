"""SCEP over HTTP: every path, both listeners, and the ways in which clients ask."""

from __future__ import annotations

import base64
import socket
from urllib.parse import quote, urlsplit

import httpx
import pytest
from pycryptoutil_protocols import cms
from pycryptoutil_protocols.scep import client, codec, messages, transport
from pycryptoutil_protocols.scep.client import Client, Sent, Server
from pycryptoutil_protocols.scep.messages import FailInfo, MessageType, PkiStatus

from tests.protocols import material, test_scep_refusals
from tests.support.pki import Ca
from tests.support.suite import Suite, shared_suite

__all__ = ["shared_suite"]

PATHS = [
    "/scep", "/scep/", "/scep/pkiclient.exe", "/scep/tls-server", "/scep/tls-server/pkiclient.exe",
    "/scep/issuing/tls-server", "/scep/issuing/tls-server/pkiclient.exe", "/scep/issuing:tls-server",
]  # fmt: skip


@pytest.fixture
def ca(shared_suite: Suite) -> Ca:
    return Ca(shared_suite)


class Device:
    """A client that speaks HTTP."""

    def __init__(self, ca: Ca, path: str = "/scep/tls-server", listener: str = "plain", number: int = 0) -> None:
        self.http = ca.suite.http(listener=listener)
        self.path = path
        self.key = material.private_key("RSA-2048", number)
        self.signer = material.KeySigner(self.key, "rsa-sha256")
        subject = material.name("device.example.test").public_bytes()
        span = (int(material.NOT_BEFORE.timestamp()), int(material.NOT_AFTER.timestamp()))
        self.certificate = client.self_signed(self.signer, subject, *span)

    def get(self, operation: str, message: str = "") -> httpx.Response:
        query = f"operation={operation}" + (f"&message={message}" if message else "")
        return self.http.get(f"{self.path}?{query}")

    def server(self) -> Server:
        answer = self.get("GetCACert", "ignored")
        return client.decode_ca_certificates(answer.content, answer.headers["content-type"])

    def request(self, challenge: str) -> Sent:
        attributes = (("1.2.840.113549.1.9.7", challenge.encode(), 0x0C),) if challenge else ()
        csr = material.csr_der(self.key, "device.example.test", ("device.example.test",), attributes)
        asking = Client(self.server(), self.signer, self.certificate)
        return asking.enrol(csr, material.spki(self.key))

    def post(self, sent: Sent, **headers: str) -> httpx.Response:
        return self.http.post(f"{self.path}?operation=PKIOperation", content=sent.encoded, headers=headers)

    def read(self, answer: httpx.Response, sent: Sent) -> client.Answer:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == messages.PKI_MESSAGE
        unwrap = cms.unwrap_with(cms.SoftDecryptor(self.key), allow_pkcs1=True)
        return client.read_answer(answer.content, sent, self.server().certificates, unwrap)


@pytest.mark.parametrize("listener", ["plain", "public"])
@pytest.mark.parametrize("path", PATHS)
def test_answers_everywhere(ca: Ca, path: str, listener: str) -> None:
    device = Device(ca, path, listener)
    capabilities = device.get("GetCACaps")
    assert capabilities.headers["content-type"] == "text/plain"
    assert "scepstandard" in transport.decode_capabilities(capabilities.content)
    answer = device.get("GetCACert")
    assert answer.headers["content-type"] == messages.CA_AND_RA_CERTIFICATES
    assert len(cms.decode_certs_only(answer.content)) == 3
    _, password = ca.credential()
    sent = device.request(password)
    assert device.read(device.post(sent), sent).status is PkiStatus.SUCCESS


@pytest.mark.parametrize("kind", ["application/x-pki-message", "application/octet-stream", "text/plain; x=y", ""])
def test_any_media_type_is_a_message(ca: Ca, kind: str) -> None:
    device = Device(ca)
    sent = device.request(ca.credential()[1])
    headers = {"content-type": kind} if kind else {}
    assert device.read(device.post(sent, **headers), sent).status is PkiStatus.SUCCESS


def test_get_in_the_forms_that_clients_send(ca: Ca) -> None:
    """Escaped as it should be, as macOS does it (+ and / bare), with line feeds as Cisco's, and without padding."""
    device = Device(ca)
    sent = device.request(ca.credential()[1])
    text = base64.b64encode(sent.encoded).decode()
    lines = base64.encodebytes(sent.encoded).decode()
    assert "+" in text
    for message in (quote(text, safe=""), text, quote(lines, safe="/+="), text.rstrip("=")):
        assert device.read(device.get("PKIOperation", message), sent).status is PkiStatus.SUCCESS


@pytest.mark.parametrize("operation", ["getcacaps", "GETCACAPS"])
def test_operations_in_any_case(ca: Ca, operation: str) -> None:
    assert Device(ca).get(operation).status_code == 200
    assert Device(ca).http.get(f"/scep?Operation={operation}").status_code == 200


def raw(ca: Ca, request: bytes) -> bytes:
    """What the plain listener says to these octets."""
    where = urlsplit(ca.suite.url("pki-ca", "plain"))
    with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
        connection.sendall(request)
        found = b""
        while part := connection.recv(65536):
            found += part
    return found


def test_http_1_0_without_host(ca: Ca) -> None:
    """As old routers speak."""
    answer = raw(ca, b"GET /scep/tls-server/pkiclient.exe?operation=GetCACaps&message=x HTTP/1.0\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
    assert b"POSTPKIOperation" in answer
    device = Device(ca)
    sent = device.request(ca.credential()[1])
    message = base64.b64encode(sent.encoded)
    answer = raw(ca, b"GET /scep/tls-server?operation=PKIOperation&message=%s HTTP/1.0\r\n\r\n" % message)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/x-pki-message" in head
    assert codec.decode_message(body).status is PkiStatus.SUCCESS


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/scep?operation=GetEverything", 400),
        ("GET", "/scep", 400),
        ("GET", "/scep?operation=GetCACaps&operation=GetCACert", 400),
        ("GET", "/scep?operation=PKIOperation", 400),
        ("GET", "/scep?operation=PKIOperation&message=*", 400),
        ("GET", "/scep/nobody?operation=GetCACert", 404),
        ("GET", "/scep/a/b/c?operation=GetCACert", 404),
        ("GET", "/scep?operation=GetNextCACert", 404),
        ("POST", "/scep?operation=GetCACert", 405),
        ("PUT", "/scep?operation=PKIOperation", 405),
    ],
)
def test_what_http_says_itself(ca: Ca, method: str, path: str, status: int) -> None:
    answer = Device(ca).http.request(method, path, content=b"" if method != "GET" else None)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/plain") or status in {404, 405}


NOTHING = [(name, make) for name, make, _ in test_scep_refusals.NO_MESSAGE if "no transactionID" not in name]


@pytest.mark.parametrize(("name", "make"), NOTHING, ids=[name for name, _ in NOTHING])
def test_what_is_no_message_is_never_a_500(ca: Ca, name: str, make: object) -> None:
    answer = Device(ca).http.post("/scep?operation=PKIOperation", content=make())  # type: ignore[operator]
    assert 400 <= answer.status_code < 500, name
    assert "Traceback" not in answer.text


def test_a_refusal_is_a_cert_rep(ca: Ca) -> None:
    device = Device(ca)
    sent = device.request("wrong")
    found = device.read(device.post(sent), sent)
    assert (found.status, found.fail_info) == (PkiStatus.FAILURE, FailInfo.BAD_REQUEST)
    sent = Client(device.server(), device.signer, device.certificate).request(MessageType.UPDATE_REQ, b"\x30\x00", "t")
    found = device.read(device.post(sent), sent)
    assert (found.status, found.fail_info) == (PkiStatus.FAILURE, FailInfo.BAD_REQUEST)
    assert "RenewalReq" in found.fail_text
