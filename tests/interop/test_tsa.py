"""Time-stamps for other people's programs: openssl ts, curl, osslsigncode, the JDK's jarsigner, two Python clients."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12
from cryptography.x509.oid import NameOID
from pycryptoutil_protocols.tsp.token import verify_token

from tests.support.authority import csr, new_key
from tests.support.pki import Ca, key_pem
from tests.support.programs import Debian13, need, run
from tests.support.suite import make_suite
from tests.support.tsp import minimal_program

pytestmark = pytest.mark.interop
HASHES = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")


def url(ca: Ca) -> str:
    return f"{ca.suite.url(listener='plain')}/tsa"


def code_signer(ca: Ca, folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Get a code-signing certificate; return the files of it with its chain, of its key, and of both as PKCS#12."""
    key = new_key()
    made = ca.issue("code-signing", csr(cn=name, key=key, subject=((NameOID.ORGANIZATION_NAME, "Interop"),)))
    leaf = x509.load_der_x509_certificate(base64.b64decode(made["der"])) if "der" in made else None
    leaf = leaf or x509.load_pem_x509_certificate(made["certificate"].encode())
    chain = ca.chain()
    certificates, key_file, both = folder / "signer.pem", folder / "signer.key", folder / "signer.p12"
    certificates.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in (leaf, *chain)))
    key_file.write_bytes(key_pem(key))
    both.write_bytes(
        pkcs12.serialize_key_and_certificates(b"signer", key, leaf, chain, BestAvailableEncryption(b"changeit"))
    )
    return certificates, key_file, both


@pytest.mark.parametrize("name", HASHES)
def test_openssl_and_curl(ca: Ca, trust: Path, tmp_path: Path, name: str) -> None:
    """The command lines of the documentation."""
    data = tmp_path / "file"
    data.write_bytes(name.encode() * 100)
    run("openssl", "ts", "-query", "-data", data, f"-{name}", "-cert", "-out", "q.tsq", cwd=tmp_path)
    run(
        "curl", "-sS", "--fail-with-body", "-H", "Content-Type: application/timestamp-query",
        "--data-binary", "@q.tsq", url(ca), "-o", "r.tsr", cwd=tmp_path,
    )  # fmt: skip
    verify = (
        "openssl",
        "ts",
        "-verify",
        "-in",
        "r.tsr",
        "-CAfile",
        trust / "root.pem",
        "-untrusted",
        trust / "issuing.pem",
    )
    assert "Verification: OK" in run(*verify, "-queryfile", "q.tsq", cwd=tmp_path).text
    assert "Verification: OK" in run(*verify, "-data", data, cwd=tmp_path).text
    data.write_bytes(b"altered")
    assert "message imprint mismatch" in run(*verify, "-data", data, cwd=tmp_path, code=1).text


def test_openssl_without_certificate_and_nonce(ca: Ca, trust: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    run("openssl", "ts", "-query", "-data", "file", "-sha256", "-no_nonce", "-out", "q.tsq", cwd=tmp_path)
    run(
        "curl", "-sS", "-H", "Content-Type: application/timestamp-query", "--data-binary", "@q.tsq", url(ca),
        "-o", "r.tsr", cwd=tmp_path,
    )  # fmt: skip
    text = run("openssl", "ts", "-reply", "-in", "r.tsr", "-text", cwd=tmp_path).text
    assert "Nonce: unspecified" in text
    verify = ("openssl", "ts", "-verify", "-in", "r.tsr", "-queryfile", "q.tsq", "-CAfile", trust / "root.pem")
    run(*verify, "-untrusted", trust / "issuing.pem", cwd=tmp_path, code=1)


def test_openssl_reads_a_refusal(ca: Ca, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    run("openssl", "ts", "-query", "-data", "file", "-sha1", "-out", "q.tsq", cwd=tmp_path)
    run(
        "curl", "-sS", "-H", "Content-Type: application/timestamp-query", "--data-binary", "@q.tsq", url(ca),
        "-o", "r.tsr", cwd=tmp_path,
    )  # fmt: skip
    text = run("openssl", "ts", "-reply", "-in", "r.tsr", "-text", cwd=tmp_path).text
    assert "Rejected" in text
    assert "unrecognized or unsupported algorithm identifier" in text


def test_openssl_3_5(ca: Ca, trust: Path, tmp_path: Path, debian13: Debian13) -> None:
    data = debian13.put("file", b"data")
    query = debian13.put("q.tsq", b"")
    debian13.run("openssl", "ts", "-query", "-data", data, "-sha512", "-cert", "-out", query)
    (tmp_path / "q.tsq").write_bytes((debian13.folder / "q.tsq").read_bytes())
    run(
        "curl", "-sS", "-H", "Content-Type: application/timestamp-query", "--data-binary", "@q.tsq", url(ca),
        "-o", "r.tsr", cwd=tmp_path,
    )  # fmt: skip
    reply = debian13.put("r.tsr", (tmp_path / "r.tsr").read_bytes())
    root, issuing = (debian13.put(name, (trust / name).read_bytes()) for name in ("root.pem", "issuing.pem"))
    done = debian13.run(
        "openssl", "ts", "-verify", "-in", reply, "-queryfile", query, "-CAfile", root, "-untrusted", issuing
    )
    assert "Verification: OK" in done.text


def test_osslsigncode(ca: Ca, trust: Path, tmp_path: Path) -> None:
    """Authenticode, as `signtool /tr` asks for it on Windows."""
    need("osslsigncode")
    certificates, key, _ = code_signer(ca, tmp_path, "Osslsigncode")
    (tmp_path / "a.exe").write_bytes(minimal_program())
    run(
        "osslsigncode", "sign", "-certs", certificates, "-key", key, "-h", "sha256", "-ts", url(ca),
        "-in", "a.exe", "-out", "signed.exe", cwd=tmp_path,
    )  # fmt: skip
    said = run(
        "osslsigncode", "verify", "-CAfile", trust / "root.pem", "-TSA-CAfile", trust / "root.pem", "-in", "signed.exe",
        cwd=tmp_path,
    ).text  # fmt: skip
    assert "Timestamp verified" in said or "Timestamp Server Signature verification: ok" in said, said
    assert "Signature verification: ok" in said


def test_jarsigner(ca: Ca, trust: Path, tmp_path: Path) -> None:
    need("jarsigner", "keytool")
    _, _, both = code_signer(ca, tmp_path, "Jarsigner")
    with zipfile.ZipFile(tmp_path / "a.jar", "w") as jar:
        jar.writestr("a.txt", "hello")
    store = ("-keystore", both, "-storepass", "changeit")
    run("keytool", "-importcert", "-noprompt", "-alias", "root", "-file", trust / "root.pem", *store)
    run("jarsigner", "-tsa", url(ca), *store, "a.jar", "signer", cwd=tmp_path)
    said = run("jarsigner", "-verify", "-verbose", "-certs", *store, "a.jar", cwd=tmp_path).text
    assert "jar verified." in said
    assert "Timestamped by" in said
    assert "timestamp is invalid" not in said.lower()
    assert "TSA certificate chain is invalid" not in said


def test_rfc3161_client(ca: Ca) -> None:
    """The client of sigstore-python, whose parser is strict."""
    from rfc3161_client import TimestampRequestBuilder, VerifierBuilder, decode_timestamp_response

    request = TimestampRequestBuilder().data(b"data").build()
    answer = ca.suite.http(listener="plain").post(
        "/tsa", content=request.as_bytes(), headers={"Content-Type": "application/timestamp-query"}
    )
    issuing, root = ca.chain()
    verifier = VerifierBuilder.from_request(request).add_root_certificate(root)
    verifier = verifier.add_intermediate_certificate(issuing)
    reply = decode_timestamp_response(answer.content)
    assert verifier.build().verify(reply, hashlib.sha512(b"data").digest())
    assert reply.tst_info.nonce == request.nonce


def test_rfc3161ng(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows RSA only, so it gets an authority with such a key."""
    import rfc3161ng

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    suite = make_suite(tmp_path, "pki-ca", {"pki_ca": {"timestamp_signer_algorithm": "RSA-3072"}})
    try:
        ca = Ca(suite.start())
        stamper = rfc3161ng.RemoteTimestamper(url(ca), hashname="sha256", include_tsa_certificate=True)
        token = stamper.timestamp(data=b"data")
    finally:
        suite.close()
    assert rfc3161ng.get_timestamp(token)
    certificate = x509.load_der_x509_certificate(verify_token(token).certificate.der).public_bytes(Encoding.PEM)
    assert rfc3161ng.check_timestamp(token, data=b"data", certificate=certificate, hashname="sha256")
    with pytest.raises(ValueError, match="imprint"):
        rfc3161ng.check_timestamp(token, data=b"other", certificate=certificate, hashname="sha256")
