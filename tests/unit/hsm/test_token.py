"""Keys in a token: what they sign and decrypt, and what becomes of it when the token is not as it should be."""

from __future__ import annotations

import concurrent.futures
import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto import policy
from pycryptoutil.crypto.keys import verify
from pycryptoutil.crypto.pkcs11 import KeyReference, Token, TokenConfig, TokenKey, list_tokens
from pycryptoutil.crypto.pkcs11.module import module
from pycryptoutil.crypto.signer import KeySigner, build_crl_file
from pycryptoutil.crypto.x509 import name_der
from tests.support.hsm import PIN, SoftHsm
from tests.support.suite import until

ALGORITHMS = ("EC-P256", "EC-P384", "EC-P521", "RSA-2048", "RSA-3072", "Ed25519")
DATA = b"what is signed"
EXTENSIONS = bytes.fromhex("300c300a0603551d140403020105")


def refusal(call: Callable[[], object]) -> Fault:
    with pytest.raises(Fault) as caught:
        call()
    assert PIN not in str(caught.value)
    assert PIN not in repr(caught.value)
    assert PIN not in caught.value.public
    return caught.value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_signature_of_every_key(token: Token, algorithm: str) -> None:
    key = token.generate(algorithm, "test")
    assert policy.check_public_key(key.public_spki).algorithm == algorithm
    for name in policy.signatures_of(algorithm):
        for data in (b"", DATA, b"x" * 100_000):
            verify(key.public_spki, name, data, key.sign(name, data))
        verify(key.public_spki, name, DATA, key.sign_stream(name, iter([DATA[:4], b"", DATA[4:]])))
    assert refusal(lambda: key.sign("ml-dsa-65", DATA)).kind is FaultKind.BAD_ALGORITHM


def test_ecdsa_signatures_are_der_whatever_the_octets_of_r_and_s(token: Token) -> None:
    key = token.generate("EC-P256", "test")
    signatures = [key.sign("ecdsa-sha256", bytes([number])) for number in range(64)]
    for number, signature in enumerate(signatures):
        verify(key.public_spki, "ecdsa-sha256", bytes([number]), signature)
    assert len({len(signature) for signature in signatures}) > 1  # 70, 71 and 72: with and without leading zeros


@pytest.mark.parametrize("algorithm", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "X25519", "RSA-1024", "EC-P192"])
def test_what_no_token_is_asked_for(token: Token, algorithm: str) -> None:
    fault = refusal(lambda: token.generate(algorithm, "test"))
    assert fault.kind is FaultKind.BAD_ALGORITHM
    if algorithm.startswith("ML-DSA"):
        assert "kept in software" in fault.public


def test_a_key_is_found_again_by_its_reference(hsm: SoftHsm, token: Token) -> None:
    made = token.generate("EC-P256", "pki-ca issuing")
    reference = KeyReference.decode(made.reference.encode())
    assert reference == made.reference
    other = hsm.token(token.label).key(reference)
    assert (other.algorithm, other.public_spki) == (made.algorithm, made.public_spki)
    verify(made.public_spki, "ecdsa-sha256", DATA, other.sign("ecdsa-sha256", DATA))


def test_keys_stay_in_the_token(token: Token) -> None:
    import pkcs11

    key = token.generate("RSA-2048", "test", decrypts=True)

    def look(private: pkcs11.PrivateKey) -> None:
        assert private[pkcs11.Attribute.SENSITIVE]
        assert private[pkcs11.Attribute.ALWAYS_SENSITIVE]
        assert private[pkcs11.Attribute.NEVER_EXTRACTABLE]
        assert not private[pkcs11.Attribute.EXTRACTABLE]
        assert private[pkcs11.Attribute.SIGN]
        assert not private[pkcs11.Attribute.UNWRAP]
        with pytest.raises(pkcs11.PKCS11Error):
            private[pkcs11.Attribute.PRIVATE_EXPONENT]

    token.use(key.reference, "look", look)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copied(key)
    assert refusal(lambda: key.ecdh(b"")).kind is FaultKind.BAD_ALGORITHM
    assert refusal(lambda: key.decapsulate(b"")).kind is FaultKind.BAD_ALGORITHM


def test_decryption(token: Token) -> None:
    key = token.generate("RSA-2048", "test", decrypts=True)
    public = load_der_public_key(key.public_spki)
    assert isinstance(public, rsa.RSAPublicKey)
    assert key.rsa_decrypt("pkcs1", public.encrypt(DATA, padding.PKCS1v15())) == DATA
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    assert key.rsa_decrypt("oaep-sha1", public.encrypt(DATA, oaep)) == DATA
    for name, wrong in (("pkcs1", b"\x01" * 256), ("oaep-sha1", b"\x01" * 256), ("pkcs1", b"short"), ("pkcs1", b"")):
        assert refusal(lambda name=name, wrong=wrong: key.rsa_decrypt(name, wrong)).kind is FaultKind.BAD_SIGNATURE
    assert key.rsa_decrypt("pkcs1", public.encrypt(DATA, padding.PKCS1v15())) == DATA
    sha256 = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)  # SoftHSM2 has none
    fault = refusal(lambda: key.rsa_decrypt("oaep-sha256", public.encrypt(DATA, sha256)))
    assert fault.kind is FaultKind.BAD_ALGORITHM
    assert refusal(lambda: token.generate("EC-P256", "t").rsa_decrypt("pkcs1", b"")).kind is FaultKind.BAD_ALGORITHM
    signs_only = token.generate("RSA-2048", "test")
    with pytest.raises(Fault):
        signs_only.rsa_decrypt("pkcs1", b"\x01" * 256)


def test_a_wrong_pin_is_tried_once(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    label = hsm.make()
    wrong = hsm.token(label, pin="not-the-pin")
    tries = []
    real = Token._log_in
    monkeypatch.setattr(Token, "_log_in", lambda self, token: (tries.append(1), real(self, token))[1])
    for _ in range(3):
        fault = refusal(wrong.check)
        assert fault.kind is FaultKind.UNAVAILABLE
        assert "the PIN is wrong" in fault.detail
        assert "not-the-pin" not in fault.detail + fault.public + repr(wrong) + repr(wrong.__dict__)
    assert tries == [1]
    hsm.token(label).check()


def test_a_token_that_is_not_there(hsm: SoftHsm) -> None:
    fault = refusal(hsm.token("nowhere").check)
    assert fault.kind is FaultKind.UNAVAILABLE
    assert "there is no token 'nowhere'" in fault.detail
    assert fault.retry_after
    made = hsm.token(hsm.make()).generate("EC-P256", "test")
    other = hsm.token(hsm.make())
    assert "is configured" in refusal(lambda: other.key(made.reference)).detail


def test_two_tokens_of_one_label(hsm: SoftHsm) -> None:
    label = hsm.make()
    hsm.make(label)
    assert "there are 2 tokens" in refusal(hsm.token(label).check).detail


def test_a_library_that_is_not_there() -> None:
    fault = refusal(Token(TokenConfig("/nowhere/lib.so", "x", PIN), SystemClock()).check)
    assert fault.kind is FaultKind.UNAVAILABLE
    assert "/nowhere/lib.so cannot be loaded" in fault.detail


def test_a_key_that_is_not_in_the_token(token: Token) -> None:
    made = token.generate("EC-P256", "mine")
    made.sign("ecdsa-sha256", DATA)
    token.destroy(made.reference)
    for _ in range(2):
        fault = refusal(lambda: made.sign("ecdsa-sha256", DATA))
        assert fault.kind is FaultKind.UNAVAILABLE
        assert "has no key" in fault.detail
    token.destroy(made.reference)  # it is gone already
    token.check()


def test_another_key_under_the_same_id_is_found_out(token: Token) -> None:
    one, two = token.generate("EC-P256", "one"), token.generate("EC-P256", "two")
    mixed = KeyReference(token.label, two.reference.id, "one", "EC-P256", one.public_spki)
    fault = refusal(lambda: token.key(mixed).sign("ecdsa-sha256", DATA))
    assert fault.kind is FaultKind.INTERNAL
    assert "not the one it was" in fault.detail


def test_a_lost_session_is_replaced(token: Token) -> None:
    key = token.generate("EC-P256", "test")
    for held in token._idle:
        held.session.close()  # as the token would have done it
    verify(key.public_spki, "ecdsa-sha256", DATA, key.sign("ecdsa-sha256", DATA))
    token._login.close()  # type: ignore[union-attr]  # and the login with it
    verify(key.public_spki, "ecdsa-sha256", DATA, key.sign("ecdsa-sha256", DATA))


@pytest.mark.parametrize("store", [True, False])
def test_a_token_that_is_pulled_and_put_back(hsm: SoftHsm, token: Token, store: bool) -> None:
    key = token.generate("EC-P256", "test")
    rsa_key = token.generate("RSA-2048", "test", decrypts=True)
    ciphertext = load_der_public_key(rsa_key.public_spki).encrypt(DATA, padding.PKCS1v15())  # type: ignore[union-attr]
    assert rsa_key.rsa_decrypt("pkcs1", ciphertext) == DATA
    key.sign("ecdsa-sha256", DATA)
    with hsm.away(store=store):
        for _ in range(3):
            for call in (
                lambda: key.sign("ecdsa-sha256", DATA),
                lambda: rsa_key.rsa_decrypt("pkcs1", ciphertext),
                lambda: token.generate("EC-P256", "test"),
                token.check,
            ):
                assert refusal(call).kind is FaultKind.UNAVAILABLE

    def back() -> bool:
        try:
            token.check()
        except Fault:
            return False
        return True

    until(back, "the token is back", 10)
    verify(key.public_spki, "ecdsa-sha256", DATA, key.sign("ecdsa-sha256", DATA))
    assert rsa_key.rsa_decrypt("pkcs1", ciphertext) == DATA


def test_many_threads_share_few_sessions(hsm: SoftHsm) -> None:
    token = hsm.token(hsm.make(), sessions=3)
    key = token.generate("EC-P256", "test")
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait(10)
        for step in range(20):
            data = bytes([number, step])
            verify(key.public_spki, "ecdsa-sha256", data, key.sign("ecdsa-sha256", data))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert token._open == len(token._idle) <= 3


def test_threads_outlive_a_restart_of_the_library(hsm: SoftHsm, token: Token) -> None:
    key = token.generate("EC-P256", "test")

    def work(number: int) -> None:
        for step in range(30):
            data = bytes([number, step])
            if number == 0 and step % 10 == 5:
                hsm.restart()
            verify(key.public_spki, "ecdsa-sha256", data, key.sign("ecdsa-sha256", data))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_a_forked_child_opens_the_library_for_itself(token: Token) -> None:
    key = token.generate("EC-P256", "test")
    key.sign("ecdsa-sha256", DATA)
    child = os.fork()
    if child == 0:
        try:
            verify(key.public_spki, "ecdsa-sha256", DATA, key.sign("ecdsa-sha256", DATA))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    verify(key.public_spki, "ecdsa-sha256", DATA, key.sign("ecdsa-sha256", DATA))


def test_what_operators_see(hsm: SoftHsm, token: Token) -> None:
    key: TokenKey = token.generate("EC-P256", "pycryptoutil issuing test")
    status = token.status()
    assert status.label == token.label
    assert status.keys == ((key.reference.id.hex(), "pycryptoutil issuing test", "EC"),)
    assert {"ECDSA", "RSA_PKCS"} <= set(status.mechanisms)
    assert token.label in list_tokens(hsm.library, SystemClock())
    assert PIN not in repr(token) + repr(status) + repr(token._config) + repr(key)


def test_without_the_extra_nothing_is_imported() -> None:
    code = "import sys, pycryptoutil.crypto.pkcs11, pycryptoutil.authority; sys.exit('pkcs11' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_long_list_is_signed_in_parts(token: Token, tmp_path: Path) -> None:
    signer = KeySigner(token.generate("EC-P256", "test"))
    entries = [(number.to_bytes(4, "big"), 1_700_000_000, 1, 0) for number in range(1, 50_000)]
    path = tmp_path / "long.crl"
    length = build_crl_file(path, signer, name_der("CN=Long"), 1_700_000_000, 1_700_600_000, EXTENSIONS, entries)
    assert path.stat().st_size == length
    crl = x509.load_der_x509_crl(path.read_bytes())
    assert crl.is_signature_valid(load_der_public_key(signer.public_spki))  # type: ignore[arg-type]
    assert len(crl) == len(entries)


def test_a_library_that_is_not_for_threads(hsm: SoftHsm, token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a one is never in two threads at once."""
    import pkcs11

    key = token.generate("EC-P256", "test")
    loaded = module(hsm.library, SystemClock())
    monkeypatch.setattr(loaded, "_exclusive", True)
    inside: list[int] = []

    def look(private: Any) -> None:
        inside.append(1)
        assert inside == [1]
        private.sign(bytes(32), mechanism=pkcs11.Mechanism.ECDSA)
        inside.pop()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: token.use(key.reference, "look", look), range(60)))


def test_without_the_library_s_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    fault = refusal(Token(TokenConfig("/nowhere/other.so", "x", PIN), SystemClock()).check)
    assert "the extra hsm" in fault.detail
