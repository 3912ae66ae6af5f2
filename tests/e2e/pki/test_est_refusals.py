"""What bad input gets at the EST boundary: the right status, a sentence, the request id, and nothing of the inside."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pycryptoutil.clock import SystemClock
from tests.support.authority import csr, new_key
from tests.support.pki import EST, PKCS10, Ca, Enrolled, certificate_of, keep, key_pem
from tests.support.suite import until


@pytest.fixture
def credential(ca: Ca) -> tuple[str, str]:
    return ca.credential("tls-server")


def post(ca: Ca, body: bytes, operation: str = "simpleenroll", label: str = "", **options: object) -> httpx.Response:
    options.setdefault("headers", PKCS10)
    client = options.pop("client", None) or ca.suite.http()
    return client.post(ca.est(operation, label), content=body, **options)  # type: ignore[attr-defined,no-any-return]


def refused(ca: Ca, answer: httpx.Response, status: int, *words: str) -> None:
    """Check the form of a refusal: EST's, with the request id that the log has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    request_id = answer.headers["x-request-id"]
    assert request_id in answer.text
    for word in words:
        assert word.lower() in answer.text.lower(), answer.text
    for inside in ("Traceback", ".py", "sqlalchemy", "SELECT", "pycryptoutil."):
        assert inside not in answer.text
    lines = [line for line in ca.suite.logs() if line.get("request_id") == request_id]
    assert lines, "the refusal is not in the log"
    assert not ca.suite.foreign_lines()


def b64(der: bytes) -> bytes:
    return base64.encodebytes(der)


def damaged(request: bytes) -> bytes:
    """Break the signature and leave everything else."""
    return request[:-1] + bytes((request[-1] ^ 1,))


BODIES: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "empty": (lambda _: b"", 400),
    "no base64": (lambda _: b"this is not base64!\n", 400),
    "bad padding": (lambda der: b64(der).rstrip()[:-1], 400),
    "truncated DER": (lambda der: b64(der[: len(der) // 2]), 400),
    "truncated body": (lambda der: b64(der)[: len(b64(der)) // 2 // 4 * 4], 400),
    "trailing octets": (lambda der: b64(der + b"\x05\x00"), 400),
    "another structure": (lambda _: b64(b"\x30\x03\x02\x01\x05"), 400),
    "indefinite length": (lambda der: b64(b"\x30\x80" + der[4:] + b"\x00\x00"), 400),
    "deep nesting": (lambda _: b64(nested(200)), 413),
    "bad signature": (lambda der: b64(damaged(der)), 400),
    "a certificate in PEM": (lambda _: b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", 400),
    "too large": (lambda der: b64(der) + b"\n" * 300_000, 413),
    "larger than any limit": (lambda der: b64(der) * 10_000, 413),
}


def nested(depth: int) -> bytes:
    der = b""
    for _ in range(depth):
        size = len(der)
        length = (
            bytes((size,))
            if size < 128
            else b"\x82" + size.to_bytes(2, "big")
            if size > 255
            else b"\x81" + bytes((size,))
        )
        der = b"\x30" + length + der
    return der


@pytest.mark.parametrize("name", sorted(BODIES))
def test_bad_bodies(ca: Ca, credential: tuple[str, str], name: str) -> None:
    make, status = BODIES[name]
    refused(ca, post(ca, make(csr("a.example.test")), auth=credential), status)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_wrong_content_type(ca: Ca, credential: tuple[str, str], kind: str) -> None:
    answer = post(ca, b64(csr("a.example.test")), auth=credential, headers={"Content-Type": kind})
    refused(ca, answer, 415, "application/pkcs10")


def test_content_type_with_parameters_or_none(ca: Ca, credential: tuple[str, str]) -> None:
    for headers in ({"Content-Type": "Application/PKCS10; charset=us-ascii"}, {}):
        answer = post(ca, b64(csr("a.example.test")), auth=credential, headers=headers)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("method", "operation", "allowed"),
    [
        ("GET", "simpleenroll", "POST"),
        ("POST", "cacerts", "GET"),
        ("DELETE", "csrattrs", "GET"),
        ("PUT", "serverkeygen", "POST"),
    ],
)
def test_wrong_method(ca: Ca, method: str, operation: str, allowed: str) -> None:
    answer = ca.suite.http().request(method, ca.est(operation))
    refused(ca, answer, 405)
    assert allowed in answer.headers["allow"]


@pytest.mark.parametrize(
    "path", ["nobody/cacerts", "nobody/simpleenroll", "issuing/nobody/cacerts", "fullfoo", "a/b/c/d/e"]
)
def test_unknown_labels_and_operations(ca: Ca, credential: tuple[str, str], path: str) -> None:
    method = "POST" if path.endswith("enroll") else "GET"
    body = b64(csr("a.example.test")) if method == "POST" else None
    answer = ca.suite.http().request(
        method, f"{ca.suite.url()}{EST}/{path}", content=body, headers=PKCS10 if body else {}, auth=credential
    )
    refused(ca, answer, 404)


def test_hostile_labels(ca: Ca) -> None:
    for label in ("%2e%2e", "tls-server%00", "x" * 300, "%3Cscript%3E", "' OR 1=1 --"):
        answer = ca.suite.http().get(f"{ca.suite.url()}{EST}/{label}/cacerts")
        assert answer.status_code in {400, 404}
        assert "script" not in answer.text


BASIC = {
    "none": {},
    "wrong password": {"auth": ("enroll-0", "wrong")},
    "no colon": {"headers": PKCS10 | {"Authorization": "Basic " + base64.b64encode(b"nocolon").decode()}},
    "NUL": {"headers": PKCS10 | {"Authorization": "Basic " + base64.b64encode(b"a\0b:c").decode()}},
    "not base64": {"headers": PKCS10 | {"Authorization": "Basic !!!"}},
    "another scheme": {"headers": PKCS10 | {"Authorization": "Bearer abc"}},
    "not UTF-8": {"headers": PKCS10 | {"Authorization": "Basic " + base64.b64encode(b"\xff:\xfe").decode()}},
    "huge": {"headers": PKCS10 | {"Authorization": "Basic " + "QUFB" * 2000}},
}


@pytest.mark.parametrize("name", sorted(BASIC))
@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll", "serverkeygen"])
def test_without_valid_credentials(ca: Ca, name: str, operation: str) -> None:
    answer = post(ca, b64(csr("a.example.test")), operation, **BASIC[name])  # type: ignore[arg-type]
    if operation == "simplereenroll" and name != "none":
        refused(ca, answer, 403, "client certificate")
    else:
        refused(ca, answer, 401)
        assert answer.headers["www-authenticate"].startswith('Basic realm="est"')


def test_a_right_name_with_a_wrong_password(ca: Ca, credential: tuple[str, str]) -> None:
    refused(ca, post(ca, b64(csr("a.example.test")), auth=(credential[0], credential[1][:-1] + "x")), 401)


def test_a_deleted_credential_and_one_for_another_protocol_or_profile(ca: Ca, credential: tuple[str, str]) -> None:
    body = b64(csr("a.example.test"))
    refused(ca, post(ca, body, auth=ca.credential("tls-server", protocols=["scep"])), 403)
    refused(ca, post(ca, body, label="mtls-client", auth=credential), 403, "profile")
    refused(ca, post(ca, body, label="root/tls-server", auth=credential), 403)
    ca.suite.api().delete(f"enrollment-credentials/{credential[0]}")
    refused(ca, post(ca, body, auth=credential), 401)


def test_a_used_up_credential(ca: Ca) -> None:
    once = ca.credential("tls-server", max_uses=1)
    body = b64(csr("a.example.test"))
    first = post(ca, body, auth=once)
    assert first.status_code == 200
    # the same request again is a retry of somebody who missed the answer, and gets the same certificate
    assert certificate_of(post(ca, body, auth=once).content) == certificate_of(first.content)
    refused(ca, post(ca, b64(csr("b.example.test")), auth=once), 403, "used up")


@pytest.mark.parametrize(
    "names",
    [
        ("evil.test",),
        ("a.example.test", "evil.test"),
        ("example.test",),
        ("*.example.test",),
        ("a.b.example.test.evil.test",),
    ],
)
def test_forbidden_names(ca: Ca, credential: tuple[str, str], names: tuple[str, ...]) -> None:
    refused(ca, post(ca, b64(csr(*names)), auth=credential), 403)


def signed(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    *extensions: tuple[x509.ExtensionType, bool],
    digest: hashes.HashAlgorithm | None = None,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example.test")])
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example.test")]), False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(Encoding.DER)  # type: ignore[arg-type]


def test_weak_keys(ca: Ca, credential: tuple[str, str]) -> None:
    refused(ca, post(ca, b64(signed(rsa.generate_private_key(65537, 1024))), auth=credential), 400)
    refused(ca, post(ca, b64(signed(ec.generate_private_key(ec.SECP256K1()))), auth=credential), 400)
    refused(ca, post(ca, b64(signed(ec.generate_private_key(ec.SECP224R1()))), auth=credential), 400)


@pytest.mark.parametrize(
    ("extension", "critical"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
        (x509.NameConstraints([x509.DNSName("x.test")], None), True),
    ],
    ids=["CA", "unknown", "code signing", "name constraints"],
)
def test_forbidden_extensions(
    ca: Ca, credential: tuple[str, str], extension: x509.ExtensionType, critical: bool
) -> None:
    answer = post(ca, b64(signed(new_key(), (extension, critical))), auth=credential)
    refused(ca, answer, 403)


# -- client certificates -----------------------------------------------------------------------------------------------


def foreign(name: str, *, expired: bool = False) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate of somebody else's CA that says the same name."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SystemClock().now() - dt.timedelta(days=100 if expired else 1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(
            x509.Name(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, "Issuing CA"),
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "pycryptoutil"),
                ]
            )
        )
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
    )
    return builder.sign(new_key(), hashes.SHA256()), key


def showing(ca: Ca, enrolled: Enrolled) -> httpx.Client:
    return ca.suite.http(certificate=enrolled.certificate_file, key=enrolled.key_file)


@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll", "serverkeygen"])
@pytest.mark.parametrize("expired", [False, True])
def test_a_foreign_certificate(ca: Ca, tmp_path: Path, operation: str, expired: bool) -> None:
    held = keep(tmp_path, *foreign("a.example.test", expired=expired))
    refused(ca, post(ca, b64(csr("a.example.test")), operation, client=showing(ca, held)), 401)


@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll", "serverkeygen"])
def test_a_revoked_certificate(ca: Ca, credential: tuple[str, str], tmp_path: Path, operation: str) -> None:
    held = ca.enrol(tmp_path, credential, "a.example.test")
    ca.revoke(held.serial)
    refused(ca, post(ca, b64(csr("a.example.test")), operation, client=showing(ca, held)), 401)


def test_an_expired_certificate(ca: Ca, tmp_path: Path) -> None:
    key = new_key()
    end = SystemClock().now() + dt.timedelta(seconds=2)
    made = ca.issue("tls-server", csr("e.example.test", key=key), not_after=end.isoformat())
    held = keep(tmp_path, x509.load_pem_x509_certificate(made["certificate"].encode()), key)
    body = b64(csr("e.example.test"))
    until(lambda: post(ca, body, "simplereenroll", client=showing(ca, held)).status_code == 403, "it has expired", 15)
    for operation in ("simpleenroll", "simplereenroll", "serverkeygen"):
        refused(ca, post(ca, body, operation, client=showing(ca, held)), 403, "expired")


def test_a_certificate_on_hold_renews_after_its_release(ca: Ca, credential: tuple[str, str], tmp_path: Path) -> None:
    held = ca.enrol(tmp_path, credential, "h.example.test")
    ca.revoke(held.serial, "certificateHold")
    body = b64(csr("h.example.test"))
    refused(ca, post(ca, body, "simplereenroll", client=showing(ca, held)), 401)
    assert ca.suite.api().post(f"certificates/{held.serial}/unhold").status_code == 200
    assert post(ca, body, "simplereenroll", client=showing(ca, held)).status_code == 200


def test_reenrolment_is_bound_to_the_certificate(ca: Ca, credential: tuple[str, str], tmp_path: Path) -> None:
    held = ca.enrol(tmp_path, credential, "a.example.test")
    client = showing(ca, held)
    for names in (("b.example.test",), ("a.example.test", "b.example.test"), ("A.example.test.",)):
        refused(ca, post(ca, b64(csr(*names)), "simplereenroll", client=client), 403, "certificate's")
    refused(ca, post(ca, b64(csr("a.example.test")), "simplereenroll", "mtls-client", client=client), 403)
    # a credential beside the certificate does not loosen it
    refused(ca, post(ca, b64(csr("b.example.test")), "simplereenroll", client=client, auth=credential), 403)
    renewed = certificate_of(post(ca, b64(csr("a.example.test")), "simplereenroll", client=client).content)
    assert renewed.serial_number != held.certificate.serial_number


def test_enrolment_by_certificate_is_for_the_same_names_and_profile(
    ca: Ca, credential: tuple[str, str], tmp_path: Path
) -> None:
    held = ca.enrol(tmp_path, credential, "a.example.test")
    client = showing(ca, held)
    assert post(ca, b64(csr("a.example.test")), client=client).status_code == 200
    refused(ca, post(ca, b64(csr("b.example.test")), client=client), 403)
    refused(ca, post(ca, b64(csr("a.example.test")), label="mtls-client", client=client), 403)


def test_a_credential_speaks_for_a_device_with_a_foreign_certificate(
    ca: Ca, credential: tuple[str, str], tmp_path: Path
) -> None:
    held = keep(tmp_path, *foreign("device-1"))
    assert post(ca, b64(csr("a.example.test")), client=showing(ca, held), auth=credential).status_code == 200


def test_the_plain_listener_has_no_est(ca: Ca) -> None:
    answer = ca.suite.http(listener="plain").get(f"{EST}/cacerts")
    assert answer.status_code == 404


def test_a_key_that_was_revoked_as_compromised_is_not_certified_again(
    ca: Ca, credential: tuple[str, str], tmp_path: Path
) -> None:
    held = ca.enrol(tmp_path, credential, "k.example.test")
    ca.revoke(held.serial, "keyCompromise")
    refused(ca, post(ca, b64(csr("k.example.test", key=held.key)), auth=credential), 400, "compromised")
    assert serialization.load_pem_private_key(key_pem(held.key), None)
