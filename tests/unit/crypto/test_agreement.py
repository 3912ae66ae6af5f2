"""Keys that agree, decapsulate and decrypt, against cryptography where it has them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import keys, policy
from pycryptoutil.crypto.policy import AgreementAlgorithm

ML_KEM = ["ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"]
OIDS = {"ML-KEM-512": oids.ML_KEM_512, "ML-KEM-768": oids.ML_KEM_768, "ML-KEM-1024": oids.ML_KEM_1024}
CURVES = {"EC-P256": ec.SECP256R1(), "EC-P384": ec.SECP384R1(), "EC-P521": ec.SECP521R1()}
HASHES = {
    "oaep-sha1": hashes.SHA1(),
    "oaep-sha256": hashes.SHA256(),
    "oaep-sha384": hashes.SHA384(),
    "oaep-sha512": hashes.SHA512(),
}


def kind_of(call: object, *arguments: object) -> FaultKind:
    with pytest.raises(Fault) as raised:
        call(*arguments)  # type: ignore[operator]
    assert isinstance(raised.value, Fault)
    return raised.value.kind


def public_der(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]


def private_der(key: object) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("algorithm", list(AgreementAlgorithm))
def test_keys_go_around(algorithm: AgreementAlgorithm) -> None:
    key, kek = keys.generate(algorithm), keys.SymmetricKey.generate()
    assert key.algorithm == algorithm
    assert policy.check_public_key(key.public_spki).algorithm == algorithm
    again = keys.load_pkcs8(key.export_pkcs8())
    assert again.public_spki == key.public_spki == again.public_key().spki
    assert keys.PrivateKey.unseal(kek, key.seal(kek, b"row"), b"row").export_pkcs8() == key.export_pkcs8()
    assert kind_of(key.sign, "ecdsa-sha256", b"") is FaultKind.BAD_ALGORITHM
    assert kind_of(key.public_key().verify, "ed25519", b"", b"") is FaultKind.BAD_ALGORITHM
    assert kind_of(policy.default_signature, algorithm) is FaultKind.BAD_ALGORITHM
    assert kind_of(keys.load_pkcs8, key.export_pkcs8() + b"\x00") is FaultKind.MALFORMED
    assert kind_of(keys.load_pkcs8, key.export_pkcs8()[:-1]) is FaultKind.MALFORMED
    assert kind_of(policy.check_public_key, key.public_spki[:-1]) is FaultKind.MALFORMED


@pytest.mark.parametrize("algorithm", ML_KEM)
def test_ml_kem(algorithm: str) -> None:
    key = keys.generate(algorithm)
    ciphertext, secret = keys.encapsulate(key.public_spki)
    assert len(secret) == 32
    assert keys.decapsulate(key, ciphertext) == secret
    # implicit rejection: FIPS 203 section 6.3
    other = keys.decapsulate(keys.generate(algorithm), ciphertext)
    assert other != secret
    assert len(other) == 32
    assert kind_of(keys.decapsulate, key, ciphertext[:-1]) is FaultKind.MALFORMED
    assert kind_of(keys.decapsulate, keys.generate("EC-P256"), ciphertext) is FaultKind.BAD_ALGORITHM
    assert kind_of(keys.encapsulate, keys.generate("EC-P256").public_spki) is FaultKind.BAD_ALGORITHM


@pytest.mark.parametrize("kind", [mlkem.MLKEM768PrivateKey, mlkem.MLKEM1024PrivateKey])
def test_ml_kem_of_cryptography(kind: type[mlkem.MLKEM768PrivateKey]) -> None:
    theirs = kind.generate()
    ours = keys.load_pkcs8(private_der(theirs))
    assert ours.public_spki == public_der(theirs.public_key())
    secret, ciphertext = theirs.public_key().encapsulate()
    assert keys.decapsulate(ours, ciphertext) == secret
    again = load_der_private_key(ours.export_pkcs8(), None)
    assert isinstance(again, kind)
    ciphertext, secret = keys.encapsulate(public_der(theirs.public_key()))
    assert again.decapsulate(ciphertext) == secret


def _document(algorithm: str, choice: bytes) -> bytes:
    identifier = der.sequence(der.oid(OIDS[algorithm]))
    return der.sequence(der.integer(0), identifier, der.octet_string(choice))


@pytest.mark.parametrize("algorithm", ML_KEM)
def test_ml_kem_documents(algorithm: str) -> None:
    """RFC 9935 section 6: seed, expanded key, or both, which are then compared."""
    key = keys.generate(algorithm)
    exported = key.export_pkcs8()
    seed = exported[-64:]
    assert exported == _document(algorithm, b"\x80\x40" + seed)
    expanded = _expanded(seed, algorithm)
    both = der.sequence(der.octet_string(seed), der.octet_string(expanded))
    ciphertext, secret = keys.encapsulate(key.public_spki)
    for choice in (der.octet_string(expanded), both):
        again = keys.load_pkcs8(_document(algorithm, choice))
        assert again.public_spki == key.public_spki
        assert keys.decapsulate(again, ciphertext) == secret
    # what has lost its seed goes out expanded
    lost = keys.load_pkcs8(_document(algorithm, der.octet_string(expanded)))
    assert lost.export_pkcs8() == _document(algorithm, der.octet_string(expanded))
    foreign = der.sequence(der.octet_string(bytes(64)), der.octet_string(expanded))
    assert kind_of(keys.load_pkcs8, _document(algorithm, foreign)) is FaultKind.MALFORMED
    for at in (0, len(expanded) // 2, -40):  # the decryption key, the encapsulation key, the hash
        broken = bytearray(expanded)
        broken[at] ^= 1
        assert kind_of(keys.load_pkcs8, _document(algorithm, der.octet_string(bytes(broken)))) is FaultKind.MALFORMED
    for choice in (b"\x80\x3f" + seed[:63], der.octet_string(expanded[:-1]), b"\x02\x01\x00", b""):
        assert kind_of(keys.load_pkcs8, _document(algorithm, choice)) is FaultKind.MALFORMED


def _expanded(seed: bytes, algorithm: str) -> bytes:
    """Expand a seed with the slow twin."""
    from tests.support.ml_kem import key_generation

    return key_generation(seed[:32], seed[32:], {"ML-KEM-512": 2, "ML-KEM-768": 3, "ML-KEM-1024": 4}[algorithm])


@pytest.mark.parametrize("algorithm", ML_KEM)
def test_unreduced_encapsulation_keys(algorithm: str) -> None:
    spki = bytearray(keys.generate(algorithm).public_spki)
    spki[30:32] = b"\xff\xff"
    assert kind_of(policy.check_public_key, bytes(spki)) is FaultKind.MALFORMED
    assert kind_of(keys.encapsulate, bytes(spki)) is FaultKind.MALFORMED


@pytest.mark.parametrize("curve", CURVES)
def test_ecdh(curve: str) -> None:
    ours, theirs = keys.generate(curve), ec.generate_private_key(CURVES[curve])
    public = load_der_public_key(ours.public_spki)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    expected = theirs.exchange(ec.ECDH(), public)
    for _ in range(2):  # the second goes by the form kept from the first
        assert keys.ecdh(ours, public_der(theirs.public_key())) == expected
    off = bytearray(public_der(theirs.public_key()))
    off[-1] ^= 1
    assert kind_of(keys.ecdh, ours, bytes(off)) is FaultKind.MALFORMED
    other = "EC-P256" if curve != "EC-P256" else "EC-P384"
    for peer in (other, "Ed25519", "X25519", "ML-KEM-768"):
        assert kind_of(keys.ecdh, ours, keys.generate(peer).public_spki) is FaultKind.BAD_ALGORITHM
    compressed = public_der(theirs.public_key())[:-1]
    assert kind_of(keys.ecdh, ours, compressed) is FaultKind.MALFORMED


def test_x25519() -> None:
    theirs = x25519.X25519PrivateKey.generate()
    ours = keys.generate("X25519")
    public = load_der_public_key(ours.public_spki)
    assert isinstance(public, x25519.X25519PublicKey)
    assert keys.ecdh(ours, public_der(theirs.public_key())) == theirs.exchange(public)
    again = keys.load_pkcs8(private_der(theirs))
    assert again.public_spki == public_der(theirs.public_key())
    assert again.export_pkcs8() == private_der(theirs)
    prefix = public_der(theirs.public_key())[:-32]
    for small in (bytes(32), b"\x01" + bytes(31)):  # points of small order: RFC 7748 section 6.1
        assert kind_of(keys.ecdh, ours, prefix + small) is FaultKind.MALFORMED
    assert kind_of(keys.ecdh, keys.generate("Ed25519"), ours.public_spki) is FaultKind.BAD_ALGORITHM
    # RFC 5958: a document with its public half, which must be that key's
    body = private_der(theirs)[5:]
    whole = [der.integer(1), body, b"\x81\x21\x00" + theirs.public_key().public_bytes_raw()]
    assert keys.load_pkcs8(der.sequence(*whole)).public_spki == again.public_spki
    whole[2] = b"\x81\x21\x00" + bytes(32)
    assert kind_of(keys.load_pkcs8, der.sequence(*whole)) is FaultKind.MALFORMED


@pytest.fixture(scope="module")
def rsa_pair() -> tuple[rsa.RSAPrivateKey, keys.PrivateKey]:
    theirs = rsa.generate_private_key(65537, 2048)
    return theirs, keys.load_pkcs8(private_der(theirs))


@pytest.mark.parametrize("name", sorted(policy.RSA_PADDINGS))
def test_rsa_encryption(name: str, rsa_pair: tuple[rsa.RSAPrivateKey, keys.PrivateKey]) -> None:
    theirs, ours = rsa_pair
    used: padding.AsymmetricPadding = padding.PKCS1v15()
    if name != "pkcs1":
        used = padding.OAEP(padding.MGF1(HASHES[name]), HASHES[name], None)
    for secret in (b"", bytes(16), bytes(range(48))):
        assert theirs.decrypt(keys.rsa_encrypt(ours.public_spki, name, secret), used) == secret
        assert keys.rsa_decrypt(ours, name, theirs.public_key().encrypt(secret, used)) == secret
    assert kind_of(keys.rsa_encrypt, ours.public_spki, name, bytes(256)) is FaultKind.INVALID


def test_rsa_failures_look_the_same(rsa_pair: tuple[rsa.RSAPrivateKey, keys.PrivateKey]) -> None:
    theirs, ours = rsa_pair
    public = theirs.public_key()
    good = public.encrypt(b"secret", padding.PKCS1v15())
    modulus = public.public_numbers().n
    bad = [bytes(256), b"", good[:-1], good + b"\x00", bytes([good[0] ^ 1]) + good[1:], modulus.to_bytes(256)]
    bad += [pow(int.from_bytes(block), 65537, modulus).to_bytes(256) for block in (_block(1), _block(2, zero=False))]
    for name in sorted(policy.RSA_PADDINGS):
        seen = set()
        for ciphertext in bad:
            with pytest.raises(Fault) as raised:
                keys.rsa_decrypt(ours, name, ciphertext)
            seen.add((raised.value.kind, raised.value.detail, raised.value.public))
        assert [one[0] for one in seen] == [FaultKind.BAD_SIGNATURE], name
    assert kind_of(keys.rsa_decrypt, ours, "oaep-md5", good) is FaultKind.BAD_ALGORITHM
    assert kind_of(keys.rsa_decrypt, keys.generate("EC-P256"), "pkcs1", good) is FaultKind.BAD_ALGORITHM
    assert kind_of(keys.rsa_encrypt, keys.generate("EC-P256").public_spki, "pkcs1", b"") is FaultKind.BAD_ALGORITHM


def _block(kind: int, *, zero: bool = True) -> bytes:
    """A block of RFC 8017 section 7.2.1 with another type, or without its separator."""
    return bytes([0, kind]) + b"\xff" * 200 + (b"\x00" if zero else b"\xff") + b"\x01" * 53
