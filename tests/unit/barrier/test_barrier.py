"""Sealed, unsealed, and who can open what."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import select

from pycryptoutil.barrier import Barrier
from pycryptoutil.crypto.keys import PrivateKey
from pycryptoutil.errors import ConfigurationError, StartupError
from pycryptoutil.storage import SYSTEM_TENANT, audit
from pycryptoutil.storage.schema import barrier_keys
from tests.unit.barrier.conftest import Instances


def kind(raised: pytest.ExceptionInfo[Fault]) -> FaultKind:
    return raised.value.kind


# -- values ----------------------------------------------------------------------------------------------------------


def test_a_value_opens_only_where_it_was_sealed_for(instances: Instances) -> None:
    barrier = instances.open()
    sealed = barrier.encrypt(b"secret", b"pets:1")
    assert b"secret" not in sealed
    assert barrier.decrypt(sealed, b"pets:1") == b"secret"
    assert barrier.encrypt(b"secret", b"pets:1") != sealed
    with pytest.raises(Fault) as caught:
        barrier.decrypt(sealed, b"pets:2")
    assert kind(caught) is FaultKind.INTERNAL


def test_any_altered_bit_is_noticed(instances: Instances) -> None:
    barrier = instances.open()
    sealed = barrier.encrypt(b"secret", b"a")
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 1
        with pytest.raises(Fault) as caught:
            barrier.decrypt(bytes(altered), b"a")
        assert kind(caught) is FaultKind.INTERNAL
    for length in range(len(sealed)):
        with pytest.raises(Fault):
            barrier.decrypt(sealed[:length], b"a")


def test_a_private_key_comes_back_and_is_no_data(instances: Instances) -> None:
    barrier = instances.open()
    key = PrivateKey.generate("EC-P256")
    sealed = barrier.seal_key(key, b"ca")
    assert barrier.open_key(sealed, b"ca").public_spki == key.public_spki
    for attempt in (lambda: barrier.decrypt(sealed, b"ca"), lambda: barrier.open_key(sealed, b"other")):
        with pytest.raises(Fault) as caught:
            attempt()
        assert kind(caught) is FaultKind.INTERNAL
    as_data = bytes([1]) + sealed[1:]
    with pytest.raises(Fault):
        barrier.decrypt(as_data, b"ca")


def test_lookups_and_peppers_differ_by_purpose_and_are_the_same_everywhere(instances: Instances) -> None:
    one, other = instances.open(), instances.open()
    assert one.lookup_mac("token", b"x") == other.lookup_mac("token", b"x")
    assert len(one.lookup_mac("token", b"x")) == 32
    values = {one.lookup_mac("token", b"x"), one.lookup_mac("token", b"y"), one.lookup_mac("session", b"x")}
    values |= {one.pepper("v1").hmac("sha256", b"x"), one.pepper("v3").hmac("sha256", b"x")}
    assert len(values) == 5
    assert one.pepper("v3").export() == other.pepper("v3").export()


def test_sealed_nothing_works_but_unsealing(instances: Instances) -> None:
    barrier = instances.open()
    sealed, key = barrier.encrypt(b"x", b"a"), barrier.seal_key(PrivateKey.generate("EC-P256"), b"k")
    before = barrier.lookup_mac("p", b"v")
    barrier.seal()
    assert barrier.sealed
    barrier.seal()
    attempts = [
        lambda: barrier.encrypt(b"x", b"a"),
        lambda: barrier.decrypt(sealed, b"a"),
        lambda: barrier.open_key(key, b"k"),
        lambda: barrier.lookup_mac("p", b"v"),
        lambda: barrier.pepper("v3"),
        lambda: barrier.rotate("content"),
        lambda: barrier.rewrap(()),
        barrier.maintain,
    ]
    for attempt in attempts:
        with pytest.raises(Fault) as caught:
            attempt()
        assert kind(caught) is FaultKind.SEALED
    assert not barrier.unseal().sealed
    assert barrier.decrypt(sealed, b"a") == b"x"
    assert barrier.lookup_mac("p", b"v") == before


def test_no_key_is_in_the_database_in_the_clear_and_none_in_repr(instances: Instances) -> None:
    barrier = instances.open()
    assert barrier._ring is not None
    with instances.database.read(SYSTEM_TENANT) as reader:
        stored = b"".join(reader.execute(select(barrier_keys.c.wrapped)).scalars())
    for handle in [*barrier._ring.keys.values(), barrier._ring.unseal.wrapping]:
        assert handle.export() not in stored
        assert handle.export().hex() not in repr(barrier._ring) + repr(barrier) + repr(barrier.status())
    assert (instances.data_dir / "unseal.key").stat().st_mode & 0o777 == 0o600


def test_sealing_and_unsealing_is_recorded(instances: Instances) -> None:
    barrier = instances.open()
    barrier.seal()
    barrier.unseal()
    barrier.rotate("intermediate")
    with instances.database.read(SYSTEM_TENANT) as reader:
        actions = [r.event.action for r in audit.export(reader, SYSTEM_TENANT)]
    assert actions == ["barrier.initialise", "barrier.seal", "barrier.unseal", "barrier.rotate"]


# -- dev and file ----------------------------------------------------------------------------------------------------


def test_the_secret_of_a_data_directory_opens_it_again(instances: Instances) -> None:
    sealed = instances.open().encrypt(b"x", b"a")
    assert instances.open().decrypt(sealed, b"a") == b"x"


def test_another_data_directory_does_not(instances: Instances, tmp_path: Path) -> None:
    instances.open()
    with pytest.raises(StartupError, match=r"unseal\.key"):
        instances.open(data_dir=tmp_path / "other")
    assert not (tmp_path / "other" / "unseal.key").exists()


def test_a_secret_that_another_database_needs_is_not_overwritten(
    instances: Instances, sqlite_databases: object, clock: object
) -> None:
    sealed = instances.open().encrypt(b"x", b"a")
    second = Instances(sqlite_databases.fresh(), instances.data_dir, instances.clock)  # type: ignore[attr-defined]
    second_sealed = second.open().encrypt(b"y", b"a")
    assert instances.open().decrypt(sealed, b"a") == b"x"
    with pytest.raises(Fault):
        instances.open().decrypt(second_sealed, b"a")
    for database in second.opened:
        database.close()


def test_several_instances_with_one_secret_file_are_one(
    instances: Instances, secret_file: Path, tmp_path: Path
) -> None:
    sealed = instances.open("file", secret_file=secret_file).encrypt(b"x", b"a")
    copy = tmp_path / "copy"
    copy.write_bytes(secret_file.read_bytes().strip())
    other = instances.open(secret_file=f"file://{copy}", data_dir=tmp_path / "elsewhere")
    assert other.decrypt(sealed, b"a") == b"x"


@pytest.mark.parametrize("content", ["", "too short", "x" * 31 + "\n\n\n"])
def test_a_secret_of_little_entropy_is_refused(instances: Instances, tmp_path: Path, content: str) -> None:
    (tmp_path / "short").write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        instances.open("file", secret_file=tmp_path / "short")
    assert caught.value.key == "barrier.secret_file"


def test_a_wrong_or_missing_secret_file_names_the_key(instances: Instances, secret_file: Path, tmp_path: Path) -> None:
    instances.open("file", secret_file=secret_file)
    (tmp_path / "wrong").write_text("y" * 40)
    for path in (tmp_path / "wrong", tmp_path / "missing", None):
        with pytest.raises(ConfigurationError) as caught:
            instances.open("file", secret_file=path)
        assert caught.value.key == "barrier.secret_file"
        assert "y" * 40 not in str(caught.value)


def test_another_mode_than_the_databases_is_refused(instances: Instances) -> None:
    instances.open("dev")
    with pytest.raises(ConfigurationError, match="initialised with mode dev"):
        instances.open("shamir")
    with pytest.raises(ConfigurationError, match="not one of"):
        instances.open("magic")


# -- shamir ----------------------------------------------------------------------------------------------------------


def sealed_instance(instances: Instances, shares: int = 5, threshold: int = 3) -> tuple[Barrier, bytes]:
    first = instances.open("shamir", shares=shares, threshold=threshold)
    assert not first.sealed
    value = first.encrypt(b"x", b"a")
    second = instances.open()
    assert second.sealed
    return second, value


def test_any_threshold_of_shares_opens_it(instances: Instances) -> None:
    barrier, value = sealed_instance(instances)
    shares = instances.shares()
    assert len(set(shares)) == 5
    for chosen in itertools.combinations(shares, 3):
        for given, share in enumerate(chosen, start=1):
            assert barrier.sealed
            status = barrier.unseal(share)
            assert status.progress == (given if given < 3 else 0)
        assert barrier.decrypt(value, b"a") == b"x"
        barrier.seal()


def test_one_share_of_one_is_possible(instances: Instances) -> None:
    barrier, value = sealed_instance(instances, 1, 1)
    barrier.unseal(instances.shares()[0])
    assert barrier.decrypt(value, b"a") == b"x"


def test_shares_are_shown_once_in_a_file_of_the_owner(instances: Instances) -> None:
    first = instances.open("shamir")
    path = Path(first.status().shares_file)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (first.status().threshold, first.status().shares) == (3, 5)
    path.unlink()
    assert first.status().shares_file == ""
    assert instances.open().status().shares_file == ""
    assert not list(instances.data_dir.glob("unseal*"))


def test_a_mistyped_or_repeated_share_is_told_and_the_progress_stays(instances: Instances) -> None:
    barrier, value = sealed_instance(instances)
    shares = instances.shares()
    barrier.unseal(shares[0])
    mistyped = ("A" if shares[1][10] != "A" else "B").join([shares[1][:10], shares[1][11:]])
    with pytest.raises(Fault) as caught:
        barrier.unseal(mistyped)
    assert (kind(caught), "checksum" in caught.value.public) == (FaultKind.INVALID, True)
    with pytest.raises(Fault) as caught:
        barrier.unseal(shares[0])
    assert kind(caught) is FaultKind.CONFLICT
    assert barrier.status().progress == 1
    barrier.unseal(shares[1])
    barrier.unseal(shares[2])
    assert barrier.decrypt(value, b"a") == b"x"


def test_a_share_of_another_installation_is_told(
    instances: Instances, sqlite_databases: object, tmp_path: Path
) -> None:
    barrier, _ = sealed_instance(instances)
    other = Instances(sqlite_databases.fresh(), tmp_path / "other", instances.clock)  # type: ignore[attr-defined]
    other.open("shamir")
    with pytest.raises(Fault, match="another installation"):
        barrier.unseal(other.shares()[0])
    assert barrier.status().progress == 0
    for database in other.opened:
        database.close()


def test_shares_that_do_not_fit_start_over(instances: Instances) -> None:
    """A forged share passes the checksum; only the check value of the key can tell."""
    from pycryptoutil.barrier.shares import Share, parse
    from pycryptoutil.crypto.keys import shamir_split

    barrier, value = sealed_instance(instances)
    shares = instances.shares()
    forged = [Share(parse(shares[0]).set_id, raw).text() for raw in shamir_split(b"f" * 32, 5, 3)]
    for given in (forged[:3], [shares[0], shares[1], forged[2]]):
        for share in given[:2]:
            barrier.unseal(share)
        with pytest.raises(Fault, match="do not open") as caught:
            barrier.unseal(given[2])
        assert kind(caught) is FaultKind.INVALID
        assert barrier.status().progress == 0
        assert barrier.sealed
    for share in shares[2:]:
        barrier.unseal(share)
    assert barrier.decrypt(value, b"a") == b"x"


def test_progress_can_be_forgotten_and_is_forgotten_by_sealing(instances: Instances) -> None:
    barrier, _ = sealed_instance(instances)
    shares = instances.shares()
    barrier.unseal(shares[0])
    assert barrier.reset().progress == 0
    for share in shares[:3]:
        barrier.unseal(share)
    assert not barrier.sealed
    assert barrier.unseal(shares[3]).progress == 0, "open already: nothing is collected"


def test_shares_are_in_no_representation(instances: Instances) -> None:
    barrier, _ = sealed_instance(instances)
    share = instances.shares()[0]
    barrier.unseal(share)
    shown = repr(barrier) + repr(barrier.status()) + repr(barrier._collected)
    assert share not in shown
    assert "\\x" not in shown


def test_a_threshold_over_the_shares_is_refused(instances: Instances) -> None:
    with pytest.raises(ConfigurationError):
        instances.open("shamir", shares=2, threshold=3)


# -- races -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["dev", "file", "shamir"])
def test_instances_that_start_together_make_one_set_of_keys(instances: Instances, secret_file: Path, mode: str) -> None:
    opened: list[Barrier] = []
    failures: list[BaseException] = []
    barriers = threading.Barrier(6)

    def start() -> None:
        try:
            barriers.wait(10)
            opened.append(instances.open(mode, secret_file=secret_file))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    unsealed = [barrier for barrier in opened if not barrier.sealed]
    assert len(unsealed) == (1 if mode == "shamir" else 6)
    value = unsealed[0].encrypt(b"x", b"a")
    assert {barrier.decrypt(value, b"a") for barrier in unsealed} == {b"x"}
    with instances.database.read(SYSTEM_TENANT) as reader:
        levels = sorted(reader.execute(select(barrier_keys.c.level)).scalars())
    assert levels == ["content", "intermediate", "root", "static", "unseal"]
