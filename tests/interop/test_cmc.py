"""CMC for other people's programs: Bouncy Castle's classes as a client and as a second reader, openssl and curl."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pycryptoutil_protocols import cms
from pycryptoutil_protocols.cmc import client, codec, controls
from pycryptoutil_protocols.cmc.messages import PKI_DATA, Status, StatusInfo

from pycryptoutil.clock import SystemClock
from tests.protocols import material
from tests.protocols.cmc.requests import draft, pkcs10
from tests.protocols.cmc.test_codec import EXAMPLES
from tests.support.pki import Ca
from tests.support.programs import missing, need, run

pytestmark = pytest.mark.interop
SOURCE = Path(__file__).parent / "java" / "CmcClient.java"
JARS = [Path("/usr/share/java") / f"{name}.jar" for name in ("bcprov", "bcutil", "bcpkix")]
SIGNER = material.signer(number=40)


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of the compiled client."""
    need("java", "javac")
    if not all(jar.is_file() for jar in JARS):
        missing("Bouncy Castle (libbcpkix-java) is not installed")
    folder = tmp_path_factory.mktemp("java")
    path = ":".join(map(str, JARS))
    run("javac", "-nowarn", "-d", folder, "-cp", path, SOURCE)
    return ["java", "-cp", f"{path}:{folder}", "CmcClient"]


def url(ca: Ca, label: str = "") -> str:
    return f"{ca.suite.url(listener='plain')}/cmc{'/' + label if label else ''}"


def test_bouncy_castle_lives_a_whole_life(ca: Ca, trust: Path, java: list[str], tmp_path: Path) -> None:
    """Enrols (BER, PKCS#10), renews, enrols by CRMF, answers a challenge, revokes, fetches the CRL, and is refused."""
    username, password = ca.credential()
    root = x509.load_pem_x509_certificate((trust / "root.pem").read_bytes()).public_bytes(Encoding.DER)
    (tmp_path / "root.der").write_bytes(root)
    done = run(*java, "life", url(ca), username, password, "java.example.test", tmp_path / "root.der")
    said = dict(line.split(" ", 1) for line in done.out.decode().splitlines())
    serials = {step: said[step].split()[0] for step in ("enrolled", "renewed", "crmf", "decrypted")}
    assert said["enrolled"].endswith("[0/50]")
    assert said["crmf"].endswith("[0/51]")
    assert said["challenged"] == "[6/52]"
    assert said["decrypted"].endswith("[0/52]")
    assert said["revoked"] == "[0/1]"
    assert said["crl"] == "true [0/1]"
    assert re.fullmatch(r"\[2/0:7\]", said["refused"])
    assert said["simple"] == "3"
    assert len(set(serials.values())) == 4
    assert ca.record(serials["enrolled"]).json()["status"] == "revoked"
    assert ca.record(serials["renewed"]).json()["status"] == "valid"


BC_CLASSES = {
    "statusInfo": "CMCStatusInfo",
    "statusInfoV2": "CMCStatusInfoV2",
    "identityProofV2": "IdentityProofV2",
    "popLinkWitnessV2": "PopLinkWitnessV2",
    "encryptedPOP": "EncryptedPOP",
    "decryptedPOP": "DecryptedPOP",
    "lraPOPWitness": "LraPopWitness",
    "getCert": "GetCert",
    "getCRL": "GetCRL",
    "revokeRequest": "RevokeRequest",
    "trustedAnchors": "PublishTrustAnchors",
    "authData": "BodyPartID",
    "batchRequests": "BodyPartList",
    "batchResponses": "BodyPartList",
    "publishCert": "CMCPublicationInfo",
    "modCertTemplate": "ModCertTemplate",
    "controlProcessed": "ControlsProcessed",
    "raIdentityWitness": "BodyPartPath",
    "responseBody": "BodyPartPath",
}


def test_bouncy_castle_reads_what_is_written(java: list[str]) -> None:
    """Every structure for which it has a class is written again by it, octet for octet."""
    cases = [
        (f"cmc.{BC_CLASSES[kind.name]}", kind.encode(value))
        for kind, value in EXAMPLES
        if kind.name in BC_CLASSES and not _beyond(kind, value)
    ]
    made = enrolment("user", "secret", "a.example.test")
    cases.append(("cmc.PKIData", made.encode()))
    cases.append(("cms.ContentInfo", made.signed_by_key(SIGNER)))
    lines = "".join(f"{name} {base64.b64encode(encoded).decode()}\n" for name, encoded in cases)
    done = run(*java, "reencode", stdin=lines.encode())
    answers = done.out.decode().splitlines()
    wrong = {
        name: answer
        for (name, encoded), answer in zip(cases, answers, strict=True)
        if answer != base64.b64encode(encoded).decode()
    }
    assert wrong == {}


def _beyond(kind: controls.Kind, value: object) -> bool:
    """It knows extendedFailInfo without a tag only, as one of the two modules of RFC 6402 has it; we read both."""
    return kind is controls.STATUS_INFO_V2 and isinstance(value, StatusInfo) and value.extended is not None


def enrolment(username: str, password: str, name: str) -> client.Draft:
    made = draft(pkcs10(SIGNER, name))
    made.prove_identity(username, password.encode())
    return made


def test_openssl_and_curl_simple(ca: Ca, trust: Path, tmp_path: Path) -> None:
    """The first command line of the documentation."""
    _, password = ca.credential()
    (tmp_path / "req.cnf").write_text(
        "[req]\nprompt = no\ndistinguished_name = dn\nattributes = attributes\nreq_extensions = ext\n"
        "[dn]\nCN = curl.example.test\n[ext]\nsubjectAltName = DNS:curl.example.test\n"
        f"[attributes]\nchallengePassword = {password}\n"
    )
    run(
        "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "key.pem", "-config", "req.cnf", "-outform", "DER", "-out", "req.der", cwd=tmp_path,
    )  # fmt: skip
    run(
        "curl", "-sS", "--fail-with-body", "-H", "Content-Type: application/pkcs10", "--data-binary", "@req.der",
        url(ca), "-o", "answer.p7", cwd=tmp_path,
    )  # fmt: skip
    done = run("openssl", "pkcs7", "-inform", "DER", "-in", "answer.p7", "-print_certs", "-out", "c.pem", cwd=tmp_path)
    run("openssl", "verify", "-CAfile", trust / "root.pem", "-untrusted", "c.pem", "c.pem", cwd=tmp_path)
    assert done.code == 0


def test_openssl_reads_and_makes_full_messages(ca: Ca, trust: Path, tmp_path: Path) -> None:
    """`openssl cms` verifies our answer, and signs a renewal with the old certificate."""
    need("openssl", "curl")
    username, password = ca.credential()
    encoded = enrolment(username, password, "o.example.test").signed_by_key(SIGNER, at=SystemClock().now())
    (tmp_path / "request.der").write_bytes(encoded)
    curl = (
        "curl", "-sS", "--fail-with-body", "-H", "Content-Type: application/pkcs7-mime; smime-type=CMC-request",
    )  # fmt: skip
    run(*curl, "--data-binary", "@request.der", url(ca), "-o", "answer.der", cwd=tmp_path)
    run(
        "openssl", "cms", "-verify", "-inform", "DER", "-in", "answer.der", "-CAfile", trust / "root.pem",
        "-purpose", "any", "-signer", "responder.pem", "-out", "content.der", cwd=tmp_path,
    )  # fmt: skip
    reply = client.read((tmp_path / "answer.der").read_bytes())
    assert (tmp_path / "content.der").read_bytes() == codec.encode_response(reply.response)
    responder = run("openssl", "x509", "-in", tmp_path / "responder.pem", "-noout", "-text").text
    assert "1.3.6.1.5.5.7.3.27" in responder or "CMC Certificate Authority" in responder

    own = x509.load_der_x509_certificate(reply.certificate_for(SIGNER.public_spki))
    (tmp_path / "own.pem").write_bytes(own.public_bytes(Encoding.PEM))
    (tmp_path / "own.key").write_bytes(material.key_pem(SIGNER.key))
    other = material.signer(number=41)
    (tmp_path / "data.der").write_bytes(draft(pkcs10(other, "o.example.test")).encode())
    run(
        "openssl", "cms", "-sign", "-binary", "-nodetach", "-econtent_type", PKI_DATA, "-md", "sha256",
        "-in", "data.der", "-signer", "own.pem", "-inkey", "own.key", "-outform", "DER", "-out", "renewal.der",
        cwd=tmp_path,
    )  # fmt: skip
    run(*curl, "--data-binary", "@renewal.der", url(ca), "-o", "renewed.der", cwd=tmp_path)
    renewed = client.read((tmp_path / "renewed.der").read_bytes())
    assert renewed.status(1).status is Status.SUCCESS
    assert renewed.certificate_for(other.public_spki)
    assert cms.decode_certs_only((tmp_path / "renewed.der").read_bytes()) == renewed.certificates
