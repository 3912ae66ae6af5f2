"""An offline root: shares, transcript, and the online CAs below it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp as ocsp_client
from pycryptoutil_protocols import pem
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import AuthorityOrder, AuthorityStatus, IssueOrder, RevocationReason
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.lifecycle import ceremony, offline, rollover
from pycryptoutil.authority.lifecycle.ceremony import CrlOrder, InitOrder, Made, SignOrder
from pycryptoutil.authority.lifecycle.offline import Installed, InstallOrder, RequestOrder
from pycryptoutil.authority.ocsp import OcspService
from pycryptoutil.authority.revocation_status import RevocationWatch
from tests.support.authority import NOW, PLAIN, TENANT, World, csr
from tests.support.programs import need, run
from tests.unit.lifecycle.test_rollover import openssl

WHO = "user:tester"
ORDER = InitOrder("CN=Offline Root,O=Example", ("Ada", "Bob", "Cyd"), 2, distribution_url=PLAIN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ceremony"


def init(folder: Path, **order: object) -> list[str]:
    """Make a root; the shares are taken out of the directory, as custodians do."""
    _, shares = ceremony.initialise(folder, replace(ORDER, **order), NOW)  # type: ignore[arg-type]
    for path in (folder / "shares").iterdir():
        path.unlink()
    return [one.text for one in shares]


def request(world: World, name: str = "online", subject: str = "CN=Online Root,O=Example", **more: str) -> bytes:
    order = RequestOrder(name, subject, **more)
    return offline.create(world.service.room, TENANT, order, WHO).csr


def sign(folder: Path, wanted: bytes, shares: list[str], path_length: int = 1) -> Made:
    return ceremony.sign_csr(folder, SignOrder(wanted, path_length), shares, NOW + timedelta(minutes=1))


def bring(world: World, folder: Path) -> Installed:
    found = ceremony.verify(folder).ceremony
    certificates = tuple(base64.b64decode(one) for one in found.issued.values())
    crl = base64.b64decode(str(found.crls[-1]["crl"])) if found.crls else None
    order = InstallOrder(found.name, found.root.der, certificates, crl)
    return offline.install(world.service.room, TENANT, order, WHO)


@pytest.mark.parametrize("algorithm", ["EC-P384", "RSA-3072", "ML-DSA-65"])
def test_an_online_ca_works_under_an_offline_root(sqlite_world: World, folder: Path, algorithm: str) -> None:
    world = sqlite_world
    shares = init(folder, algorithm=algorithm)
    sign(folder, request(world), shares[:2])
    ceremony.sign_crl(folder, CrlOrder(), shares[1:], NOW + timedelta(minutes=2))
    world.clock.advance(300)
    done = bring(world, folder)
    assert (done.root, done.authorities, done.unknown) == ("offline-root", ("online",), ())
    assert done.crl_number == int((NOW + timedelta(minutes=2)).timestamp())
    root, online = world.service.authority(TENANT, "offline-root"), world.service.authority(TENANT, "online")
    assert (root.offline, root.status, online.chain) == (
        True,
        AuthorityStatus.DISABLED,
        (online.certificate, root.certificate),
    )
    world.service.create_authority(TENANT, AuthorityOrder("leafs", "CN=Leaf CA,O=Example", parent="online"), WHO)
    issued = world.service.issue(TENANT, IssueOrder(csr=csr("a.example.com"), authority="leafs"), WHO)
    if algorithm != "ML-DSA-65":
        leafs = world.service.authority(TENANT, "leafs")
        openssl(folder, issued.der, root.certificate, leafs.chain[:-1])
        for name in ("leaf", "anchor", "between"):
            (folder / f"{name}.pem").unlink()
    assert world.service.certificate_status_for_client((issued.der,)).authority == "leafs"
    certificate = x509.load_der_x509_certificate(online.certificate)
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert [one.full_name[0].value for one in points if one.full_name] == [root.crl_url]
    assert bring(world, folder) == Installed("offline-root", (), (), None)  # again: nothing new


@pytest.fixture
def sqlite_world(sqlite_databases: object, tmp_path: Path) -> object:
    from tests.support.authority import open_world
    from tests.unit.lifecycle.conftest import PACKAGES

    with open_world(sqlite_databases.fresh(PACKAGES), tmp_path) as opened:  # type: ignore[attr-defined]
        yield opened


def test_the_crl_of_an_offline_root_is_brought_in(world: World, folder: Path) -> None:
    shares = init(folder)
    made = sign(folder, request(world), shares[:2])
    bring(world, folder)
    watch = RevocationWatch(world.database, world.clock)
    crls, ocsp = CrlService(world.service.room, watch), OcspService(world.service.room, watch)
    with pytest.raises(Fault) as caught:
        crls.current("offline-root")
    assert caught.value.kind is FaultKind.NOT_FOUND
    crls.tick()
    with pytest.raises(Fault) as caught:
        crls.publish(TENANT, world.service.authority(TENANT, "offline-root").id, WHO)
    assert caught.value.kind is FaultKind.CONFLICT
    issuer, subject = (world.service.authority(TENANT, name).certificate for name in ("offline-root", "online"))
    asked = ocsp_client.OCSPRequestBuilder().add_certificate(
        x509.load_der_x509_certificate(subject), x509.load_der_x509_certificate(issuer), hashes.SHA256()
    )
    with pytest.raises(Fault) as caught:
        ocsp.respond("offline-root", asked.build().public_bytes(serialization.Encoding.DER))
    assert caught.value.kind is FaultKind.FORBIDDEN  # answered as unauthorized
    ocsp.renew()
    world.service.signers.renew()

    first = ceremony.sign_crl(folder, CrlOrder(), shares[:2], NOW + timedelta(minutes=2)).der
    serial = f"{x509.load_der_x509_certificate(made.der).serial_number:x}"
    revoked = ((serial, RevocationReason.CESSATION_OF_OPERATION),)
    second = ceremony.sign_crl(folder, CrlOrder(30, revoked), shares[:2], NOW + timedelta(minutes=3)).der
    world.clock.advance(300)
    bring(world, folder)
    assert crls.current("offline-root").der == second
    root = world.service.authority(TENANT, "offline-root").certificate
    with pytest.raises(Fault) as caught:
        offline.install(world.service.room, TENANT, InstallOrder("offline-root", root, crl=first), WHO)
    assert caught.value.kind is FaultKind.STALE
    record = world.service.certificate(TENANT, serial)
    assert record.reason is RevocationReason.CESSATION_OF_OPERATION
    with pytest.raises(Fault, match="revoked"):
        world.service.issue(TENANT, IssueOrder(csr=csr("a.example.com"), authority="online"), WHO)
    third = x509.load_der_x509_crl(ceremony.sign_crl(folder, CrlOrder(), shares[:2], NOW + timedelta(minutes=4)).der)
    assert third.get_revoked_certificate_by_serial_number(int(serial, 16)) is not None  # it stays


def test_a_ca_below_an_offline_root_gets_a_new_key(world: World, folder: Path, tmp_path: Path) -> None:
    shares = init(folder)
    sign(folder, request(world), shares[:2], 0)
    bring(world, folder)
    old_leaf = world.service.issue(TENANT, IssueOrder(csr=csr("a.example.com"), authority="online"), WHO).der
    with pytest.raises(Fault, match="offline"):
        rollover.prepare(world.service.room, TENANT, "online", rollover.RolloverOrder(), WHO)
    wanted = request(world, "", "", replaces="online")
    sign(folder, wanted, shares[:2], 0)
    assert bring(world, folder).authorities == ("online-2",)
    done = rollover.activate(world.service.room, TENANT, "online", WHO)
    assert (done.new.name, done.old.name) == ("online", "online-1")
    root = world.service.authority(TENANT, "offline-root").certificate
    openssl(tmp_path, old_leaf, root, (done.update.old_with_new, done.new.certificate))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([0], "2 shares are needed, and 1 were given"),
        ([], "2 shares are needed, and 0 were given"),
        ([0, 0], "the share of Ada was given twice"),
        (["foreign", 1], "share 1 is not one of this root's"),
        ([0, "mistyped"], "share 2 is mistyped"),
        ([0, "nonsense"], "share 2 is mistyped, or is no share"),
    ],
)
def test_the_key_needs_enough_of_its_own_shares(folder: Path, given: list[object], said: str) -> None:
    shares = init(folder)
    others = init(folder.with_name("other"))
    last = "A" if shares[0][-1] != "A" else "B"
    texts = {"foreign": others[0], "mistyped": shares[0][:-1] + last, "nonsense": "open sesame"}
    chosen = [shares[one] if isinstance(one, int) else texts[str(one)] for one in given]
    before = (folder / "transcript.jsonl").read_bytes()
    with pytest.raises(Fault, match=said) as caught:
        ceremony.sign_crl(folder, CrlOrder(), chosen, NOW)
    assert caught.value.kind is FaultKind.FORBIDDEN
    assert (folder / "transcript.jsonl").read_bytes() == before
    for text in shares:
        assert text not in str(caught.value.__dict__ if hasattr(caught.value, "__dict__") else caught.value)


def test_any_enough_shares_open_the_key_and_are_named(folder: Path) -> None:
    shares = init(folder, custodians=("Ada", "Bob", "Cyd", "Dan"), threshold=3)
    for at, some in enumerate(([0, 1, 2], [3, 1, 0], [0, 1, 2, 3])):
        made = ceremony.sign_crl(folder, CrlOrder(), [shares[one] for one in some], NOW + timedelta(minutes=at))
        assert made.entry.custodians == tuple(["Ada", "Bob", "Cyd", "Dan"][one] for one in some)
    assert ceremony.verify(folder).crls == 3


def test_an_exchanged_key_file_is_told(folder: Path) -> None:
    shares = init(folder)
    init(folder.with_name("other"))
    (folder / "root.key.enc").write_bytes((folder.with_name("other") / "root.key.enc").read_bytes())
    with pytest.raises(Fault, match="do not open the root key"):
        ceremony.sign_crl(folder, CrlOrder(), shares[:2], NOW)
    (folder / "root.key.enc").write_bytes(b"{}")
    with pytest.raises(Fault, match="damaged"):
        ceremony.sign_crl(folder, CrlOrder(), shares[:2], NOW)


def _filled(folder: Path, world: World) -> list[str]:
    shares = init(folder)
    sign(folder, request(world), shares[:2])
    ceremony.sign_crl(folder, CrlOrder(), shares[:2], NOW + timedelta(minutes=2))
    return shares


def test_a_tampered_transcript_does_not_hold(sqlite_world: World, folder: Path) -> None:
    shares = _filled(folder, sqlite_world)
    path = folder / "transcript.jsonl"
    good = path.read_bytes()
    head = ceremony.verify(folder).ceremony.head
    lines = good.splitlines(keepends=True)

    def changed(number: int, **values: object) -> bytes:
        document = json.loads(lines[number - 1]) | values
        return b"".join(
            [
                *lines[: number - 1],
                json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n",
                *lines[number:],
            ]
        )

    for text, said in (
        (changed(2, at="2026-06-01T12:05:00+00:00"), "entry 2"),
        (changed(2, custodians=["Ada", "Eve"]), "entry 2"),
        (changed(3, signature=json.loads(lines[1])["signature"]), "entry 3.*signature"),
        (lines[0] + lines[2], "entry 2"),
        (lines[0] + lines[2] + lines[1], "entry 2"),
        (lines[1] + lines[2], "entry 1"),
        (good + b"{}\n", "entry 4"),
        (good[:-30], "entry 3"),
        (b"", "entry 1"),
    ):
        path.write_bytes(text)
        with pytest.raises(Fault, match=said) as caught:
            ceremony.verify(folder)
        assert caught.value.kind is FaultKind.BAD_SIGNATURE
        with pytest.raises(Fault):
            ceremony.sign_crl(folder, CrlOrder(), shares[:2], NOW + timedelta(minutes=3))
    # a tail that was cut off: the file beside it gives it away, and so does a head that was kept
    path.write_bytes(lines[0] + lines[1])
    with pytest.raises(Fault, match=r"root\.crl: not in the transcript"):
        ceremony.verify(folder)
    (folder / "root.crl").unlink()
    ceremony.verify(folder)
    with pytest.raises(Fault, match="cut off"):
        ceremony.verify(folder, head)
    path.write_bytes(good)
    assert ceremony.verify(folder, head).missing == ("root.crl",)


def test_files_beside_the_transcript_are_compared(sqlite_world: World, folder: Path) -> None:
    _filled(folder, sqlite_world)
    (issued,) = (folder / "issued").iterdir()
    kept = issued.read_bytes()
    issued.write_bytes((folder / "root.pem").read_bytes())
    with pytest.raises(Fault, match="is not what the transcript says"):
        ceremony.verify(folder)
    issued.write_bytes(kept)
    (folder / "issued" / "ff.pem").write_bytes(kept)
    with pytest.raises(Fault, match=r"issued/ff\.pem: not in the transcript"):
        ceremony.verify(folder)


def test_what_a_ceremony_refuses(sqlite_world: World, folder: Path) -> None:
    for order, said in (
        (replace(ORDER, custodians=("Ada", "Ada")), "the same name"),
        (replace(ORDER, custodians=("Ada",)), "2 to 20 custodians"),
        (replace(ORDER, threshold=4), "threshold"),
        (replace(ORDER, threshold=1), "threshold"),
        (replace(ORDER, distribution_url="https://pki.example.com"), "http://"),
        (replace(ORDER, days=20000), "days"),
        (replace(ORDER, subject="O=Nobody"), "CN"),
    ):
        with pytest.raises(Fault, match=said):
            ceremony.initialise(folder, order, NOW)
        assert not folder.exists()
    shares = init(folder)
    with pytest.raises(Fault, match="not empty"):
        init(folder)
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))} == {0}
    with pytest.raises(Fault, match="issued no certificate"):
        ceremony.sign_crl(folder, CrlOrder(revoke=(("ab12", RevocationReason.UNSPECIFIED),)), shares[:2], NOW)
    with pytest.raises(Fault, match="clock is behind"):
        ceremony.sign_crl(folder, CrlOrder(), shares[:2], NOW - timedelta(days=1))
    wanted = request(sqlite_world, subject="CN=Offline Root,O=Example")
    with pytest.raises(Fault, match="root's name"):
        sign(folder, wanted, shares[:2])
    with pytest.raises(Fault):
        sign(folder, wanted[:-4] + b"\0\0\0\0", shares[:2])
    with pytest.raises(Fault, match="missing"):
        ceremony.verify(folder.with_name("nowhere"))


def test_what_is_not_brought_in(world: World, folder: Path) -> None:
    shares = init(folder)
    others = init(folder.with_name("other"))
    wanted = request(world)
    foreign = sign(folder.with_name("other"), wanted, others[:2]).der
    room = world.service.room
    root = pem.decode_body((folder / "root.pem").read_bytes(), 9999)
    with pytest.raises(Fault) as caught:
        offline.install(room, TENANT, InstallOrder("offline-root", root, (foreign,)), WHO)
    assert caught.value.kind is FaultKind.BAD_SIGNATURE
    crl = ceremony.sign_crl(folder.with_name("other"), CrlOrder(), others[:2], NOW).der
    with pytest.raises(Fault) as caught:
        offline.install(room, TENANT, InstallOrder("offline-root", root, crl=crl), WHO)
    assert caught.value.kind is FaultKind.BAD_SIGNATURE
    with pytest.raises(Fault, match="not the certificate of a root"):
        offline.install(room, TENANT, InstallOrder("x", sign(folder, wanted, shares[:2]).der), WHO)
    with pytest.raises(Fault, match="is here"):
        own = world.service.authority(TENANT, "root").certificate
        offline.install(room, TENANT, InstallOrder("root", own), WHO)
    with pytest.raises(Fault, match="already"):
        offline.install(room, TENANT, InstallOrder("issuing", root), WHO)
    assert [one.name for one in world.service.authorities(TENANT)] == ["root", "issuing"]  # nothing of it stayed
    with pytest.raises(Fault, match="already"):
        request(world)
    offline.delete(room, TENANT, "online", WHO)
    done = bring(world, folder)
    assert (done.authorities, len(done.unknown)) == ((), 1)
    with pytest.raises(Fault, match="offline"):
        world.service.create_authority(TENANT, AuthorityOrder("x", "CN=X", parent="offline-root"), WHO)
    with pytest.raises(Fault, match="offline"):
        world.service.set_authority_status(TENANT, "offline-root", AuthorityStatus.ACTIVE, WHO)


def test_openssl_reads_what_a_ceremony_makes(sqlite_world: World, folder: Path) -> None:
    need("openssl")
    _filled(folder, sqlite_world)
    (issued,) = (folder / "issued").iterdir()
    run("openssl", "verify", "-x509_strict", "-no_check_time", "-CAfile", folder / "root.pem", issued)
    run("openssl", "crl", "-in", folder / "root.crl", "-CAfile", folder / "root.pem", "-noout", "-verify")
