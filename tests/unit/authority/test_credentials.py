"""Enrolment credentials: made once, shown once, checked in constant time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.x509.oid import NameOID
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import select

from pycryptoutil.authority import AuthorityOrder, AuthorityStatus, CredentialOrder, IssueOrder, NamePatterns, issue
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.store import credentials
from pycryptoutil.storage import Reader
from tests.support.authority import NOW, OTHER_TENANT, TENANT, World, csr

WHO = "user:tester"


def test_the_password_is_shown_once_and_kept_sealed(world: World) -> None:
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server", description="for tests"), WHO)
    assert len(made.password) >= 32
    assert made.password not in repr(made)
    with world.database.read(TENANT) as reader:
        row = reader.execute(select(credentials)).one()
    assert made.password.encode() not in row.sealed_secret
    assert all(made.password not in str(value) for value in row)
    found, secret = world.service.credential_secret(TENANT, made.username, "cmp")
    assert (found.id, secret) == (made.id, made.password.encode())
    assert world.service.credential_by_secret(TENANT, made.password, "scep").id == made.id


def test_authentication(world: World) -> None:
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server", protocols=("est",)), WHO)
    ask = world.service.credential_authenticate
    assert ask(TENANT, made.username, made.password, "est").id == made.id
    assert ask(TENANT, made.username, made.password, "est", "tls-server", "issuing").id == made.id
    wrong: list[tuple[Callable[[], object], FaultKind]] = [
        (lambda: ask(TENANT, made.username, made.password + "x", "est"), FaultKind.UNAUTHENTICATED),
        (lambda: ask(TENANT, made.username, "", "est"), FaultKind.UNAUTHENTICATED),
        (lambda: ask(TENANT, "nobody", made.password, "est"), FaultKind.UNAUTHENTICATED),
        (lambda: ask(TENANT, made.username, "x" * 1000, "est"), FaultKind.UNAUTHENTICATED),
        (lambda: ask(TENANT, "x" * 1000, made.password, "est"), FaultKind.UNAUTHENTICATED),
        (lambda: ask(OTHER_TENANT, made.username, made.password, "est"), FaultKind.UNAUTHENTICATED),
        (lambda: ask(TENANT, made.username, made.password, "scep"), FaultKind.FORBIDDEN),
        (lambda: ask(TENANT, made.username, made.password, "est", "device"), FaultKind.FORBIDDEN),
        (lambda: ask(TENANT, made.username, made.password, "est", "tls-server", "root"), FaultKind.FORBIDDEN),
        (lambda: world.service.credential_by_secret(TENANT, "wrong", "est"), FaultKind.UNAUTHENTICATED),
        (lambda: world.service.credential_secret(TENANT, "nobody", "est"), FaultKind.UNAUTHENTICATED),
    ]
    for call, kind in wrong:
        with pytest.raises(Fault) as caught:
            call()
        assert caught.value.kind is kind
        assert made.password not in caught.value.detail + caught.value.public


def test_expiry(world: World) -> None:
    order = CredentialOrder("tls-server", expires_at=world.clock.now() + timedelta(hours=1))
    made = world.service.credential_add(TENANT, order, WHO)
    world.service.credential_authenticate(TENANT, made.username, made.password, "est")
    world.clock.advance(3600)
    with pytest.raises(Fault) as caught:
        world.service.credential_authenticate(TENANT, made.username, made.password, "est")
    assert caught.value.kind is FaultKind.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        (CredentialOrder("nobody"), FaultKind.NOT_FOUND),
        (CredentialOrder("tls-server", authority="nobody"), FaultKind.NOT_FOUND),
        (CredentialOrder("tls-server", protocols=("ftp",)), FaultKind.INVALID),
        (CredentialOrder("tls-server", max_uses=0), FaultKind.INVALID),
        (CredentialOrder("tls-server", expires_at=NOW), FaultKind.INVALID),
        (CredentialOrder("tls-server", names=NamePatterns(dns=("*",))), FaultKind.INVALID),
        (CredentialOrder("tls-server", names=NamePatterns(dns=("a.example.com",) * 201)), FaultKind.INVALID),
        (CredentialOrder("mtls-client"), FaultKind.POLICY),  # must say which names
        (CredentialOrder("intermediate-ca"), FaultKind.POLICY),
        (CredentialOrder("ocsp-responder"), FaultKind.POLICY),
        (CredentialOrder("ssh-host"), FaultKind.POLICY),
    ],
)
def test_credentials_that_could_never_enrol_are_not_made(
    shared: World, order: CredentialOrder, kind: FaultKind
) -> None:
    with pytest.raises(Fault) as caught:
        shared.service.credential_add(TENANT, order, WHO)
    assert caught.value.kind is kind
    assert caught.value.public


def test_listing_and_deleting(world: World) -> None:
    made = []
    for _ in range(3):
        world.clock.advance(1)
        made.append(world.service.credential_add(TENANT, CredentialOrder("tls-server"), WHO).credential)
    newest = world.service.credential_list(TENANT)
    assert newest == made[::-1]
    assert world.service.credential_list(TENANT, (made[1].created_at, made[1].id)) == [made[0]]
    assert world.service.credential_get(TENANT, made[0].username) == made[0]
    assert world.service.credential_list(OTHER_TENANT) == []
    world.service.credential_delete(TENANT, made[0].id, WHO)
    for again in (world.service.credential_get, lambda t, i: world.service.credential_delete(t, i, WHO)):
        with pytest.raises(Fault) as caught:
            again(TENANT, made[0].id)
        assert caught.value.kind is FaultKind.NOT_FOUND


def test_a_profile_in_use_is_not_deleted(world: World) -> None:
    from tests.unit.authority.test_profiles import GOOD

    world.service.put_profile(TENANT, "mine", GOOD, WHO)
    made = world.service.credential_add(TENANT, CredentialOrder("mine"), WHO)
    with pytest.raises(Fault) as caught:
        world.service.delete_profile(TENANT, "mine", WHO)
    assert caught.value.kind is FaultKind.CONFLICT
    world.service.credential_delete(TENANT, made.id, WHO)
    world.service.delete_profile(TENANT, "mine", WHO)


def test_a_disabled_ca_gets_no_new_credentials(world: World) -> None:
    world.service.create_authority(TENANT, AuthorityOrder("second", "CN=Second", parent="root"), WHO)
    world.service.set_authority_status(TENANT, "second", AuthorityStatus.DISABLED, WHO)
    with pytest.raises(Fault) as caught:
        world.service.credential_add(TENANT, CredentialOrder("tls-server", authority="second"), WHO)
    assert caught.value.kind is FaultKind.CONFLICT


def test_a_pattern_of_common_names_allows_no_mailbox(shared: World) -> None:
    names = NamePatterns(common_name=("sensor-*",), email=("@example.com",))
    made = shared.service.credential_add(TENANT, CredentialOrder("tls-client", names=names), WHO)

    def order(address: str) -> IssueOrder:
        request = csr(cn="sensor-4", subject=((NameOID.EMAIL_ADDRESS, address),))
        return IssueOrder(csr=request, profile="tls-client", credential=made.credential)

    with pytest.raises(Fault, match="does not allow the address"):
        shared.service.issue(TENANT, order("sensor-4@evil.example"), WHO)
    shared.service.issue(TENANT, order("sensor-4@example.com"), WHO)


def test_a_user_id_is_a_name_too(shared: World) -> None:
    made = shared.service.credential_add(
        TENANT, CredentialOrder("tls-client", names=NamePatterns(common_name=("alice",))), WHO
    )

    def order(user: str) -> IssueOrder:
        request = csr(cn="alice", subject=((NameOID.USER_ID, user),))
        return IssueOrder(csr=request, profile="tls-client", credential=made.credential)

    with pytest.raises(Fault, match="does not allow the user id 'root'"):
        shared.service.issue(TENANT, order("root"), WHO)
    shared.service.issue(TENANT, order("alice"), WHO)


def test_what_postgresql_cannot_write_is_the_peers_mistake(world: World) -> None:
    with pytest.raises(Fault) as caught:
        world.service.credential_get(TENANT, "a\0b")
    assert caught.value.kind in {FaultKind.NOT_FOUND, FaultKind.INVALID}


def test_a_repeat_that_races_the_first_is_no_second_use(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two replicas serve one message: whoever comes second finds the credential spent, for this very request."""
    made = world.service.credential_add(TENANT, CredentialOrder("tls-server", max_uses=1), "tests")
    order = IssueOrder(csr=csr("a.example.com"), credential=made.credential, profile="tls-server", idempotency_key="k")
    first = world.service.issue(TENANT, order, "tests")
    real, looks = issue._repeated, []

    def late(i: Issuance, reader: Reader) -> object:
        looks.append(i)
        return real(i, reader) if len(looks) > 1 else None  # the first look came before the other one's commit

    monkeypatch.setattr(issue, "_repeated", late)
    assert world.service.issue(TENANT, order, "tests").serial == first.serial
    assert len(looks) == 2
