"""What an elastic key can be: a purpose, a JOSE algorithm, and the kind of key behind it.

A name is the JOSE algorithm, with the kind of key after a slash where there are several: ``ES256``, ``A256GCM``,
``RS256/RSA-4096``, ``ECDH-ES+A256KW/X25519``. Without it, the first one listed is meant.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import jose as policy


class Purpose(enum.StrEnum):
    """One elastic key does one thing."""

    ENCRYPT = "encrypt"
    SIGN = "sign"
    MAC = "mac"
    WRAP = "wrap"
    DERIVE = "derive"
    ENCAPSULATE = "encapsulate"


@dataclass(frozen=True, slots=True)
class Spec:
    """A name of the catalogue, resolved."""

    name: str
    alg: str  # of JOSE, or A256SIV, HKDF-SHA256, ECDH, ML-KEM-768 …
    key: str  # the core's algorithm, or "oct"
    octets: int  # of a symmetric key
    purposes: frozenset[Purpose]

    @property
    def symmetric(self) -> bool:
        """Whether the key is a secret, without a public half."""
        return self.key == "oct"


_RSA: Final = ("RSA-3072", "RSA-2048", "RSA-4096")
_SIGNERS: Final[dict[str, tuple[str, ...]]] = {
    **{f"{kind}{size}": _RSA for kind in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": ("EC-P256",),
    "ES384": ("EC-P384",),
    "ES512": ("EC-P521",),
    "EdDSA": ("Ed25519", "Ed448"),
    "Ed25519": ("Ed25519",),
    "Ed448": ("Ed448",),
    **{name: (name,) for name in ("ML-DSA-44", "ML-DSA-65", "ML-DSA-87")},
}
_AGREEMENT: Final = ("EC-P256", "EC-P384", "EC-P521", "X25519")
_RECEIVERS: Final[dict[str, tuple[str, ...]]] = {
    **{f"RSA-OAEP-{size}": _RSA for size in (256, 384, 512)},
    **{f"ECDH-ES{suffix}": _AGREEMENT for suffix in ("", "+A128KW", "+A192KW", "+A256KW")},
    **{alg.value: (alg.partition("+")[0],) for alg in policy.JweAlgorithm if alg.startswith("ML-KEM")},
}
_HKDFS: Final = {"HKDF-SHA256": 32, "HKDF-SHA384": 48, "HKDF-SHA512": 64}
_BOTH: Final = frozenset({Purpose.ENCRYPT, Purpose.WRAP})


def _kinds(alg: str, purpose: Purpose) -> tuple[tuple[str, ...], int, frozenset[Purpose]]:
    """Return the kinds of key for an alg, the octets of a secret, and what it may be for."""
    if purpose is Purpose.DERIVE and alg == "ECDH":
        return _AGREEMENT, 0, frozenset({purpose})
    if purpose is Purpose.ENCAPSULATE and alg in ("ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"):
        return (alg,), 0, frozenset({purpose})
    if alg in _SIGNERS or alg in _RECEIVERS:
        return (_SIGNERS | _RECEIVERS)[alg], 0, frozenset({Purpose.SIGN}) if alg in _SIGNERS else _BOTH
    if alg in policy.HMAC_BYTES:
        return ("oct",), policy.HMAC_BYTES[alg], frozenset({Purpose.MAC, Purpose.SIGN})
    if alg in policy.KEY_BYTES:
        own = frozenset({Purpose.ENCRYPT}) if alg in policy.ENC_NAMES else _BOTH
        return ("oct",), policy.KEY_BYTES[alg], own
    if alg in policy.SIV_BYTES or alg in _HKDFS:
        own = frozenset({Purpose.DERIVE if alg in _HKDFS else Purpose.ENCRYPT})
        return ("oct",), (policy.SIV_BYTES | _HKDFS)[alg], own
    raise Fault(
        FaultKind.BAD_ALGORITHM, f"keyring: {alg[:40]!r}", "the algorithm is not supported", pointer="algorithm"
    )


@lru_cache(maxsize=256)
def resolve(name: str, purpose: Purpose) -> Spec:
    """Return the spec of a name for a purpose; Fault(BAD_ALGORITHM, INVALID)."""
    alg, _, kind = name.partition("/")
    kinds, octets, purposes = _kinds(alg, purpose)
    if purpose not in purposes:
        text = f"{alg} is not for {purpose.value}"
        raise Fault(FaultKind.INVALID, text, text, pointer="purpose")
    if kind and kind not in kinds:
        text = f"{alg} has no keys of {kind[:40]}"
        raise Fault(FaultKind.INVALID, text, text, pointer="algorithm")
    chosen = kind or kinds[0]
    full = f"{alg}/{chosen}" if len(kinds) > 1 else alg
    return Spec(full, alg, chosen, octets, purposes)


def names(purpose: Purpose) -> list[str]:
    """Return every name for a purpose, for help texts and OpenAPI."""
    algs = [*_SIGNERS, *_RECEIVERS, *policy.HMAC_BYTES, *policy.KEY_BYTES, *policy.SIV_BYTES, *_HKDFS, "ECDH"]
    found = []
    for alg in dict.fromkeys(algs):
        try:
            kinds, _, purposes = _kinds(alg, purpose)
        except Fault:
            continue
        if purpose in purposes:
            found += [f"{alg}/{kind}" if len(kinds) > 1 else alg for kind in kinds]
    return found
