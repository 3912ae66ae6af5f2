"""The life of a CA on a real suite, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography import x509
from cryptography.x509 import ocsp as ocsp_client

from tests.support import openssl_ca
from tests.support.programs import run
from tests.support.suite import Suite, call_cli


def _certificates(text: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(text.encode())


def test_a_new_key_step_by_step(shared_suite: Suite, tmp_path: Path) -> None:
    suite = shared_suite
    before = suite.cli_json("ca", "show", "issuing")
    assert "does not issue yet" in suite.cli("ca", "rollover", "issuing").stdout
    with suite.http() as http:
        published = http.get(suite.url("pki-ca") + "/ca/issuing.p7c")
        assert published.status_code == 200
    (tmp_path / "published.p7c").write_bytes(published.content)
    told = run("openssl", "pkcs7", "-inform", "DER", "-in", tmp_path / "published.p7c", "-print_certs").text
    assert told.count("-----BEGIN CERTIFICATE-----") == 5  # chain, new key, newWithOld, oldWithNew
    assert (
        "issuing issues with its new key; the old one is issuing-1"
        in suite.cli("ca", "rollover", "issuing", "--step", "activate").stdout
    )
    after = suite.cli_json("ca", "show", "issuing")
    assert (after["subject"], after["certificate"] != before["certificate"]) == (before["subject"], True)
    shown = suite.cli_json("ca", "rollover", "issuing", "--step", "show")
    assert json.dumps(shown).count("activated") >= 1
    suite.cli("ca", "rollover", "issuing", "--step", "retire")
    refused = suite.cli("ca", "rollover", "issuing", "--step", "activate", code=None)
    assert refused.returncode == 7
    for name in ("issuing", "issuing-1"):
        assert suite.cli_json("ca", "crl", "show", name)["authority"] == name


def test_a_ceremony_and_an_online_ca(shared_suite: Suite, tmp_path: Path) -> None:
    suite = shared_suite
    folder, plain = tmp_path / "root", suite.url("pki-ca", "plain")
    names = ("--custodian", "Ada", "--custodian", "Bob", "--custodian", "Cyd", "--threshold", "2")
    made = call_cli(
        "ca", "ceremony", "init", folder, "--subject", "CN=Offline,O=Example", *names, "--distribution-url", plain
    )
    assert made.returncode == 0, made.stderr
    shares = [tmp_path / f"{n}.share" for n in (1, 2, 3)]
    for share in shares:
        (folder / "shares" / share.name).rename(share)
    csr = tmp_path / "online.csr"
    csr.write_text(suite.cli("ca", "create", "online", "--subject", "CN=Online,O=Example", "--offline-parent").stdout)
    run("openssl", "req", "-in", csr, "-noout", "-verify")
    short = call_cli("ca", "ceremony", "sign", folder, "--csr", csr, "--share", shares[0])
    assert (short.returncode, "2 shares are needed" in short.stderr) == (6, True)
    good = ("--share", shares[0], "--share", shares[2])
    assert call_cli("ca", "ceremony", "sign", folder, "--csr", csr, "--path-length", "1", *good).returncode == 0
    assert "online works under offline-root" in suite.cli("ca", "ceremony", "import", folder).stdout
    listed = json.dumps(suite.cli_json("ca", "crl", "list"))  # the root has none yet, and others are listed
    assert ("online" in listed, "offline-root" in listed) == (True, False)
    by_stdin = call_cli(
        "ca", "ceremony", "sign", folder, "--crl", stdin="".join(path.read_text() for path in shares[1:])
    )
    assert by_stdin.returncode == 0, by_stdin.stderr
    brought = suite.cli("ca", "ceremony", "import", folder).stdout
    assert "of offline-root is published" in brought
    suite.cli("ca", "create", "leafs", "--subject", "CN=Leafs,O=Example", "--parent", "online")
    chain = _certificates(suite.cli("ca", "chain", "leafs").stdout)
    assert [one.subject.rfc4514_string() for one in chain] == [
        "CN=Leafs,O=Example",
        "CN=Online,O=Example",
        "CN=Offline,O=Example",
    ]
    point = chain[1].extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    url = next(iter(point)).full_name[0].value  # type: ignore[index]
    with suite.http() as http:
        crl = x509.load_der_x509_crl(http.get(url).content)
        builder = ocsp_client.OCSPRequestBuilder()
        from cryptography.hazmat.primitives import hashes, serialization

        asked = builder.add_certificate(chain[1], chain[2], hashes.SHA256()).build()
        answer = http.post(
            f"{plain}/ocsp/offline-root",
            content=asked.public_bytes(serialization.Encoding.DER),
            headers={"Content-Type": "application/ocsp-request"},
        )
    assert crl.is_signature_valid(chain[2].public_key())  # type: ignore[arg-type]
    status = ocsp_client.load_der_ocsp_response(answer.content).response_status
    assert status is ocsp_client.OCSPResponseStatus.UNAUTHORIZED
    held = call_cli("ca", "ceremony", "verify", folder, "--json")
    assert json.loads(held.stdout)["entries"] == 3
    transcript = folder / "transcript.jsonl"
    transcript.write_bytes(transcript.read_bytes().replace(b'"Ada"', b'"Eve"', 1))
    assert call_cli("ca", "ceremony", "verify", folder).returncode == 9


def test_an_openssl_ca_is_taken_over(shared_suite: Suite, tmp_path: Path) -> None:
    old = openssl_ca.make(tmp_path / "ca")
    (old.folder / "index.txt").open("a").write("garbage\n")
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(openssl_ca.PASSPHRASE + "\n")
    suite = shared_suite
    wrong = suite.cli("ca", "import", "old", "--openssl-ca", old.folder, stdin="wrong\n", code=None)
    assert wrong.returncode == 1
    done = suite.cli("ca", "import", "old", "--openssl-ca", old.folder, "--passphrase-file", passphrase)
    assert "3 certificates added" in done.stdout
    assert "index.txt line 4: 1 fields instead of 6" in done.stderr
    assert (
        "0 certificates added, 0 revoked since, 3 known"
        in suite.cli("ca", "import", "old", "--openssl-ca", old.folder, stdin=openssl_ca.PASSPHRASE + "\n").stdout
    )
    plain = suite.url("pki-ca", "plain")
    for serial, status in ((old.good, "good"), (old.compromised, "revoked")):
        told = run(
            "openssl", "ocsp", "-issuer", old.folder / "cacert.pem", "-serial", f"0x{serial}",
            "-url", f"{plain}/ocsp/old", "-CAfile", old.folder / "cacert.pem",
        ).text  # fmt: skip
        assert f"0x{serial}: {status}" in told
        assert "Response verify OK" in told
    with suite.http() as http:
        crl = x509.load_der_x509_crl(http.get(f"{plain}/crl/old.crl").content)
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > 0x2A
    assert len(crl) == 2


def test_a_backup_and_a_stale_one(shared_suite: Suite, tmp_path: Path) -> None:
    suite = shared_suite
    run("openssl", "genrsa", "-aes256", "-passout", "pass:recover", "-out", tmp_path / "recovery.key", "2048")
    run("openssl", "rsa", "-in", tmp_path / "recovery.key", "-passin", "pass:recover", "-pubout",
        "-out", tmp_path / "recovery.pem")  # fmt: skip
    suite.cli("ca", "create", "kept", "--subject", "CN=Kept,O=Example", "--parent", "root")
    suite.cli("ca", "crl", "show", "kept")
    file = tmp_path / "kept.backup"
    file.write_text(suite.cli("ca", "backup", "kept", "--recipient", tmp_path / "recovery.pem").stdout)
    assert "PRIVATE" not in file.read_text()
    suite.cli("ca", "crl", "publish", "kept")
    key = ("--key", tmp_path / "recovery.key")
    refused = suite.cli("ca", "restore", file, *key, stdin="recover\n", code=None)
    assert refused.returncode == 1
    assert "the backup is older than what is here of kept: CRL number" in refused.stderr
    assert "kept is back" in suite.cli("ca", "restore", file, *key, "--override-stale", stdin="recover\n").stdout
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    assert "breaks off" in suite.cli("ca", "restore", file, *key, stdin="recover\n", code=None).stderr


def test_a_cross_certificate(shared_suite: Suite, tmp_path: Path) -> None:
    suite = shared_suite
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=Partner", "-days", "400", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", tmp_path / "partner.key", "-out", tmp_path / "partner.pem")  # fmt: skip
    given = ("ca", "cross-certify", "root", "--certificate", tmp_path / "partner.pem")
    refused = suite.cli(*given, code=None)
    assert (refused.returncode, "unconstrained" in refused.stderr) == (6, True)
    made = tmp_path / "cross.pem"
    suite.cli(*given, "--permit", "dns:partner.example", "--out", made)
    (tmp_path / "root.pem").write_text(suite.cli("ca", "chain", "root", "--root").stdout)
    run("openssl", "verify", "-x509_strict", "-CAfile", tmp_path / "root.pem", made)
    serial = f"{_certificates(made.read_text())[0].serial_number:x}"
    assert serial in json.dumps(suite.cli_json("ca", "cross-certificates", "root"))
    suite.cli("ca", "revoke", serial, "--reason", "cessationOfOperation")
