"""Key handles: what goes in and out, what is refused, and that they do not leak."""

from __future__ import annotations

import base64
import copy
import pickle
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import keys, policy
from pycryptoutil.crypto.policy import KeyAlgorithm
from pycryptoutil.errors import CoreError

FAST = [one for one in KeyAlgorithm if one not in (KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096)]


def foreign(algorithm: str) -> PrivateKeyTypes:
    """Generate a key with cryptography."""
    curves = {"EC-P256": ec.SECP256R1(), "EC-P384": ec.SECP384R1(), "EC-P521": ec.SECP521R1()}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm])
    if algorithm.startswith("RSA"):
        return rsa.generate_private_key(65537, int(algorithm[4:]))
    if algorithm == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    kinds = {"44": mldsa.MLDSA44PrivateKey, "65": mldsa.MLDSA65PrivateKey, "87": mldsa.MLDSA87PrivateKey}
    return kinds[algorithm[-2:]].generate()


def pkcs8(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def spki(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def kind_of(call: object, *arguments: object) -> FaultKind:
    with pytest.raises(Fault) as raised:
        call(*arguments)  # type: ignore[operator]
    assert isinstance(raised.value, Fault)
    return raised.value.kind


@pytest.mark.parametrize("algorithm", FAST)
def test_keys_go_to_cryptography_and_back(algorithm: KeyAlgorithm) -> None:
    ours = keys.generate(algorithm)
    theirs = load_der_private_key(ours.export_pkcs8(), None)
    assert spki(theirs) == ours.public_spki
    assert ours.algorithm == algorithm
    again = keys.load_pkcs8(pkcs8(theirs))
    assert again.public_spki == ours.public_spki
    other = keys.load_pkcs8(pkcs8(foreign(algorithm)))
    assert other.algorithm == algorithm
    assert other.public_key().spki == other.public_spki


@pytest.mark.parametrize("algorithm", FAST)
def test_signatures_verify_elsewhere(algorithm: KeyAlgorithm) -> None:
    key = keys.generate(algorithm)
    public = load_der_public_key(key.public_spki)
    for name in policy.signatures_of(algorithm):
        signature = key.sign(name, b"data")
        keys.verify(key.public_spki, name, b"data", signature)
        chosen = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(name[-3:])
        match public:
            case rsa.RSAPublicKey() if "pss" in name:
                assert chosen is not None
                public.verify(signature, b"data", padding.PSS(padding.MGF1(chosen), chosen.digest_size), chosen)
            case rsa.RSAPublicKey():
                assert chosen is not None
                public.verify(signature, b"data", padding.PKCS1v15(), chosen)
            case ec.EllipticCurvePublicKey():
                assert chosen is not None
                public.verify(signature, b"data", ec.ECDSA(chosen))
            case _:
                public.verify(signature, b"data")  # type: ignore[union-attr,call-arg]
        assert kind_of(keys.verify, key.public_spki, name, b"date", signature) is FaultKind.BAD_SIGNATURE


@pytest.mark.parametrize("size", [2560, 3072, 4096])
def test_rsa_of_other_sizes_is_imported(size: int) -> None:
    key = keys.load_pkcs8(pkcs8(rsa.generate_private_key(65537, size)))
    assert key.algorithm == f"RSA-{size}"
    keys.verify(key.public_spki, "rsa-sha256", b"data", key.sign("rsa-sha256", b"data"))


def test_a_curve_with_the_hash_of_another_is_believed_from_others_only() -> None:
    theirs = ec.generate_private_key(ec.SECP256R1())
    signature = theirs.sign(b"data", ec.ECDSA(hashes.SHA512()))
    keys.verify(spki(theirs), "ecdsa-sha512", b"data", signature)
    assert kind_of(keys.load_pkcs8(pkcs8(theirs)).sign, "ecdsa-sha512", b"data") is FaultKind.BAD_ALGORITHM


def test_ed448_is_believed_from_others() -> None:
    theirs = ed448.Ed448PrivateKey.generate()
    keys.verify(spki(theirs), "ed448", b"data", theirs.sign(b"data"))
    assert kind_of(keys.verify, spki(theirs), "ed448", b"date", theirs.sign(b"data")) is FaultKind.BAD_SIGNATURE
    assert kind_of(keys.verify, spki(theirs), "ed25519", b"data", theirs.sign(b"data")) is FaultKind.BAD_ALGORITHM
    assert kind_of(keys.load_pkcs8, pkcs8(theirs)) is FaultKind.BAD_ALGORITHM
    assert kind_of(keys.generate, "Ed448") is FaultKind.BAD_ALGORITHM


# RFC 8410 section 10.3: the same key with and without its public half
ED25519_V1 = bytes.fromhex(
    "302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"
)
ED25519_V2 = bytes.fromhex(
    "3072020101300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842a01f301d060a2a864886"
    "f70d01090914310f0c0d437572646c6520436861697273812100"
    "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
)


def test_ed25519_in_both_versions() -> None:
    assert keys.load_pkcs8(ED25519_V1).public_spki == keys.load_pkcs8(ED25519_V2).public_spki
    assert keys.load_pkcs8(ED25519_V1).export_pkcs8() == ED25519_V1
    assert kind_of(keys.load_pkcs8, ED25519_V2[:-1] + b"\x00") is FaultKind.MALFORMED


def test_an_explicit_curve_or_a_wrong_one_is_refused() -> None:
    k1 = ec.generate_private_key(ec.SECP256K1())
    assert kind_of(keys.load_pkcs8, pkcs8(k1)) is FaultKind.BAD_ALGORITHM
    assert kind_of(keys.PublicKey.from_spki, spki(k1)) is FaultKind.BAD_ALGORITHM


def test_weak_rsa_is_refused() -> None:
    small = rsa.generate_private_key(65537, 1024)
    assert kind_of(keys.load_pkcs8, pkcs8(small)) is FaultKind.WEAK_KEY
    assert kind_of(keys.PublicKey.from_spki, spki(small)) is FaultKind.WEAK_KEY
    three = rsa.generate_private_key(3, 2048)
    assert kind_of(keys.load_pkcs8, pkcs8(three)) is FaultKind.WEAK_KEY


def test_rsa_with_a_foreign_public_half_is_refused() -> None:
    one, two = (rsa.generate_private_key(65537, 2048).private_numbers() for _ in range(2))
    fields = [0, two.public_numbers.n, 65537, one.d, one.p, one.q, one.dmp1, one.dmq1, one.iqmp]
    inner = der.sequence(*map(der.integer, fields))
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    assert (
        kind_of(keys.load_pkcs8, der.sequence(der.integer(0), algorithm, der.octet_string(inner)))
        is FaultKind.MALFORMED
    )


@pytest.mark.parametrize("data", [b"", b"0", b"\x30\x00", b"\x30\x03\x02\x01\x00", b"-----BEGIN PRIVATE KEY-----"])
def test_nonsense_is_refused(data: bytes) -> None:
    assert kind_of(keys.load_pkcs8, data) is FaultKind.MALFORMED
    assert kind_of(keys.PublicKey.from_spki, data) is FaultKind.MALFORMED


def test_handles_show_and_give_nothing() -> None:
    private, symmetric = keys.generate("EC-P256"), keys.SymmetricKey.generate()
    assert repr(private) == "<PrivateKey EC-P256>"
    assert str(private) == repr(private)
    assert repr(symmetric) == "<SymmetricKey>"
    assert repr(private.public_key()) == "<PublicKey EC-P256>"
    for handle in (private, symmetric):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                attempt(handle)
        with pytest.raises(AttributeError):
            handle.extra = 1  # type: ignore[union-attr]
        assert not hasattr(handle, "__dict__")
    with pytest.raises(TypeError):
        keys.PrivateKey()
    with pytest.raises(TypeError):
        type("Sub", (keys.PrivateKey,), {})


def test_core_errors_are_faults() -> None:
    with pytest.raises(CoreError) as raised:
        keys.generate("EC-P256").sign("rsa-sha1", b"")
    assert isinstance(raised.value, Fault)
    assert raised.value.kind is FaultKind.BAD_ALGORITHM
    assert CoreError("storage-full", "x").kind is FaultKind.STORAGE_FULL
    assert CoreError("something new", "x").kind is FaultKind.INTERNAL


def test_keys_are_sealed_without_passing_through_python() -> None:
    key, kek = keys.generate("EC-P384"), keys.SymmetricKey.generate()
    sealed = key.seal(kek, b"row 7")
    assert keys.PrivateKey.unseal(kek, sealed, b"row 7").public_spki == key.public_spki
    assert kek.decrypt(sealed, b"row 7") == key.export_pkcs8()
    assert kind_of(keys.PrivateKey.unseal, kek, sealed, b"row 8") is FaultKind.BAD_SIGNATURE
    assert kind_of(keys.PrivateKey.unseal, kek, kek.encrypt(b"no key", b""), b"") is FaultKind.MALFORMED


@given(secret=st.binary(min_size=1, max_size=64), data=st.data())
def test_shares(secret: bytes, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    threshold = data.draw(st.integers(1, count))
    shares = keys.shamir_split(secret, count, threshold)
    chosen = data.draw(st.permutations(shares))[: data.draw(st.integers(threshold, count))]
    assert keys.shamir_combine(chosen) == secret
    assert [share[0] for share in shares] == list(range(1, count + 1))
    if threshold > 1:
        assert kind_of(keys.shamir_combine, chosen[: threshold - 1]) is FaultKind.INVALID


@pytest.mark.parametrize(("shares", "threshold"), [(256, 2), (-1, 2), (3, 4), (3, 0), (2**70, 1)])
def test_impossible_shares(shares: int, threshold: int) -> None:
    with pytest.raises((Fault, OverflowError)):
        keys.shamir_split(b"secret", shares, threshold)


def test_symmetric_keys() -> None:
    key = keys.SymmetricKey.from_bytes(bytes(range(32)))
    assert key.export() == bytes(range(32))
    assert key.hmac("sha256", b"data") == keys.hmac("sha256", bytes(range(32)), b"data")
    assert key.derive(b"info").export() == keys.hkdf("sha256", bytes(range(32)), b"", b"info", 32)
    assert key.derive(b"info", b"salt").export() == keys.hkdf("sha256", bytes(range(32)), b"salt", b"info", 32)
    big = bytes(1 << 20)
    assert key.decrypt(key.encrypt(big, b"aad"), b"aad") == big
    assert kind_of(keys.SymmetricKey.from_bytes, b"short") is FaultKind.INVALID
    assert kind_of(key.hmac, "md5", b"") is FaultKind.BAD_ALGORITHM
    assert kind_of(keys.require_equal, b"one", b"two") is FaultKind.BAD_SIGNATURE
    keys.require_equal(b"one", b"one")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is not installed")
@pytest.mark.parametrize("arguments", [("RSA",), ("EC", "-pkeyopt", "ec_paramgen_curve:P-384"), ("ED25519",)])
def test_documents_of_openssl(arguments: tuple[str, ...], tmp_path: Path) -> None:
    made = subprocess.run(["openssl", "genpkey", "-algorithm", *arguments], check=True, capture_output=True).stdout
    key = keys.load_pkcs8(base64.b64decode(b"".join(made.splitlines()[1:-1])))
    path = tmp_path / "key.der"
    path.write_bytes(key.export_pkcs8())
    shown = ["openssl", "pkey", "-inform", "DER", "-in", str(path), "-pubout", "-outform", "DER"]
    assert subprocess.run(shown, check=True, capture_output=True).stdout == key.public_spki
