"""``openssl cmp`` of Debian 12 (3.0) and Debian 13 (3.5) against the CA: every command, protection and confirmation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.protocols.material import cert_pem, private_key
from tests.protocols.material import certificate as make
from tests.support.authority import csr
from tests.support.pki import Ca, key_pem
from tests.support.programs import Debian13, Done, need, run
from tests.support.suite import make_suite, until

pytestmark = pytest.mark.interop
WELL_KNOWN = ".well-known/cmp"
SERVER = f"{WELL_KNOWN}/p/tls-server"
NAME = ("-subject", "/CN=a.example.test", "-sans", "a.example.test")


class OpenSsl:
    """One release of openssl, with a folder that it can read and write."""

    def __init__(self, folder: Path, there: Debian13 | None) -> None:
        self._there = there
        self.folder = there.folder if there is not None else folder
        self.is_new = there is not None

    def run(self, *arguments: str, code: int | None = 0) -> Done:
        if self._there is not None:
            return self._there.run("openssl", *arguments, code=code)
        return run("openssl", *arguments, code=code)

    def path(self, name: str) -> str:
        """How openssl calls a file."""
        if self._there is not None:
            return f"/{self.folder.relative_to(self.folder.parents[1])}/{name}"
        return str(self.folder / name)

    def put(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return self.path(name)

    def get(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()


class Cmp:
    """The CMP client of one openssl, and the CA that it talks to."""

    def __init__(self, ca: Ca, program: OpenSsl) -> None:
        self.ca = ca
        self.program = program
        self.host = ca.suite.url("pki-ca", "plain").removeprefix("http://")
        issuing, root = ca.chain()
        self.root = program.put("root.pem", root.public_bytes(Encoding.PEM))
        self.issuing = program.put("issuing.pem", issuing.public_bytes(Encoding.PEM))

    def cmp(self, command: str, *arguments: str, path: str = SERVER, code: int | None = 0) -> Done:
        """Run one command over plain HTTP."""
        where = ("-server", self.host, "-path", path)
        return self.program.run("cmp", "-config", "", *where, "-cmd", command, *arguments, code=code)

    def key(self, name: str = "k.pem", kind: str = "ec") -> str:
        made: Any = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
        return self.program.put(name, key_pem(made))

    def secret(self, *arguments: Any, **more: Any) -> tuple[str, ...]:
        """Make an enrolment credential; return the options that use it."""
        username, password = self.ca.credential(*arguments, **more)
        return ("-ref", username, "-secret", f"pass:{password}")

    def certificate(self, name: str = "c.pem") -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.program.get(name))

    def status(self, name: str = "c.pem") -> str:
        found: str = self.ca.record(f"{self.certificate(name).serial_number:x}").json()["status"]
        return found

    def enrolled(self, common_name: str = "a.example.test") -> tuple[str, ...]:
        """Enrol; return the options that sign with the certificate, kept in own.pem and own.key."""
        key = self.key("own.key")
        out = self.program.path("own.pem")
        name = ("-subject", f"/CN={common_name}", "-sans", common_name)
        self.cmp("ir", *self.secret(), "-newkey", key, *name, "-certout", out)
        return ("-cert", out, "-key", key, "-trusted", self.root, "-untrusted", self.issuing)


def _client(where: str, ca: Ca, folder: Path) -> Iterator[Cmp]:
    if where == "local":
        need("openssl")
        yield Cmp(ca, OpenSsl(folder, None))
        return
    there = Debian13()
    try:
        yield Cmp(ca, OpenSsl(folder, there))
    finally:
        there.close()


@pytest.fixture(params=["local", "debian13"])
def cmp(request: pytest.FixtureRequest, ca: Ca, tmp_path: Path) -> Iterator[Cmp]:
    """The client of each release."""
    yield from _client(request.param, ca, tmp_path)


@pytest.fixture(scope="module")
def impatient_ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ca]:
    """A CA that waits two seconds for certConf, and has clients poll every second."""
    settings = {"pki_ca": {"cmp": {"confirm_wait": 2}, "approval_poll_seconds": 1}}
    made = make_suite(tmp_path_factory.mktemp("impatient"), "pki-ca", settings)
    try:
        yield Ca(made.start())
    finally:
        made.close()


@pytest.fixture(params=["local", "debian13"])
def impatient_cmp(request: pytest.FixtureRequest, impatient_ca: Ca, tmp_path: Path) -> Iterator[Cmp]:
    """The client of each release before that CA."""
    yield from _client(request.param, impatient_ca, tmp_path)


@pytest.fixture
def new_cmp(ca: Ca, tmp_path: Path) -> Iterator[Cmp]:
    """The client of Debian 13, for what the older one cannot ask."""
    yield from _client("debian13", ca, tmp_path)


# -- enrolment by a secret ---------------------------------------------------------------------------------------------


def test_the_command_of_the_documentation(cmp: Cmp) -> None:
    """ir with every option at its default: PasswordBasedMac with HMAC-SHA1, explicit confirmation."""
    out = cmp.program.path("c.pem")
    cmp.cmp("ir", *cmp.secret(), "-newkey", cmp.key(), *NAME, "-certout", out)
    names = cmp.certificate().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.test"]
    assert cmp.status() == "valid"


@pytest.mark.parametrize("command", ["ir", "cr"])
@pytest.mark.parametrize("mac", ["hmac-sha1", "hmacWithSHA256", "hmacWithSHA512"])
def test_requests_with_each_mac(cmp: Cmp, command: str, mac: str) -> None:
    out = cmp.program.path("c.pem")
    cmp.cmp(command, *cmp.secret(), "-mac", mac, "-digest", "sha256", "-newkey", cmp.key(), *NAME, "-certout", out)
    assert cmp.status() == "valid"


def test_pkcs10_requests(cmp: Cmp) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.load_der_x509_csr(csr("b.example.test", cn="b.example.test", key=key))
    name = cmp.program.put("r.pem", request.public_bytes(Encoding.PEM))
    out = cmp.program.path("c.pem")
    cmp.cmp("p10cr", *cmp.secret(), "-csr", name, "-certout", out)
    assert cmp.certificate().public_key() == key.public_key()


@pytest.mark.parametrize("path", [SERVER, WELL_KNOWN, "cmp", "cmp/tls-server", f"{SERVER}/initialization"])
def test_every_path(cmp: Cmp, path: str) -> None:
    out = cmp.program.path("c.pem")
    cmp.cmp("ir", *cmp.secret(), "-newkey", cmp.key(), *NAME, "-certout", out, path=path)
    assert cmp.status() == "valid"


def test_over_tls(cmp: Cmp) -> None:
    out = cmp.program.path("c.pem")
    trust = cmp.program.put("tls.pem", cmp.ca.suite.trust_bundle.read_bytes())
    host = cmp.ca.suite.url().removeprefix("https://")
    where = ("-server", f"https://{host}", "-path", SERVER, "-tls_used", "-tls_trusted", trust)
    ask = ("-cmd", "ir", *cmp.secret(), "-newkey", cmp.key(), *NAME, "-certout", out)
    cmp.program.run("cmp", "-config", "", *where, *ask)
    assert cmp.status() == "valid"


def test_implicit_confirmation(cmp: Cmp) -> None:
    out = cmp.program.path("c.pem")
    done = cmp.cmp("ir", *cmp.secret(), "-newkey", cmp.key(), *NAME, "-implicit_confirm", "-certout", out)
    assert "CERTCONF" not in done.text
    assert cmp.status() == "valid"


def test_ca_certificates_come_along(cmp: Cmp) -> None:
    folder = cmp.program
    options = ("-cacertsout", folder.path("ca.pem"), "-extracertsout", folder.path("x.pem"))
    out = ("-certout", folder.path("c.pem"), "-chainout", folder.path("chain.pem"))
    cmp.cmp("ir", *cmp.secret(), "-newkey", cmp.key(), *NAME, *options, *out)
    issuing, root = cmp.ca.chain()
    assert x509.load_pem_x509_certificates(folder.get("ca.pem")) == [root]
    assert issuing in x509.load_pem_x509_certificates(folder.get("x.pem"))
    assert issuing in x509.load_pem_x509_certificates(folder.get("chain.pem"))


def test_a_wrong_secret(cmp: Cmp) -> None:
    reference = cmp.secret()[1]
    options = ("-ref", reference, "-secret", "pass:wrong", "-trusted", cmp.root)
    done = cmp.cmp("ir", *options, "-newkey", cmp.key(), *NAME, "-certout", cmp.program.path("c.pem"), code=1)
    assert "badMessageCheck" in done.text
    assert not cmp.program.has("c.pem")


def test_a_name_that_is_not_the_credentials(cmp: Cmp) -> None:
    name = ("-subject", "/CN=a.elsewhere.test", "-sans", "a.elsewhere.test")
    done = cmp.cmp("ir", *cmp.secret(), "-newkey", cmp.key(), *name, "-certout", cmp.program.path("c.pem"), code=1)
    assert "badCertTemplate" in done.text


def test_rejecting_the_certificate_revokes_it(cmp: Cmp) -> None:
    """A client that cannot build the chain sends certConf with a rejection."""
    other = cmp.program.put("other.pem", _self_signed())
    before = _newest(cmp)
    options = ("-out_trusted", other, "-certout", cmp.program.path("c.pem"))
    cmp.cmp("ir", *cmp.secret(), "-newkey", cmp.key(), *NAME, *options, code=1)
    after = _newest(cmp)
    assert after["serial"] != before.get("serial")
    assert after["status"] == "revoked"


def test_a_certificate_without_confirmation_is_revoked(impatient_cmp: Cmp) -> None:
    """-disable_confirm breaks the protocol: after confirmWaitTime the certificate is revoked."""
    out = impatient_cmp.program.path("c.pem")
    ask = ("-newkey", impatient_cmp.key(), *NAME, "-disable_confirm", "-certout", out)
    impatient_cmp.cmp("ir", *impatient_cmp.secret(), *ask)
    until(lambda: impatient_cmp.status() == "revoked", "the certificate is revoked")


def _newest(cmp: Cmp) -> dict[str, Any]:
    items: list[dict[str, Any]] = cmp.ca.suite.api().get("certificates", params={"limit": 1}).json()["items"]
    return items[0] if items else {}


def _self_signed() -> bytes:
    return cert_pem(make(private_key("EC-P256", 9), "somebody else"))


# -- by a certificate --------------------------------------------------------------------------------------------------


def test_key_update(cmp: Cmp) -> None:
    signed = cmp.enrolled()
    out = cmp.program.path("c.pem")
    cmp.cmp("kur", *signed, "-newkey", cmp.key(), "-certout", out)
    assert cmp.certificate().subject == cmp.certificate("own.pem").subject
    assert cmp.certificate().public_key() != cmp.certificate("own.pem").public_key()


def test_requests_signed_by_a_certificate(cmp: Cmp) -> None:
    signed = cmp.enrolled()
    out = cmp.program.path("c.pem")
    cmp.cmp("cr", *signed, "-newkey", cmp.key(), *NAME, "-certout", out)
    assert cmp.status() == "valid"
    other = ("-subject", "/CN=b.example.test", "-sans", "b.example.test")
    done = cmp.cmp("cr", *signed, "-newkey", cmp.key(), *other, "-certout", out, code=1)
    assert "badCertTemplate" in done.text


@pytest.mark.parametrize(("reason", "told"), [(None, "unspecified"), (1, "keyCompromise"), (4, "superseded")])
def test_revocation_by_the_certificate_itself(cmp: Cmp, reason: int | None, told: str) -> None:
    signed = cmp.enrolled()
    options = ("-revreason", str(reason)) if reason is not None else ()
    cmp.cmp("rr", *signed, "-oldcert", cmp.program.path("own.pem"), *options)
    record = cmp.ca.record(f"{cmp.certificate('own.pem').serial_number:x}").json()
    assert (record["status"], record["reason"]) == (
        "revoked",
        told,
    )
    done = cmp.cmp("rr", *signed, "-oldcert", cmp.program.path("own.pem"), code=1)
    assert "signerNotTrusted" in done.text


def test_revocation_by_the_secret(cmp: Cmp) -> None:
    secret = cmp.secret()
    out = cmp.program.path("c.pem")
    cmp.cmp("ir", *secret, "-newkey", cmp.key(), *NAME, "-certout", out)
    cmp.cmp("rr", *secret, "-oldcert", out, "-revreason", "5")
    assert cmp.status() == "revoked"
    stranger = cmp.secret()
    done = cmp.cmp("rr", *stranger, "-oldcert", out, code=1)
    assert "notAuthorized" in done.text


# -- approvals and polling ---------------------------------------------------------------------------------------------


def test_polling_for_approval(impatient_cmp: Cmp) -> None:
    cmp = impatient_cmp
    _profile(cmp.ca, "tls-approved", _approved("tls-approved"))
    secret = cmp.secret("tls-approved")
    out = cmp.program.path("c.pem")
    asked = {item["id"] for item in _waiting(cmp.ca)}
    ended: list[Done] = []

    def enrol() -> None:
        path = f"{WELL_KNOWN}/p/tls-approved"
        options = ("-newkey", key, *NAME, "-certout", out, "-total_timeout", "60")
        ended.append(cmp.cmp("ir", *secret, *options, path=path, code=None))

    key = cmp.key()
    client = threading.Thread(target=enrol)
    client.start()
    try:
        waiting = until(lambda: [one for one in _waiting(cmp.ca) if one["id"] not in asked], "the request waits")
        answer = cmp.ca.suite.api().post(f"approvals/{waiting[0]['id']}/approve", json={"comment": "it is ours"})
        assert answer.status_code == 200, answer.text
    finally:
        client.join()
    assert ended[0].code == 0, ended[0].text
    assert "POLLREP" in ended[0].text or "pollRep" in ended[0].text or "polling" in ended[0].text.lower()
    assert cmp.status() == "valid"


def _waiting(ca: Ca) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ca.suite.api().get("approvals", params={"state": "pending"}).json()["items"]
    return found


def _approved(name: str) -> str:
    return f"""
name: {name}
title: TLS server, with an approver
validity: {{default: 30d, maximum: 90d}}
keys: {{algorithms: [EC-P256, RSA]}}
subject: {{allowed: [CN]}}
names: {{types: [dns], required: true, private: true}}
key_usage: {{default: [digitalSignature]}}
extended_key_usage: [serverAuth]
approvals: 1
"""


def _profile(ca: Ca, name: str, document: str) -> None:
    answer = ca.suite.api().put(f"profiles/{name}", content=document, headers={"content-type": "application/yaml"})
    assert answer.status_code in (200, 201), answer.text


# -- registration authority --------------------------------------------------------------------------------------------


def test_a_registration_authority_speaks_for_others(cmp: Cmp) -> None:
    """RFC 9483 section 5.2.3: the RA signs, and may say raVerified."""
    document = """
name: cmp-ra
title: Registration authority
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256]}
subject: {allowed: [CN]}
key_usage: {default: [digitalSignature]}
extended_key_usage: ["1.3.6.1.5.5.7.3.28"]
"""
    _profile(cmp.ca, "cmp-ra", document)
    key = cmp.key("ra.key")
    ra = cmp.program.path("ra.pem")
    secret = cmp.secret("cmp-ra", names={"dns": [], "common_name": ["ra*"]})
    cmp.cmp("ir", *secret, "-newkey", key, "-subject", "/CN=ra1", "-certout", ra, path=f"{WELL_KNOWN}/p/cmp-ra")
    out = cmp.program.path("c.pem")
    signed = ("-cert", ra, "-key", key, "-trusted", cmp.root, "-untrusted", cmp.issuing)
    public = cmp.program.put("public.pem", _public_pem())
    cmp.cmp("ir", *signed, "-newkey", public, "-popo", "0", *NAME, "-certout", out)
    assert cmp.status() == "valid"
    cmp.cmp("rr", *signed, "-oldcert", out, "-revreason", "4")
    assert cmp.status() == "revoked"
    secret = cmp.secret()
    done = cmp.cmp("ir", *secret, "-newkey", public, "-popo", "0", *NAME, "-certout", out, code=1)
    assert "notAuthorized" in done.text


def _public_pem() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# -- support messages --------------------------------------------------------------------------------------------------

INFO_TYPES = {
    "caProtEncCert": "caProtEncCert",
    "signKeyPairTypes": "signKeyPairTypes",
    "encKeyPairTypes": "encKeyPairTypes",
    "preferredSymmAlg": "preferredSymmAlg",
    "currentCRL": "currentCRL",
    "suppLangTags": "suppLangTags",
    "caKeyUpdateInfo": "unsupportedOIDs",
    "revPassphrase": "unsupportedOIDs",
}


@pytest.mark.parametrize(
    ("asked", "protection"), [*((asked, "secret") for asked in INFO_TYPES), ("currentCRL", "signature")]
)
def test_general_messages(cmp: Cmp, asked: str, protection: str) -> None:
    options = cmp.secret() if protection == "secret" else cmp.enrolled()
    done = cmp.cmp("genm", *options, "-infotype", asked)
    told = INFO_TYPES[asked]
    assert told in done.text or f"id-it-{told}" in done.text, done.text


def test_ca_certificates_by_genm(new_cmp: Cmp) -> None:
    out = new_cmp.program.path("ca.pem")
    new_cmp.cmp("genm", *new_cmp.secret(), "-infotype", "caCerts", "-cacertsout", out)
    assert set(x509.load_pem_x509_certificates(new_cmp.program.get("ca.pem"))) == set(new_cmp.ca.chain())


def test_root_update_by_genm(new_cmp: Cmp) -> None:
    options = ("-oldwithold", new_cmp.root, "-newwithnew", new_cmp.program.path("new.pem"))
    done = new_cmp.cmp("genm", *new_cmp.secret(), "-infotype", "rootCaCert", *options)
    assert "no root CA certificate update" in done.text or not new_cmp.program.has("new.pem")


def test_request_template_by_genm(new_cmp: Cmp) -> None:
    options = ("-template", new_cmp.program.path("t.der"), "-keyspec", new_cmp.program.path("k.der"))
    new_cmp.cmp("genm", *new_cmp.secret(), "-infotype", "certReqTemplate", *options)
    assert new_cmp.program.get("t.der").startswith(b"\x30")
    assert new_cmp.program.get("k.der").startswith(b"\x30")


def test_crls_by_genm(new_cmp: Cmp) -> None:
    signed = new_cmp.enrolled()
    out = new_cmp.program.path("c.crl")
    new_cmp.cmp(
        "genm", *signed, "-infotype", "crlStatusList", "-crlcert", new_cmp.program.path("own.pem"), "-crlout", out
    )
    crl = x509.load_der_x509_crl(new_cmp.program.get("c.crl"))
    assert crl.issuer == new_cmp.ca.chain()[0].subject
    again = new_cmp.program.path("again.crl")
    done = new_cmp.cmp("genm", *signed, "-infotype", "crlStatusList", "-oldcrl", out, "-crlout", again)
    assert "no CRL update" in done.text or not new_cmp.program.has("again.crl")


# -- keys that the CA makes, and keys that only decrypt ----------------------------------------------------------------


@pytest.mark.parametrize("protection", ["secret", "signature"])
def test_central_key_generation(new_cmp: Cmp, protection: str) -> None:
    cmp = new_cmp
    options = cmp.secret() if protection == "secret" else cmp.enrolled()
    out, key = cmp.program.path("c.pem"), cmp.program.path("made.key")
    trust = ("-trusted", cmp.root, "-untrusted", cmp.issuing) if protection == "secret" else ()
    cmp.cmp("ir", *options, *trust, "-centralkeygen", "-newkeyout", key, *NAME, "-certout", out)
    made = serialization.load_pem_private_key(cmp.program.get("made.key"), None)
    assert made.public_key() == cmp.certificate().public_key()


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_possession_by_decrypting_the_certificate(new_cmp: Cmp, kind: str) -> None:
    out = new_cmp.program.path("c.pem")
    new_cmp.cmp("ir", *new_cmp.secret(), "-newkey", new_cmp.key(kind=kind), "-popo", "2", *NAME, "-certout", out)
    assert new_cmp.status() == "valid"
    usage = new_cmp.certificate().extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SERVER_AUTH in usage
