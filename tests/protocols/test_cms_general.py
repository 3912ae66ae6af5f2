"""CMS beyond one signer and one kind of recipient: against openssl and pyca/cryptography where they can do it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding, rsa, x25519
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols import algorithms, cms, der, oids, x509
from pycryptoutil_protocols.algorithms import algorithm_identifier
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.cms import keywrap
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto.keys import PrivateKey, generate, load_pkcs8
from tests.protocols import material

CONTENT = b"the content " * 30
EXTRA = Attribute("1.2.3.4", (der.utf8_string("extra"),))


def fault(kind: FaultKind, call: object, *arguments: object, **named: object) -> Fault:
    with pytest.raises(Fault) as caught:
        call(*arguments, **named)  # type: ignore[operator]
    assert caught.value.kind is kind
    return caught.value


def certificate(algorithm: str, number: int = 0) -> bytes:
    return material.cert_der(material.certificate(material.private_key(algorithm, number), f"{algorithm} {number}"))


# signed


def everybody() -> list[cms.Signature]:
    return [
        cms.Signature(
            material.signer(key, name),
            certificate(key),
            attributes=(EXTRA,),
            unsigned_attributes=(Attribute("1.2.3.5", (der.null(),)),),
            by_key_identifier=index % 2 == 1,
        )
        for index, (key, name) in enumerate(material.SIGNERS)
    ]


def test_every_algorithm_signs_one_message() -> None:
    signatures = everybody()
    certificates = tuple(dict.fromkeys(one.certificate for one in signatures))
    encoded = cms.sign(oids.DATA, CONTENT, signatures, certificates=certificates)
    signed = cms.decode_signed_data(encoded)
    assert [one.der for one in cms.verify_signed_data(signed)] != []
    assert {one.der for one in cms.verify_signed_data(signed)} == set(certificates)
    assert all(one.unsigned_attributes[0].oid == "1.2.3.5" for one in signed.signers)
    assert all(EXTRA in one.signed_attributes for one in signed.signers)
    # one wrong signature among many is not overlooked
    last = signed.signers[-1]
    damaged = dataclasses.replace(last, signature=last.signature[:-1] + bytes((last.signature[-1] ^ 1,)))
    wrong = dataclasses.replace(signed, signers=(*signed.signers[:-1], damaged))
    fault(FaultKind.BAD_SIGNATURE, cms.verify_signed_data, wrong)


def test_detached_with_crls_and_without_certificates(tmp_path: Path) -> None:
    signer = material.signer("RSA-2048", "rsa-pss-sha384")
    signature = cms.Signature(signer, certificate("RSA-2048"))
    encoded = cms.sign(oids.DATA, CONTENT, (signature,), detached=True)
    signed = cms.decode_signed_data(encoded)
    assert (signed.content, signed.certificates) == (None, ())
    fault(FaultKind.BAD_SIGNATURE, cms.verify_signed_data, signed)
    fault(FaultKind.NOT_FOUND, cms.verify_signed_data, signed, content=CONTENT)
    cms.verify_signed_data(signed, content=CONTENT, candidates=(certificate("RSA-2048"),))
    (tmp_path / "content").write_bytes(CONTENT)
    made = material.certificate(signer.key, "RSA-2048 0")
    (tmp_path / "cert.pem").write_bytes(material.cert_pem(made))
    material.openssl(
        "cms", "-verify", "-inform", "DER", "-binary", "-noverify", "-content", tmp_path / "content",
        "-certfile", tmp_path / "cert.pem", stdin=encoded,
    )  # fmt: skip


def test_named_by_key_identifier_or_name_alone() -> None:
    signer = material.signer()
    name = x509.decode_certificate(certificate("EC-P256")).issuer_and_serial
    for signature in (cms.Signature(signer, key_identifier=b"kid"), cms.Signature(signer, issuer_and_serial=name)):
        (info,) = cms.decode_signed_data(cms.sign(oids.DATA, CONTENT, (signature,))).signers
        cms.verify_signer(info, oids.DATA, CONTENT, signer.public_spki)
        fault(FaultKind.BAD_SIGNATURE, cms.verify_signer, info, oids.DATA, CONTENT + b".", signer.public_spki)
    fault(FaultKind.INTERNAL, cms.sign, oids.DATA, CONTENT, (cms.Signature(signer),))


def test_without_signed_attributes_only_over_data() -> None:
    for key, name in (("Ed25519", "ed25519"), ("ML-DSA-44", "ml-dsa-44"), ("EC-P256", "ecdsa-sha256")):
        signature = cms.Signature(material.signer(key, name), certificate(key), signed_attributes=False)
        encoded = cms.sign(oids.DATA, CONTENT, (signature,), certificates=(certificate(key),))
        cms.verify_signed_data(cms.decode_signed_data(encoded))
        fault(FaultKind.INTERNAL, cms.sign, oids.SIGNED_DATA, CONTENT, (signature,))


@pytest.mark.parametrize(
    ("key", "name", "digest", "accepted"),
    [
        ("Ed25519", "ed25519", "sha512", True),
        ("Ed25519", "ed25519", "sha256", False),  # RFC 8419 section 3.1
        ("ML-DSA-44", "ml-dsa-44", "sha256", True),
        ("ML-DSA-65", "ml-dsa-65", "sha256", False),  # RFC 9882 section 3.3
        ("ML-DSA-65", "ml-dsa-65", "sha384", True),
        ("ML-DSA-87", "ml-dsa-87", "sha384", False),
        ("ML-DSA-87", "ml-dsa-87", "sha512", True),
        ("EC-P256", "ecdsa-sha256", "sha512", False),
    ],
)
def test_digest_is_as_strong_as_the_signature(key: str, name: str, digest: str, accepted: bool) -> None:
    signature = cms.Signature(material.signer(key, name), certificate(key), digest=digest)
    signed = cms.decode_signed_data(cms.sign(oids.DATA, CONTENT, (signature,), certificates=(certificate(key),)))
    if accepted:
        cms.verify_signed_data(signed)
    else:
        fault(FaultKind.BAD_ALGORITHM, cms.verify_signed_data, signed)


def test_shake256_digest_of_ed448(tmp_path: Path) -> None:
    """id-shake256-len with 512, as RFC 8419 writes it."""
    signer = material.signer("Ed448", "ed448")
    digest = keywrap_digest(CONTENT)
    attributes = cms.signed_attributes(oids.DATA, digest)
    info = der.sequence(
        der.integer(1),
        x509.decode_certificate(certificate("Ed448")).issuer_and_serial,
        algorithm_identifier(oids.SHAKE256_LEN, der.integer(512)),
        der.retag(der.context(0), attributes),
        algorithms.signature_identifier("ed448"),
        der.octet_string(signer.sign(attributes)),
    )
    body = der.sequence(
        der.integer(1), der.set_of(()), der.sequence(der.oid(oids.DATA), der.explicit(0, der.octet_string(CONTENT))),
        der.explicit(0, certificate("Ed448")), der.set_of((info,)),
    )  # fmt: skip
    cms.verify_signed_data(cms.decode_signed_data(body, bare=True))


def keywrap_digest(data: bytes) -> bytes:
    context = hashes.Hash(hashes.SHAKE256(64))
    context.update(data)
    return context.finalize()


def test_attributes_sent_unsorted_verify_when_signed_sorted() -> None:
    """What is signed is the DER of the attributes, whatever order BER sent them in (RFC 5652 section 5.4)."""
    signer = material.signer()
    signed = cms.decode_signed_data(
        cms.sign(oids.DATA, CONTENT, (cms.Signature(signer, certificate("EC-P256"), attributes=(EXTRA,)),))
    )
    (info,) = signed.signers
    children = [child.encoded for child in der.read(info.signed_attributes_der).children()]
    turned = der.tlv(der.SET, *reversed(children))
    assert turned != info.signed_attributes_der
    sent = dataclasses.replace(info, signed_attributes_der=turned)
    cms.verify_signer(sent, oids.DATA, CONTENT, signer.public_spki)
    signed_unsorted = dataclasses.replace(sent, signature=signer.sign(turned))
    cms.verify_signer(signed_unsorted, oids.DATA, CONTENT, signer.public_spki)


def test_old_rsa_signatures_only_on_request() -> None:
    key: rsa.RSAPrivateKey = material.private_key("RSA-2048")
    for hashing, oid, digest_oid in (
        (hashes.SHA1(), "1.2.840.113549.1.1.5", oids.SHA1),
        (hashes.MD5(), "1.2.840.113549.1.1.4", oids.MD5),
        (hashes.SHA1(), oids.RSA_ENCRYPTION, oids.SHA1),
    ):
        context = hashes.Hash(hashing)
        context.update(CONTENT)
        attributes = cms.signed_attributes(oids.DATA, context.finalize())
        info = der.sequence(
            der.integer(1),
            x509.decode_certificate(certificate("RSA-2048")).issuer_and_serial,
            algorithm_identifier(digest_oid, der.null()),
            der.retag(der.context(0), attributes),
            algorithm_identifier(oid, der.null()),
            der.octet_string(key.sign(attributes, padding.PKCS1v15(), hashing)),
        )
        encapsulated = der.sequence(der.oid(oids.DATA), der.explicit(0, der.octet_string(CONTENT)))
        parts = (der.integer(1), der.set_of(()), encapsulated, der.explicit(0, certificate("RSA-2048")))
        signed = cms.decode_signed_data(der.sequence(*parts, der.set_of((info,))), bare=True)
        fault(FaultKind.BAD_ALGORITHM, cms.verify_signed_data, signed)
        cms.verify_signed_data(signed, legacy=True)
        (one,) = signed.signers
        wrong = dataclasses.replace(one, signature=bytes(256))
        fault(
            FaultKind.BAD_SIGNATURE,
            cms.verify_signed_data,
            dataclasses.replace(signed, signers=(wrong,)),
            legacy=True,
        )


# enveloped


def kem_key(name: str) -> Any:
    return {"ML-KEM-768": mlkem.MLKEM768PrivateKey, "ML-KEM-1024": mlkem.MLKEM1024PrivateKey}[name].generate()


@pytest.mark.parametrize("name", ["ML-KEM-768", "ML-KEM-1024"])
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-128-gcm"])
def test_ml_kem_recipient(name: str, cipher: str) -> None:
    key = kem_key(name)
    recipient = cms.recipient_for_key(material.spki(key), key_identifier=b"kid")
    enveloped = cms.decode_enveloped(cms.encrypt(oids.DATA, CONTENT, (recipient,), cipher=cipher))
    (info,) = enveloped.recipients
    assert (info.kind, info.key_identifier) == (cms.RecipientKind.KEY_ENCAPSULATION, b"kid")
    assert cms.decrypt(enveloped, info, cms.unwrap_with(cms.SoftDecryptor(key))) == CONTENT
    fault(FaultKind.MALFORMED, cms.decrypt, enveloped, info, cms.unwrap_with(cms.SoftDecryptor(kem_key(name))))
    rsa_key = cms.SoftDecryptor(material.private_key("RSA-2048"))
    fault(FaultKind.BAD_ALGORITHM, cms.decrypt, enveloped, info, cms.unwrap_with(rsa_key))


@pytest.mark.parametrize(
    "name", ["RSA-2048", "EC-P256", "EC-P521", "X25519", "ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"]
)
def test_keys_of_the_core_decrypt(name: str) -> None:
    """The private key stays in Rust; for ML-KEM-512 it encapsulates too."""
    key = generate(name) if name.startswith(("RSA", "EC")) else PrivateKey.generate(name)
    public = key.public_key()
    recipient = cms.recipient_for_key(
        key.public_spki, issuer_and_serial=der.sequence(), encapsulate=lambda _: public.encapsulate()
    )
    enveloped = cms.decode_enveloped(cms.encrypt(oids.DATA, CONTENT, (recipient,)))
    (info,) = enveloped.recipients
    assert cms.decrypt(enveloped, info, cms.unwrap_with(key)) == CONTENT


def test_x25519_recipient_by_both_libraries() -> None:
    key = x25519.X25519PrivateKey.generate()
    encoded = cms.encrypt(oids.DATA, CONTENT, (cms.recipient_for_key(material.spki(key), key_identifier=b"kid"),))
    enveloped = cms.decode_enveloped(encoded)
    pkcs8 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for decryptor in (cms.SoftDecryptor(key), PrivateKey.from_pkcs8(pkcs8)):
        assert cms.decrypt(enveloped, enveloped.recipients[0], cms.unwrap_with(decryptor)) == CONTENT


def test_ml_kem_512_needs_a_callable() -> None:
    recipient = cms.recipient_for_key(PrivateKey.generate("ML-KEM-512").public_spki, key_identifier=b"kid")
    with pytest.raises(Fault):
        cms.encrypt(oids.DATA, CONTENT, (recipient,))


PASSWORD = b"correct horse battery staple"


@pytest.mark.parametrize("pwri_kek", [False, True])
@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-256-gcm"])
def test_password_recipient(pwri_kek: bool, cipher: str) -> None:
    recipient = cms.Password(PASSWORD, iterations=1000, pwri_kek=pwri_kek)
    encoded = cms.encrypt(oids.DATA, CONTENT, (recipient,), cipher=cipher)
    enveloped = cms.decode_enveloped(encoded)
    (info,) = enveloped.recipients
    assert cms.decrypt(enveloped, info, cms.unwrap_password(PASSWORD)) == CONTENT
    fault(FaultKind.MALFORMED, cms.decrypt, enveloped, info, cms.unwrap_password(b"wrong"))
    limited = cms.unwrap_password(PASSWORD, max_iterations=999)
    fault(FaultKind.BAD_ALGORITHM, cms.decrypt, enveloped, info, limited)
    if pwri_kek:
        command = ("cms", "-decrypt", "-inform", "DER", "-binary", "-pwri_password", PASSWORD.decode())
        assert material.openssl(*command, stdin=encoded) == CONTENT
    fault(FaultKind.BAD_ALGORITHM, cms.decrypt, enveloped, info, cms.unwrap_kek(bytes(32)))


def test_openssl_s_password_recipient() -> None:
    encoded = material.openssl(
        "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-pwri_password", PASSWORD.decode(),
        stdin=CONTENT,
    )  # fmt: skip
    enveloped = cms.decode_enveloped(encoded)
    (info,) = enveloped.recipients
    assert cms.decrypt(enveloped, info, cms.unwrap_password(PASSWORD)) == CONTENT


@pytest.mark.parametrize(
    "derivation",
    [
        keywrap.pbkdf2_identifier(bytes(16), 10_000_000, 32),
        keywrap.pbkdf2_identifier(bytes(16), 0, 32),
        keywrap.pbkdf2_identifier(bytes(16), -5, 32),
        keywrap.pbkdf2_identifier(bytes(300), 1000, 32),
        keywrap.pbkdf2_identifier(bytes(16), 1000, 16),
        algorithm_identifier("1.2.3", der.sequence()),
        algorithm_identifier(oids.PBKDF2),
        algorithm_identifier(
            oids.PBKDF2, der.sequence(der.octet_string(b"s"), der.integer(1), algorithm_identifier("1.2.3"))
        ),
    ],
)
def test_key_derivation_is_bounded(derivation: bytes) -> None:
    fault(FaultKind.BAD_ALGORITHM, keywrap.password_key, derivation, 32, b"password")


@given(st.binary(min_size=16, max_size=64), st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
def test_pwri_kek_goes_both_ways(key: bytes, kek: bytes, vector: bytes) -> None:
    wrapped = keywrap.pwri_wrap(kek, vector, key)
    assert keywrap.pwri_unwrap(kek, vector, wrapped) == key


@given(st.binary(max_size=80), st.binary(min_size=16, max_size=16))
def test_pwri_kek_of_noise(encrypted: bytes, vector: bytes) -> None:
    with pytest.raises(Fault) as caught:  # 32 bits say that it is right
        keywrap.pwri_unwrap(bytes(32), vector, encrypted)
    assert caught.value.kind is FaultKind.MALFORMED


# Bleichenbacher


@pytest.fixture(scope="module")
def core_key() -> PrivateKey:
    return load_pkcs8(material.pkcs8(material.private_key("RSA-2048")))


def transported(encrypted: bytes, cipher: str = "aes-128-cbc") -> cms.Enveloped:
    """A message whose encryptedKey is ``encrypted``."""
    recipient = cms.KeyTransport(material.spki(material.private_key("RSA-2048")), b"", b"kid", pkcs1=True)
    made = cms.decode_enveloped(cms.encrypt(oids.DATA, CONTENT, (recipient,), cipher=cipher))
    (info,) = made.recipients
    return dataclasses.replace(made, recipients=(dataclasses.replace(info, encrypted_key=encrypted),))


def test_wrong_padding_is_not_told_from_a_wrong_key(core_key: PrivateKey) -> None:
    public = material.private_key("RSA-2048").public_key()
    modulus = public.public_numbers().n
    raw = b"\x00\x01" + b"\xff" * 200  # block type 1 is no encryption block
    block = int.from_bytes(raw + b"\x00" + bytes(256 - len(raw) - 1), "big")
    samples = (
        public.encrypt(os.urandom(16), padding.PKCS1v15()),  # right padding, wrong key
        public.encrypt(os.urandom(24), padding.PKCS1v15()),  # right padding, wrong size
        public.encrypt(b"", padding.PKCS1v15()),
        pow(block, 65537, modulus).to_bytes(256, "big"),  # wrong padding
        bytes(256),
        b"\x01" * 256,
        (modulus - 1).to_bytes(256, "big"),
        b"short",
        b"\xff" * 256,  # not below the modulus
    )
    unwrap = cms.unwrap_with(core_key, allow_pkcs1=True, rejection_secret=b"s" * 32)
    for encrypted in samples:
        enveloped = transported(encrypted)
        (info,) = enveloped.recipients
        key = unwrap(info)
        assert len(key) == 16
        assert unwrap(info) == key, "the same ciphertext must give the same key each time"
        found = {(FaultKind.MALFORMED, "the message cannot be decrypted")}
        try:  # one in 256 wrong keys ends in something like padding
            assert cms.decrypt(enveloped, info, unwrap) != CONTENT
        except Fault as caught:
            found.add((caught.kind, caught.public))
        assert len(found) == 1


def test_rejection_depends_on_secret_and_ciphertext(core_key: PrivateKey) -> None:
    keys = {
        cms.unwrap_with(core_key, allow_pkcs1=True, rejection_secret=secret)(transported(encrypted).recipients[0])
        for secret in (b"one", b"two")
        for encrypted in (bytes(255) + b"\x02", bytes(255) + b"\x03")
    }
    assert len(keys) == 4


def test_pkcs1_transport_to_who_asks_for_it(core_key: PrivateKey) -> None:
    recipient = cms.recipient_for_key(core_key.public_spki, key_identifier=b"kid", pkcs1=True)
    enveloped = cms.decode_enveloped(cms.encrypt(oids.DATA, CONTENT, (recipient,), cipher="aes-128-cbc"))
    (info,) = enveloped.recipients
    fault(FaultKind.BAD_ALGORITHM, cms.decrypt, enveloped, info, cms.unwrap_with(core_key))
    assert cms.decrypt(enveloped, info, cms.unwrap_with(core_key, allow_pkcs1=True)) == CONTENT


@pytest.mark.parametrize("cipher", cms.LEGACY_CIPHERS)
def test_triple_des_and_des_only_on_request(core_key: PrivateKey, cipher: str) -> None:
    recipient = cms.recipient_for_key(core_key.public_spki, key_identifier=b"kid", pkcs1=True)
    encoded = cms.encrypt(oids.DATA, CONTENT, (recipient,), cipher=cipher)
    fault(FaultKind.BAD_ALGORITHM, cms.decode_enveloped, encoded)
    enveloped = cms.decode_enveloped(encoded, legacy=True)
    unwrap = cms.unwrap_with(core_key, allow_pkcs1=True)
    assert cms.decrypt(enveloped, enveloped.recipients[0], unwrap) == CONTENT


def test_des_keys_are_too_short_to_wrap() -> None:
    for recipient in (
        cms.recipient_for_key(material.spki(material.private_key("EC-P256")), key_identifier=b"k"),
        cms.KeyEncryptionKey(bytes(32), b"k"),
        cms.Password(PASSWORD),
    ):
        fault(FaultKind.BAD_ALGORITHM, cms.encrypt, oids.DATA, CONTENT, (recipient,), cipher="des-cbc")


# who it is for


def test_recipient_is_found_by_either_name() -> None:
    facts = x509.decode_certificate(certificate("RSA-2048"))
    others = x509.decode_certificate(certificate("EC-P256"))
    for named in (
        {"issuer_and_serial": facts.issuer_and_serial},
        {"key_identifier": facts.subject_key_identifier},
    ):
        foreign = cms.recipient_for_key(others.spki, issuer_and_serial=others.issuer_and_serial)
        enveloped = cms.decode_enveloped(
            cms.encrypt(oids.DATA, CONTENT, (foreign, cms.recipient_for_key(facts.spki, **named)))
        )
        found = cms.recipient_of(enveloped, facts)
        unwrap = cms.unwrap_rsa(material.private_key("RSA-2048"))
        assert cms.decrypt(enveloped, found, unwrap) == CONTENT
    fault(FaultKind.NOT_FOUND, cms.recipient_of, enveloped, x509.decode_certificate(certificate("EC-P384")))


def test_bare_enveloped_data_as_crmf_carries_it() -> None:
    recipient = cms.KeyEncryptionKey(bytes(32), b"kid")
    for cipher in ("aes-256-cbc", "aes-256-gcm"):
        encoded = cms.encrypt(oids.DATA, CONTENT, (recipient,), cipher=cipher, bare=True)
        enveloped = cms.decode_bare_enveloped(encoded, authenticated=cipher.endswith("gcm"))
        assert cms.decrypt(enveloped, enveloped.recipients[0], cms.unwrap_kek(bytes(32))) == CONTENT


SAMPLES = [
    cms.encrypt(oids.DATA, CONTENT[:40], (cms.Password(PASSWORD, iterations=10),)),
    cms.encrypt(
        oids.DATA, CONTENT[:40], (cms.recipient_for_key(material.spki(kem_key("ML-KEM-768")), key_identifier=b"k"),)
    ),
    cms.encrypt(
        oids.DATA,
        CONTENT[:40],
        (cms.KeyTransport(material.spki(material.private_key("RSA-2048")), b"", b"k", pkcs1=True),),
    ),
]


@settings(max_examples=150)
@given(st.integers(0, len(SAMPLES) - 1), st.data())
def test_damage_raises_nothing_but_fault(index: int, data: st.DataObject) -> None:
    encoded = bytearray(SAMPLES[index])
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, min(len(encoded) - 1, 250)))] = data.draw(st.integers(0, 255))
    soft = cms.SoftDecryptor(material.private_key("RSA-2048"))
    try:
        enveloped = cms.decode_enveloped(cms.from_ber(bytes(encoded)))
        for info in enveloped.recipients:
            for unwrap in (cms.unwrap_with(soft, allow_pkcs1=True), cms.unwrap_password(b"p", max_iterations=1000)):
                try:
                    cms.decrypt(enveloped, info, unwrap)
                except Fault:
                    continue
    except Fault:
        pass


def test_curve_of_the_originator_must_be_ours() -> None:
    recipient = cms.recipient_for_key(material.spki(material.private_key("EC-P256")), key_identifier=b"k")
    enveloped = cms.decode_enveloped(cms.encrypt(oids.DATA, CONTENT, (recipient,)))
    (info,) = enveloped.recipients
    other = material.spki(ec.generate_private_key(ec.SECP384R1()))
    wrong = dataclasses.replace(info, originator_spki=other)
    fault(FaultKind.MALFORMED, cms.unwrap_ec(material.private_key("EC-P256")), wrong)


def test_kdf_of_rfc_9936() -> None:
    """The numbers of RFC 9936's example: CMSORIforKEMOtherInfo, shared secret, and the key that wraps."""
    wrap = algorithm_identifier(oids.AES_128_WRAP)
    info = keywrap.kem_info(wrap, 16, None)
    assert info.hex() == "3010300b0609608648016503040105020110"
    secret = bytes.fromhex("7df12d412ae299a24fde6d7c3bb8e3194c80ad3c733dcf2775e09fe8bedb86d8")
    key = keywrap.encapsulated_key(algorithm_identifier(oids.HKDF_SHA256), 16, info, secret)
    assert key.hex() == "cf453a3e2bae0a78701b8206c185a008"
