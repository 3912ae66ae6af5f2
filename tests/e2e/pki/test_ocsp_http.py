"""OCSP and CRLs over HTTP: what bad input gets, and how fast a replica must know."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from tests.support.pki import Ca, Enrolled, ocsp_request
from tests.support.suite import StartSuite, Suite, until

MALFORMED, UNAUTHORIZED = (b"\x30\x03\x0a\x01" + bytes((code,)) for code in (1, 6))
POST = {"Content-Type": "application/ocsp-request"}


@pytest.fixture
def leaf(ca: Ca, tmp_path: Path) -> Enrolled:
    return ca.enrol(tmp_path, ca.credential("tls-server"), "a.example.test")


def ask(ca: Ca, leaf: Enrolled, nonce: bytes = b"", listener: str = "plain") -> ocsp.OCSPResponse:
    request = ocsp_request(leaf.certificate, ca.chain()[0], hashes.SHA1(), nonce)
    answer = ca.suite.http(listener=listener).post("/ocsp/issuing", content=request, headers=POST)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/ocsp-response"
    return ocsp.load_der_ocsp_response(answer.content)


@pytest.mark.parametrize("listener", ["plain", "public"])
def test_both_listeners_answer(ca: Ca, leaf: Enrolled, listener: str) -> None:
    assert ask(ca, leaf, listener=listener).certificate_status is ocsp.OCSPCertStatus.GOOD
    assert (
        ask(ca, leaf, b"x" * 16, listener).extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"x" * 16
    )


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("empty", b""),
        ("no DER", b"hello"),
        ("truncated", None),
        ("trailing", None),
        ("another structure", b"\x30\x03\x02\x01\x05"),
        ("too large", b"\x30" * 70_000),
        ("larger than any limit", b"\x30" * 3_000_000),
    ],
)
def test_bad_posts(ca: Ca, leaf: Enrolled, name: str, body: bytes | None) -> None:
    good = ocsp_request(leaf.certificate, ca.chain()[0], hashes.SHA1())
    given = {"truncated": good[:-4], "trailing": good + b"\x00"}.get(name) if body is None else body
    answer = ca.suite.http(listener="plain").post("/ocsp/issuing", content=given, headers=POST)
    assert (answer.status_code, answer.content) == (200, MALFORMED)
    assert answer.headers["content-type"] == "application/ocsp-response"
    assert answer.headers["cache-control"] == "no-store"


def test_content_types_of_posts(ca: Ca, leaf: Enrolled) -> None:
    request = ocsp_request(leaf.certificate, ca.chain()[0], hashes.SHA1())
    client = ca.suite.http(listener="plain")
    for kind in ("application/ocsp-request", "application/octet-stream", "Application/OCSP-Request; a=b"):
        answer = client.post("/ocsp/issuing", content=request, headers={"Content-Type": kind})
        assert len(answer.content) > 100
    for kind in ("text/html", "application/json"):
        answer = client.post("/ocsp/issuing", content=request, headers={"Content-Type": kind})
        assert answer.content == MALFORMED


def test_an_unknown_ca_is_unauthorized(ca: Ca, leaf: Enrolled) -> None:
    request = ocsp_request(leaf.certificate, ca.chain()[0], hashes.SHA1())
    for path in ("/ocsp/nobody", "/ocsp/" + "x" * 500, "/ocsp/%2e%2e"):
        assert ca.suite.http(listener="plain").post(path, content=request, headers=POST).content == UNAUTHORIZED


@pytest.mark.parametrize("length", [0, 129])
def test_nonces_of_a_forbidden_length(ca: Ca, leaf: Enrolled, length: int) -> None:
    good = ocsp_request(leaf.certificate, ca.chain()[0], hashes.SHA1(), b"n" * 40)
    assert good[-42:-40] == b"\x04\x28"
    issuer = ca.chain()[0]
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf.certificate, issuer, hashes.SHA1())
    from cryptography.hazmat.primitives.serialization import Encoding

    asked = builder.add_extension(x509.OCSPNonce(b"n" * length), False).build().public_bytes(Encoding.DER)
    answer = ca.suite.http(listener="plain").post("/ocsp/issuing", content=asked, headers=POST)
    assert answer.content == MALFORMED


@pytest.mark.parametrize("path", ["", "!!!!", "MAAA", "%ff%ff", "x" * 20_000, "../../etc/passwd", "a b"])
def test_bad_gets(ca: Ca, path: str) -> None:
    answer = ca.suite.http(listener="plain").get(f"/ocsp/issuing/{path}")
    assert answer.status_code in {200, 400, 404, 414}
    if answer.status_code == 200:
        assert answer.content == MALFORMED
    assert b"Traceback" not in answer.content


def test_get_and_its_conditional_form_over_a_kept_connection(ca: Ca, leaf: Enrolled) -> None:
    request = ocsp_request(leaf.certificate, ca.chain()[0], hashes.SHA1())
    path = "/ocsp/issuing/" + quote(base64.b64encode(request).decode(), safe="")
    client = ca.suite.http(listener="plain")
    first = client.get(path)
    again = client.get(path)  # from what is signed ahead
    assert first.content == again.content
    assert first.headers["etag"] == again.headers["etag"]
    assert "max-age=" in again.headers["cache-control"]
    unchanged = client.get(path, headers={"If-None-Match": again.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(first.content)


def test_methods(ca: Ca) -> None:
    answer = ca.suite.http(listener="plain").put("/ocsp/issuing", content=b"x")
    assert answer.content == MALFORMED
    assert "POST" in answer.headers["allow"]


def test_a_revocation_shows_within_a_second_on_every_worker(suite: StartSuite, tmp_path: Path) -> None:
    """Workers share the ports and nothing else; each is asked by connections of its own, before and after."""
    running = suite(tmp_path / "suite", workers=2)
    ca = Ca(running)
    leaf = ca.enrol(tmp_path, ca.credential("tls-server"), "w.example.test")
    request = ocsp_request(leaf.certificate, ca.chain()[0], hashes.SHA1())

    def everywhere() -> set[str]:
        found = set()
        for _ in range(12):
            with httpx.Client(base_url=running.url(listener="plain"), trust_env=False) as client:
                for _ in range(2):
                    der = client.post("/ocsp/issuing", content=request, headers=POST).content
                    found.add(ocsp.load_der_ocsp_response(der).certificate_status.name)
        return found

    assert everywhere() == {"GOOD"}
    ca.revoke(leaf.serial)
    time.sleep(1.0)  # noqa: TID251  the promise itself is a time
    assert everywhere() == {"REVOKED"}


# -- CRLs and CA certificates ------------------------------------------------------------------------------------------


def test_crl_headers_and_conditions(ca: Ca) -> None:
    client = ca.suite.http(listener="plain")
    answer = until(lambda: (found := client.get("/crl/issuing.crl")).status_code == 200 and found, "the first CRL")
    assert answer.headers["content-type"] == "application/pkix-crl"
    assert "content-encoding" not in answer.headers
    crl = x509.load_der_x509_crl(answer.content)
    assert answer.headers["last-modified"] == crl.last_update_utc.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert crl.next_update_utc is not None
    assert answer.headers["expires"] == crl.next_update_utc.strftime("%a, %d %b %Y %H:%M:%S GMT")
    for headers in (
        {"If-None-Match": answer.headers["etag"]},
        {"If-None-Match": f'"other", W/{answer.headers["etag"]}'},
        {"If-Modified-Since": answer.headers["last-modified"]},
    ):
        unchanged = client.get("/crl/issuing.crl", headers=headers)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    for headers in (
        {"If-None-Match": '"other"'},
        {"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
        {"If-Modified-Since": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"},
        {"If-None-Match": '"other"', "If-Modified-Since": answer.headers["last-modified"]},
    ):
        assert client.get("/crl/issuing.crl", headers=headers).status_code == 200


def test_a_revocation_is_on_the_crl_within_seconds(ca: Ca, leaf: Enrolled) -> None:
    ca.revoke(leaf.serial)
    client = ca.suite.http(listener="plain")

    def listed() -> bool:
        crl = x509.load_der_x509_crl(client.get("/crl/issuing.crl").content)
        return crl.get_revoked_certificate_by_serial_number(leaf.certificate.serial_number) is not None

    until(listed, "the CRL lists the certificate", 10)


def test_what_is_not_there(ca: Ca) -> None:
    client = ca.suite.http(listener="plain")
    for path in ("/crl/nobody.crl", "/ca/nobody.cer", "/ca/nobody.p7c", "/crl/%2e%2e.crl"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-request-id"] in answer.text
    assert client.get("/service/api/v1/health").status_code == 404
    assert client.post("/crl/issuing.crl", content=b"x").status_code == 405


def test_the_ca_certificate_in_both_forms(ca: Ca) -> None:
    client = ca.suite.http(listener="plain")
    issuing, root = ca.chain()
    answer = client.get("/ca/issuing.cer")
    assert answer.headers["content-type"] == "application/pkix-cert"
    assert x509.load_der_x509_certificate(answer.content) == issuing
    assert client.get("/ca/issuing.cer", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    from cryptography.hazmat.primitives.serialization import pkcs7

    bundle = client.get("/ca/issuing.p7c")
    assert bundle.headers["content-type"].startswith("application/pkcs7-mime")
    assert set(pkcs7.load_der_pkcs7_certificates(bundle.content)) == {issuing, root}


def test_a_sealed_barrier_ends_signed_answers(suite: StartSuite, tmp_path: Path) -> None:
    running: Suite = suite(tmp_path / "suite")
    ca = Ca(running)
    leaf = ca.enrol(tmp_path, ca.credential("tls-server"), "s.example.test")
    issuer = ca.chain()[0]
    assert ask(ca, leaf).certificate_status is ocsp.OCSPCertStatus.GOOD
    assert running.admin().post("barrier/seal", auth=running.basic).status_code == 200
    request = ocsp_request(leaf.certificate, issuer, hashes.SHA1())
    answer = running.http(listener="plain").post("/ocsp/issuing", content=request, headers=POST)
    assert answer.content == b"\x30\x03\x0a\x01\x03"  # tryLater
    assert answer.headers["retry-after"]
    est = running.http().get(ca.est("cacerts"))
    assert (est.status_code, est.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert est.headers["retry-after"]
