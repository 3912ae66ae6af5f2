"""pkilint has nothing to say about the CRLs and OCSP responses of a running CA."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.support.pki import Ca, Enrolled, ocsp_request
from tests.support.programs import run
from tests.support.suite import until

pytestmark = pytest.mark.interop
PROGRAMS = Path(sys.executable).parent
REQUEST = {"Content-Type": "application/ocsp-request"}


def findings(program: str, der: bytes, folder: Path, *options: str) -> list[str]:
    """Return what a linter of pkilint finds, from NOTICE upwards."""
    path = folder / "object.der"
    path.write_bytes(der)
    done = run(
        PROGRAMS / program, "lint", *options, "-s", "NOTICE", "-f", "JSON", "--document-format", "DER", path, code=None
    )
    assert done.out, done.text
    return [
        f"{one['severity']} {one['code']} at {result['node_path']}: {one['message']}"
        for result in json.loads(done.out)["results"]
        for one in result["finding_descriptions"]
    ]


@pytest.fixture(scope="module")
def leaves(ca: Ca, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Enrolled]:
    """One certificate for every status, and for several reasons."""
    folder, credential = tmp_path_factory.mktemp("leaves"), ca.credential()
    reasons = ("", "unspecified", "keyCompromise", "superseded", "cessationOfOperation", "certificateHold")
    made = {}
    for reason in reasons:
        made[reason or "good"] = enrolled = ca.enrol(folder, credential, f"{reason.lower() or 'good'}.example.test")
        if reason:
            ca.revoke(enrolled.serial, reason)
    return made


def crl_of(ca: Ca, name: str) -> bytes:
    return ca.suite.http(listener="plain").get(f"/crl/{name}.crl").content


@pytest.mark.parametrize("profile", ["PKIX", "BR"])
@pytest.mark.parametrize(("name", "kind"), [("root", "ARL"), ("issuing", "CRL")])
def test_crls(ca: Ca, leaves: dict[str, Enrolled], tmp_path: Path, name: str, kind: str, profile: str) -> None:
    if name == "issuing":
        until(lambda: len(x509.load_der_x509_crl(crl_of(ca, name))) >= len(leaves) - 1, "everything is listed", 10)
    found = findings("lint_crl", crl_of(ca, name), tmp_path, "-t", kind, "-p", profile)
    if profile == "BR":  # holds and reasons for suspension are for internal CAs; the Baseline Requirements forbid them
        found = [one for one in found if "hold" not in one.lower()]
    assert found == []


@pytest.mark.parametrize("nonce", [b"", b"n" * 32], ids=["presigned", "nonce"])
@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()], ids=["sha1", "sha256"])
def test_ocsp_responses(
    ca: Ca, leaves: dict[str, Enrolled], tmp_path: Path, algorithm: hashes.HashAlgorithm, nonce: bytes
) -> None:
    issuer = ca.chain()[0]
    client = ca.suite.http(listener="plain")
    for name, leaf in leaves.items():
        request = ocsp_request(leaf.certificate, issuer, algorithm, nonce)
        answer = client.post("/ocsp/issuing", content=request, headers=REQUEST)
        assert findings("lint_ocsp_response", answer.content, tmp_path) == [], name


def test_an_ocsp_answer_of_unknown(ca: Ca, leaves: dict[str, Enrolled], tmp_path: Path) -> None:
    issuing = ca.chain()[0]
    request = ocsp_request(issuing, issuing, hashes.SHA1())  # the issuing CA's serial, as if it had issued it
    answer = ca.suite.http(listener="plain").post("/ocsp/issuing", content=request, headers=REQUEST)
    assert findings("lint_ocsp_response", answer.content, tmp_path) == []


def test_the_linters_do_find_faults(ca: Ca, tmp_path: Path) -> None:
    """So that silence is not taken for praise."""
    spoil: Callable[[bytes], bytes] = lambda der: der.replace(b"\x55\x1d\x14", b"\x55\x1d\x63")  # noqa: E731  no CRLNumber
    assert findings("lint_crl", spoil(crl_of(ca, "root")), tmp_path, "-t", "ARL", "-p", "PKIX")
