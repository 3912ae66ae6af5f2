"""A CA in a backup, and back: in an empty database, over an older state, and not over a newer one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import AuthoritySettings, CertificateStatus, IssueOrder, RevocationReason
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.lifecycle import backup, rollover
from pycryptoutil.authority.lifecycle.backup import Restored, RestoreOrder, document, make
from pycryptoutil.authority.ssh import SshService
from pycryptoutil.crypto.keys import PrivateKey, generate
from tests.support.authority import TENANT, World, csr, open_world
from tests.support.databases import Databases
from tests.unit.lifecycle.conftest import PACKAGES
from tests.unit.lifecycle.test_rollover import openssl

WHO = "user:tester"
MakeWorld = Callable[..., World]


@pytest.fixture
def elsewhere(databases: Databases, tmp_path: Path) -> Iterator[World]:
    """Another installation, of the same kind of database; like every one it has a root and an issuing CA."""
    (tmp_path / "elsewhere").mkdir()
    settings = AuthoritySettings(root_common_name="Other Root", issuing_common_name="Other Issuing")
    with open_world(databases.fresh(PACKAGES), tmp_path / "elsewhere", settings) as opened:
        yield opened


@pytest.fixture(params=["EC-P256", "RSA-2048"])
def recovery(request: pytest.FixtureRequest) -> PrivateKey:
    return generate(request.param)


def public(key: PrivateKey) -> bytes:
    loaded = serialization.load_der_public_key(key.public_spki)
    return loaded.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def taken(world: World, key: PrivateKey, name: str = "issuing") -> list[bytes]:
    """Return the decrypted parts."""
    parts, cursor = [], ""
    while True:
        made = backup.part(world.service.room, TENANT, name, public(key), cursor, WHO)
        assert b"PRIVATE" not in made.der
        parts.append(document.decrypt(made.der, key))
        if not (cursor := made.cursor):
            return parts


def give(world: World, parts: list[bytes], **how: bool) -> list[Restored]:
    """Do what the command line does."""
    done = []
    for number, part in enumerate([*parts, parts[0]]):
        order = RestoreOrder(part, finish=number == len(parts), **how)
        done.append(backup.restore(world.service.room, TENANT, order, WHO))
    return done


def issue(world: World, name: str = "a.example.com") -> str:
    return world.service.issue(TENANT, IssueOrder(csr=csr(name), authority="issuing"), WHO).serial


def crl(world: World, name: str = "issuing") -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(
        CrlService(world.service.room).publish(TENANT, world.service.authority(TENANT, name).id, WHO).der
    )


def number(found: x509.CertificateRevocationList) -> int:
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_ca_comes_back_elsewhere(
    world: World, elsewhere: World, recovery: PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "_AT_ONCE", 3)
    hosts = SshService(world.service.room).authority_key(TENANT, "issuing", "ssh-host")
    serials = [issue(world, f"h{n}.example.com") for n in range(5)]
    world.service.revoke(TENANT, serials[0], RevocationReason.KEY_COMPROMISE, None, WHO)
    world.service.revoke(TENANT, serials[1], RevocationReason.CERTIFICATE_HOLD, None, WHO)
    before = crl(world)
    document_ = world.service.profile_document(TENANT, "tls-server").replace("name: tls-server", "name: own")
    world.service.put_profile(TENANT, "own", document_, WHO)
    rollover.prepare(world.service.room, TENANT, "issuing", rollover.RolloverOrder(), WHO)
    rollover.activate(world.service.room, TENANT, "issuing", WHO)
    serials.append(issue(world, "new.example.com"))
    parts = taken(world, recovery)
    assert len(parts) > 3
    with pytest.raises(Fault, match="replace"):
        give(elsewhere, parts)
    with pytest.raises(Fault) as caught:
        backup.restore(elsewhere.service.room, TENANT, RestoreOrder(parts[1]), WHO)
    assert caught.value.kind is FaultKind.NOT_FOUND
    first = backup.restore(elsewhere.service.room, TENANT, RestoreOrder(parts[0], replace=True), WHO)
    assert any("is disabled" in note or "disabled" in note for note in first.notes)
    # without all of its certificates it does not sign a CRL that lacks some
    assert elsewhere.service.authority(TENANT, "issuing").offline
    with pytest.raises(Fault, match="not here yet"):
        backup.restore(elsewhere.service.room, TENANT, RestoreOrder(parts[0], finish=True), WHO)
    give(elsewhere, parts)
    theirs, ours = elsewhere.service.authority(TENANT, "issuing"), world.service.authority(TENANT, "issuing")
    assert (theirs.id, theirs.certificate, theirs.crl_url) == (ours.id, ours.certificate, ours.crl_url)
    assert theirs.chain == ours.chain
    for serial in serials:
        mine, other = (one.service.certificate(TENANT, serial, "issuing") for one in (world, elsewhere))
        assert (mine.der, mine.status, mine.reason) == (other.der, other.status, other.reason)
    after = crl(elsewhere, "issuing-1")
    assert number(after) > number(before)
    assert {one.serial_number for one in after} == {one.serial_number for one in before}
    assert elsewhere.service.published(TENANT, "issuing") == world.service.published(TENANT, "issuing")
    assert elsewhere.service.profile_document(TENANT, "own") == document_
    assert SshService(elsewhere.service.room).authority_key(TENANT, "issuing", "ssh-host") == hosts
    leaf = elsewhere.service.certificate(TENANT, issue(elsewhere, "late.example.com")).der
    openssl(tmp_path, leaf, theirs.chain[-1], (theirs.certificate,))
    # its root follows with a backup of its own
    assert elsewhere.service.authority(TENANT, "root").offline
    give(elsewhere, taken(world, recovery, "root"))
    assert not elsewhere.service.authority(TENANT, "root").offline
    crl(elsewhere, "root")


def test_a_stale_backup_is_refused_with_the_reason(world: World, recovery: PrivateKey) -> None:
    known = issue(world, "known.example.com")
    parts = taken(world, recovery)
    late = issue(world, "late.example.com")
    world.service.revoke(TENANT, late, RevocationReason.SUPERSEDED, None, WHO)
    newest = number(crl(world))
    with pytest.raises(Fault) as caught:
        give(world, parts)
    assert caught.value.kind is FaultKind.STALE
    for part in ("older than what is here", f"CRL number {newest} (backup: 0)", "certificates (backup:", "1 revoked"):
        assert part in caught.value.public
    done = give(world, parts, override=True)
    assert {one.added for one in done} == {0}
    assert world.service.certificate(TENANT, late).status is CertificateStatus.REVOKED
    assert world.service.certificate(TENANT, known).status is CertificateStatus.VALID
    assert number(crl(world)) > newest


def test_numbers_do_not_go_back_with_the_clock(world: World, elsewhere: World, recovery: PrivateKey) -> None:
    world.clock.advance(7 * 86400)
    newest = number(crl(world))
    give(elsewhere, taken(world, recovery), replace=True)  # whose clock is a week behind
    assert number(crl(elsewhere)) > newest


def test_what_is_no_good_backup(world: World, elsewhere: World, recovery: PrivateKey) -> None:
    room = elsewhere.service.room
    made = backup.part(world.service.room, TENANT, "issuing", public(recovery), "", WHO)
    with pytest.raises(Fault) as caught:
        document.decrypt(made.der, generate("EC-P256"))
    assert "another recovery key" in caught.value.public
    with pytest.raises(Fault):
        document.decrypt(made.der[:-1] + bytes([made.der[-1] ^ 1]), recovery)
    good = document.decrypt(made.der, recovery)
    outer = json.loads(good)
    payload = json.loads(base64.b64decode(outer["payload"]))

    def changed(**values: object) -> bytes:
        said = json.dumps(payload | values).encode()
        return json.dumps(outer | {"payload": base64.b64encode(said).decode()}).encode()

    for wrong, kind in (
        (changed(name="root"), FaultKind.BAD_SIGNATURE),
        (changed(kind="nonsense"), FaultKind.MALFORMED),
        (changed(version=2), FaultKind.MALFORMED),
        (changed(generations=[]), FaultKind.MALFORMED),
        (b"{}", FaultKind.MALFORMED),
        (b"\xff", FaultKind.MALFORMED),
        (b"[]", FaultKind.MALFORMED),
    ):
        with pytest.raises(Fault) as caught:
            backup.restore(room, TENANT, RestoreOrder(wrong, replace=True), WHO)
        assert caught.value.kind is kind
    assert {one.name for one in elsewhere.service.authorities(TENANT)} == {"root", "issuing"}
    issue(elsewhere)
    with pytest.raises(Fault, match="has issued certificates"):
        backup.restore(room, TENANT, RestoreOrder(good, replace=True), WHO)
    for recipient in (b"nonsense", public(generate("Ed25519"))):
        with pytest.raises(Fault):
            backup.part(world.service.room, TENANT, "issuing", recipient, "", WHO)


def test_openssl_reads_a_part(world: World, tmp_path: Path) -> None:
    from tests.support.programs import need, run

    need("openssl")
    key = generate("RSA-2048")
    (tmp_path / "part.der").write_bytes(backup.part(world.service.room, TENANT, "issuing", public(key), "", WHO).der)
    loaded = serialization.load_der_private_key(key.export_pkcs8(), None)
    text = loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(text)
    done = run(
        "openssl", "cms", "-decrypt", "-inform", "DER", "-in", tmp_path / "part.der", "-inkey", tmp_path / "key.pem"
    )
    assert json.loads(done.out)["algorithm"] == "ecdsa-sha256"
