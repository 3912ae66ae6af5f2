"""Four hash registries for what must be recognised but never read back: passwords, client secrets, tokens.

=====================  ================================  =========================================
registry               input                             made by
=====================  ================================  =========================================
LOW_RANDOM             a password a person chose         PBKDF2-HMAC-SHA256 with a random salt
LOW_DETERMINISTIC      personal data, to look it up      PBKDF2-HMAC-SHA256 with a fixed salt
HIGH_RANDOM            256-bit secrets that we generate  HKDF with a random salt
HIGH_DETERMINISTIC     the same, to look it up           HKDF with a fixed salt
=====================  ================================  =========================================

A hash is ``{version}:{algorithm}:{params}:{salt}:{hash}``. The version names a policy below; it is verified by its own
policy for ever, and :meth:`Hasher.verify` hands back a fresh hash when the policy has moved on. The input is keyed with
the version's pepper before anything else, so a copied database is worth nothing without the barrier's secret.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pycryptoutil_protocols.faults import Fault, FaultKind

MAX_SECRET = 1024
"""Longest secret, in bytes, that is hashed: a longer one only costs time."""

_PBKDF2 = "pbkdf2-hmac-sha256"
_HKDF: Mapping[str, hashes.HashAlgorithm] = MappingProxyType(
    {
        "hkdf-sha256": hashes.SHA256(),
        "hkdf-sha384": hashes.SHA384(),
        "hkdf-sha512": hashes.SHA512(),
    }
)


class Registry(enum.Enum):
    """What kind of input, and whether equal inputs give equal hashes."""

    LOW_RANDOM = "low-random"
    LOW_DETERMINISTIC = "low-deterministic"
    HIGH_RANDOM = "high-random"
    HIGH_DETERMINISTIC = "high-deterministic"

    @property
    def deterministic(self) -> bool:
        """Tell whether equal inputs give equal hashes."""
        return self in {Registry.LOW_DETERMINISTIC, Registry.HIGH_DETERMINISTIC}

    @property
    def low_entropy(self) -> bool:
        """Tell whether the input could be guessed."""
        return self in {Registry.LOW_RANDOM, Registry.LOW_DETERMINISTIC}


class Pepper(Protocol):
    """The barrier's key for one policy version; it stays in Rust."""

    def hmac(self, algorithm: str, data: bytes) -> bytes:
        """Return HMAC with ``sha256``, ``sha384`` or ``sha512``."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How one version hashes. Lengths are in bytes."""

    version: str
    year: int
    iterations: int
    salt_length: int
    hash_length: int
    hkdf: str
    pepper_hash: str


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        policy.version: policy
        for policy in (
            Policy("v1", 2020, 600_000, 16, 32, "hkdf-sha256", "sha256"),
            Policy("v2", 2023, 600_000, 32, 32, "hkdf-sha384", "sha384"),
            Policy("v3", 2025, 700_000, 32, 32, "hkdf-sha512", "sha512"),
        )
    }
)
CURRENT = "v3"


@dataclass(frozen=True, slots=True)
class StoredHash:
    """One parsed hash. Its repr shows neither salt nor hash."""

    policy: Policy
    algorithm: str
    params: str
    salt: bytes
    digest: bytes

    def __repr__(self) -> str:
        return f"StoredHash({self.policy.version}:{self.algorithm}:{self.params})"

    def __str__(self) -> str:
        return f"{self.policy.version}:{self.algorithm}:{self.params}:{_b64(self.salt)}:{_b64(self.digest)}"

    @classmethod
    def parse(cls, text: str) -> StoredHash:
        """Read ``{version}:{algorithm}:{params}:{salt}:{hash}``; Fault(MALFORMED) for anything else."""
        parts = text.split(":")
        if len(parts) != 5 or len(text) > 512 or parts[0] not in POLICIES:
            raise Fault(FaultKind.MALFORMED, "a stored hash is not version:algorithm:params:salt:hash")
        version, algorithm, params, salt, digest = parts
        if algorithm not in _HKDF and algorithm != _PBKDF2:
            raise Fault(FaultKind.BAD_ALGORITHM, "a stored hash names an unknown algorithm")
        stored = cls(POLICIES[version], algorithm, params, _unb64(salt), _unb64(digest))
        if not stored.salt or not 16 <= len(stored.digest) <= 64:
            raise Fault(FaultKind.MALFORMED, "a stored hash has a salt or digest of impossible length")
        return stored


def looks_hashed(text: str) -> bool:
    """Tell whether ``text`` is a stored hash rather than a secret (the file realm allows either)."""
    try:
        StoredHash.parse(text)
    except Fault:
        return False
    return True


class Hasher:
    """The registries, with the installation's peppers. ``pepper(version)`` may raise Fault(SEALED)."""

    def __init__(self, pepper: Callable[[str], Pepper], *, current: str = CURRENT) -> None:
        self._pepper = pepper
        self._current = POLICIES[current]

    def hash(self, registry: Registry, secret: str | bytes, *, purpose: str, version: str = "") -> str:
        """Hash ``secret`` by the current policy (or ``version``'s). ``purpose`` separates uses of one registry.

        Fault(INVALID) for an empty secret or one over MAX_SECRET bytes.
        """
        policy = POLICIES[version] if version else self._current
        value = _bytes(secret)
        if not value or len(value) > MAX_SECRET:
            raise Fault(FaultKind.INVALID, "secret to hash is empty or too long", f"between 1 and {MAX_SECRET} bytes")
        return str(self._make(policy, registry, value, purpose, None))

    def verify(self, registry: Registry, secret: str | bytes, stored: str, *, purpose: str) -> str | None:
        """Check ``secret`` against ``stored`` in constant time.

        Return None, or a new hash to be stored when the policy has moved on. Fault(UNAUTHENTICATED) if it differs.
        """
        known = StoredHash.parse(stored)
        value = _bytes(secret)
        if not value or len(value) > MAX_SECRET:
            raise Fault(FaultKind.UNAUTHENTICATED, "secret is empty or too long")
        if (known.algorithm == _PBKDF2) != registry.low_entropy:
            raise Fault(FaultKind.BAD_ALGORITHM, f"stored hash is not of registry {registry.value}")
        made = self._make(known.policy, registry, value, purpose, known)
        if not hmac.compare_digest(made.digest, known.digest):
            raise Fault(FaultKind.UNAUTHENTICATED, "secret does not match")
        if known.policy is not self._current:
            return self.hash(registry, value, purpose=purpose)
        return None

    def lookups(self, registry: Registry, secret: str | bytes, *, purpose: str) -> Iterator[str]:
        """Yield what a deterministic registry may have stored for ``secret``: by the current policy, then older ones.

        Each is computed when it is asked for: the first one nearly always is the last one needed.
        """
        if not registry.deterministic:
            raise ValueError("only a deterministic registry can be looked up")
        value = _bytes(secret)
        if not value or len(value) > MAX_SECRET:
            return
        policies = (self._current, *(one for one in reversed(tuple(POLICIES.values())) if one is not self._current))
        for policy in policies:
            yield str(self._make(policy, registry, value, purpose, None))

    def waste(self, secret: str | bytes) -> None:
        """Spend what verifying a password costs, so that an unknown user takes as long as a known one."""
        value = _bytes(secret)[:MAX_SECRET]
        self._make(self._current, Registry.LOW_RANDOM, value, "password", None)

    def _make(
        self, policy: Policy, registry: Registry, value: bytes, purpose: str, known: StoredHash | None
    ) -> StoredHash:
        pepper = self._pepper(policy.version)
        label = f"{registry.value}:{purpose}".encode()
        keyed = pepper.hmac(policy.pepper_hash, len(label).to_bytes(2, "big") + label + value)
        if known is not None:
            salt = known.salt
        elif registry.deterministic:
            salt = pepper.hmac("sha256", b"fixed-salt:" + label)[: policy.salt_length]
        else:
            salt = secrets.token_bytes(policy.salt_length)
        if registry.low_entropy:
            iterations = policy.iterations if known is None else _iterations(known)
            digest = hashlib.pbkdf2_hmac("sha256", keyed, salt, iterations, policy.hash_length)
            return StoredHash(policy, _PBKDF2, f"i={iterations}", salt, digest)
        name = policy.hkdf if known is None else known.algorithm
        digest = HKDF(_HKDF[name], policy.hash_length, salt, label).derive(keyed)
        return StoredHash(policy, name, f"l={policy.hash_length}", salt, digest)


def _iterations(known: StoredHash) -> int:
    """The stored count, never below the approved floor and never so high that a row could stop a worker."""
    digits = known.params.removeprefix("i=")
    if not digits.isascii() or not digits.isdigit() or not 600_000 <= int(digits) <= 10_000_000:
        raise Fault(FaultKind.MALFORMED, "a stored hash has an iteration count out of range")
    return int(digits)


def _bytes(secret: str | bytes) -> bytes:
    return secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Fault(FaultKind.MALFORMED, "a stored hash is not base64url") from error
