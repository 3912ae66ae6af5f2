"""The four hash registries and their policies."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.service import hashing
from pycryptoutil.service.hashing import CURRENT, POLICIES, Hasher, Registry, StoredHash, looks_hashed


class Pepper:
    def __init__(self, key: bytes) -> None:
        self.key = key

    def hmac(self, algorithm: str, data: bytes) -> bytes:
        return hmac.digest(self.key, data, algorithm)


def hasher(key: bytes = b"pepper", current: str = CURRENT) -> Hasher:
    return Hasher(lambda version: Pepper(key + version.encode()), current=current)


@pytest.mark.parametrize("registry", Registry)
def test_right_verifies_and_wrong_raises(registry: Registry) -> None:
    one = hasher()
    stored = one.hash(registry, "secret", purpose="p")
    assert one.verify(registry, "secret", stored, purpose="p") is None
    assert one.verify(registry, b"secret", stored, purpose="p") is None
    for wrong in ("Secret", "secret ", "", "x" * 2000):
        with pytest.raises(Fault) as caught:
            one.verify(registry, wrong, stored, purpose="p")
        assert caught.value.kind is FaultKind.UNAUTHENTICATED


@pytest.mark.parametrize("registry", Registry)
def test_format(registry: Registry) -> None:
    version, algorithm, params, salt, digest = hasher().hash(registry, "secret", purpose="p").split(":")
    assert version == "v3"
    assert algorithm == ("pbkdf2-hmac-sha256" if registry.low_entropy else "hkdf-sha512")
    assert params == ("i=700000" if registry.low_entropy else "l=32")
    assert len(salt) == len(digest) == 43


@pytest.mark.parametrize("registry", Registry)
def test_equal_inputs_are_equal_only_where_that_is_wanted(registry: Registry) -> None:
    one = hasher()
    same = one.hash(registry, "secret", purpose="p") == one.hash(registry, "secret", purpose="p")
    assert same is registry.deterministic
    assert one.hash(registry, "secret", purpose="p") != one.hash(registry, "secret", purpose="q")


@pytest.mark.parametrize("registry", Registry)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_old_version_verifies_by_its_own_policy_and_is_made_anew(registry: Registry, version: str) -> None:
    stored = hasher(current=version).hash(registry, "secret", purpose="p")
    assert stored.startswith(f"{version}:")
    fresh = hasher().verify(registry, "secret", stored, purpose="p")
    assert fresh is not None
    assert fresh.startswith("v3:")
    assert hasher().verify(registry, "secret", fresh, purpose="p") is None
    with pytest.raises(Fault):
        hasher().verify(registry, "wrong", stored, purpose="p")


@pytest.mark.parametrize("registry", Registry)
def test_another_pepper_verifies_nothing(registry: Registry) -> None:
    stored = hasher().hash(registry, "secret", purpose="p")
    with pytest.raises(Fault):
        hasher(b"other").verify(registry, "secret", stored, purpose="p")


def test_a_hash_of_one_registry_is_not_verified_by_another_kind() -> None:
    stored = hasher().hash(Registry.HIGH_RANDOM, "secret", purpose="p")
    with pytest.raises(Fault) as caught:
        hasher().verify(Registry.LOW_RANDOM, "secret", stored, purpose="p")
    assert caught.value.kind is FaultKind.BAD_ALGORITHM


def test_lookups_yield_every_version_newest_first() -> None:
    found = list(hasher().lookups(Registry.HIGH_DETERMINISTIC, "secret", purpose="p"))
    assert [one.partition(":")[0] for one in found] == ["v3", "v2", "v1"]
    old = hasher(current="v1").hash(Registry.HIGH_DETERMINISTIC, "secret", purpose="p")
    assert old in found
    with pytest.raises(ValueError, match="deterministic"):
        list(hasher().lookups(Registry.HIGH_RANDOM, "secret", purpose="p"))


@pytest.mark.parametrize("secret", ["", "x" * 1025, "é" * 513])
def test_what_cannot_be_hashed(secret: str) -> None:
    with pytest.raises(Fault) as caught:
        hasher().hash(Registry.HIGH_RANDOM, secret, purpose="p")
    assert caught.value.kind is FaultKind.INVALID


GOOD = hasher().hash(Registry.HIGH_RANDOM, "secret", purpose="p")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":::::",
        "v9" + GOOD[2:],
        GOOD + ":x",
        GOOD.replace("hkdf-sha512", "md5"),
        GOOD.replace("hkdf-sha512", "bcrypt"),
        GOOD[:-30],
        GOOD[:-1] + "!",
        "v3:hkdf-sha512:l=32::" + GOOD.rpartition(":")[2],
        "v3:hkdf-sha512:l=32:" + "A" * 600 + ":" + GOOD.rpartition(":")[2],
    ],
)
def test_a_broken_stored_hash_is_a_fault(text: str) -> None:
    assert not looks_hashed(text)
    with pytest.raises(Fault):
        hasher().verify(Registry.HIGH_RANDOM, "secret", text, purpose="p")


@pytest.mark.parametrize("params", ["i=1", "i=599999", "i=10000001", "i=-700000", "i=٧٠٠٠٠٠", "i=", "700000x", "i=1e6"])
def test_an_iteration_count_out_of_range_is_a_fault(params: str) -> None:
    stored = hasher().hash(Registry.LOW_RANDOM, "secret", purpose="p").replace("i=700000", params)
    with pytest.raises(Fault) as caught:
        hasher().verify(Registry.LOW_RANDOM, "secret", stored, purpose="p")
    assert caught.value.kind is FaultKind.MALFORMED


@given(st.text(max_size=300))
def test_parsing_never_raises_anything_else(text: str) -> None:
    try:
        parsed = StoredHash.parse(text)
    except Fault:
        return
    assert StoredHash.parse(str(parsed)) == parsed


def test_repr_shows_neither_salt_nor_hash() -> None:
    stored = StoredHash.parse(GOOD)
    assert GOOD.split(":")[3] not in repr(stored)
    assert GOOD.split(":")[4] not in repr(stored)


def test_policies_are_as_approved() -> None:
    assert {policy.version: policy.year for policy in POLICIES.values()} == {"v1": 2020, "v2": 2023, "v3": 2025}
    assert all(policy.iterations >= 600_000 and policy.salt_length >= 16 for policy in POLICIES.values())


def test_dear_pbkdf2_is_the_standard_one() -> None:
    stored = StoredHash.parse(hasher().hash(Registry.LOW_RANDOM, "secret", purpose="p"))
    label = b"low-random:p"
    keyed = hmac.digest(b"pepperv3", len(label).to_bytes(2, "big") + label + b"secret", "sha512")
    assert hashlib.pbkdf2_hmac("sha256", keyed, stored.salt, 700_000, 32) == stored.digest


def test_module_has_no_weak_algorithm() -> None:
    assert set(hashing._HKDF) == {"hkdf-sha256", "hkdf-sha384", "hkdf-sha512"}
