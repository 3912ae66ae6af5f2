"""A CA's life with its keys in a token: a new key for it, a new key given up, an online CA below an offline root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import IssueOrder, store
from pycryptoutil.authority.lifecycle import ceremony, offline, rollover
from pycryptoutil.authority.lifecycle.ceremony import SignOrder
from pycryptoutil.authority.lifecycle.offline import InstallOrder, RequestOrder
from pycryptoutil.authority.lifecycle.rollover import RolloverOrder
from pycryptoutil.crypto.pkcs11 import TokenKey
from tests.support.authority import TENANT, World, csr, open_world
from tests.support.databases import Databases
from tests.support.hsm import SoftHsm
from tests.unit.hsm.test_authority import settings
from tests.unit.hsm.test_ceremony import LATER, NOW, ORDER

WHO = "user:tester"


@pytest.fixture
def world(hsm: SoftHsm, sqlite_databases: Databases, tmp_path: Path) -> Iterator[World]:
    with open_world(sqlite_databases.fresh(("pycryptoutil.authority",)), tmp_path, settings(hsm, hsm.make())) as opened:
        yield opened


def keys(world: World, hsm: SoftHsm) -> int:
    return len(hsm.token(world.settings.hsm.token).status().keys)


def issued(world: World, authority: str = "") -> x509.Certificate:
    order = IssueOrder(authority, csr=csr("a.example.com"))
    return x509.load_der_x509_certificate(world.service.issue(TENANT, order, WHO).der)


def test_a_new_key_in_the_token(world: World, hsm: SoftHsm) -> None:
    room = world.service.room
    before, old = (
        keys(world, hsm),
        x509.load_der_x509_certificate(world.service.authority(TENANT, "issuing").certificate),
    )
    rollover.prepare(room, TENANT, "issuing", RolloverOrder(), WHO)
    assert keys(world, hsm) > before
    issued(world).verify_directly_issued_by(old)
    rollover.activate(room, TENANT, "issuing", WHO)
    new = x509.load_der_x509_certificate(world.service.authority(TENANT, "issuing").certificate)
    assert new.public_key() != old.public_key()
    issued(world).verify_directly_issued_by(new)


def test_no_new_key_while_the_token_is_away(world: World, hsm: SoftHsm) -> None:
    before = keys(world, hsm)
    with hsm.away(), pytest.raises(Fault) as caught:
        rollover.prepare(world.service.room, TENANT, "issuing", RolloverOrder(), WHO)
    assert caught.value.kind is FaultKind.UNAVAILABLE
    hsm.restart()
    assert keys(world, hsm) == before
    assert not rollover.listing(world.service.room, TENANT, "issuing")


def test_an_online_ca_below_an_offline_root(world: World, hsm: SoftHsm, tmp_path: Path) -> None:
    room, folder = world.service.room, tmp_path / "ceremony"
    made, shares = ceremony.initialise(folder, ORDER, NOW)
    asked = offline.create(room, TENANT, RequestOrder("online", "CN=Online,O=Example"), WHO)
    signed = ceremony.sign_csr(folder, SignOrder(asked.csr), [one.text for one in shares[:2]], LATER)
    world.clock.advance(300)
    offline.install(room, TENANT, InstallOrder("offline-root", made.der, (signed.der,), None), WHO)
    with world.database.read(TENANT) as reader:
        row = store.authority_by_name(reader, "online")
    assert row is not None
    assert isinstance(room.keys.open(row), TokenKey)
    issued(world, "online").verify_directly_issued_by(x509.load_der_x509_certificate(signed.der))
