"""AES-SIV of the core: RFC 5297's own examples, Wycheproof, and another implementation."""

from __future__ import annotations

import secrets

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto.jose import SIV_BYTES, SecretKey
from tests.support.vectors import wycheproof

# RFC 5297 appendix A: key, components, plaintext, output
EXAMPLES = (
    (
        "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        ("101112131415161718191a1b1c1d1e1f2021222324252627",),
        "112233445566778899aabbccddee",
        "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c",
    ),
    (
        "7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f",
        (
            "00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100",
            "102030405060708090a0",
            "09f911029d74e35bd84156c5635688c0",
        ),
        "7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e67205349562d414553",
        (
            "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17"
            "dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d"
        ),
    ),
)


@pytest.mark.parametrize(("key", "components", "plaintext", "sealed"), EXAMPLES)
def test_the_examples_of_the_rfc(key: str, components: tuple[str, ...], plaintext: str, sealed: str) -> None:
    handle, aad = SecretKey.from_bytes(bytes.fromhex(key)), [bytes.fromhex(one) for one in components]
    assert handle.siv_encrypt(bytes.fromhex(plaintext), aad).hex() == sealed
    assert handle.siv_decrypt(bytes.fromhex(sealed), aad).hex() == plaintext
    with pytest.raises(Fault) as refused:
        handle.siv_decrypt(bytes.fromhex(sealed), [*aad, b""])
    assert refused.value.kind is FaultKind.BAD_SIGNATURE


@pytest.mark.parametrize("name", ["aes_siv_cmac", "aead_aes_siv_cmac"])
def test_wycheproof(name: str) -> None:
    """Nothing is ``acceptable`` in these files. The second gives the nonce as the last component (section 3)."""
    count = 0
    for group in wycheproof(name):
        for case in group["tests"]:
            count += 1
            key, aad, message = (bytes.fromhex(case[member]) for member in ("key", "aad", "msg"))
            sealed = bytes.fromhex(case.get("tag", "") + case["ct"])
            components = [aad, bytes.fromhex(case["iv"])] if "iv" in case else aad
            handle = SecretKey.from_bytes(key)
            if case["result"] == "valid":
                assert handle.siv_encrypt(message, components) == sealed, case
                assert handle.siv_decrypt(sealed, components) == message
            else:
                assert case["result"] == "invalid"
                with pytest.raises(Fault):
                    handle.siv_decrypt(sealed, components)
    assert count > 400


@pytest.mark.parametrize("octets", SIV_BYTES.values())
def test_another_implementation_agrees(octets: int) -> None:
    key = secrets.token_bytes(octets)
    mine, other = SecretKey.from_bytes(key), AESSIV(key)
    for length in (1, 15, 16, 17, 31, 32, 33, 1000, (1 << 18) + 1):
        for parts in ((), (b"",), (b"a",), (bytes(16), b"", secrets.token_bytes(100)), (b"x",) * 126):
            plaintext = secrets.token_bytes(length)
            sealed = mine.siv_encrypt(plaintext, parts)
            assert sealed == other.encrypt(plaintext, list(parts))
            assert mine.siv_decrypt(sealed, parts) == plaintext
            with pytest.raises(InvalidTag):
                other.decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]), list(parts))
            with pytest.raises(Fault):
                mine.siv_decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]), parts)
    assert mine.siv_encrypt(b"x", b"one") == mine.siv_encrypt(b"x", [b"one"]) != mine.siv_encrypt(b"x", [b"o", b"ne"])
    assert mine.siv_encrypt(b"", []) != mine.siv_encrypt(b"", b"")
    assert mine.siv_decrypt(mine.siv_encrypt(b"", b"a"), b"a") == b""


def test_what_is_refused() -> None:
    key = SecretKey.generate(32)
    for octets in (16, 31, 33, 65):
        with pytest.raises(Fault) as refused:
            SecretKey.from_bytes(bytes(octets)).siv_encrypt(b"", b"")
        assert refused.value.kind is FaultKind.BAD_ALGORITHM
    for attempt in (key.siv_encrypt, key.siv_decrypt):
        with pytest.raises(Fault) as refused:
            attempt(bytes(16), [b""] * 127)
        assert refused.value.kind is FaultKind.INVALID
    with pytest.raises(Fault) as refused:
        key.siv_decrypt(bytes(15), b"")
    assert refused.value.kind is FaultKind.MALFORMED
    with pytest.raises(TypeError):
        key.siv_encrypt(b"", "text")  # type: ignore[arg-type]
