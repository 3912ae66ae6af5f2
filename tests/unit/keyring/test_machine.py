"""Two replicas, any order of what administrators do: what is revoked never works again, and numbers never go down."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import jose
from pycryptoutil.keyring import KeyringService, Operation, VersionStatus
from tests.support.databases import Databases
from tests.support.keyring import PACKAGES, TENANT, World, open_world

WHO = "user:alice"
NUMBER = st.integers(1, 6)
SIDE = st.booleans()
EXPECTED = (FaultKind.CONFLICT, FaultKind.NOT_FOUND)


class Replicas(RuleBasedStateMachine):
    """One key, two replicas, a model of what must hold."""

    template: str

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.ended: set[int] = set()
        self.latest = 1
        self.uses: dict[int, int] = {}

    @initialize()
    def open(self) -> None:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        shutil.copyfile(self.template, folder / "test.db")
        self.world: World = self._stack.enter_context(open_world(f"sqlite:///{folder / 'test.db'}", folder))
        self.world.make("one")
        recovery = jose.generate("X25519", alg="ECDH-ES+A256KW")
        assert isinstance(recovery, jose.JwkPrivate)
        self.recovery = recovery
        self.saved = self.world.keys.backup(TENANT, "one", recovery.public, WHO)

    def teardown(self) -> None:
        self._stack.close()

    def at(self, side: bool) -> KeyringService:
        return self.world.other if side else self.world.keys

    def quietly(self, call: object, *arguments: object) -> bool:
        try:
            call(TENANT, "one", *arguments)  # type: ignore[operator]
        except Fault as fault:
            if fault.kind not in EXPECTED:
                raise
            return False
        return True

    @rule(side=SIDE)
    def rotate(self, side: bool) -> None:
        if self.quietly(self.at(side).rotate, WHO):
            self.latest = max(self.latest, self.at(side).get(TENANT, "one").latest_version)

    @rule(side=SIDE, number=NUMBER)
    def revoke(self, side: bool, number: int) -> None:
        if self.quietly(self.at(side).revoke, number, WHO):
            self.ended.add(number)

    @rule(side=SIDE, number=NUMBER)
    def destroy(self, side: bool, number: int) -> None:
        if self.quietly(self.at(side).destroy_version, number, WHO):
            self.ended.add(number)

    @rule(side=SIDE, number=NUMBER)
    def disable(self, side: bool, number: int) -> None:
        self.quietly(self.at(side).disable_version, number, WHO)

    @rule(side=SIDE, number=NUMBER)
    def enable(self, side: bool, number: int) -> None:
        self.quietly(self.at(side).enable_version, number, WHO)

    @rule(side=SIDE, number=NUMBER)
    def prepare_and_activate(self, side: bool, number: int) -> None:
        self.quietly(self.at(side).prepare_next, WHO)
        self.latest = max(self.latest, self.at(side).get(TENANT, "one").latest_version)
        self.quietly(self.at(not side).activate, number, WHO)

    @rule(side=SIDE)
    def switch_key(self, side: bool) -> None:
        self.quietly(self.at(side).disable, WHO)
        self.quietly(self.at(not side).enable, WHO)

    @rule(side=SIDE)
    def back_up(self, side: bool) -> None:
        self.saved = self.at(side).backup(TENANT, "one", self.recovery.public, WHO)

    @rule(side=SIDE)
    def restore(self, side: bool) -> None:
        keys = self.at(side)
        wrap = keys.import_key(TENANT, "", "ECDH-ES+A256KW", WHO)
        document = jose.decrypt(self.recovery, self.saved).plaintext
        keys.restore_backup(TENANT, wrap.id, jose.encrypt(wrap.public, document), WHO)

    @rule(side=SIDE)
    def rotate_root(self, side: bool) -> None:
        self.at(side).rotate_root(TENANT, WHO)

    @rule(side=SIDE, number=NUMBER, operation=st.sampled_from([Operation.ENCRYPT, Operation.DECRYPT]))
    def use(self, side: bool, number: int, operation: Operation) -> None:
        try:
            used = self.at(side).use(TENANT, "one", operation, number)
        except Fault as fault:
            if fault.kind not in EXPECTED:
                raise
            return
        assert number not in self.ended
        assert used.version.status in (VersionStatus.ACTIVE, VersionStatus.RETIRED)
        self.uses[number] = self.uses.get(number, 0) + 1

    @rule(side=SIDE)
    def flush(self, side: bool) -> None:
        self.at(side).flush()

    @invariant()
    def what_is_ended_never_works(self) -> None:
        for number in self.ended:
            for side in (False, True):
                for operation in (Operation.ENCRYPT, Operation.DECRYPT):
                    with pytest.raises(Fault):
                        self.at(side).use(TENANT, "one", operation, number)

    @invariant()
    def numbers_never_go_down(self) -> None:
        key = self.world.keys.get(TENANT, "one")
        assert key.latest_version >= self.latest
        versions = self.world.other.versions(TENANT, "one")
        assert [one.version for one in versions] == list(range(1, key.latest_version + 1))
        assert sum(one.status is VersionStatus.ACTIVE for one in versions) <= 1

    @invariant()
    def counters_never_go_down(self) -> None:
        self.world.keys.flush()
        self.world.other.flush()
        for version in self.world.keys.versions(TENANT, "one"):
            counted = version.usage.protected + version.usage.processed
            assert counted >= self.uses.get(version.version, 0)


def test_what_is_revoked_never_works_again(sqlite_databases: Databases) -> None:
    Replicas.template = sqlite_databases.fresh(PACKAGES).removeprefix("sqlite:///")
    run_state_machine_as_test(
        Replicas,
        settings=settings(
            max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
