"""Post-quantum hierarchies judged by OpenSSL 3.5 and ``cryptography``: chains, CRLs, OCSP, keys, every protocol, TLS.

The commands of docs/post-quantum.md are run as they stand there.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from pycryptoutil.crypto.keys import generate, load_pkcs8
from tests.e2e.pki.test_acme_http import client_of
from tests.support.acme import web_server
from tests.support.authority import csr
from tests.support.pki import EST, PKCS10, Ca, certificate_of
from tests.support.programs import ROOT, Debian13, Done
from tests.support.suite import environment, make_suite, until

pytestmark = pytest.mark.interop
DSA = ("ML-DSA-44", "ML-DSA-65", "ML-DSA-87")
KEM = ("ML-KEM-512", "ML-KEM-768", "ML-KEM-1024")
LABEL = "internal-tls"  # a profile that allows ML-DSA keys
PAGE = ROOT / "docs" / "post-quantum.md"


@dataclass
class Pq:
    """A CA of a classical root and ML-DSA issuing CAs, and OpenSSL 3.5."""

    ca: Ca
    openssl: Debian13
    answers: dict[str, bytes]

    def run(self, *arguments: str, code: int | None = 0, stdin: bytes = b"") -> Done:
        return self.openssl.run("openssl", *arguments, code=code, stdin=stdin)

    def chain(self, name: str) -> tuple[str, str]:
        """Put a CA's chain and its root into files; return how openssl calls them."""
        found = self.ca.suite.api().get(f"certificate-authorities/{name}").json()["chain"]
        untrusted = self.openssl.put(f"{name}.pem", "".join(found).encode())
        return untrusted, self.openssl.put(f"{name}-root.pem", found[-1].encode())

    def verify(self, certificate: x509.Certificate, name: str, *more: str) -> Done:
        """Have openssl verify a certificate up to the root of the CA of this name."""
        untrusted, root = self.chain(name)
        leaf = self.openssl.put("leaf.pem", certificate.public_bytes(Encoding.PEM))
        return self.run("verify", "-x509_strict", "-CAfile", root, "-untrusted", untrusted, *more, leaf)


@pytest.fixture(scope="module")
def pq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pq]:
    answers: dict[str, bytes] = {}
    there = Debian13()
    try:
        with web_server(answers) as port:
            settings = {
                "issuing_algorithm": "ML-DSA-65",
                "signer_algorithm": "ML-DSA-44",
                "acme": {"http_ports": [port]},
            }
            made = make_suite(tmp_path_factory.mktemp("pq"), "pki-ca", {"pki_ca": settings})
            try:
                yield Pq(Ca(made.start()), there, answers)
            finally:
                made.close()
    finally:
        there.close()


def private(algorithm: str) -> Any:
    """A key of ours, as ``cryptography`` holds it."""
    return load_der_private_key(generate(algorithm).export_pkcs8(), None)


def pem_of(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def request(key: Any, *names: str) -> bytes:
    return csr(*names, key=key, algorithm=None)


def spki(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def is_good(pq: Pq, certificate: x509.Certificate, key: Any) -> None:
    """The certificate has the key, and openssl and cryptography both believe it."""
    issuing, root = pq.ca.chain()
    certificate.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    assert certificate.signature_algorithm_oid.dotted_string == "2.16.840.1.101.3.4.3.18"
    assert certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki(key)
    pq.verify(certificate, "issuing")


# --- encodings (RFC 9881, RFC 9935)


@pytest.mark.parametrize("algorithm", [*DSA, *KEM])
def test_openssl_reads_our_keys_and_writes_the_same(pq: Pq, algorithm: str) -> None:
    key = generate(algorithm)
    file = pq.openssl.put("k.der", key.export_pkcs8())
    assert pq.run("pkey", "-in", file, "-pubout", "-outform", "DER").out == key.public_spki
    seed_only = pq.run(
        "pkey", "-in", file, "-outform", "DER", "-provparam", f"{algorithm[:6].lower()}.output_formats=seed-only"
    )
    assert seed_only.out == key.export_pkcs8(), "section 6 of both: the seed alone is what is recommended"


@pytest.mark.parametrize("algorithm", [*DSA, *KEM])
@pytest.mark.parametrize("form", ["seed-only", "seed-priv", "priv-only"])
def test_we_read_openssls_keys(pq: Pq, algorithm: str, form: str) -> None:
    option = f"{algorithm[:6].lower()}.output_formats={form}"
    made = pq.run("genpkey", "-algorithm", algorithm, "-outform", "DER", "-provparam", option).out
    public = pq.run("pkey", "-pubout", "-outform", "DER", stdin=made).out
    assert load_pkcs8(made).public_spki == public


@pytest.mark.parametrize("algorithm", DSA)
def test_no_algorithm_identifier_has_parameters(pq: Pq, algorithm: str) -> None:
    """RFC 9881 section 2: absent, in the key, the signature and the TBS, and keyUsage is for signing."""
    key = private(algorithm)
    made = pq.ca.issue(LABEL, request(key, "params.example.test"))
    der = x509.load_pem_x509_certificate(made["certificate"].encode()).public_bytes(Encoding.DER)
    parsed = pq.run("asn1parse", "-inform", "DER", stdin=der).out.decode()
    lines = parsed.splitlines()
    named = [number for number, line in enumerate(lines) if "ML-DSA" in line]
    assert len(named) == 3
    for number in named:
        assert ":d=" not in lines[number] or "NULL" not in lines[number + 1], lines[number : number + 2]
        assert re.search(r"hl=2 l= +11 cons", lines[number - 1]), "the identifier holds the OID alone"


# --- a mixed hierarchy


@pytest.mark.parametrize("algorithm", DSA)
def test_a_classical_root_over_every_ml_dsa(pq: Pq, algorithm: str) -> None:
    """A chain, its CRLs and its OCSP answers, by openssl from the URLs that the certificate names."""
    name = f"pq-{algorithm[-2:]}"
    body = {"name": name, "parent": "root", "subject": f"CN={algorithm},O=Example", "key_algorithm": algorithm}
    assert pq.ca.suite.api().post("certificate-authorities", json=body).status_code == 201
    key = private(algorithm)
    made = pq.ca.issue(LABEL, request(key, "mixed.example.test"), authority=name)
    leaf = x509.load_pem_x509_certificate(made["certificate"].encode())
    plain = pq.ca.suite.http(listener="plain")
    crls = [plain.get(f"/crl/{each}.crl").content for each in (name, "root")]
    pem = b"".join(x509.load_der_x509_crl(each).public_bytes(Encoding.PEM) for each in crls)
    pq.verify(leaf, name, "-crl_check_all", "-CRLfile", pq.openssl.put("crls.pem", pem))
    issuing = x509.load_pem_x509_certificate(made["chain"][0].encode())
    assert x509.load_der_x509_crl(crls[0]).is_signature_valid(issuing.public_key())  # type: ignore[arg-type]
    untrusted, root = pq.chain(name)
    asked = ("ocsp", "-issuer", untrusted, "-cert", pq.openssl.put("leaf.pem", made["certificate"].encode()),
             "-url", f"{pq.ca.suite.url(listener='plain')}/ocsp/{name}", "-CAfile", root,
             "-verify_other", untrusted)  # fmt: skip
    good = pq.run(*asked).text
    assert "Response verify OK" in good
    assert "leaf.pem: good" in good
    pq.ca.revoke(made["serial"])
    until(lambda: "leaf.pem: revoked" in pq.run(*asked).text, "openssl hears of the revocation")
    until(
        lambda: x509.load_der_x509_crl(plain.get(f"/crl/{name}.crl").content).get_revoked_certificate_by_serial_number(
            leaf.serial_number
        ),
        "the CRL lists it",
    )


def test_tls_by_an_ml_dsa_chain(pq: Pq) -> None:
    """openssl s_server and s_client shake hands over it."""
    key = private("ML-DSA-65")
    made = pq.ca.issue(LABEL, request(key, "tls.example.test"))
    untrusted, root = pq.chain("issuing")
    files = (pq.openssl.put("tls.pem", made["certificate"].encode()), pq.openssl.put("tls.key", pem_of(key)))
    from tests.interop.test_acme import _listens, free_port

    port = free_port()
    from tests.support.programs import DEBIAN_13

    server = subprocess.Popen(
        ["chroot", DEBIAN_13, "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", files[0], "-key",
         files[1], "-cert_chain", untrusted, "-www", "-quiet"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: _listens(port), "openssl listens")
        said = pq.run("s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", root, "-verify_return_error",
                      "-verify_hostname", "tls.example.test", stdin=b"Q\n").text  # fmt: skip
    finally:
        server.terminate()
        server.wait(10)
    assert "Verify return code: 0 (ok)" in said
    assert re.search(r"Peer signature type: mldsa65", said, re.IGNORECASE), said


# --- every protocol


@pytest.mark.parametrize("algorithm", DSA)
def test_est(pq: Pq, algorithm: str) -> None:
    key = private(algorithm)
    answer = pq.ca.suite.http().post(
        f"{EST}/{LABEL}/simpleenroll", content=base64.encodebytes(request(key, "est.example.test")), headers=PKCS10,
        auth=pq.ca.credential(LABEL),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    is_good(pq, certificate_of(answer.content), key)


@pytest.mark.parametrize("algorithm", DSA)
def test_acme(pq: Pq, algorithm: str) -> None:
    key = private(algorithm)
    client = client_of(pq.ca.suite, LABEL)
    assert client.register().status == 201
    order = client.order("acme.example.test")
    challenge = client.challenge(client.authorizations(order)[0], "http-01")
    pq.answers[challenge["token"]] = client.key_authorization(challenge).encode()
    client.post(challenge["url"], {})
    until(lambda: client.post(order.headers["location"]).json["status"] == "ready", "the order is ready")
    done = client.finalize(order, request(key, "acme.example.test"))
    chain = x509.load_pem_x509_certificates(client.post(done.json["certificate"]).body)
    is_good(pq, chain[0], key)


@pytest.mark.parametrize("algorithm", DSA)
def test_cmp_by_openssl(pq: Pq, algorithm: str) -> None:
    """The client's key, the CA's and its responder's are all ML-DSA."""
    key = private(algorithm)
    username, password = pq.ca.credential(LABEL)
    where = pq.openssl.put("cmp.key", pem_of(key))
    _, root = pq.chain("issuing")
    out = where.replace("cmp.key", "cmp.pem")
    host = pq.ca.suite.url(listener="plain").removeprefix("http://")
    common = ("cmp", "-config", "", "-server", host, "-path", f".well-known/cmp/p/{LABEL}", "-certout", out)
    pq.run(*common, "-cmd", "ir", "-ref", username, "-secret", f"pass:{password}", "-newkey", where, "-subject",
           "/CN=cmp.example.test", "-sans", "cmp.example.test")  # fmt: skip
    found = x509.load_pem_x509_certificate((pq.openssl.folder / "cmp.pem").read_bytes())
    is_good(pq, found, key)
    untrusted, _ = pq.chain("issuing")
    new = private(algorithm)
    pq.run(*common, "-cmd", "kur", "-cert", out, "-key", where, "-newkey", pq.openssl.put("new.key", pem_of(new)),
           "-trusted", root, "-untrusted", untrusted)  # fmt: skip
    found = x509.load_pem_x509_certificate((pq.openssl.folder / "cmp.pem").read_bytes())
    is_good(pq, found, new)


@pytest.mark.parametrize("algorithm", DSA)
def test_cmc(pq: Pq, algorithm: str, tmp_path: Path) -> None:
    key = private(algorithm)
    username, password = pq.ca.credential(LABEL)
    for name, content in (("key", pem_of(key)), ("secret", password.encode())):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "root.pem").write_bytes(pq.ca.chain()[1].public_bytes(Encoding.PEM))
    pq.ca.suite.cli("ca", "cmc", tmp_path / "key", "--label", LABEL, "--dns", "cmc.example.test", "--user", username,
                    "--secret-file", tmp_path / "secret", "--cacert", tmp_path / "root.pem",
                    "--out", tmp_path / "out.pem")  # fmt: skip
    is_good(pq, x509.load_pem_x509_certificate((tmp_path / "out.pem").read_bytes()), key)


def test_scep_by_an_rsa_authority(pq: Pq, tmp_path: Path) -> None:
    """SCEP encrypts to RSA keys: the device's and the registration authority's are, the CA is ML-DSA."""
    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "key").write_bytes(pem_of(key))
    (tmp_path / "challenge").write_text(pq.ca.credential(LABEL, max_uses=1)[1])
    pq.ca.suite.cli("ca", "scep", tmp_path / "key", "--label", LABEL, "--dns", "scep.example.test",
                    "--challenge-file", tmp_path / "challenge", "--out", tmp_path / "out.pem")  # fmt: skip
    is_good(pq, x509.load_pem_x509_certificate((tmp_path / "out.pem").read_bytes()), key)


@pytest.mark.parametrize("algorithm", KEM)
def test_rest_for_ml_kem(pq: Pq, algorithm: str) -> None:
    """openssl makes the key, and finds it in the certificate; RFC 9935 section 5's usage."""
    made = pq.run("genpkey", "-algorithm", algorithm).out
    public = pq.run("pkey", "-pubout", stdin=made).out
    body = {"profile": "smime-encryption", "sans": ["email:kem@example.test"], "public_key": public.decode()}
    answer = pq.ca.suite.api().post("certificates", json=body)
    assert answer.status_code == 201, answer.text
    leaf = x509.load_pem_x509_certificate(answer.json()["certificate"].encode())
    pq.verify(leaf, "issuing")
    file = pq.openssl.put("kem.pem", leaf.public_bytes(Encoding.PEM))
    assert pq.run("x509", "-in", file, "-noout", "-pubkey").out == public
    assert "Key Encipherment\n" in pq.run("x509", "-in", file, "-noout", "-ext", "keyUsage").text


# --- the page


def test_the_commands_of_the_page(pq: Pq) -> None:
    """``openssl`` there is 3.5 or later: here it is the one of Debian 13, which sees the same folder."""
    from tests.support.programs import DEBIAN_13

    folder = pq.openssl.folder / "page"
    programs = folder / "bin"
    programs.mkdir(parents=True)
    inside = f"/{folder.relative_to(DEBIAN_13)}"
    scripts = {
        "pycryptoutil": f'exec "{sys.executable}" -m pycryptoutil "$@"',
        "openssl": f'exec chroot "{DEBIAN_13}" /bin/sh -c \'cd {inside} && exec openssl "$@"\' openssl "$@"',
    }
    for name, line in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    env = environment(PYCRYPTOUTIL_READY_FILE=str(pq.ca.suite.ready_file))
    env |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    for block in blocks:
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            check=False,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
