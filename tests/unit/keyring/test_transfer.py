"""Import, export, quorum, backup and restore of the keyring."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import jose
from pycryptoutil.jose.text import b64e, dumps
from pycryptoutil.keyring import (
    ApprovalState,
    Asked,
    KeyPatch,
    KeyPolicy,
    KeyStatus,
    Operation,
    Purpose,
    VersionStatus,
)
from tests.support.databases import Databases
from tests.support.keyring import OTHER_TENANT, PACKAGES, TENANT, World, open_world

WHO = "user:alice"
KINDS = [
    (Purpose.SIGN, "ES256", "EC-P256"),
    (Purpose.SIGN, "Ed448", "Ed448"),
    (Purpose.SIGN, "ML-DSA-44", "ML-DSA-44"),
    (Purpose.SIGN, "RS256/RSA-2048", "RSA-2048"),
    (Purpose.ENCRYPT, "ECDH-ES+A256KW/X25519", "X25519"),
    (Purpose.ENCRYPT, "A256GCM", "A256GCM"),
    (Purpose.MAC, "HS512", "HS512"),
    (Purpose.DERIVE, "HKDF-SHA256", "A256KW"),
]


def refused(kind: FaultKind) -> pytest.RaisesExc[Fault]:
    """Expect a fault of this kind."""
    return pytest.RaisesExc(Fault, check=lambda fault: fault.kind is kind)


@pytest.fixture(scope="module")
def mine() -> jose.JwkPrivate:
    """The caller's own key."""
    made = jose.generate("EC-P256", alg="ECDH-ES+A256KW")
    assert isinstance(made, jose.JwkPrivate)
    return made


@pytest.fixture
def elsewhere(databases: Databases, tmp_path: Path) -> Iterator[World]:
    """An empty installation, with another barrier."""
    with open_world(databases.fresh(PACKAGES), tmp_path / "elsewhere") as opened:
        yield opened


def bring(world: World, name: str, document: bytes, alg: str = "ECDH-ES+A256KW") -> int:
    key = world.keys.import_key(TENANT, name, alg, WHO)
    return world.other.import_version(TENANT, name, key.id, jose.encrypt(key.public, document), WHO).version


@pytest.mark.parametrize(("purpose", "algorithm", "kind"), KINDS, ids=[one[1] for one in KINDS])
def test_a_key_is_imported_and_exported_whole(
    world: World, mine: jose.JwkPrivate, purpose: Purpose, algorithm: str, kind: str
) -> None:
    world.make("own", purpose, algorithm=algorithm, import_allowed=True, export_allowed=True, generate=False)
    made = jose.generate(kind)
    members = made.export()
    if members["kty"] != "AKP":  # whose alg says what key it is
        members.pop("alg", None)
    assert bring(world, "own", dumps(members)) == 1
    token = world.keys.export_version(TENANT, "own", 1, mine.public, WHO)
    exported = jose.parse(jose.decrypt(mine, token).plaintext)
    secret = {"d", "k", "priv", "p"}
    got: Any = exported.export()  # type: ignore[union-attr]
    assert {name: got[name] for name in secret & set(got)} == {name: members[name] for name in secret & set(members)}
    assert world.keys.version(TENANT, "own", 1).origin == "imported"


@pytest.mark.parametrize("alg", ["RSA-OAEP-256", "ECDH-ES+A256KW", "ML-KEM-768+A192KW", "ML-KEM-1024+A256KW"])
def test_an_import_key_serves_once_within_the_hour(light: World, alg: str) -> None:
    light.make(import_allowed=True)
    document = dumps({"kty": "oct", "k": b64e(bytes(range(32)))})
    key = light.keys.import_key(TENANT, "invoices", alg, WHO)
    wrapped = jose.encrypt(key.public, document)
    assert light.keys.import_version(TENANT, "invoices", key.id, wrapped, WHO).version == 2
    with refused(FaultKind.NOT_FOUND):
        light.keys.import_version(TENANT, "invoices", key.id, wrapped, WHO)
    late = light.keys.import_key(TENANT, "invoices", alg, WHO)
    light.clock.advance(3600)
    with refused(FaultKind.EXPIRED):
        light.keys.import_version(TENANT, "invoices", late.id, jose.encrypt(late.public, document), WHO)


def test_what_is_no_fitting_key_is_not_imported(light: World) -> None:
    light.make("mac", Purpose.MAC, import_allowed=True)
    light.make("signing", Purpose.SIGN, import_allowed=True)
    light.make("closed", Purpose.SIGN)
    with refused(FaultKind.FORBIDDEN):
        light.keys.import_key(TENANT, "closed", "RSA-OAEP-256", WHO)
    with refused(FaultKind.BAD_ALGORITHM):
        light.keys.import_key(TENANT, "mac", "RSA1_5", WHO)
    p256, p384 = (jose.generate(kind).export() for kind in ("EC-P256", "EC-P384"))
    other = jose.generate("EC-P256").export()
    mixed = {**p256, "d": other["d"]}
    public = {name: value for name, value in p256.items() if name != "d"}
    cases = [
        ("mac", dumps({"kty": "oct", "k": b64e(b"short")}), FaultKind.INVALID),
        ("mac", dumps(p256), FaultKind.INVALID),
        ("signing", dumps(p384), FaultKind.INVALID),
        ("signing", dumps(mixed), FaultKind.MALFORMED),
        ("signing", dumps(public), FaultKind.INVALID),
        ("signing", b"{", FaultKind.MALFORMED),
        ("signing", b"\x30\x00", FaultKind.MALFORMED),
    ]
    for name, document, kind in cases:
        with refused(kind):
            bring(light, name, document)
    good = light.keys.import_key(TENANT, "signing", "ECDH-ES+A256KW", WHO)
    with refused(FaultKind.NOT_FOUND):  # an import key is one key's
        light.keys.import_version(TENANT, "mac", good.id, jose.encrypt(good.public, dumps(p256)), WHO)
    with refused(FaultKind.NOT_FOUND):
        light.keys.import_version(OTHER_TENANT, "signing", good.id, jose.encrypt(good.public, dumps(p256)), WHO)
    stranger = jose.generate("EC-P256", alg="ECDH-ES+A256KW", kid=good.id)
    assert isinstance(stranger, jose.JwkPrivate)
    with refused(FaultKind.BAD_SIGNATURE):
        light.keys.import_version(TENANT, "signing", good.id, jose.encrypt(stranger.public, dumps(p256)), WHO)
    assert [one.version for one in light.keys.versions(TENANT, "signing")] == [1]


def test_export_is_the_policys_to_allow(light: World, mine: jose.JwkPrivate) -> None:
    light.make("closed")
    with refused(FaultKind.FORBIDDEN):
        light.keys.export_version(TENANT, "closed", 1, mine.public, WHO)
    light.make("open", export_allowed=True)
    light.keys.export_version(TENANT, "open", 1, mine.public, WHO)
    signing = jose.generate("Ed25519")
    assert isinstance(signing, jose.JwkPrivate)
    with refused(FaultKind.INVALID):
        light.keys.export_version(TENANT, "open", 1, signing.public, WHO)
    light.keys.revoke(TENANT, "open", 1, WHO)
    with refused(FaultKind.CONFLICT):
        light.keys.export_version(TENANT, "open", 1, mine.public, WHO)


# -- quorum ------------------------------------------------------------------------------------------------------------


def approved(world: World, asked: Asked, *voters: str, by: str = WHO) -> str:
    approval = world.keys.request_approval(TENANT, "vault", asked, by)
    for voter in voters:
        world.other.approve(TENANT, approval.id, voter)
    return approval.id


def test_nobody_destroys_alone(world: World) -> None:
    world.make("vault", quorum=2)
    destroy = Asked("destroy")
    with refused(FaultKind.FORBIDDEN):
        world.keys.delete(TENANT, "vault", WHO)  # what is deleted is destroyed in the end
    asked = world.keys.request_approval(TENANT, "vault", destroy, WHO)
    with refused(FaultKind.FORBIDDEN):
        world.keys.approve(TENANT, asked.id, WHO)
    assert world.keys.approve(TENANT, asked.id, "user:bob").state is ApprovalState.PENDING
    with refused(FaultKind.CONFLICT):
        world.other.approve(TENANT, asked.id, "user:bob")
    world.keys.disable(TENANT, "vault", WHO)
    with refused(FaultKind.FORBIDDEN):
        world.keys.destroy(TENANT, "vault", WHO, approval_id=asked.id)
    assert world.other.approve(TENANT, asked.id, "user:carol").state is ApprovalState.APPROVED
    assert world.keys.destroy(TENANT, "vault", WHO, approval_id=asked.id).status is KeyStatus.DESTROYED
    assert world.keys.approval(TENANT, asked.id).state is ApprovalState.DONE
    with refused(FaultKind.NOT_FOUND):
        world.keys.approval(OTHER_TENANT, asked.id)


def test_an_approval_is_for_one_thing_once(light: World, mine: jose.JwkPrivate) -> None:
    light.make("vault", quorum=1, export_allowed=True)
    light.keys.rotate(TENANT, "vault", WHO)
    to = mine.public.thumbprint()
    export = approved(light, Asked("export", 1, to), "user:bob")
    other = jose.generate("X25519", alg="ECDH-ES+A256KW")
    assert isinstance(other, jose.JwkPrivate)
    for call in (
        lambda: light.keys.export_version(TENANT, "vault", 2, mine.public, WHO, approval_id=export),
        lambda: light.keys.export_version(TENANT, "vault", 1, other.public, WHO, approval_id=export),
        lambda: light.keys.destroy_version(TENANT, "vault", 1, WHO, approval_id=export),
        lambda: light.keys.backup(TENANT, "vault", mine.public, WHO, approval_id=export),
        lambda: light.keys.export_version(TENANT, "vault", 1, mine.public, WHO),
        lambda: light.keys.export_version(TENANT, "vault", 1, mine.public, WHO, approval_id="x"),
    ):
        with refused(FaultKind.FORBIDDEN):
            call()
    light.keys.export_version(TENANT, "vault", 1, mine.public, WHO, approval_id=export)
    with refused(FaultKind.FORBIDDEN):
        light.keys.export_version(TENANT, "vault", 1, mine.public, WHO, approval_id=export)


def test_requests_end(light: World) -> None:
    light.make("vault", quorum=1)
    rejected = approved(light, Asked("destroy"), "user:bob")
    assert light.keys.reject(TENANT, rejected, "user:carol").state is ApprovalState.REJECTED
    late = approved(light, Asked("destroy"), "user:bob")
    grown = approved(light, Asked("destroy"), "user:bob")
    light.keys.update(TENANT, "vault", KeyPatch(policy=KeyPolicy(quorum=2)), WHO)
    light.keys.disable(TENANT, "vault", WHO)
    for approval in (rejected, grown):
        with refused(FaultKind.FORBIDDEN):
            light.keys.destroy(TENANT, "vault", WHO, approval_id=approval)
    light.clock.advance(timedelta(days=7).total_seconds())
    with refused(FaultKind.FORBIDDEN):
        light.keys.destroy(TENANT, "vault", WHO, approval_id=late)
    with refused(FaultKind.INVALID):
        light.keys.update(TENANT, "vault", KeyPatch(policy=KeyPolicy(quorum=0)), WHO)
    assert len(light.keys.approvals(TENANT, "vault")) == len(light.keys.approvals(TENANT)) == 3
    assert light.keys.approvals(OTHER_TENANT) == []


# -- backup ------------------------------------------------------------------------------------------------------------


def back(world: World, key: jose.JwkPrivate, saved: str, change: Any = None) -> Any:
    document = json.loads(jose.decrypt(key, saved).plaintext)
    document["keys"].sort(key=lambda one: one["name"])
    if change is not None:
        change(document)
    wrap = world.keys.import_key(TENANT, "", "ECDH-ES+A256KW", WHO)
    return world.keys.restore_backup(TENANT, wrap.id, jose.encrypt(wrap.public, dumps(document)), WHO)


def test_a_tenant_comes_back_on_an_empty_database(world: World, elsewhere: World, mine: jose.JwkPrivate) -> None:
    for purpose, algorithm, _ in KINDS:
        world.make(f"{purpose.value}-{algorithm.replace('/', '-')}", purpose, algorithm=algorithm)
    world.make("rotated", labels={"team": "red"}, rotation_period=3600)
    world.keys.rotate(TENANT, "rotated", WHO)
    world.keys.rotate(TENANT, "rotated", WHO)
    world.keys.revoke(TENANT, "rotated", 1, WHO, reason="leaked")
    world.keys.destroy_version(TENANT, "rotated", 2, WHO)
    world.keys.use(TENANT, "rotated", Operation.ENCRYPT, times=7)
    plain = jose.encrypt(world.keys.use(TENANT, "encrypt-A256GCM", Operation.ENCRYPT).jwk, b"hello")
    saved = world.keys.backup(TENANT, "", mine.public, WHO)
    done = back(elsewhere, mine, saved)
    assert (len(done.keys), done.versions, done.kept) == (len(KINDS) + 1, len(KINDS) + 3, 0)
    for key in world.keys.list(TENANT).items:
        assert elsewhere.keys.get(TENANT, key.id).policy == key.policy
        for one, two in zip(world.keys.versions(TENANT, key.id), elsewhere.keys.versions(TENANT, key.id), strict=True):
            assert (one.kid, one.status, one.public, one.usage) == (two.kid, two.status, two.public, two.usage)
    opener = elsewhere.other.use(TENANT, "encrypt-A256GCM", Operation.DECRYPT, 1)
    assert jose.decrypt(opener.jwk, plain).plaintext == b"hello"
    with refused(FaultKind.CONFLICT):
        elsewhere.keys.use(TENANT, "rotated", Operation.DECRYPT, 1)
    assert elsewhere.keys.rotate(TENANT, "rotated", WHO).version == 4
    again = back(elsewhere, mine, saved)
    assert (again.versions, again.kept) == (0, len(KINDS) + 3)


def test_a_restore_overrules_nothing(world: World, mine: jose.JwkPrivate) -> None:
    world.make()
    saved = world.keys.backup(TENANT, "invoices", mine.public, WHO)
    world.keys.use(TENANT, "invoices", Operation.ENCRYPT, times=5)
    world.keys.rotate(TENANT, "invoices", WHO)
    world.keys.revoke(TENANT, "invoices", 1, WHO)
    world.keys.rotate(TENANT, "invoices", WHO)
    assert back(world, mine, saved).kept == 1
    after = world.keys.get(TENANT, "invoices")
    assert (after.latest_version, after.active_version) == (3, 3)
    assert world.keys.version(TENANT, "invoices", 1).status is VersionStatus.REVOKED
    assert world.keys.version(TENANT, "invoices", 1).usage.protected == 5
    with refused(FaultKind.CONFLICT):
        world.other.use(TENANT, "invoices", Operation.DECRYPT, 1)
    world.keys.disable(TENANT, "invoices", WHO)
    world.keys.destroy(TENANT, "invoices", WHO)
    with refused(FaultKind.CONFLICT):
        back(world, mine, saved)


def test_backups_that_are_none_are_refused_whole(light: World, elsewhere: World, mine: jose.JwkPrivate) -> None:
    light.make()
    light.make("second", Purpose.SIGN)
    saved = light.keys.backup(TENANT, "", mine.public, WHO)
    changes: list[Any] = [
        lambda d: d.update(format="x"),
        lambda d: d.update(owner="jose-ja"),
        lambda d: d.pop("keys"),
        lambda d: d["keys"][0].update(name="a/b"),
        lambda d: d["keys"][0].update(active_version=9),
        lambda d: d["keys"][0]["versions"][0].update(version=2),
        lambda d: d["keys"][0]["versions"].append(d["keys"][0]["versions"][0]),
        lambda d: d["keys"][1]["versions"][0].update(public_key=b64e(b"x")),
        lambda d: d["keys"][0]["versions"][0].update(public_key=d["keys"][1]["versions"][0]["public_key"]),
        lambda d: d["keys"][0]["versions"][0].update(k="AAAA"),
        lambda d: d["keys"][1].update(algorithm="ES384"),
        lambda d: d["keys"][1]["versions"][0].pop("pkcs8"),
        lambda d: d["keys"][0].update(created_at="yesterday"),
        lambda d: d["keys"][0].update(id="../../x"),
    ]
    for change in changes:
        with pytest.raises(Fault):
            back(elsewhere, mine, saved, change)
    assert elsewhere.keys.list(TENANT).total == 0
    back(elsewhere, mine, saved)
