"""Looking certificates up, paging through them, and changing their status."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import (
    AuthorityOrder,
    CertificateFilter,
    CertificateStatus,
    IssuedCertificate,
    IssueOrder,
    RevocationReason,
)
from pycryptoutil.authority.certificates import store as certificate_store
from pycryptoutil.storage import SYSTEM_TENANT, audit
from tests.support.authority import TENANT, World, csr

WHO = "user:tester"


def issue(world: World, *dns: str, profile: str = "tls-server", **order: str) -> IssuedCertificate:
    world.clock.advance(1)
    return world.service.issue(TENANT, IssueOrder(profile=profile, csr=csr(*dns), **order), WHO)  # type: ignore[arg-type]


def refused(call: Callable[[], object]) -> Fault:
    with pytest.raises(Fault) as caught:
        call()
    return caught.value


def test_a_serial_is_found_however_it_is_written(world: World) -> None:
    issued = issue(world, "a.example.com")
    spaced = ":".join(issued.serial[i : i + 2] for i in range(0, len(issued.serial), 2))
    for text in (issued.serial, issued.serial.upper(), "0x" + issued.serial, "00" + issued.serial, spaced.upper()):
        assert world.service.certificate(TENANT, text).der == issued.der
    for text in ("", "xyz", "12", "f" * 100, "-1", issued.serial + "0"):
        assert refused(lambda text=text: world.service.certificate(TENANT, text)).kind is FaultKind.NOT_FOUND
    record = world.service.certificate(TENANT, issued.serial, "issuing")
    assert world.service.issuers(record) == issued.chain
    assert refused(lambda: world.service.certificate(TENANT, issued.serial, "root")).kind is FaultKind.NOT_FOUND


def test_filters(world: World) -> None:
    a = issue(world, "a.example.com")
    b = issue(world, "b.example.com", profile="internal-tls")
    c = issue(world, "c_".replace("_", "") + ".example.org", protocol="est")
    world.service.revoke(TENANT, b.serial, RevocationReason.SUPERSEDED, None, WHO)
    world.service.revoke(TENANT, c.serial, RevocationReason.CERTIFICATE_HOLD, None, WHO)
    cases: list[tuple[CertificateFilter, set[str]]] = [
        (CertificateFilter(contains="EXAMPLE.com"), {a.serial, b.serial}),
        (CertificateFilter(contains="%"), set()),
        (CertificateFilter(contains="_"), set()),
        (CertificateFilter(profile="internal-tls"), {b.serial}),
        (CertificateFilter(protocol="est"), {c.serial}),
        (CertificateFilter(serial=a.serial), {a.serial}),
        (CertificateFilter(status=CertificateStatus.REVOKED), {b.serial}),
        (CertificateFilter(status=CertificateStatus.HELD), {c.serial}),
        (CertificateFilter(requester=WHO, contains="example"), {a.serial, b.serial, c.serial}),
        (CertificateFilter(requester="nobody"), set()),
        (CertificateFilter(not_after_to=a.not_after, profile="tls-server"), {a.serial}),
        (CertificateFilter(not_after_from=c.not_after, protocol="est"), {c.serial}),
        (CertificateFilter(spki_sha256=world.service.certificate(TENANT, a.serial).spki_sha256), {a.serial}),
        (CertificateFilter(authority="root", profile="tls-server"), set()),
    ]
    for wanted, expected in cases:
        assert {one.serial for one in world.service.certificates(TENANT, wanted).items} == expected, wanted
    valid = CertificateFilter(status=CertificateStatus.VALID, contains="example")
    assert {one.serial for one in world.service.certificates(TENANT, valid).items} == {a.serial}
    world.clock.advance(91 * 86400)
    expired = CertificateFilter(status=CertificateStatus.EXPIRED, contains="example")
    assert {one.serial for one in world.service.certificates(TENANT, expired).items} == {a.serial}
    assert (
        refused(lambda: world.service.certificates(TENANT, CertificateFilter(authority="nobody"))).kind
        is FaultKind.NOT_FOUND
    )


def test_pages_show_everything_once_newest_first(world: World) -> None:
    issued = [issue(world, f"a{n}.example.com").serial for n in range(7)]
    wanted = CertificateFilter(contains="example.com")
    seen: list[str] = []
    cursor = ""
    while True:
        page = world.service.certificates(TENANT, wanted, cursor, 3)
        seen += [one.serial for one in page.items]
        cursor = page.cursor
        if not cursor:
            break
        issue(world, "late.example.com")  # what comes meanwhile is newer, and disturbs nothing
    assert seen == issued[::-1]
    for made_up in ("x", "WyIxIl0", "bm9wZQ", "WyJ4IiwieSJd"):
        assert (
            refused(lambda cursor=made_up: world.service.certificates(TENANT, wanted, cursor)).kind is FaultKind.INVALID
        )


# -- revocation --------------------------------------------------------------------------------------------------------


def test_revocation_is_a_row_an_event_and_an_audit_event(world: World) -> None:
    issued = issue(world, "a.example.com")
    since = world.clock.now() - timedelta(days=1)
    with world.database.read(SYSTEM_TENANT) as reader:
        before = certificate_store.latest_event(reader)
    record = world.service.revoke(TENANT, issued.serial, RevocationReason.KEY_COMPROMISE, since, WHO)
    assert record.status is CertificateStatus.REVOKED
    assert (record.reason, record.invalidity_date) == (RevocationReason.KEY_COMPROMISE, since)
    with world.database.read(SYSTEM_TENANT) as reader:
        (event,) = certificate_store.events_since(reader, before)
    assert (event.serial, event.at) == (issued.serial, record.revoked_at)
    with world.database.read(TENANT) as reader:
        last = list(audit.export(reader, TENANT))[-1].event
        state = certificate_store.states(reader, record.authority_id, [issued.serial, "1234"])
    assert (last.action, last.details["reason"]) == ("certificate.revoke", "keyCompromise")
    assert set(state) == {issued.serial}
    assert state[issued.serial].reason is RevocationReason.KEY_COMPROMISE


def test_hold_release_and_revocation_for_good(world: World) -> None:
    issued = issue(world, "a.example.com")
    revoke = world.service.revoke

    def to(reason: RevocationReason) -> CertificateStatus:
        world.clock.advance(60)
        return revoke(TENANT, issued.serial, reason, None, WHO).status

    held, release = RevocationReason.CERTIFICATE_HOLD, RevocationReason.REMOVE_FROM_CRL
    assert refused(lambda: to(release)).public == "the certificate is not on hold"
    assert to(held) is CertificateStatus.HELD
    assert refused(lambda: to(held)).public == "the certificate is on hold already"
    assert to(release) is CertificateStatus.VALID
    record = world.service.certificate(TENANT, issued.serial)
    assert (record.revoked_at, record.reason) == (None, None)
    assert to(held) is CertificateStatus.HELD
    since = world.service.certificate(TENANT, issued.serial).revoked_at
    assert to(RevocationReason.KEY_COMPROMISE) is CertificateStatus.REVOKED
    assert world.service.certificate(TENANT, issued.serial).revoked_at == since  # not good since then
    assert refused(lambda: to(RevocationReason.SUPERSEDED)).kind is FaultKind.CONFLICT
    assert refused(lambda: to(release)).public.startswith("the certificate is revoked for good")


def test_revocations_that_mean_nothing(world: World) -> None:
    issued = issue(world, "a.example.com")
    revoke = world.service.revoke
    tomorrow = world.clock.now() + timedelta(days=1)
    for call, kind in (
        (lambda: revoke(TENANT, "1234", RevocationReason.SUPERSEDED, None, WHO), FaultKind.NOT_FOUND),
        (lambda: revoke(TENANT, issued.serial, RevocationReason.SUPERSEDED, tomorrow, WHO), FaultKind.INVALID),
        (lambda: revoke(TENANT, issued.serial, RevocationReason.CA_COMPROMISE, None, WHO), FaultKind.INVALID),
        (lambda: revoke(TENANT, issued.serial, RevocationReason.AA_COMPROMISE, None, WHO), FaultKind.INVALID),
    ):
        assert refused(call).kind is kind


def test_reason_codes_are_those_of_the_rfc() -> None:
    codes = {reason.value: reason.code for reason in RevocationReason}
    assert codes == {
        "unspecified": 0,
        "keyCompromise": 1,
        "cACompromise": 2,
        "affiliationChanged": 3,
        "superseded": 4,
        "cessationOfOperation": 5,
        "certificateHold": 6,
        "removeFromCRL": 8,
        "privilegeWithdrawn": 9,
        "aACompromise": 10,
    }
    assert all(RevocationReason.of_code(code).value == name for name, code in codes.items())
    with pytest.raises(ValueError, match="7"):
        RevocationReason.of_code(7)


# -- TLS clients -------------------------------------------------------------------------------------------------------


def test_a_tls_client_of_ours_is_known(world: World) -> None:
    issued = issue(world, "a.example.com", profile="mtls-client")
    know = world.service.certificate_status_for_client
    record = know((issued.der, *issued.chain))
    assert (record.tenant_id, record.serial, record.profile) == (TENANT, issued.serial, "mtls-client")
    assert refused(lambda: know(())).kind is FaultKind.UNAUTHENTICATED
    assert refused(lambda: know((b"junk",))).kind is FaultKind.MALFORMED
    world.service.revoke(TENANT, issued.serial, RevocationReason.CERTIFICATE_HOLD, None, WHO)
    assert refused(lambda: know((issued.der,))).kind is FaultKind.UNAUTHENTICATED
    world.service.revoke(TENANT, issued.serial, RevocationReason.REMOVE_FROM_CRL, None, WHO)
    know((issued.der,))
    world.clock.advance(31 * 86400)
    assert refused(lambda: know((issued.der,))).kind is FaultKind.EXPIRED


def test_a_foreign_or_altered_client_is_not_known(world: World) -> None:
    issued = issue(world, "a.example.com", profile="mtls-client")
    altered = bytearray(issued.der)
    altered[-1] ^= 1  # the signature: subject, serial and issuer are still those of ours
    fault = refused(lambda: world.service.certificate_status_for_client((bytes(altered),)))
    assert fault.kind is FaultKind.UNAUTHENTICATED


def test_nobody_below_a_revoked_ca_is_known(world: World) -> None:
    made = world.service.create_authority(TENANT, AuthorityOrder("second", "CN=Second", parent="root"), WHO)
    order = IssueOrder(authority="second", profile="mtls-client", csr=csr("a.example.com"))
    issued = world.service.issue(TENANT, order, WHO)
    world.service.certificate_status_for_client((issued.der,))
    page = world.service.certificates(TENANT, CertificateFilter(profile="intermediate-ca"))
    own = next(one for one in page.items if one.der == made.certificate)
    world.service.revoke(TENANT, own.serial, RevocationReason.CA_COMPROMISE, None, WHO)
    fault = refused(lambda: world.service.certificate_status_for_client((issued.der,)))
    assert fault.kind is FaultKind.UNAUTHENTICATED
