"""Certificates with timestamps of logs: what they carry, and what happens when logs do not answer."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.certificate_transparency import LogEntryType
from cryptography.x509.oid import ExtensionOID
from pycryptoutil_protocols.ct import codec
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import select

from pycryptoutil.authority import AuthoritySettings, CredentialOrder, IssueOrder, NamePatterns
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.ocsp import OcspService
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.authority.settings import CtLogSettings, CtSettings
from pycryptoutil.authority.store import precertificates
from pycryptoutil.authority.transparency import flow, store
from pycryptoutil.storage import audit, in_unit_of_work
from tests.support.authority import NOW, TENANT, World, csr, open_world
from tests.support.ct_log import CtLog, without_poison
from tests.support.databases import Databases
from tests.support.programs import need

WHO = "user:tester"
PROFILE = """name: logged
title: In the logs
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256]}
names: {types: [dns], required: true}
key_usage: {default: [digitalSignature]}
extended_key_usage: [serverAuth]
ct: {logs: 2}
"""


class Logs:
    """Three logs, and a CA that must have timestamps of two."""

    def __init__(self, world: World, logs: list[CtLog]) -> None:
        self.world = world
        self.logs = logs
        world.service.put_profile(TENANT, "logged", PROFILE, WHO)

    def issue(self, *dns: str, **order: Any) -> x509.Certificate:
        self.world.clock.advance(1)
        wanted = IssueOrder(profile="logged", csr=csr(*(dns or ("a.example.com",))), **order)
        return x509.load_der_x509_certificate(self.world.service.issue(TENANT, wanted, WHO).der)

    def fault(self, **order: Any) -> Fault:
        with pytest.raises(Fault) as caught:
            self.issue(**order)
        return caught.value

    def events(self, action: str) -> list[audit.AuditRecord]:
        with self.world.database.read(TENANT) as reader:
            return [one for one in audit.export(reader, TENANT) if one.event.action == action]


@pytest.fixture
def logs(databases: Databases, tmp_path: Path) -> Iterator[Logs]:
    with ExitStack() as stack:
        made = [CtLog(lambda: NOW) for _ in range(3)]
        for one in made:
            stack.callback(one.close)
        known = tuple(CtLogSettings(url=one.url, public_key=base64.b64encode(one.spki).decode()) for one in made)
        settings = AuthoritySettings(ct=CtSettings(logs=known, timeout_seconds=2))
        url = databases.fresh(("pycryptoutil.authority",))
        yield Logs(stack.enter_context(open_world(url, tmp_path, settings)), made)


def scts(certificate: x509.Certificate) -> list[x509.certificate_transparency.SignedCertificateTimestamp]:
    found = certificate.extensions.get_extension_for_oid(ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS)
    assert not found.critical
    return list(found.value)  # type: ignore[call-overload,no-any-return]


def test_timestamps_are_embedded_and_verify(logs: Logs) -> None:
    made = logs.issue()
    issuer = x509.load_der_x509_certificate(logs.world.service.authority(TENANT).certificate)
    made.verify_directly_issued_by(issuer)
    found = scts(made)
    by_id = {one.log_id: one for one in logs.logs}
    assert len({one.log_id for one in found}) == 2
    key_hash = hashlib.sha256(
        issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()
    for sct in found:
        assert sct.entry_type is LogEntryType.PRE_CERTIFICATE
        tbs = made.tbs_precertificate_bytes
        signed = (
            b"\x00\x00" + int(sct.timestamp.replace(tzinfo=NOW.tzinfo).timestamp() * 1000).to_bytes(8, "big")
            + b"\x00\x01" + key_hash + len(tbs).to_bytes(3, "big") + tbs + b"\x00\x00"
        )  # fmt: skip
        key = by_id[sct.log_id].key.public_key()
        key.verify(sct.signature, signed, ec.ECDSA(hashes.SHA256()))
    # the same in everything else
    (entry,) = next(one.entries for one in logs.logs if one.log_id == found[0].log_id)
    assert entry.serial_number == made.serial_number
    assert without_poison(entry.public_bytes(Encoding.DER)) == made.tbs_precertificate_bytes
    serial = logs.world.service.certificate(TENANT, f"{made.serial_number:x}").serial
    with logs.world.database.read(TENANT) as reader:
        kept = store.find(reader, logs.world.service.authority(TENANT).id, serial)
    assert kept == entry.public_bytes(Encoding.DER)
    # both signatures were announced
    (pre,), (final,) = (
        logs.events("certificate.precertify"),
        [one for one in logs.events("certificate.issue") if one.event.target.endswith(serial)],
    )
    assert pre.event.details["tbs_sha256"] == hashlib.sha256(entry.tbs_certificate_bytes).hexdigest()
    assert final.event.details["tbs_sha256"] == hashlib.sha256(made.tbs_certificate_bytes).hexdigest()
    assert pre.seq < final.seq


def test_openssl_reads_them(logs: Logs, tmp_path: Path) -> None:
    need("openssl")
    (tmp_path / "c.pem").write_bytes(logs.issue().public_bytes(Encoding.PEM))
    shown = subprocess.run(
        ["openssl", "x509", "-in", tmp_path / "c.pem", "-noout", "-text"], capture_output=True, text=True, check=True
    ).stdout
    assert shown.count("Signed Certificate Timestamp:") == 2
    assert shown.count("ecdsa-with-SHA256") >= 3


@pytest.mark.parametrize(
    "change",
    [
        lambda document: {**document, "timestamp": document["timestamp"] + 1},
        lambda document: {**document, "id": base64.b64encode(bytes(32)).decode()},
        lambda document: {**document, "sct_version": 1},
        lambda document: {**document, "extensions": "AAAA"},
        lambda document: {**document, "signature": "BAMAAA=="},
        lambda document: {**document, "timestamp": document["timestamp"] + 10**9},
        lambda _: {},
        lambda _: [],
    ],
)
def test_a_log_that_lies_does_not_count(logs: Logs, change: Callable[[dict[str, Any]], Any]) -> None:
    logs.logs[0].change = change
    made = logs.issue()  # the two others suffice
    assert logs.logs[0].log_id not in {one.log_id for one in scts(made)}
    logs.logs[1].change = change
    before = len(logs.events("certificate.issue"))
    fault = logs.fault()
    assert (fault.kind, fault.public) == (
        FaultKind.UNAVAILABLE,
        "too few Certificate Transparency logs have answered",
    )
    assert len(logs.events("certificate.issue")) == before
    outcomes = [one.event.outcome for one in logs.events("certificate.precertify")]
    assert outcomes == ["success", "success", "failure"]


def test_what_failed_can_be_asked_for_again(logs: Logs) -> None:
    order = CredentialOrder("logged", names=NamePatterns(dns=("*.example.com",)), max_uses=1)
    credential = logs.world.service.credential_add(TENANT, order, WHO).credential
    for one in logs.logs:
        one.status = 503
    assert logs.fault(credential=credential, idempotency_key="k").kind is FaultKind.UNAVAILABLE
    for one in logs.logs:
        one.status = 200
    made = logs.issue(credential=credential)  # its one use was given back
    assert len(scts(made)) == 2
    assert logs.fault(credential=credential).kind is FaultKind.FORBIDDEN


def _status(world: World, encoded: bytes) -> ocsp.OCSPResponse:
    """Ask the responder about a certificate, as whoever has found it in a log does."""
    issuer = world.service.authority(TENANT)
    asked = ocsp.OCSPRequestBuilder().add_certificate(
        x509.load_der_x509_certificate(encoded), x509.load_der_x509_certificate(issuer.certificate), hashes.SHA256()
    )
    watch = RevocationWatch(world.database, world.clock)
    watch.poll()
    responder = OcspService(world.service.room, watch)
    return ocsp.load_der_ocsp_response(
        responder.respond(issuer.public_id, asked.build().public_bytes(Encoding.DER)).der
    )


def _precertificate(logs: Logs) -> tuple[str, bytes]:
    with logs.world.database.read(TENANT) as reader:
        ((serial, der),) = reader.execute(select(precertificates.c.serial, precertificates.c.der)).all()
    return serial, der


def _check_promise(logs: Logs, serial: str, der: bytes) -> None:
    """The precertificate is answered for: revoked over OCSP, on the CRL, and shown as what it is."""
    world = logs.world
    answer = _status(world, der)
    assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert answer.revocation_reason is x509.ReasonFlags.cessation_of_operation
    issuer = world.service.authority(TENANT)
    crls = CrlService(world.service.room)
    crls.tick()
    crl = x509.load_der_x509_crl(crls.current(issuer.public_id).der)
    assert crl.get_revoked_certificate_by_serial_number(int(serial, 16)) is not None
    record = world.service.certificate(TENANT, serial)
    assert (record.der, record.precertificate, record.status.value) == (der, True, "revoked")
    counted = world.service.statistics(TENANT)
    assert "logged" not in {one.name for one in counted.by_profile}
    (event,) = logs.events("certificate.revoke")
    assert event.event.target == f"issuing/{serial}"
    assert event.event.details == {"reason": "cessationOfOperation", "by": "precertificate"}


def test_a_precertificate_without_certificate_is_answered_for(logs: Logs) -> None:
    for one in logs.logs:
        one.status = 503
    logs.fault()
    serial, der = _precertificate(logs)
    _check_promise(logs, serial, der)
    with logs.world.database.read(TENANT) as reader:
        (told,) = certificates.events_since(reader, 0)
    assert told.serial == serial  # so every replica's cache learns of it
    for one in logs.logs:
        one.status = 200
    made = logs.world.service.certificate(TENANT, f"{logs.issue().serial_number:x}")
    assert (made.precertificate, made.status.value) == (False, "valid")
    assert {one.name: one.issued for one in logs.world.service.statistics(TENANT).by_profile}["logged"] == 1


def test_a_precertificate_that_a_dead_process_left_is_answered_for(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("pycryptoutil.authority.transparency.logs.timestamps", die)
        with pytest.raises(SystemExit):
            logs.issue()
    serial, der = _precertificate(logs)
    logs.world.clock.advance(290)
    logs.world.service.maintain()
    assert logs.events("certificate.revoke") == []  # it may be at work yet
    logs.world.clock.advance(15)
    logs.world.service.maintain()
    _check_promise(logs, serial, der)
    logs.world.clock.advance(7200)
    logs.world.service.maintain()
    assert len(logs.events("certificate.revoke")) == 1
    assert "logged" not in {one.name for one in logs.world.service.statistics(TENANT).by_profile}


def test_who_comes_too_late_issues_nothing(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    real = flow.logs.timestamps

    def slow(*given: Any) -> Any:
        found = real(*given)
        logs.world.clock.advance(400)
        logs.world.service.maintain()
        return found

    monkeypatch.setattr("pycryptoutil.authority.transparency.logs.timestamps", slow)
    assert logs.fault().kind is FaultKind.INTERNAL
    assert not [one for one in logs.events("certificate.issue") if one.event.details.get("profile") == "logged"]
    _check_promise(logs, *_precertificate(logs))


def test_a_repeat_gets_the_same_certificate(logs: Logs) -> None:
    request = csr("r.example.com")
    wanted = IssueOrder(profile="logged", csr=request, idempotency_key="once")
    first = logs.world.service.issue(TENANT, wanted, WHO)
    again = logs.world.service.issue(TENANT, wanted, WHO)
    assert (again.serial, again.repeated) == (first.serial, True)
    assert sum(len(one.entries) for one in logs.logs) <= 3


def test_no_log_is_asked_inside_a_unit_of_work(logs: Logs) -> None:
    seen: list[bool] = []
    real = CtLog.add

    def add(log: CtLog, chain: list[str]) -> dict[str, Any]:
        seen.append(in_unit_of_work())
        with logs.world.database.unit_of_work(TENANT) as uow:  # nobody holds the database
            audit.append(uow, audit.AuditEvent("test", WHO, "log"))
        return real(log, chain)

    for one in logs.logs:
        one.add = add.__get__(one)  # type: ignore[method-assign]
    logs.issue()
    assert seen
    assert not any(seen)


def test_too_few_logs_are_configured(logs: Logs) -> None:
    logs.world.service.put_profile(TENANT, "logged", PROFILE.replace("logs: 2", "logs: 4"), WHO)
    fault = logs.fault()
    assert (fault.kind, "configured" in fault.public) == (FaultKind.UNAVAILABLE, True)


def test_profiles_that_cannot_be_logged(logs: Logs) -> None:
    for wrong in ("logs: 11", "logs: -1", "log: 1"):
        with pytest.raises(Fault):
            logs.world.service.put_profile(TENANT, "logged", PROFILE.replace("logs: 2", wrong), WHO)


def test_settings_refuse_what_is_no_key() -> None:
    for key in ("", "AAAA", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"):
        with pytest.raises(ValueError, match="public_key"):
            CtLogSettings(url="https://log.example.com", public_key=key)
    with pytest.raises(Fault):
        codec.decode_answer(b"\xff")


def test_the_last_approval_goes_to_the_logs(logs: Logs) -> None:
    service = logs.world.service
    service.put_profile(TENANT, "logged", PROFILE + "approvals: 1\n", WHO)
    waiting = service.enrol(TENANT, IssueOrder(profile="logged", csr=csr("w.example.com")), WHO)
    assert not any(one.entries for one in logs.logs)
    for one in logs.logs:
        one.status = 503
    with pytest.raises(Fault) as caught:
        service.approve(TENANT, waiting.id, "user:approver", "", "")
    assert caught.value.kind is FaultKind.UNAVAILABLE
    assert service.approval(TENANT, waiting.id).state.value == "pending"
    for one in logs.logs:
        one.status = 200
    decided = service.approve(TENANT, waiting.id, "user:approver", "", "")
    assert decided.state.value == "issued"
    made = x509.load_der_x509_certificate(service.certificate(TENANT, decided.serial).der)
    assert len(scts(made)) == 2
