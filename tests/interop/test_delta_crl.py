"""openssl takes a delta CRL beside its base: an answer that the base alone does not give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.pki import Ca, uris
from tests.support.programs import need, run
from tests.support.suite import make_suite, until

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ca]:
    made = make_suite(tmp_path_factory.mktemp("delta"), "pki-ca", {"pki_ca": {"crl_delta_minutes": 60}})
    try:
        yield Ca(made.start())
    finally:
        made.close()


def fetch(ca: Ca, name: str) -> bytes:
    answer = ca.suite.http(listener="plain").get(f"/crl/{name}.crl")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pkix-crl"
    return answer.content


def numbered(der: bytes) -> int:
    return x509.load_der_x509_crl(der).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_openssl_sees_a_revocation_on_the_delta_only(ca: Ca, tmp_path: Path) -> None:
    need("openssl")
    leaf = ca.enrol(tmp_path, ca.credential(), "www.example.test")
    base = fetch(ca, "issuing")
    ca.revoke(leaf.serial)

    def lists_it() -> bool:
        crl = x509.load_der_x509_crl(fetch(ca, "issuing-delta"))
        return crl.get_revoked_certificate_by_serial_number(leaf.certificate.serial_number) is not None

    # the first delta is of another second than its base, so it may not be there at once
    until(lambda: ca.suite.http(listener="plain").get("/crl/issuing-delta.crl").status_code == 200, "a delta")
    until(lists_it, "the delta lists the revocation")
    delta = fetch(ca, "issuing-delta")
    assert fetch(ca, "issuing") == base  # the long list stays as it was
    assert numbered(delta) > numbered(base)
    point = leaf.certificate.extensions.get_extension_for_class(x509.FreshestCRL).value[0]
    assert point.full_name is not None
    assert point.full_name[0].value == uris(leaf.certificate)["crl"].replace("issuing.crl", "issuing-delta.crl")

    files = {"base": base, "delta": delta, "root": fetch(ca, "root")}
    for name, der in files.items():
        text = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
        (tmp_path / f"{name}.pem").write_bytes(text)
    issuing, root = ca.chain()
    (tmp_path / "issuing.pem").write_bytes(issuing.public_bytes(Encoding.PEM))
    (tmp_path / "anchor.pem").write_bytes(root.public_bytes(Encoding.PEM))
    common = ("openssl", "verify", "-CAfile", tmp_path / "anchor.pem", "-untrusted", tmp_path / "issuing.pem",
              "-crl_check_all", "-extended_crl", "-CRLfile", tmp_path / "root.pem", "-CRLfile", tmp_path / "base.pem",
              "-CRLfile", tmp_path / "delta.pem")  # fmt: skip
    run(*common, leaf.certificate_file)  # without looking at deltas it is good
    done = run(*common, "-use_deltas", leaf.certificate_file, code=None)
    assert done.code != 0
    assert "certificate revoked" in done.text
