"""Revocation status by openssl, gnutls and curl: OCSP, CRLs, and validation of a whole chain with both."""

from __future__ import annotations

import base64
import re
import urllib.parse
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.support.pki import Ca, Enrolled, ocsp_request, uris
from tests.support.programs import need, run
from tests.support.suite import until

pytestmark = pytest.mark.interop


@pytest.fixture(autouse=True)
def _programs() -> None:
    need("curl", "openssl", "ocsptool", "certtool")


@pytest.fixture(scope="module")
def good(ca: Ca, tmp_path_factory: pytest.TempPathFactory) -> Enrolled:
    return ca.enrol(tmp_path_factory.mktemp("good"), ca.credential(), "good.example.test")


@pytest.fixture(scope="module")
def revoked(ca: Ca, tmp_path_factory: pytest.TempPathFactory) -> Enrolled:
    made = ca.enrol(tmp_path_factory.mktemp("revoked"), ca.credential(), "revoked.example.test")
    ca.revoke(made.serial, "superseded")
    return made


@pytest.fixture(scope="module")
def never_issued(ca: Ca, good: Enrolled) -> str:
    """A serial of our form that nobody has."""
    return f"0x{good.certificate.serial_number ^ 1:x}"


def responder(ca: Ca) -> str:
    return str(ca.authorities()["issuing"]["ocsp_url"])


def openssl_ocsp(ca: Ca, trust: Path, *asked: str | Path) -> str:
    """Ask about certificates (``-cert FILE``) and serials (``-serial N``); the response must verify."""
    done = run("openssl", "ocsp", "-issuer", trust / "issuing.pem", *asked, "-url", responder(ca),
               "-CAfile", trust / "root.pem", "-resp_text", code=None)  # fmt: skip
    assert "Response verify OK" in done.text, done.text
    return done.text


def status_of(text: str, asked: str | Path) -> str:
    (found,) = re.findall(rf"^{re.escape(str(asked))}: (\w+)$", text, re.MULTILINE)
    return str(found)


# --- openssl ocsp


@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
def test_good_revoked_and_unknown(
    ca: Ca, trust: Path, good: Enrolled, revoked: Enrolled, never_issued: str, nonce: str
) -> None:
    for asked, wanted in (
        (("-cert", good.certificate_file), "good"),
        (("-cert", revoked.certificate_file), "revoked"),
        (("-serial", never_issued), "unknown"),
    ):
        text = openssl_ocsp(ca, trust, nonce, *asked)
        assert status_of(text, asked[1]) == wanted
        assert ("OCSP Nonce" in text.partition("Response Data")[2]) == (nonce == "-nonce")
        assert "WARNING: no nonce in response" not in text
        if wanted == "revoked":
            assert "Reason: superseded" in text


def test_several_certificates_in_one_request(
    ca: Ca, trust: Path, good: Enrolled, revoked: Enrolled, never_issued: str
) -> None:
    text = openssl_ocsp(
        ca, trust, "-cert", good.certificate_file, "-cert", revoked.certificate_file, "-serial", never_issued
    )
    found = [status_of(text, one) for one in (good.certificate_file, revoked.certificate_file, never_issued)]
    assert found == ["good", "revoked", "unknown"]


@pytest.mark.parametrize("digest", ["-sha1", "-sha256", "-sha384", "-sha512"])
def test_every_hash_of_a_certificate_id(ca: Ca, trust: Path, good: Enrolled, digest: str) -> None:
    text = openssl_ocsp(ca, trust, digest, "-cert", good.certificate_file)
    assert status_of(text, good.certificate_file) == "good"
    assert f"Hash Algorithm: {digest[1:]}" in text.partition("Response Data")[2]


def test_the_root_answers_for_the_issuing_ca(ca: Ca, trust: Path) -> None:
    issuing = x509.load_pem_x509_certificate((trust / "issuing.pem").read_bytes())
    done = run("openssl", "ocsp", "-issuer", trust / "root.pem", "-cert", trust / "issuing.pem",
               "-url", uris(issuing)["ocsp"], "-CAfile", trust / "root.pem")  # fmt: skip
    assert "issuing.pem: good" in done.text
    assert "Response verify OK" in done.text


def test_a_foreign_issuer_is_unauthorized(ca: Ca, trust: Path, good: Enrolled, tmp_path: Path) -> None:
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
        tmp_path / "foreign.key", "-subj", "/CN=foreign", "-out", tmp_path / "foreign.pem")  # fmt: skip
    done = run("openssl", "ocsp", "-issuer", tmp_path / "foreign.pem", "-cert", good.certificate_file,
               "-url", responder(ca), "-CAfile", trust / "root.pem", code=None)  # fmt: skip
    assert "unauthorized" in done.text


def test_a_revocation_is_visible_at_once(ca: Ca, trust: Path, tmp_path: Path) -> None:
    made = ca.enrol(tmp_path, ca.credential(), "soon.example.test")
    ask = ("-no_nonce", "-cert", made.certificate_file)
    for _ in range(2):  # the second one comes from what is signed ahead
        assert status_of(openssl_ocsp(ca, trust, *ask), made.certificate_file) == "good"
    ca.revoke(made.serial)
    until(lambda: status_of(openssl_ocsp(ca, trust, *ask), made.certificate_file) == "revoked", "revoked", 5)


def test_hold_and_release(ca: Ca, trust: Path, tmp_path: Path) -> None:
    made = ca.enrol(tmp_path, ca.credential(), "held.example.test")
    ask = ("-no_nonce", "-cert", made.certificate_file)
    ca.suite.cli("ca", "revoke", made.serial, "--reason", "certificateHold")
    until(lambda: "Reason: certificateHold" in openssl_ocsp(ca, trust, *ask), "held", 5)
    ca.suite.cli("ca", "release", made.serial)
    until(lambda: status_of(openssl_ocsp(ca, trust, *ask), made.certificate_file) == "good", "released", 5)


# --- GET, as clients and proxies write it (RFC 5019, RFC 6960 appendix A.1)


def get_quirks(request: bytes) -> dict[str, str]:
    plain = base64.b64encode(request).decode()
    quoted = urllib.parse.quote(plain, safe="")
    return {
        "as it is": "/" + plain,
        "all escaped": "/" + quoted,
        "escaped in lower case": "/" + re.sub("%..", lambda found: found.group().lower(), quoted),
        "two slashes": "//" + plain,
        "no padding": "/" + plain.rstrip("="),
        "base64url": "/" + plain.replace("+", "-").replace("/", "_"),
        "plus as a space": "/" + plain.replace("+", "%20"),
    }


@pytest.mark.parametrize("quirk", list(get_quirks(b"")))
def test_get_survives_its_travels(ca: Ca, trust: Path, good: Enrolled, revoked: Enrolled, quirk: str) -> None:
    issuer = x509.load_pem_x509_certificate((trust / "issuing.pem").read_bytes())
    for asked, wanted in ((good, "GOOD"), (revoked, "REVOKED")):
        for algorithm in (hashes.SHA1(), hashes.SHA256()):  # of any luck, both + and / are in one of them
            request = ocsp_request(asked.certificate, issuer, algorithm)
            url = responder(ca) + get_quirks(request)[quirk]
            answer = ocsp.load_der_ocsp_response(run("curl", "-sS", "-f", "--path-as-is", url).out)
            assert answer.certificate_status.name == wanted
            assert answer.serial_number == asked.certificate.serial_number


def test_slashes_in_a_get_that_a_proxy_has_joined(ca: Ca, trust: Path, good: Enrolled) -> None:
    """A request whose base64 has ``/`` and ``//`` in it is read whole."""
    issuer = x509.load_pem_x509_certificate((trust / "issuing.pem").read_bytes())
    tried = 0
    for number in range(4000):
        nonce = number.to_bytes(32, "big").replace(b"\x00", b"\xff")
        plain = base64.b64encode(ocsp_request(good.certificate, issuer, hashes.SHA1(), nonce)).decode()
        if "//" in plain and tried < 3:
            tried += 1
            answer = ocsp.load_der_ocsp_response(run("curl", "-sSf", "--path-as-is", f"{responder(ca)}/{plain}").out)
            assert answer.certificate_status.name == "GOOD"
    assert tried


def test_a_get_can_be_cached(ca: Ca, trust: Path, good: Enrolled) -> None:
    issuer = x509.load_pem_x509_certificate((trust / "issuing.pem").read_bytes())
    url = f"{responder(ca)}/{base64.b64encode(ocsp_request(good.certificate, issuer, hashes.SHA1())).decode()}"
    head = run("curl", "-sS", "-D", "-", "-o", "/dev/null", url).text.lower()
    for field in ("cache-control: max-age=", "etag: ", "last-modified: ", "expires: "):
        assert field in head
    assert "content-type: application/ocsp-response" in head
    (etag,) = re.findall(r"etag: (\S+)", head)
    again = run(
        "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "-H", f"If-None-Match: {etag}", url
    )
    assert again.out == b"304 0"
    asked = ocsp_request(good.certificate, issuer, hashes.SHA1(), b"n" * 32)
    nonced = run("curl", "-sS", "-D", "-", "-o", "/dev/null", "-H", "Content-Type: application/ocsp-request",
                 "--data-binary", "@-", responder(ca), stdin=asked).text.lower()  # fmt: skip
    assert "no-store" in nonced


# --- gnutls


def test_ocsptool(ca: Ca, trust: Path, good: Enrolled, revoked: Enrolled, tmp_path: Path) -> None:
    for made, wanted in ((good, "good"), (revoked, "revoked")):
        answer = tmp_path / f"{wanted}.der"
        asked = run("ocsptool", f"--ask={responder(ca)}", "--nonce", "--load-cert", made.certificate_file,
                    "--load-issuer", trust / "issuing.pem", "--outfile", answer, code=None)  # fmt: skip
        assert f"Certificate Status: {wanted}" in asked.text, asked.text
        checked = run("ocsptool", "-e", "--load-response", answer, "--load-trust", trust / "issuing.pem")
        assert "Success" in checked.text, checked.text
    # from the certificate's own URI, without being told where
    found = run("ocsptool", "--ask", "--load-cert", good.certificate_file, "--load-issuer", trust / "issuing.pem",
                "--load-trust", trust / "issuing.pem")  # fmt: skip
    assert "Success" in found.text


# --- CRLs


@pytest.fixture(scope="module")
def crls(ca: Ca, trust: Path, revoked: Enrolled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root.crl and issuing.crl, PEM, in a folder: fetched by curl from where they are published."""
    folder = tmp_path_factory.mktemp("crls")
    for name, known in ca.authorities().items():

        def fetched(url: str = known["crl_url"]) -> bytes:
            return run("curl", "-sSf", url).out

        def lists_it(fetched: object = fetched, name: str = name) -> bool:
            crl = x509.load_der_x509_crl(fetched())  # type: ignore[operator]
            return (
                name == "root"
                or crl.get_revoked_certificate_by_serial_number(revoked.certificate.serial_number) is not None
            )

        until(lists_it, f"the CRL of {name} lists what is revoked", 10)
        (folder / f"{name}.crl").write_bytes(run("openssl", "crl", "-inform", "DER", stdin=fetched()).out)
    return folder


def test_crl_is_where_the_certificate_says_and_verifies(ca: Ca, trust: Path, good: Enrolled, crls: Path) -> None:
    assert uris(good.certificate)["crl"] == ca.authorities()["issuing"]["crl_url"]
    for name in ("root", "issuing"):
        done = run("openssl", "crl", "-in", crls / f"{name}.crl", "-verify", "-CAfile", trust / f"{name}.pem", "-noout",
                   "-partial_chain" if name == "issuing" else "-noout", code=None)  # fmt: skip
        if "Unknown option" in done.text or "unknown option" in done.text:
            done = run(
                "openssl", "crl", "-in", crls / f"{name}.crl", "-verify", "-CAfile", trust / "chain.pem", "-noout"
            )
        assert "verify OK" in done.text, done.text
    text = run("openssl", "crl", "-in", crls / "issuing.crl", "-noout", "-text").text
    assert "X509v3 Issuing Distribution Point: critical" in text
    assert "X509v3 CRL Number" in text
    assert "X509v3 Authority Key Identifier" in text
    assert "Superseded" in text


def test_verify_with_crls_of_the_whole_chain(
    ca: Ca, trust: Path, good: Enrolled, revoked: Enrolled, crls: Path
) -> None:
    verify = (
        "openssl", "verify", "-crl_check_all", "-CAfile", trust / "root.pem", "-untrusted", trust / "issuing.pem",
        "-CRLfile", crls / "root.crl", "-CRLfile", crls / "issuing.crl", "-x509_strict",
    )  # fmt: skip
    assert "OK" in run(*verify, good.certificate_file).text
    assert "certificate revoked" in run(*verify, revoked.certificate_file, code=2).text
    without = tuple(part for part in verify if part != crls / "issuing.crl")
    pair = without.index("-CRLfile", without.index("-CRLfile") + 1)
    missing_crl = run(*without[:pair], *without[pair + 1 :], good.certificate_file, code=2)
    assert "unable to get certificate CRL" in missing_crl.text


def test_verify_that_downloads_crls_by_itself(trust: Path, good: Enrolled, revoked: Enrolled) -> None:
    verify = (
        "openssl",
        "verify",
        "-crl_check",
        "-crl_download",
        "-CAfile",
        trust / "root.pem",
        "-untrusted",
        trust / "issuing.pem",
    )
    assert "OK" in run(*verify, good.certificate_file).text
    assert "certificate revoked" in run(*verify, revoked.certificate_file, code=2).text


def test_gnutls_reads_the_crl(trust: Path, crls: Path) -> None:
    done = run(
        "certtool", "--verify-crl", "--load-ca-certificate", trust / "issuing.pem", "--infile", crls / "issuing.crl"
    )
    assert "Verified" in done.text or "verified" in done.text, done.text


def test_ca_certificates_are_where_certificates_say(ca: Ca, trust: Path, good: Enrolled) -> None:
    der_form = run("curl", "-sSf", uris(good.certificate)["issuer"]).out
    assert (
        run("openssl", "x509", "-inform", "DER", stdin=der_form).out
        == run("openssl", "x509", "-in", trust / "issuing.pem").out
    )
    bundle = run("curl", "-sSf", uris(good.certificate)["issuer"].removesuffix(".cer") + ".p7c").out
    printed = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", stdin=bundle).out
    assert len(x509.load_pem_x509_certificates(printed)) == 2


def test_conditional_crl_download(ca: Ca, tmp_path: Path) -> None:
    url = ca.authorities()["root"]["crl_url"]
    run("curl", "-sSf", "--etag-save", tmp_path / "etag", "-o", tmp_path / "crl", url)
    again = run(
        "curl", "-sS", "--etag-compare", tmp_path / "etag", "-o", "/dev/null", "-w", "%{http_code}", "--compressed", url
    )
    assert again.out == b"304"
    plain = run("curl", "-sS", "--compressed", "-D", "-", "-o", "/dev/null", url).text.lower()
    assert "content-encoding" not in plain
    assert "last-modified" in plain
    assert (tmp_path / "crl").read_bytes() == x509.load_der_x509_crl((tmp_path / "crl").read_bytes()).public_bytes(
        Encoding.DER
    )
