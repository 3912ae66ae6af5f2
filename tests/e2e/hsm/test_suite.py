"""A real suite whose CA has all its keys in SoftHSM2: judged by openssl, unplugged, started wrongly."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from pycryptoutil_protocols.tsp import codec
from pycryptoutil_protocols.tsp.messages import QUERY, TimeStampRequest

from tests.e2e.pki.test_acme_http import client_of
from tests.protocols import material
from tests.support.acme import web_server
from tests.support.authority import csr
from tests.support.hsm import PIN, SoftHsm, library
from tests.support.pki import EST, PKCS10, Ca, uris
from tests.support.programs import need, run
from tests.support.suite import NotStartedError, StartSuite, Suite, call_cli, make_suite, until

LABEL = "e2e"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    need("openssl")
    made = SoftHsm(library(), tmp_path_factory.mktemp("tokens")).write()
    made.make(LABEL)
    return made


def configuration(store: SoftHsm, folder: Path, **changes: Any) -> dict[str, Any]:
    secret = folder / "hsm_pin"
    secret.write_text(changes.pop("pin", PIN) + "\n")
    section = {"module": store.library, "token": LABEL, "pin": f"file://{secret}", **changes}
    return {"pki_ca": {"hsm": section}}


ANSWERS: dict[str, bytes] = {}


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    """What ACME's validators ask; the port."""
    with web_server(ANSWERS) as port:
        yield port


@pytest.fixture(scope="module")
def running(store: SoftHsm, web: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """Two worker processes, each with the library for itself."""
    folder = tmp_path_factory.mktemp("suite")
    chosen = configuration(store, folder)
    chosen["pki_ca"]["acme"] = {"http_ports": [web]}
    made = make_suite(folder, "pki-ca", chosen, workers=2, env=environment(store))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def ca(running: Suite) -> Ca:
    return Ca(running)


@pytest.fixture(scope="module")
def trust(ca: Ca, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trust")
    for name, certificate in zip(("issuing", "root"), ca.chain(), strict=True):
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return folder


def environment(store: SoftHsm) -> dict[str, str]:
    return {"SOFTHSM2_CONF": str(store.configuration)}


def enrol_anew(ca: Ca, credential: tuple[str, str]) -> httpx.Response:
    request = base64.encodebytes(csr("a.example.test"))
    with httpx.Client(verify=ca.suite.tls(), trust_env=False, timeout=60) as client:  # whichever worker is free
        return client.post(f"{ca.suite.url()}{EST}/simpleenroll", content=request, headers=PKCS10, auth=credential)


def test_openssl_verifies_the_whole_chain(ca: Ca, trust: Path, tmp_path: Path) -> None:
    credential = ca.credential()
    for number in range(6):
        made = ca.enrol(tmp_path, credential, f"h{number}.example.test")
        crl = tmp_path / "issuing.crl"
        crl.write_bytes(httpx.get(uris(made.certificate)["crl"], trust_env=False).content)
        run("openssl", "crl", "-inform", "DER", "-in", crl, "-CAfile", trust / "issuing.pem", "-noout")
        done = run("openssl", "verify", "-x509_strict", "-CAfile", trust / "root.pem", "-untrusted",
                   trust / "issuing.pem", made.certificate_file)  # fmt: skip
        assert done.text.strip().endswith("OK")


def test_openssl_verifies_status(ca: Ca, trust: Path, tmp_path: Path) -> None:
    made = ca.enrol(tmp_path, ca.credential(), "revoked.example.test")
    for wanted in ("good", "revoked"):
        for nonce in ("-nonce", "-no_nonce"):
            done = run("openssl", "ocsp", "-issuer", trust / "issuing.pem", "-cert", made.certificate_file, nonce,
                       "-url", uris(made.certificate)["ocsp"], "-CAfile", trust / "root.pem")  # fmt: skip
            assert "Response verify OK" in done.text
            assert f"{made.certificate_file}: {wanted}" in done.text
        if wanted == "good":
            ca.revoke(made.serial)
            until(lambda: made.serial.upper() in crl_text(uris(made.certificate)["crl"], tmp_path), "it is listed", 20)


def crl_text(url: str, folder: Path) -> str:
    (folder / "now.crl").write_bytes(httpx.get(url, trust_env=False).content)
    return run("openssl", "crl", "-inform", "DER", "-in", folder / "now.crl", "-text", "-noout").text.replace(":", "")


def test_openssl_verifies_a_time_stamp(ca: Ca, trust: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x")
    run("openssl", "ts", "-query", "-data", tmp_path / "data", "-sha256", "-cert", "-out", tmp_path / "q.tsq")
    answer = httpx.post(ca.suite.url("pki-ca", "plain") + "/tsa", content=(tmp_path / "q.tsq").read_bytes(),
                        headers={"Content-Type": QUERY}, trust_env=False)  # fmt: skip
    (tmp_path / "r.tsr").write_bytes(answer.content)
    run("openssl", "ts", "-verify", "-in", tmp_path / "r.tsr", "-queryfile", tmp_path / "q.tsq", "-CAfile",
        trust / "root.pem", "-untrusted", trust / "issuing.pem")  # fmt: skip


def key_file(path: Path, algorithm: str, number: int) -> Path:
    path.write_bytes(material.key_pem(material.private_key(algorithm, number)))
    return path


def verified(trust: Path, *files: Path) -> None:
    for path in files:
        run("openssl", "verify", "-CAfile", trust / "root.pem", "-untrusted", trust / "issuing.pem", path)


def test_scep_by_the_command_line(ca: Ca, trust: Path, tmp_path: Path) -> None:
    """Messages are decrypted in the token, and answers signed there."""
    first, second, challenge = tmp_path / "1.pem", tmp_path / "2.pem", tmp_path / "challenge"
    challenge.write_text(ca.credential()[1])
    keys = [key_file(tmp_path / f"{number}.key", "RSA-2048", number) for number in range(2)]
    asked = ("--label", "tls-server", "--dns", "scep.example.test")
    ca.suite.cli("ca", "scep", keys[0], *asked, "--challenge-file", challenge, "--out", first)
    ca.suite.cli("ca", "scep", keys[1], *asked, "--renew", first, "--renew-key", keys[0], "--out", second)
    verified(trust, first, second)


def test_cmc_by_the_command_line(ca: Ca, trust: Path, tmp_path: Path) -> None:
    out, secret, key = tmp_path / "c.pem", tmp_path / "secret", key_file(tmp_path / "c.key", "EC-P256", 61)
    user, password = ca.credential()
    secret.write_text(password)
    ca.suite.cli("ca", "cmc", key, "--dns", "cmc.example.test", "--user", user, "--secret-file", secret, "--out", out)
    verified(trust, out)
    ca.suite.cli("ca", "cmc", key, "--revoke", out, "--reason", "4", "--cacert", trust / "root.pem")


def test_cmp_by_openssl(ca: Ca, trust: Path, tmp_path: Path) -> None:
    """The second request is signed, and so is its answer: openssl verifies it up to the root."""
    user, password = ca.credential()
    keys = [key_file(tmp_path / f"{number}.key", "EC-P256", 70 + number) for number in range(2)]
    first, second = tmp_path / "1.pem", tmp_path / "2.pem"
    host = ca.suite.url("pki-ca", "plain").removeprefix("http://")
    openssl = ("openssl", "cmp", "-config", "", "-server", host, "-path", ".well-known/cmp/p/tls-server")
    name = ("-subject", "/CN=cmp.example.test", "-sans", "cmp.example.test")
    run(*openssl, "-cmd", "ir", "-ref", user, "-secret", f"pass:{password}", "-newkey", keys[0], *name,
        "-certout", first)  # fmt: skip
    run(*openssl, "-cmd", "kur", "-cert", first, "-key", keys[0], "-newkey", keys[1], "-certout", second,
        "-trusted", trust / "root.pem", "-untrusted", trust / "issuing.pem")  # fmt: skip
    verified(trust, first, second)


def test_acme(ca: Ca, trust: Path, tmp_path: Path) -> None:
    client = client_of(ca.suite)
    client.register()
    order = client.order("hsm.test")
    challenge = client.challenge(client.authorizations(order)[0], "http-01")
    ANSWERS[challenge["token"]] = client.key_authorization(challenge).encode()
    client.post(challenge["url"], {})
    url = order.headers["location"]
    until(lambda: client.post(url).json["status"] == "ready", "it is validated", 60)
    done = client.finalize(client.post(url), csr("hsm.test"))
    assert done.json["status"] == "valid"
    (tmp_path / "acme.pem").write_bytes(client.post(done.json["certificate"]).body)
    verified(trust, tmp_path / "acme.pem")


def test_the_token_is_shown(running: Suite, store: SoftHsm) -> None:
    config = running.folder / "config.yaml"
    shown = call_cli("ca", "hsm", "status", "--profile", "test", "--config", config, "--json", **environment(store))
    assert shown.returncode == 0, shown.stderr
    for label in ("pycryptoutil root", "pycryptoutil issuing", "pycryptoutil issuing ocsp"):
        assert label in shown.stdout
    masked = call_cli("config", "show", "pki-ca", "--profile", "test", "--config", config, **environment(store))
    assert "pki_ca.hsm.pin" in masked.stdout
    assert PIN not in shown.stdout + shown.stderr + masked.stdout
    none = call_cli("ca", "hsm", "status", "--profile", "test")
    assert none.returncode == 7


def readiness(running: Suite) -> dict[str, Any]:
    document: dict[str, Any] = running.admin().get("readyz").json()
    return {one["name"]: one for one in document["checks"]} | {"status": document["status"]}


def test_the_token_is_pulled_and_put_back(running: Suite, ca: Ca, store: SoftHsm, trust: Path, tmp_path: Path) -> None:
    credential = ca.credential()
    made = ca.enrol(tmp_path, credential, "before.example.test")
    stamp = codec.encode_request(TimeStampRequest(codec.encode_imprint("sha256", bytes(32))))
    assert readiness(running)["status"] == "ready"
    with store.away():
        for _ in range(4):
            answer = enrol_anew(ca, credential)
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) > 0
            assert "SoftHSM" not in answer.text
            assert "HSM:" not in answer.text
        refused = running.api().post("certificates", json={"profile": "tls-server", "generate_key": True,
                                                           "sans": ["dns:b.example.test"]})  # fmt: skip
        assert refused.status_code == 503
        assert refused.json()["status"] == 503
        # the protocol's own words: a TSA answers 200 with a rejection, or says that it is out of order
        tsa = httpx.post(ca.suite.url("pki-ca", "plain") + "/tsa", content=stamp, headers={"Content-Type": QUERY},
                         trust_env=False)  # fmt: skip
        assert tsa.status_code in {200, 503}
        assert httpx.get(uris(made.certificate)["crl"], trust_env=False).status_code == 200  # what is published stays
        red = readiness(running)
        assert red["status"] == "not-ready"
        assert red["hsm"]["state"] == "failed"
        assert store.library in red["hsm"]["reason"] or LABEL in red["hsm"]["reason"]
        assert red["authority"]["state"] == "ok"
    until(lambda: readiness(running)["status"] == "ready", "the token is back", 20)
    until(lambda: {enrol_anew(ca, credential).status_code for _ in range(4)} == {200}, "every worker goes on", 20)
    after = ca.enrol(tmp_path, credential, "after.example.test")
    run("openssl", "verify", "-CAfile", trust / "root.pem", "-untrusted", trust / "issuing.pem", after.certificate_file)
    assert PIN not in running.log_text()
    assert not running.foreign_lines()


def test_it_starts_while_the_token_is_away(store: SoftHsm, suite: StartSuite, tmp_path: Path) -> None:
    store.make("other")
    config = configuration(store, tmp_path, token="other")
    started = suite(tmp_path, "pki-ca", config, env=environment(store))
    assert started.stop() == 0
    with store.away():
        started.start()
        assert readiness(started)["hsm"]["state"] == "failed"
        assert started.http().get("/service/api/v1/health").status_code == 200
    until(lambda: readiness(started)["status"] == "ready", "the token is there", 20)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pin": "not-the-pin-1"}, "the PIN is wrong"),
        ({"token": "nowhere"}, "there is no token 'nowhere'"),
        ({"module": "/nowhere/libpkcs11.so"}, "/nowhere/libpkcs11.so cannot be loaded"),
    ],
)
def test_a_first_start_that_cannot_be(
    store: SoftHsm, suite: StartSuite, tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    config = configuration(store, tmp_path, **changes)
    with pytest.raises(NotStartedError) as caught:
        suite(tmp_path, "pki-ca", config, env=environment(store))
    assert text in str(caught.value)
    assert "not-the-pin-1" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_pin_on_the_command_line_is_refused(store: SoftHsm, suite: StartSuite, tmp_path: Path) -> None:
    with pytest.raises(NotStartedError, match="does not belong on the command line"):
        suite(tmp_path, "pki-ca", configuration(store, tmp_path), env=environment(store),
              arguments=["--set", "pki_ca.hsm.pin=1234"])  # fmt: skip
