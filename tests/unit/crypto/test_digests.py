"""Signatures over digests that somebody else made: the same that the data would have got."""

from __future__ import annotations

import hashlib

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import keys, policy

pytestmark = pytest.mark.skipif(policy.FIPS, reason="the FIPS module signs no digests")
DATA = b"attack at dawn"
PAIRS = [
    *(("RSA-2048", f"rsa-{kind}sha{size}") for kind in ("", "pss-") for size in (256, 384, 512)),
    ("EC-P256", "ecdsa-sha256"),
    ("EC-P384", "ecdsa-sha384"),
    ("EC-P521", "ecdsa-sha512"),
]


@pytest.fixture(scope="module")
def made() -> dict[str, keys.PrivateKey]:
    """One key of each kind."""
    names = {name for name, _ in PAIRS} | {"Ed25519", "ML-DSA-44", "X25519"}
    return {name: keys.generate(name) for name in names}


@pytest.mark.parametrize(("name", "scheme"), PAIRS)
def test_a_digest_signs_as_its_data(made: dict[str, keys.PrivateKey], name: str, scheme: str) -> None:
    key = made[name]
    digest = hashlib.new(scheme[-6:], DATA).digest()
    signature = keys.sign_digest(key, scheme, digest)
    keys.verify(key.public_spki, scheme, DATA, signature)
    keys.verify_digest(key.public_spki, scheme, digest, signature)
    keys.verify_digest(key.public_spki, scheme, digest, key.sign(scheme, DATA))
    if scheme.startswith("rsa-sha"):
        assert signature == key.sign(scheme, DATA)
    for wrong in (signature[:-1] + bytes([signature[-1] ^ 1]), signature[:-1], b""):
        with pytest.raises(Fault) as refused:
            keys.verify_digest(key.public_spki, scheme, digest, wrong)
        assert refused.value.kind is FaultKind.BAD_SIGNATURE
    with pytest.raises(Fault) as refused:
        keys.verify_digest(key.public_spki, scheme, digest[::-1], signature)
    assert refused.value.kind is FaultKind.BAD_SIGNATURE
    for other in (digest[:-1], digest + b"x", b"", DATA, hashlib.sha1(DATA).digest()):
        for attempt in (
            lambda: keys.sign_digest(key, scheme, other),  # noqa: B023 - called at once
            lambda: keys.verify_digest(key.public_spki, scheme, other, signature),  # noqa: B023
        ):
            with pytest.raises(Fault) as refused:
                attempt()
            assert refused.value.kind is FaultKind.INVALID


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("Ed25519", "ed25519"),
        ("ML-DSA-44", "ml-dsa-44"),
        ("X25519", "ed25519"),
        ("EC-P256", "rsa-sha256"),
        ("EC-P256", "sha256"),
    ],
)
def test_schemes_without_a_digest_refuse(made: dict[str, keys.PrivateKey], name: str, scheme: str) -> None:
    key = made[name]
    for attempt in (
        lambda: keys.sign_digest(key, scheme, bytes(32)),
        lambda: keys.verify_digest(key.public_spki, scheme, bytes(32), bytes(64)),
        lambda: key.sign_digest(scheme, bytes(32)),
        lambda: key.public_key().verify_digest(scheme, bytes(32), bytes(64)),
    ):
        with pytest.raises(Fault) as refused:
            attempt()
        assert refused.value.kind is FaultKind.BAD_ALGORITHM
