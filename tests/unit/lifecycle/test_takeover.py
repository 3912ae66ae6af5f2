"""A CA that another program has run: its key, its numbers, what it has issued and revoked."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import AuthorityStatus, CertificateStatus, IssueOrder, RevocationReason
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.lifecycle import takeover
from pycryptoutil.authority.lifecycle.takeover import ImportedRow, ImportOrder, Taken
from pycryptoutil.cli import layouts
from pycryptoutil.cli.exits import CommandError
from pycryptoutil.cli.layouts import Layout
from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto.private_files import read_private_key
from tests.support import openssl_ca
from tests.support.authority import TENANT, World, csr
from tests.support.openssl_ca import OpensslCa
from tests.unit.lifecycle.test_rollover import openssl

WHO = "user:tester"


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> OpensslCa:
    return openssl_ca.make(tmp_path_factory.mktemp("openssl") / "ca")


@pytest.fixture
def old(_made: OpensslCa, tmp_path: Path) -> Iterator[OpensslCa]:
    """A copy, to be damaged."""
    shutil.copytree(_made.folder, tmp_path / "ca")
    configuration = tmp_path / "ca" / "ca.cnf"
    configuration.write_text(configuration.read_text().replace(str(_made.folder), str(tmp_path / "ca")))
    return replace(_made, folder=tmp_path / "ca")  # type: ignore[return-value]


def order(found: Layout, name: str = "old") -> ImportOrder:
    key = read_private_key(found.key, openssl_ca.PASSPHRASE.encode())
    return ImportOrder(name, found.certificate, key, found.chain, found.crl_number)


def rows(found: Layout, problems: list[tuple[str, str]] | None = None) -> list[ImportedRow]:
    """What the command line sends, as the service reads it."""
    made = []
    for one in layouts.documents(found.rows, problems if problems is not None else []):
        times = {
            name: datetime.fromisoformat(str(one[name])) if one[name] else None
            for name in ("not_after", "revoked_at", "invalidity_date")
        }
        reason = RevocationReason(one["reason"]) if one["reason"] else None
        der = base64.b64decode(str(one.get("certificate", "")))
        made.append(ImportedRow(str(one["serial"]), subject=str(one["subject"]), reason=reason, der=der, **times))  # type: ignore[arg-type]
    return made


def bring(world: World, found: Layout, profile: str = "") -> Taken:
    takeover.begin(world.service.room, TENANT, order(found), WHO)
    return takeover.add(world.service.room, TENANT, "old", rows(found), profile, WHO)


@pytest.fixture
def now(world: World) -> World:
    """The CA was made by a program that has the machine's time."""
    world.clock.advance((SystemClock().now() - world.clock.now()).total_seconds() + 120)
    return world


def test_an_openssl_ca_goes_on(now: World, old: OpensslCa, tmp_path: Path) -> None:
    world, found = now, layouts.openssl_ca(old.folder)
    assert (found.crl_number, len(found.rows), found.problems) == (0x2A, 3, ())
    taken = bring(world, found, "tls-server")
    assert taken == Taken(3, 0, 0, ())
    assert bring(world, found) == Taken(0, 0, 3, ())  # again
    authority = world.service.authority(TENANT, "old")
    assert (authority.status, authority.offline) == (AuthorityStatus.ACTIVE, False)
    compromised = world.service.certificate(TENANT, old.compromised, "old")
    assert (compromised.status, compromised.reason) == (CertificateStatus.REVOKED, RevocationReason.KEY_COMPROMISE)
    assert compromised.invalidity_date == datetime(2026, 1, 1, tzinfo=UTC)
    assert world.service.certificate(TENANT, old.held).status is CertificateStatus.HELD
    good = world.service.certificate(TENANT, old.good)
    assert (good.status, good.sans) == (CertificateStatus.VALID, ("dns:good.test",))
    assert world.service.certificate_status_for_client((good.der,)).authority == "old"
    # the next CRL has a greater number, and lists what the last one did
    crl = x509.load_der_x509_crl(CrlService(world.service.room).current("old").der)
    before = x509.load_pem_x509_crl((old.folder / "old.crl").read_bytes())
    numbers = [c.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for c in (before, crl)]
    assert numbers[0] == 0x2A < numbers[1]
    assert {one.serial_number for one in crl} == {one.serial_number for one in before}
    # it issues, and renews
    issued = world.service.issue(TENANT, IssueOrder(csr=csr("new.test"), authority="old", profile="tls-server"), WHO)
    openssl(tmp_path, issued.der, authority.certificate, ())
    assert len(issued.serial) > 30
    renewal = IssueOrder(
        csr=csr("good.test"), authority="old", profile="tls-server", previous_certificate=good.der, protocol="est"
    )
    world.service.issue(TENANT, renewal, WHO)
    released = world.service.revoke(TENANT, old.held, RevocationReason.REMOVE_FROM_CRL, None, WHO)
    assert released.status is CertificateStatus.VALID


def test_what_was_revoked_since_is_taken_and_nothing_becomes_good(now: World, old: OpensslCa) -> None:
    bring(now, layouts.openssl_ca(old.folder))
    now.service.revoke(TENANT, old.good, RevocationReason.SUPERSEDED, None, WHO)
    serial = old.issue("late.test")
    assert bring(now, layouts.openssl_ca(old.folder)) == Taken(1, 0, 3, ())
    assert now.service.certificate(TENANT, old.good).reason is RevocationReason.SUPERSEDED
    old.revoke("late.test")
    assert bring(now, layouts.openssl_ca(old.folder)) == Taken(0, 1, 3, ())
    assert now.service.certificate(TENANT, serial).status is CertificateStatus.REVOKED


def test_what_cannot_be_read_is_reported_and_no_more(now: World, old: OpensslCa) -> None:
    index = old.folder / "index.txt"
    lines = index.read_text().splitlines()
    lines += [
        "nonsense",
        "X\t361231235959Z\t\t20\tunknown\t/CN=x",
        "V\tsoon\t\t21\tunknown\t/CN=x",
        "V\t361231235959Z\t\txyz\tunknown\t/CN=x",
        "R\t361231235959Z\t\t22\tunknown\t/CN=x",
        "R\t361231235959Z\t260101000000Z,becauseISaidSo\t23\tunknown\t/CN=x",
        "R\t361231235959Z\t260101000000Z,superseded\t24\tunknown\t/CN=lost and revoked",
        "V\t361231235959Z\t\t25\tunknown\t/CN=lost",
        "V\t361231235959Z\t\t00\tunknown\t/CN=zero",
    ]
    index.write_text("\n".join(lines))
    (old.folder / "newcerts" / f"{old.good}.pem").write_text("not a certificate")
    shutil.copy(old.folder / "newcerts" / f"{old.held}.pem", old.folder / "newcerts" / f"{old.compromised}.pem")
    shutil.copy(old.folder / "cacert.pem", old.folder / "newcerts" / "FF.pem")
    found = layouts.openssl_ca(old.folder)
    assert [where for where, _ in found.problems] == [*(f"index.txt line {n}" for n in range(4, 10)), "newcerts/FF.pem"]
    unreadable: list[tuple[str, str]] = []
    takeover.begin(now.service.room, TENANT, order(found), WHO)
    taken = takeover.add(now.service.room, TENANT, "old", rows(found, unreadable), "", WHO)
    assert unreadable == [(old.good, f"{old.good}.pem is not a certificate")]
    assert [one.serial for one in taken.problems] == [old.good, old.compromised, "25", "00"]
    assert taken.added == 5
    for serial in (old.compromised, "24"):  # its revocation counts, whatever became of the certificate
        assert now.service.certificate(TENANT, serial).status is CertificateStatus.REVOKED
    crl = x509.load_der_x509_crl(CrlService(now.service.room).current("old").der)
    assert crl.get_revoked_certificate_by_serial_number(0x24) is not None


def test_what_is_not_taken_over(now: World, old: OpensslCa, tmp_path: Path) -> None:
    found, room = layouts.openssl_ca(old.folder), now.service.room
    other = layouts.openssl_ca(openssl_ca.make(tmp_path / "other", "rsa").folder)
    good = order(found)
    for wrong, said in (
        (replace(good, key=order(other).key), "private key is not its key"),
        (replace(good, crl_number=1 << 63), "too great"),
        (replace(good, chain=(other.certificate,)), "ecdsa-sha256 with a key of RSA"),
        (replace(good, name="issuing"), "already"),
        (replace(good, certificate=now.service.issue(TENANT, IssueOrder(csr=csr("a.test")), WHO).der), "not a CA's"),
        (replace(good, name="old-delta"), "may not end"),
    ):
        with pytest.raises(Fault, match=said):
            takeover.begin(room, TENANT, wrong, WHO)
    assert [one.name for one in now.service.authorities(TENANT)] == ["root", "issuing"]
    with pytest.raises(Fault) as caught:
        read_private_key(found.key)
    assert "passphrase is needed" in caught.value.public
    with pytest.raises(Fault, match="another one"):
        read_private_key(found.key, b"wrong")
    takeover.begin(room, TENANT, good, WHO)
    with pytest.raises(Fault) as caught:
        takeover.add(room, TENANT, "old", rows(found) * 200, "", WHO)
    assert caught.value.kind is FaultKind.TOO_LARGE
    foreign = takeover.add(room, TENANT, "old", rows(other), "", WHO)
    assert foreign.added == 2  # revocations of serials that are the same there; the good one is not this CA's
    with pytest.raises(Fault):
        takeover.add(room, TENANT, "old", rows(found), "root-ca", WHO)
    with pytest.raises(CommandError, match=r"index\.txt"):
        (old.folder / "index.txt").unlink()
        layouts.openssl_ca(old.folder)
    with pytest.raises(CommandError, match="private key"):
        (tmp_path / "other" / "private" / "cakey.pem").unlink()
        layouts.openssl_ca(tmp_path / "other")


def test_a_step_ca_goes_on(now: World, old: OpensslCa, tmp_path: Path) -> None:
    folder = tmp_path / "step"
    for part in ("certs", "secrets"):
        (folder / part).mkdir(parents=True)
    root, issuing = old.folder, folder / "certs" / "intermediate_ca.crt"
    shutil.copy(root / "cacert.pem", folder / "certs" / "root_ca.crt")
    extension = tmp_path / "sub.cnf"
    extension.write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    from tests.support.programs import run

    key, request = folder / "secrets" / "intermediate_ca_key", tmp_path / "sub.csr"
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=Step Issuing",
        "-passout", f"pass:{openssl_ca.PASSPHRASE}", "-keyout", tmp_path / "pkcs8.key", "-out", request)  # fmt: skip
    run("openssl", "ec", "-in", tmp_path / "pkcs8.key", "-passin", f"pass:{openssl_ca.PASSPHRASE}", "-aes256",
        "-passout", f"pass:{openssl_ca.PASSPHRASE}", "-out", key)  # fmt: skip
    assert b"Proc-Type: 4,ENCRYPTED" in key.read_bytes()  # as step-ca writes it
    old.ca("-in", request, "-extfile", extension, "-out", issuing, "-notext")
    found = layouts.step_ca(folder)
    assert "database" in found.notes[0]
    takeover.begin(now.service.room, TENANT, order(found, "step"), WHO)
    above, made = now.service.authority(TENANT, "step-root"), now.service.authority(TENANT, "step")
    assert (above.offline, made.chain) == (True, (made.certificate, above.certificate))
    issued = now.service.issue(TENANT, IssueOrder(csr=csr("a.test"), authority="step"), WHO)
    openssl(tmp_path, issued.der, above.certificate, (made.certificate,))
    assert now.service.certificate_status_for_client((issued.der,)).authority == "step"
    # the root's key comes later
    bare = layouts.openssl_ca(old.folder)
    assert takeover.begin(now.service.room, TENANT, order(bare, "other-name"), WHO).name == "step-root"
    assert now.service.authority(TENANT, "step-root").status is AuthorityStatus.ACTIVE
    assert now.clock.now() - issued.not_before < timedelta(hours=1)
