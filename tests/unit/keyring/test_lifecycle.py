"""Elastic keys and versions from birth to destruction, on both kinds of database and two replicas."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import text

from pycryptoutil.keyring import KeyFilter, KeyOrder, KeyPatch, KeyPolicy, KeyStatus, Operation, Purpose, VersionStatus
from tests.support.keyring import OTHER_TENANT, TENANT, USES, World

WHO = "user:alice"


def refused(kind: FaultKind) -> pytest.RaisesExc[Fault]:
    """Expect a fault of this kind."""
    return pytest.RaisesExc(Fault, check=lambda fault: fault.kind is kind)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_key_of_each_purpose_is_made_used_and_rotated(world: World, purpose: Purpose) -> None:
    key = world.make("one", purpose)
    protect, read = USES[purpose]
    first = world.keys.use(TENANT, "one", protect)
    assert (first.version.version, first.key.id, first.jwk.kid) == (1, key.id, first.version.kid)
    assert world.keys.rotate(TENANT, key.id, WHO).version == 2
    assert world.other.use(TENANT, key.id, protect).version.version == 2
    assert world.other.use(TENANT, "one", read, kid=first.version.kid).version.version == 1
    statuses = [one.status for one in world.keys.versions(TENANT, "one")]
    assert statuses == [VersionStatus.RETIRED, VersionStatus.ACTIVE]
    assert world.keys.get(TENANT, "one").active_version == 2


def test_a_key_has_one_purpose(light: World) -> None:
    for purpose in Purpose:
        light.make(purpose.value, purpose)
        for operation in {one for pair in USES.values() for one in pair} - set(USES[purpose]):
            with refused(FaultKind.INVALID):
                light.keys.use(TENANT, purpose.value, operation)


def test_another_tenants_key_is_no_key(world: World) -> None:
    key = world.make()
    answers = []
    for reference in (key.id, key.name, "nothing", "0" * 32):
        with pytest.raises(Fault) as caught:
            world.keys.get(OTHER_TENANT, reference)
        answers.append((caught.value.kind, caught.value.public))
    assert answers == [(FaultKind.NOT_FOUND, "there is no such key")] * 4
    for call in (world.keys.rotate, world.keys.disable, world.keys.delete, world.keys.destroy):
        with refused(FaultKind.NOT_FOUND):
            call(OTHER_TENANT, key.id, WHO)
    with refused(FaultKind.NOT_FOUND):
        world.keys.use(OTHER_TENANT, key.id, Operation.ENCRYPT)
    assert world.keys.list(OTHER_TENANT).total == 0


def test_names_are_checked_and_taken_once(light: World) -> None:
    light.make("invoices")
    with refused(FaultKind.CONFLICT):
        light.make("invoices")
    for bad in ("", "a/b", "..", "a" * 129, "0" * 32, "ä", "a b", "-a"):
        with refused(FaultKind.INVALID):
            light.make(bad)
    light.keys.create(OTHER_TENANT, KeyOrder("invoices", "A256GCM", Purpose.ENCRYPT), WHO)


def test_what_is_disabled_or_deleted_refuses_every_use(world: World) -> None:
    world.make()
    world.keys.disable(TENANT, "invoices", WHO)
    for operation in USES[Purpose.ENCRYPT]:
        with refused(FaultKind.CONFLICT):
            world.other.use(TENANT, "invoices", operation)
    world.other.enable(TENANT, "invoices", WHO)
    world.keys.use(TENANT, "invoices", Operation.ENCRYPT)
    deleted = world.keys.delete(TENANT, "invoices", WHO, waiting=timedelta(days=7))
    assert deleted.delete_at == world.clock.now() + timedelta(days=7)
    with refused(FaultKind.CONFLICT):
        world.other.use(TENANT, "invoices", Operation.DECRYPT)
    with refused(FaultKind.CONFLICT):
        world.keys.rotate(TENANT, "invoices", WHO)
    restored = world.keys.restore(TENANT, "invoices", WHO)
    assert (restored.status, restored.delete_at) == (KeyStatus.DISABLED, None)


def test_the_waiting_period_ends_in_destruction(world: World) -> None:
    key = world.make()
    world.keys.use(TENANT, key.id, Operation.ENCRYPT)
    world.keys.delete(TENANT, key.id, WHO, waiting=timedelta(hours=1))
    world.clock.advance(3599)
    world.other.maintain()
    assert world.keys.get(TENANT, key.id).status is KeyStatus.DELETED
    world.clock.advance(2)
    world.other.maintain()
    world.keys.maintain()
    gone = world.keys.get(TENANT, key.id)
    assert gone.status is KeyStatus.DESTROYED
    assert [one.status for one in world.keys.versions(TENANT, key.id)] == [VersionStatus.DESTROYED]
    with world.database.read(TENANT) as reader:
        assert reader.execute(text("SELECT material FROM key_versions")).scalars().all() == [b""]
    for call in (world.keys.restore, world.keys.enable, world.keys.rotate):
        with refused(FaultKind.CONFLICT):
            call(TENANT, key.id, WHO)
    assert world.keys.list(TENANT).total == 0
    assert world.keys.list(TENANT, KeyFilter(status=KeyStatus.DESTROYED)).total == 1
    world.make()  # the name is free again


def test_only_what_is_out_of_use_is_destroyed(light: World) -> None:
    key = light.make()
    with refused(FaultKind.CONFLICT):
        light.keys.destroy(TENANT, key.id, WHO)
    with refused(FaultKind.CONFLICT):
        light.keys.destroy_version(TENANT, key.id, 1, WHO)
    light.keys.rotate(TENANT, key.id, WHO)
    light.keys.destroy_version(TENANT, key.id, 1, WHO, reason="not needed")
    with refused(FaultKind.CONFLICT):
        light.keys.use(TENANT, key.id, Operation.DECRYPT, 1)
    light.keys.disable(TENANT, key.id, WHO)
    assert light.keys.destroy(TENANT, key.id, WHO).status is KeyStatus.DESTROYED


def test_a_revoked_version_ends_on_every_replica_at_once(world: World) -> None:
    world.make("plain")
    world.make("archive", read_revoked=True)
    for name in ("plain", "archive"):
        world.other.use(TENANT, name, Operation.DECRYPT, 1)
        revoked = world.keys.revoke(TENANT, name, 1, WHO, reason="leaked")
        assert (revoked.status, revoked.reason) == (VersionStatus.REVOKED, "leaked")
        with refused(FaultKind.CONFLICT):
            world.other.use(TENANT, name, Operation.ENCRYPT)
    with refused(FaultKind.CONFLICT):
        world.other.use(TENANT, "plain", Operation.DECRYPT, 1)
    assert world.other.use(TENANT, "archive", Operation.DECRYPT, 1).version.version == 1
    for call in (world.keys.revoke, world.keys.enable_version, world.keys.disable_version, world.keys.activate):
        with refused(FaultKind.CONFLICT):
            call(TENANT, "plain", 1, WHO)
    assert world.keys.rotate(TENANT, "plain", WHO).version == 2
    world.other.use(TENANT, "plain", Operation.ENCRYPT)


def test_a_disabled_version_comes_back_to_its_place(world: World) -> None:
    world.make()
    world.keys.disable_version(TENANT, "invoices", 1, WHO)
    with refused(FaultKind.CONFLICT):
        world.other.use(TENANT, "invoices", Operation.ENCRYPT)
    assert world.keys.enable_version(TENANT, "invoices", 1, WHO).status is VersionStatus.ACTIVE
    world.keys.rotate(TENANT, "invoices", WHO)
    world.keys.disable_version(TENANT, "invoices", 1, WHO)
    with refused(FaultKind.CONFLICT):
        world.other.use(TENANT, "invoices", Operation.DECRYPT, 1)
    assert world.keys.enable_version(TENANT, "invoices", 1, WHO).status is VersionStatus.RETIRED


def test_minimum_versions_hold_and_only_grow(world: World) -> None:
    key = world.make()
    world.keys.rotate(TENANT, key.id, WHO)
    world.keys.rotate(TENANT, key.id, WHO)
    policy = KeyPolicy(min_decrypt_version=2, min_encrypt_version=3)
    world.keys.update(TENANT, key.id, KeyPatch(policy=policy), WHO)
    with refused(FaultKind.CONFLICT):
        world.other.use(TENANT, key.id, Operation.DECRYPT, 1)
    world.other.use(TENANT, key.id, Operation.DECRYPT, 2)
    for worse in (KeyPolicy(), KeyPolicy(min_decrypt_version=2, min_encrypt_version=4)):
        with refused(FaultKind.INVALID):
            world.keys.update(TENANT, key.id, KeyPatch(policy=worse), WHO)


@pytest.mark.parametrize("field", ["export_allowed", "read_revoked"])
def test_what_was_promised_is_not_taken_back(light: World, field: str) -> None:
    light.make("strict")
    with refused(FaultKind.INVALID):
        light.keys.update(TENANT, "strict", KeyPatch(policy=KeyPolicy(**{field: True})), WHO)
    light.make("loose", **{field: True})
    light.keys.update(TENANT, "loose", KeyPatch(policy=KeyPolicy()), WHO)


@pytest.mark.parametrize(
    "policy",
    [
        {"rotation_period": 59},
        {"rotation_period": 3600, "versioning_allowed": False},
        {"max_versions": -1},
        {"quorum": 21},
        {"min_encrypt_version": 2},
        {"min_decrypt_version": 0},
    ],
)
def test_policies_are_checked(light: World, policy: dict[str, int]) -> None:
    with refused(FaultKind.INVALID):
        light.make("one", **policy)


def test_rotation_by_period_happens_once(world: World) -> None:
    key = world.make(rotation_period=86400)
    world.clock.advance(86399)
    world.keys.maintain()
    assert world.keys.get(TENANT, key.id).active_version == 1
    world.clock.advance(1)
    threads = [threading.Thread(target=one.maintain) for one in (world.keys, world.other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = world.keys.get(TENANT, key.id)
    assert (after.active_version, after.rotated_at) == (2, world.clock.now())
    assert after.rotates_at == world.clock.now() + timedelta(days=1)


def test_a_rotation_that_cannot_be_waits_for_an_hour(world: World) -> None:
    key = world.make(rotation_period=60, max_versions=1)
    world.clock.advance(60)
    world.keys.maintain()
    late = world.keys.get(TENANT, key.id)
    assert (late.active_version, late.rotates_at) == (1, world.clock.now() + timedelta(hours=1))
    world.keys.update(TENANT, key.id, KeyPatch(policy=KeyPolicy(rotation_period=60, max_versions=2)), WHO)
    world.clock.advance(3600)
    world.other.maintain()
    assert world.keys.get(TENANT, key.id).active_version == 2


def test_rotations_that_race_take_each_a_number_of_its_own(world: World) -> None:
    key = world.make()
    failures: list[Exception] = []

    def rotate(keys: object) -> None:
        try:
            for _ in range(5):
                keys.rotate(TENANT, key.id, WHO)  # type: ignore[attr-defined]
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=rotate, args=(one,)) for one in (world.keys, world.other) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = world.keys.versions(TENANT, key.id)
    assert [one.version for one in found] == list(range(1, 22))
    assert [one.version for one in found if one.status is VersionStatus.ACTIVE] == [21]
    assert world.keys.get(TENANT, key.id).active_version == 21


def test_a_ring_has_no_more_versions_than_it_may(light: World) -> None:
    light.make("single", versioning_allowed=False)
    with refused(FaultKind.CONFLICT):
        light.keys.rotate(TENANT, "single", WHO)
    light.make("two", max_versions=2)
    light.keys.rotate(TENANT, "two", WHO)
    with refused(FaultKind.CONFLICT):
        light.keys.rotate(TENANT, "two", WHO)
    light.keys.destroy_version(TENANT, "two", 1, WHO)
    assert light.keys.rotate(TENANT, "two", WHO).version == 3


def test_the_next_version_is_published_before_it_is_used(world: World) -> None:
    world.make("signing", Purpose.SIGN)
    following = world.keys.prepare_next(TENANT, "signing", WHO)
    assert world.other.prepare_next(TENANT, "signing", WHO).version == following.version == 2
    assert [one.version for one in world.other.published(TENANT, "signing")] == [1, 2]
    for operation in (Operation.SIGN, Operation.VERIFY):
        with refused(FaultKind.CONFLICT):
            world.other.use(TENANT, "signing", operation, 2)
    assert world.keys.rotate(TENANT, "signing", WHO).kid == following.kid
    world.clock.advance(3600)
    assert [one.version for one in world.keys.published(TENANT, "signing", timedelta(hours=1))] == [1, 2]
    world.clock.advance(1)
    assert [one.version for one in world.keys.published(TENANT, "signing", timedelta(hours=1))] == [2]
    world.keys.revoke(TENANT, "signing", 2, WHO)
    assert world.keys.published(TENANT, "signing", timedelta(hours=1)) == []


def test_secrets_are_never_published(light: World) -> None:
    light.make("mac", Purpose.MAC)
    assert light.keys.published(TENANT, "mac") == []
    with refused(FaultKind.INVALID):
        light.keys.public(TENANT, "mac", 1)
    secret = light.keys.use(TENANT, "mac", Operation.MAC)
    assert "jwk=" not in repr(secret)
    assert "SecretKey" not in repr(secret)


def test_lists_filter_sort_and_page(world: World) -> None:
    for number, name in enumerate(["delta", "alpha", "charlie", "bravo"]):
        world.clock.advance(60)
        labels = {"team": "red" if number % 2 else "blue"}
        world.make(name, Purpose.SIGN if number > 1 else Purpose.ENCRYPT, labels=labels)
    list_ = world.keys.list

    def names(wanted: KeyFilter) -> list[str]:
        return [key.name for key in list_(TENANT, wanted).items]

    assert names(KeyFilter()) == ["alpha", "bravo", "charlie", "delta"]
    assert names(KeyFilter(name="l")) == ["alpha", "charlie", "delta"]
    assert names(KeyFilter(name="%")) == []
    assert names(KeyFilter(algorithm="ES256")) == ["bravo", "charlie"]
    assert names(KeyFilter(purpose=Purpose.ENCRYPT)) == ["alpha", "delta"]
    assert names(KeyFilter(labels={"team": "red"})) == ["alpha", "bravo"]
    middle = world.keys.get(TENANT, "alpha").created_at
    assert names(KeyFilter(created_after=middle)) == ["bravo", "charlie"]
    assert names(KeyFilter(created_before=middle)) == ["delta"]
    world.keys.disable(TENANT, "alpha", WHO)
    assert names(KeyFilter(status=KeyStatus.DISABLED)) == ["alpha"]
    for sort, first in (("created_at", "delta"), ("updated_at", "delta"), ("rotated_at", "delta"), ("name", "alpha")):
        found, cursor = [], ""
        while True:
            page = list_(TENANT, sort=sort, cursor=cursor, limit=3)  # type: ignore[arg-type]
            assert page.total == 4
            found += [key.name for key in page.items]
            cursor = page.cursor
            if not cursor:
                break
            with refused(FaultKind.INVALID):
                list_(TENANT, sort=sort, descending=True, cursor=cursor)  # type: ignore[arg-type]
        assert len(set(found)) == 4
        assert found[0] == first
        backwards = list_(TENANT, sort=sort, descending=True).items  # type: ignore[arg-type]
        assert [key.name for key in backwards] == found[::-1]
    for bad in ("x", "e30", "W10"):
        with refused(FaultKind.INVALID):
            list_(TENANT, cursor=bad)


def test_counters_add_up_over_replicas_and_never_go_down(world: World) -> None:
    key = world.make()
    for keys in (world.keys, world.other):
        for _ in range(3):
            keys.use(TENANT, key.id, Operation.ENCRYPT)
        keys.use(TENANT, key.id, Operation.DECRYPT, 1, times=5)
    seen = world.keys.version(TENANT, key.id, 1).usage
    assert (seen.protected, seen.processed, seen.last_used_at) == (3, 5, world.clock.now())
    world.keys.flush()
    world.other.flush()
    total = world.other.version(TENANT, key.id, 1).usage
    assert (total.protected, total.processed, total.outstanding) == (6, 10, 6)
    used = world.keys.use(TENANT, key.id, Operation.DECRYPT, 1, times=0)
    world.keys.count_rewrapped(used, 6)
    world.keys.rotate(TENANT, key.id, WHO)
    world.keys.flush()
    after = world.other.version(TENANT, key.id, 1).usage
    assert (after.protected, after.rewrapped, after.outstanding) == (6, 6, 0)


def test_every_write_is_in_the_audit_chain(world: World) -> None:
    key = world.make()
    world.keys.rotate(TENANT, key.id, WHO, "request-1")
    world.keys.revoke(TENANT, key.id, 1, WHO, reason="leaked")
    world.keys.delete(TENANT, key.id, WHO)
    with world.database.read(TENANT) as reader:
        rows = reader.execute(text("SELECT action, target, request_id FROM audit_events ORDER BY seq")).all()
        mine = [tuple(row) for row in rows if row.action.startswith("key.")]
    assert [row[0] for row in mine] == ["key.create", "key.rotate", "key.revoke", "key.delete"]
    assert {row[1] for row in mine} == {key.id}
    assert mine[1][2] == "request-1"


def test_nothing_works_while_sealed_and_handles_are_gone(light: World) -> None:
    light.make()
    light.keys.use(TENANT, "invoices", Operation.ENCRYPT)
    light.barrier.seal()
    assert light.keys._vault._open == {}
    with refused(FaultKind.SEALED):
        light.keys.use(TENANT, "invoices", Operation.ENCRYPT)
    light.keys.maintain()
    light.barrier.unseal()
    light.keys.use(TENANT, "invoices", Operation.ENCRYPT)


def test_a_tenants_root_is_rotated_under_its_keys(world: World) -> None:
    for purpose in Purpose:
        world.make(purpose.value, purpose)
    world.make("ed448", Purpose.SIGN, algorithm="Ed448")
    assert world.keys.rotate_root(TENANT, WHO) == len(Purpose) + 1
    with world.database.read(TENANT) as reader:
        assert reader.execute(text("SELECT count(*) FROM keyring_roots")).scalar_one() == 1
    for purpose in Purpose:
        for operation in USES[purpose]:
            world.other.use(TENANT, purpose.value, operation)
    world.make("later")
    world.other.use(TENANT, "later", Operation.ENCRYPT)


def test_a_key_that_waits_for_its_material(light: World) -> None:
    with refused(FaultKind.INVALID):
        light.make("own", generate=False)
    light.make("own", generate=False, import_allowed=True)
    with refused(FaultKind.CONFLICT):
        light.keys.use(TENANT, "own", Operation.ENCRYPT)
