"""Every level rotates; what was sealed before is read after, by every instance."""

from __future__ import annotations

from pathlib import Path

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import select

from pycryptoutil.barrier import Barrier
from pycryptoutil.barrier import barrier as module
from pycryptoutil.clock import FixedClock
from pycryptoutil.errors import ConfigurationError
from pycryptoutil.storage import SYSTEM_TENANT
from pycryptoutil.storage.schema import barrier_keys
from tests.unit.barrier.conftest import YEAR, Instances

DAY = 86400.0


def generations(barrier: Barrier) -> tuple[int, ...]:
    found = barrier.status().generations
    return tuple(found[level] for level in ("unseal", "root", "intermediate", "content"))


@pytest.mark.parametrize(
    ("level", "expected"),
    [("content", (1, 1, 1, 2)), ("intermediate", (1, 1, 2, 2)), ("root", (1, 2, 2, 2)), ("unseal", (2, 1, 1, 1))],
)
def test_a_level_takes_those_below_along_and_nothing_is_lost(
    instances: Instances, level: str, expected: tuple[int, ...]
) -> None:
    barrier = instances.open()
    before, mac, pepper = barrier.encrypt(b"x", b"a"), barrier.lookup_mac("p", b"v"), barrier.pepper("v3").export()
    barrier.rotate(level)  # type: ignore[arg-type]
    assert generations(barrier) == expected
    after = barrier.encrypt(b"x", b"a")
    assert (after[1:17] == before[1:17]) == (level == "unseal")
    for instance in (barrier, instances.open()):
        assert generations(instance) == expected
        assert instance.decrypt(before, b"a") == instance.decrypt(after, b"a") == b"x"
        assert instance.lookup_mac("p", b"v") == mac
        assert instance.pepper("v3").export() == pepper


def test_after_a_rotation_of_the_root_everything_new_hangs_on_the_new_root(instances: Instances) -> None:
    barrier = instances.open()
    barrier.rotate("root")
    with instances.database.read(SYSTEM_TENANT) as reader:
        rows = {row.id: row for row in reader.execute(select(barrier_keys)).all()}
    root = next(row for row in rows.values() if row.level == "root" and row.generation == 2)
    for row in rows.values():
        if row.level == "static" or (row.level in {"intermediate", "content"} and row.generation == 2):
            above = row
            while above.level != "root":
                above = rows[above.parent_id]
            assert above.id == root.id
        assert (row.retired_at is None) == (row.generation == 2 or row.level in {"static", "unseal"})


def test_another_instance_reads_what_it_has_not_seen_the_key_of(instances: Instances) -> None:
    one, other = instances.open(), instances.open()
    for level in ("content", "intermediate", "root"):
        one.rotate(level)
        assert other.decrypt(one.encrypt(b"x", b"a"), b"a") == b"x"
    assert generations(other) == generations(one)


def test_maintaining_notices_other_instances_rotations(instances: Instances) -> None:
    one, other = instances.open(), instances.open()
    one.rotate("content")
    assert generations(other)[3] == 1
    other.maintain()
    assert generations(other)[3] == 2


def test_two_instances_rotating_do_not_undo_each_other(instances: Instances) -> None:
    one, other = instances.open(), instances.open()
    one.rotate("root")
    other.rotate("content")
    assert generations(other) == (1, 2, 2, 3)
    value = other.encrypt(b"x", b"a")
    assert one.decrypt(value, b"a") == instances.open().decrypt(value, b"a") == b"x"


# -- what is due -----------------------------------------------------------------------------------------------------


def test_content_keys_rotate_by_age(instances: Instances, clock: FixedClock) -> None:
    barrier = instances.open()
    clock.advance(6 * DAY)
    barrier.maintain()
    assert generations(barrier) == (1, 1, 1, 1)
    clock.advance(DAY)
    barrier.maintain()
    assert generations(barrier) == (1, 1, 1, 2)
    barrier.maintain()
    assert generations(barrier) == (1, 1, 1, 2)


def test_intermediate_and_root_rotate_by_age(instances: Instances, clock: FixedClock) -> None:
    barrier = instances.open()
    clock.advance(YEAR / 4)
    barrier.maintain()
    assert generations(barrier) == (1, 1, 2, 2)
    clock.advance(3 * YEAR / 4)
    barrier.maintain()
    assert generations(barrier) == (1, 2, 3, 3)


def test_only_one_of_several_instances_rotates_what_is_due(instances: Instances, clock: FixedClock) -> None:
    one, other = instances.open(), instances.open()
    clock.advance(8 * DAY)
    one.maintain()
    other.maintain()
    assert generations(one) == generations(other) == (1, 1, 1, 2)


def test_content_keys_rotate_by_use_of_all_instances_together(instances: Instances) -> None:
    one, other = instances.open(content_uses=10), instances.open()
    for barrier in (one, other):
        for _ in range(5):
            barrier.encrypt(b"x", b"a")
    one.maintain()
    assert generations(one)[3] == 1
    other.maintain()
    assert generations(other)[3] == 2


def test_sealing_maintains_by_itself(instances: Instances, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAINTAIN_USES", 20)
    barrier = instances.open(content_uses=50)
    for _ in range(100):
        barrier.encrypt(b"x", b"a")
    assert generations(barrier)[3] == 2
    clock.advance(8 * DAY)
    barrier.encrypt(b"x", b"a")
    assert generations(barrier)[3] == 3


def test_inside_a_unit_of_work_sealing_only_counts(instances: Instances, clock: FixedClock) -> None:
    barrier = instances.open()
    clock.advance(8 * DAY)
    with instances.database.unit_of_work("t"):
        barrier.encrypt(b"x", b"a")
    assert generations(barrier)[3] == 1
    barrier.encrypt(b"x", b"a")
    assert generations(barrier)[3] == 2


def test_uses_that_could_not_be_stored_are_kept(instances: Instances, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = instances.open()
    for _ in range(5):
        barrier.encrypt(b"x", b"a")
    from pycryptoutil.barrier import store

    def refuse(*_: object) -> None:
        raise Fault(FaultKind.UNAVAILABLE, "away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "add_uses", refuse)
        with pytest.raises(Fault):
            barrier.maintain()
    assert barrier.status().content_uses == 5
    barrier.maintain()
    assert barrier.status().content_uses == 5


def test_a_clock_that_stepped_back_rotates_nothing(instances: Instances, clock: FixedClock) -> None:
    barrier = instances.open()
    clock.advance(-10 * YEAR)
    barrier.maintain()
    assert generations(barrier) == (1, 1, 1, 1)


# -- the unseal key --------------------------------------------------------------------------------------------------


def test_new_shares_open_and_old_ones_are_told_apart(instances: Instances) -> None:
    barrier = instances.open("shamir", shares=3, threshold=2)
    value = barrier.encrypt(b"x", b"a")
    old = instances.shares()
    instances.options = instances.options.__class__(mode="shamir", shares=5, threshold=4)
    barrier._source._options = instances.options  # type: ignore[attr-defined]
    status = barrier.rotate("unseal")
    new = instances.shares()
    assert (status.threshold, status.shares, len(new)) == (4, 5, 5)
    assert status.shares_file
    restarted = instances.open()
    with pytest.raises(Fault, match="earlier set"):
        restarted.unseal(old[0])
    for share in new[1:]:
        restarted.unseal(share)
    assert restarted.decrypt(value, b"a") == b"x"


def test_an_open_instance_stays_open_when_another_rotates_the_unseal_key(instances: Instances) -> None:
    one = instances.open("shamir", shares=2, threshold=2)
    other = instances.open()
    for share in instances.shares():
        other.unseal(share)
    one.rotate("unseal")
    other.maintain()
    one.rotate("intermediate")
    assert other.decrypt(one.encrypt(b"x", b"a"), b"a") == b"x"
    with pytest.raises(Fault, match="another instance rotated") as caught:
        other.rotate("root")
    assert caught.value.kind is FaultKind.CONFLICT


def test_an_instance_that_cannot_follow_seals_itself(instances: Instances) -> None:
    one = instances.open("shamir", shares=2, threshold=2)
    other = instances.open()
    for share in instances.shares():
        other.unseal(share)
    one.rotate("unseal")
    one.rotate("root")
    value = one.encrypt(b"x", b"a")
    with pytest.raises(Fault) as caught:
        other.decrypt(value, b"a")
    assert caught.value.kind is FaultKind.SEALED
    assert other.sealed
    for share in instances.shares():
        other.unseal(share)
    assert other.decrypt(value, b"a") == b"x"


def test_a_new_secret_file(instances: Instances, secret_file: Path) -> None:
    barrier = instances.open("file", secret_file=secret_file)
    value = barrier.encrypt(b"x", b"a")
    with pytest.raises(Fault, match="present secret") as caught:
        barrier.rotate("unseal")
    assert caught.value.kind is FaultKind.CONFLICT
    old = secret_file.read_bytes()
    secret_file.write_text("n" * 40)
    barrier.rotate("unseal")
    assert instances.open().decrypt(value, b"a") == b"x"
    secret_file.write_bytes(old)
    with pytest.raises(ConfigurationError):
        instances.open()


def test_a_new_dev_secret_takes_its_place_even_after_a_crash(
    instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = instances.open()
    value = barrier.encrypt(b"x", b"a")
    key, waiting = instances.data_dir / "unseal.key", instances.data_dir / "unseal.key.new"
    with monkeypatch.context() as patch:
        patch.setattr(barrier._source, "adopted", lambda _: None, raising=False)
        barrier.rotate("unseal")
    assert waiting.exists(), "killed after the commit, before the rename"
    new = waiting.read_bytes()
    assert instances.open().decrypt(value, b"a") == b"x"
    assert key.read_bytes() == new
    assert not waiting.exists()

    waiting.write_text("of a rotation that was not committed")
    assert instances.open().decrypt(value, b"a") == b"x"
    assert key.read_bytes() == new


def test_a_ceremony_that_sealing_overtook_does_not_open_again(
    instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = instances.open()
    grown = barrier._grown

    def overtaken(*arguments: object) -> object:
        result = grown(*arguments)  # type: ignore[arg-type]
        with barrier._state:
            barrier._epoch += 1
            barrier._ring = None
        return result

    monkeypatch.setattr(barrier, "_grown", overtaken)
    barrier.rotate("content")
    assert barrier.sealed
