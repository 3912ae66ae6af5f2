"""EST by curl and openssl alone, as a stranger types it (RFC 7030, RFC 8951, RFC 9908)."""

from __future__ import annotations

import base64
import email
import email.policy
import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.x509.oid import NameOID
from pycryptoutil_protocols import der, oids

from tests.support.authority import new_key
from tests.support.pki import Ca
from tests.support.programs import Done, need, run

pytestmark = pytest.mark.interop
PKCS10 = ("-H", "Content-Type: application/pkcs10")


@pytest.fixture(autouse=True)
def _programs() -> None:
    need("curl", "openssl")


def curl(ca: Ca, operation: str, *options: str | Path, label: str = "", stdin: bytes = b"") -> Done:
    """Ask an EST operation; fails on an HTTP error."""
    trust = ("--cacert", ca.suite.trust_bundle)
    return run("curl", "-sS", "--fail-with-body", *trust, *options, ca.est(operation, label), stdin=stdin)


def openssl_request(
    folder: Path, name: str, *more: str, key: tuple[str, ...] = ("ec", "ec_paramgen_curve:P-256")
) -> Path:
    """Make key.pem and a request as base64 in lines, by openssl."""
    kind, option = key
    run(
        "openssl", "req", "-new", "-newkey", kind, "-pkeyopt", option, "-nodes", "-keyout", folder / "key.pem",
        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", *more, "-outform", "DER",
        "-out", folder / "req.der",
    )  # fmt: skip
    wrapped = run("openssl", "base64", "-in", folder / "req.der").out
    (folder / "req.b64").write_bytes(wrapped)
    return folder / "req.b64"


def certificates(answer: bytes) -> bytes:
    """Turn an EST answer into PEM with ``base64 -d`` and openssl."""
    decoded = run("base64", "-d", stdin=answer).out
    return run("openssl", "pkcs7", "-inform", "DER", "-print_certs", stdin=decoded).out


def user(credential: tuple[str, str]) -> tuple[str, str]:
    return "-u", f"{credential[0]}:{credential[1]}"


def key_of(file: Path) -> bytes:
    return run("openssl", "pkey", "-in", file, "-pubout").out


def public_key(certificate: bytes) -> bytes:
    return run("openssl", "x509", "-noout", "-pubkey", stdin=certificate).out


def test_cacerts(ca: Ca) -> None:
    answer = curl(ca, "cacerts")
    assert max(map(len, answer.out.splitlines())) <= 76, "other clients read only wrapped lines"
    found = x509.load_pem_x509_certificates(certificates(answer.out))
    assert {one.subject for one in found} == {one.subject for one in ca.chain()}
    head = run("curl", "-sSI", "-X", "GET", "--cacert", ca.suite.trust_bundle, ca.est("cacerts")).text.lower()
    assert "content-type: application/pkcs7-mime" in head
    assert "content-transfer-encoding: base64" in head


def test_done_when(ca: Ca, trust: Path, tmp_path: Path) -> None:
    """The commands of the issue, from the credential to the revoked answer."""
    made = ca.suite.cli_json("ca", "credential", "add", "--profile", "tls-server", "--dns", "*.example.test")
    request = openssl_request(tmp_path, "done.example.test")
    answer = curl(
        ca, "simpleenroll", *user((made["username"], made["password"])), *PKCS10, "--data-binary", f"@{request}"
    )
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(certificates(answer.out))
    (certificate,) = x509.load_pem_x509_certificates(leaf.read_bytes())
    assert public_key(leaf.read_bytes()) == key_of(tmp_path / "key.pem")
    run("openssl", "verify", "-CAfile", trust / "root.pem", "-untrusted", trust / "issuing.pem", leaf)
    uri = run("openssl", "x509", "-noout", "-ocsp_uri", "-in", leaf).out.decode().strip()
    assert uri.startswith(ca.suite.url(listener="plain") + "/ocsp/")
    ask = (
        "openssl", "ocsp", "-issuer", trust / "issuing.pem", "-cert", leaf, "-url", uri, "-CAfile", trust / "root.pem",
    )  # fmt: skip
    assert re.search(r"leaf\.pem: good", run(*ask).text)
    serial = f"{certificate.serial_number:x}"
    ca.suite.cli("ca", "revoke", serial, "--reason", "keyCompromise")
    done = run(*ask, code=None).text
    assert "leaf.pem: revoked" in done
    assert "Reason: keyCompromise" in done
    assert "Response verify OK" in done


@pytest.mark.parametrize(
    ("profile", "key"),
    [
        ("tls-server", ("rsa", "rsa_keygen_bits:2048")),
        ("tls-server", ("ec", "ec_paramgen_curve:P-384")),
        ("device", ("ec", "ec_paramgen_curve:P-256")),
    ],
)
def test_simpleenroll_under_a_label(ca: Ca, tmp_path: Path, profile: str, key: tuple[str, str]) -> None:
    credential = ca.credential(profile, names={"common_name": ["*.example.test"]})
    request = openssl_request(tmp_path, "label.example.test", key=key)
    answer = curl(ca, "simpleenroll", *user(credential), *PKCS10, "--data-binary", f"@{request}", label=profile)
    assert public_key(certificates(answer.out)) == key_of(tmp_path / "key.pem")


@pytest.mark.parametrize("form", ["one line", "76 columns", "CRLF", "PEM", "DER"])
def test_every_form_of_a_request_is_read(ca: Ca, tmp_path: Path, form: str) -> None:
    credential = ca.credential()
    openssl_request(tmp_path, "forms.example.test")
    plain = (tmp_path / "req.der").read_bytes()
    sent = {
        "one line": base64.b64encode(plain),
        "76 columns": base64.encodebytes(plain),
        "CRLF": base64.encodebytes(plain).replace(b"\n", b"\r\n"),
        "PEM": run("openssl", "req", "-inform", "DER", stdin=plain).out,
        "DER": plain,
    }[form]
    encoding = () if form == "one line" else ("-H", "Content-Transfer-Encoding: base64")
    answer = curl(ca, "simpleenroll", *user(credential), *PKCS10, *encoding, "--data-binary", "@-", stdin=sent)
    assert b"forms.example.test" in run("openssl", "x509", "-noout", "-text", stdin=certificates(answer.out)).out


def test_simplereenroll_by_the_certificate(ca: Ca, trust: Path, tmp_path: Path) -> None:
    credential = ca.credential("mtls-client")
    request = openssl_request(tmp_path, "again.example.test")
    first = certificates(curl(ca, "simpleenroll", *user(credential), *PKCS10, "--data-binary", f"@{request}").out)
    old, old_key = tmp_path / "old.pem", tmp_path / "old.key"
    old.write_bytes(first)
    (tmp_path / "key.pem").rename(old_key)
    # names as the certificate has them
    subject = run("openssl", "x509", "-noout", "-subject", "-nameopt", "compat", "-in", old).out.decode()
    assert "again.example.test" in subject
    renewed_request = openssl_request(tmp_path, "again.example.test")
    mutual = ("--cert", old, "--key", old_key)
    answer = curl(ca, "simplereenroll", *mutual, *PKCS10, "--data-binary", f"@{renewed_request}")
    new = tmp_path / "new.pem"
    new.write_bytes(certificates(answer.out))
    assert public_key(new.read_bytes()) == key_of(tmp_path / "key.pem") != key_of(old_key)
    old_read, new_read = (x509.load_pem_x509_certificate(file.read_bytes()) for file in (old, new))
    assert old_read.subject == new_read.subject
    assert old_read.serial_number != new_read.serial_number
    run("openssl", "verify", "-CAfile", trust / "root.pem", "-untrusted", trust / "issuing.pem", new)

    # with the same key too: a renewal, not a rekey
    again = curl(ca, "simplereenroll", "--cert", new, "--key", tmp_path / "key.pem", *PKCS10, "--data-binary", "@-",
                 stdin=renewed_request.read_bytes())  # fmt: skip
    assert public_key(certificates(again.out)) == key_of(tmp_path / "key.pem")

    # and for other names never
    other = openssl_request(tmp_path, "other.example.test")
    refused = run(
        "curl", "-sS", "-o", tmp_path / "body", "-w", "%{http_code}", "--cacert", ca.suite.trust_bundle, *mutual,
        *PKCS10, "--data-binary", f"@{other}", ca.est("simplereenroll"),
    )  # fmt: skip
    assert refused.out == b"403", (tmp_path / "body").read_text()


def test_csrattrs(ca: Ca) -> None:
    answer = curl(ca, "csrattrs", label="tls-server")
    parsed = run("openssl", "asn1parse", "-inform", "DER", stdin=run("base64", "-d", stdin=answer.out).out).text
    assert "SEQUENCE" in parsed
    status = run(
        "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{content_type}", "--cacert", ca.suite.trust_bundle,
        ca.est("csrattrs", "tls-server"),
    )  # fmt: skip
    assert status.out == b"200 application/csrattrs"


# --- serverkeygen


def parts(headers: bytes, body: bytes) -> dict[str, bytes]:
    """Take the two parts of a serverkeygen answer apart, with the standard library's MIME."""
    (kind,) = re.findall(rb"(?im)^content-type: (multipart/mixed.*?)\r?$", headers)
    message = email.message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + body, policy=email.policy.HTTP)
    return {re.sub(r'[ "]', "", str(one["content-type"])): one.get_payload(decode=True) for one in message.iter_parts()}


def keygen(ca: Ca, folder: Path, request: bytes, *options: str | Path, label: str = "") -> dict[str, bytes]:
    headers = folder / "headers"
    answer = curl(
        ca, "serverkeygen", "-D", headers, *options, *PKCS10, "--data-binary", "@-", label=label,
        stdin=base64.encodebytes(request),
    )  # fmt: skip
    return parts(headers.read_bytes(), answer.out)


def with_attribute(name: str, oid: str, value: bytes) -> bytes:
    """DER of a request with an attribute that openssl req cannot write: an OCTET STRING."""
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    octets = x509.name._ASN1Type.OctetString
    builder = builder.add_attribute(x509.ObjectIdentifier(oid), value, _tag=octets)
    return builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.DER)


def key_package(opened: bytes, folder: Path) -> bytes:
    """Check the signature over the package by openssl; return the one key in it, PKCS#8."""
    signed = der.sequence(der.oid(oids.SIGNED_DATA), der.explicit(0, opened))
    (folder / "signed.der").write_bytes(signed)
    package = run("openssl", "cms", "-verify", "-noverify", "-inform", "DER", "-in", folder / "signed.der").out
    (key,) = der.split_sequence(package)
    return key


def check_pair(key: bytes, answer: dict[str, bytes], folder: Path) -> None:
    """The key is the certificate's."""
    certificate = run(
        "openssl",
        "pkcs7",
        "-inform",
        "DER",
        "-print_certs",
        stdin=answer["application/pkcs7-mime;smime-type=certs-only"],
    ).out
    (folder / "made.key").write_bytes(run("openssl", "pkey", "-inform", "DER", stdin=key).out)
    assert public_key(certificate) == key_of(folder / "made.key")


def test_serverkeygen_protected_by_tls(ca: Ca, tmp_path: Path) -> None:
    openssl_request(tmp_path, "keygen.example.test")
    answer = keygen(ca, tmp_path, (tmp_path / "req.der").read_bytes(), *user(ca.credential()))
    check_pair(answer["application/pkcs8"], answer, tmp_path)
    assert key_of(tmp_path / "made.key") != key_of(tmp_path / "key.pem")


def test_serverkeygen_encrypted_by_the_credential(ca: Ca, tmp_path: Path) -> None:
    """The key is HKDF-SHA256 of the password; its identifier is the user name."""
    username, password = ca.credential()
    request = with_attribute("sym.example.test", oids.DECRYPT_KEY_IDENTIFIER, username.encode())
    answer = keygen(ca, tmp_path, request, *user((username, password)))
    enveloped = answer["application/pkcs7-mime;smime-type=server-generated-key"]
    secret = HKDF(hashes.SHA256(), 32, b"", b"est serverkeygen").derive(password.encode())
    opened = run(
        "openssl", "cms", "-decrypt", "-inform", "DER", "-secretkey", secret.hex(), "-secretkeyid",
        username.encode().hex(), "-binary", stdin=enveloped,
    ).out  # fmt: skip
    check_pair(key_package(opened, tmp_path), answer, tmp_path)


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_serverkeygen_encrypted_to_a_certificate(ca: Ca, tmp_path: Path, kind: str) -> None:
    """The identifier is the subject key identifier of a certificate that the same client has."""
    credential = ca.credential("database-server")
    if kind == "RSA":
        own: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = rsa.generate_private_key(65537, 2048)
    else:
        own = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "own.key").write_bytes(
        own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    run("openssl", "req", "-new", "-key", tmp_path / "own.key", "-subj", "/CN=own.example.test",
        "-addext", "subjectAltName=DNS:own.example.test", "-outform", "DER", "-out", tmp_path / "own.der")  # fmt: skip
    request = base64.encodebytes((tmp_path / "own.der").read_bytes())
    enrolled = curl(ca, "simpleenroll", *user(credential), *PKCS10, "--data-binary", "@-", stdin=request)
    (tmp_path / "own.pem").write_bytes(certificates(enrolled.out))
    certificate = x509.load_pem_x509_certificate((tmp_path / "own.pem").read_bytes())
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest

    wanted = with_attribute("asym.example.test", oids.ASYMMETRIC_DECRYPT_KEY_IDENTIFIER, identifier)
    answer = keygen(ca, tmp_path, wanted, *user(credential))
    enveloped = answer["application/pkcs7-mime;smime-type=server-generated-key"]
    opened = run(
        "openssl", "cms", "-decrypt", "-inform", "DER", "-recip", tmp_path / "own.pem", "-inkey", tmp_path / "own.key",
        "-binary", stdin=enveloped,
    ).out  # fmt: skip
    check_pair(key_package(opened, tmp_path), answer, tmp_path)
    printed = run("openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "DER", stdin=enveloped).text
    assert "aes-256-cbc" in printed
