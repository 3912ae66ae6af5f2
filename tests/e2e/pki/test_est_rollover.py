"""EST across a change of the CA's key: who holds a certificate of the old key renews under the new one (RFC 7030)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.authority import csr, new_key
from tests.support.pki import PKCS10, Ca, Enrolled, certificate_of, certificates_of, keep
from tests.support.programs import need, run

NAME = "renewed.example.test"


@dataclass(frozen=True)
class Generations:
    """The CA's certificates under both keys, and the links, as EST tells them to whoever asks."""

    old: x509.Certificate
    new: x509.Certificate
    new_with_old: x509.Certificate
    old_with_new: x509.Certificate


def signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    """Tell whether it is of this CA's name and key; names alone do not tell generations apart."""
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):  # another name, kind of key, or key
        return False
    return True


def spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def generations(ca: Ca, old: x509.Certificate, new: x509.Certificate) -> Generations:
    """Find the links among cacerts, by what they say."""
    told = ca.suite.http().get(ca.est("cacerts"))
    assert told.status_code == 200
    given = certificates_of(told.content)
    assert {old, new} <= set(given)
    [new_with_old] = [one for one in given if spki(one) == spki(new) and signed(one, old)]
    [old_with_new] = [one for one in given if spki(one) == spki(old) and signed(one, new)]
    return Generations(old, new, new_with_old, old_with_new)


def renew(ca: Ca, held: Enrolled, folder: Path, key: ec.EllipticCurvePrivateKey | None = None) -> Enrolled:
    """Renew over a TLS connection that shows the certificate; with another key it is a rekey."""
    key = key or held.key
    client = ca.suite.http(certificate=held.certificate_file, key=held.key_file)
    answer = client.post(ca.est("simplereenroll"), content=base64.encodebytes(csr(NAME, key=key)), headers=PKCS10)
    assert answer.status_code == 200, answer.text
    return keep(folder, certificate_of(answer.content), key)


def openssl(folder: Path, leaf: Enrolled, anchor: x509.Certificate, *between: x509.Certificate, code: int = 0) -> str:
    """Let OpenSSL build the path from one key of the CA, trusted alone."""
    need("openssl")
    (folder / "anchor.pem").write_bytes(anchor.public_bytes(Encoding.PEM))
    (folder / "between.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in between))
    extra = ("-untrusted", folder / "between.pem") if between else ()
    trusted = ("-partial_chain", "-no-CApath", "-no-CAstore", "-CAfile", folder / "anchor.pem")
    return run("openssl", "verify", "-x509_strict", *trusted, *extra, leaf.certificate_file, code=code).text


@pytest.fixture
def held(ca: Ca, tmp_path: Path) -> Enrolled:
    return ca.enrol(tmp_path, ca.credential("mtls-client"), NAME)


def step(ca: Ca, word: str) -> None:
    ca.suite.cli("ca", "rollover", "issuing", "--step", word)


def test_the_old_renews_under_the_new_and_openssl_follows_the_links(ca: Ca, held: Enrolled, tmp_path: Path) -> None:
    old = ca.chain()[0]
    revoked = ca.enrol(tmp_path, ca.credential("mtls-client"), NAME)
    ca.revoke(revoked.serial)
    step(ca, "prepare")
    early = renew(ca, held, tmp_path)  # the new key is published, and issues nothing yet
    assert signed(early.certificate, old)

    step(ca, "activate")
    new = ca.chain()[0]
    assert (new.subject, spki(new) == spki(old)) == (old.subject, False)
    known = generations(ca, old, new)
    renewed, rekeyed = renew(ca, held, tmp_path), renew(ca, held, tmp_path, new_key())
    for one in (renewed, rekeyed):
        assert signed(one.certificate, new)
        assert not signed(one.certificate, old)
        assert one.certificate.subject == held.certificate.subject
    assert spki(renewed.certificate) == spki(held.certificate) != spki(rekeyed.certificate)
    for one in (renewed, rekeyed):  # whoever trusts the old key alone
        assert "OK" in openssl(tmp_path, one, old, known.new_with_old)
        assert "unable to get local issuer" in openssl(tmp_path, one, old, code=2)
        assert "OK" in openssl(tmp_path, one, new)
    for one in (held, early):  # and whoever trusts the new one alone
        assert "OK" in openssl(tmp_path, one, new, known.old_with_new)
        openssl(tmp_path, one, new, code=2)
    again = renew(ca, rekeyed, tmp_path)
    assert signed(again.certificate, new)

    step(ca, "retire")
    late = renew(ca, early, tmp_path)  # it is still a certificate of this CA
    assert signed(late.certificate, new)
    assert old not in certificates_of(ca.suite.http().get(ca.est("cacerts")).content)
    assert "OK" in openssl(tmp_path, late, old, known.new_with_old)
    client = ca.suite.http(certificate=revoked.certificate_file, key=revoked.key_file)
    body = base64.encodebytes(csr(NAME))
    assert client.post(ca.est("simplereenroll"), content=body, headers=PKCS10).status_code == 401
