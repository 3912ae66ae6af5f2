"""CMS against openssl and pyca/cryptography, in both directions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography import x509 as other
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import algorithms, cms, der, oids, pem, x509
from pycryptoutil_protocols.csr import Capability
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material

CONTENT = bytes(range(256)) * 3
RECIPIENTS = ["RSA-2048", "EC-P256", "EC-P384", "EC-P521"]
CBC = ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"]
GCM = ["aes-128-gcm", "aes-192-gcm", "aes-256-gcm"]


def fault(kind: FaultKind, call: object, *arguments: object, **named: object) -> None:
    with pytest.raises(Fault) as caught:
        call(*arguments, **named)  # type: ignore[operator]
    assert caught.value.kind is kind


def unwrap(algorithm: str, number: int = 0) -> cms.Unwrap:
    key = material.private_key(algorithm, number)
    return cms.unwrap_rsa(key) if algorithm.startswith("RSA") else cms.unwrap_ec(key)


def recipient(algorithm: str, *, by_key: bool) -> cms.Recipient:
    facts = x509.decode_certificate(material.cert_der(material.certificate(material.private_key(algorithm))))
    if by_key:
        return cms.recipient_for_key(facts.spki, key_identifier=facts.subject_key_identifier)
    return cms.recipient_for_key(facts.spki, issuer_and_serial=facts.issuer_and_serial)


# certificates only


def chain(count: int) -> list[bytes]:
    return [
        material.cert_der(material.certificate(material.private_key("EC-P256", n), f"c{n}", serial=n + 1))
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_certs_only_keeps_the_order_and_is_read_by_others(count: int) -> None:
    certificates = sorted(chain(count), reverse=True)  # the very order that SET OF would turn round
    encoded = cms.encode_certs_only(certificates)
    assert cms.decode_certs_only(encoded) == tuple(certificates)
    printed = material.openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=encoded)
    found = [pem.decode_pem(b"-----BEGIN" + one, 1 << 16) for one in printed.split(b"-----BEGIN")[1:]
             for one in [one[: one.index(b"-----END") + 25]]]  # fmt: skip
    assert found == certificates


def test_certs_only_sorted_is_der_even_to_a_strict_reader(recwarn: pytest.WarningsRecorder) -> None:
    encoded = cms.encode_certs_only(chain(4), in_order=False)
    assert {one.public_bytes(material.DER) for one in pkcs7.load_der_pkcs7_certificates(encoded)} == set(chain(4))
    assert not recwarn.list


def test_reads_certs_only_of_others() -> None:
    certificates = chain(3)
    loaded = [other.load_der_x509_certificate(one) for one in certificates]
    assert set(cms.decode_certs_only(pkcs7.serialize_certificates(loaded, material.DER))) == set(certificates)
    assert len(cms.decode_certs_only(material.vector("rfc7030/a1-cacerts.b64"))) == 4
    (leaf,) = cms.decode_certs_only(material.vector("rfc7030/a3-simpleenroll-response.b64"))
    assert x509.decode_certificate(leaf).serial == 21


def test_crls_ride_along() -> None:
    key = material.private_key("EC-P256")
    crl = (
        other.CertificateRevocationListBuilder()
        .issuer_name(material.name("ca"))
        .last_update(material.NOT_BEFORE)
        .next_update(material.NOT_AFTER)
        .sign(key, hashes.SHA256())
        .public_bytes(material.DER)
    )
    signed = cms.decode_signed_data(cms.encode_certs_only((), (crl,)))
    assert signed.crls == (crl,)
    assert signed.certificates == ()
    assert signed.content is None


# signed


@pytest.mark.parametrize(("key", "name"), [one for one in material.SIGNERS if one[0] != "Ed448"])
@pytest.mark.parametrize("by_key", [False, True])
def test_signs_and_verifies(key: str, name: str, by_key: bool) -> None:
    signer = material.signer(key, name)
    certificate = material.cert_der(material.certificate(signer.key))
    encoded = cms.build_signed_data(oids.DATA, CONTENT, signer, certificate, by_key_identifier=by_key)
    signed = cms.decode_signed_data(encoded)
    assert signed.content == CONTENT
    (found,) = cms.verify_signed_data(signed)
    assert found.der == certificate
    fault(FaultKind.BAD_SIGNATURE, cms.verify_signed_data, signed, content=CONTENT + b".")


@pytest.mark.parametrize(("key", "name"), [one for one in material.SIGNERS if one[0].startswith(("RSA", "EC"))])
def test_openssl_verifies_what_is_signed(key: str, name: str, tmp_path: Path) -> None:
    signer = material.signer(key, name)
    made = material.certificate(signer.key)
    for content_type in (oids.DATA, oids.ASYMMETRIC_KEY_PACKAGE):
        encoded = cms.build_signed_data(content_type, CONTENT, signer, material.cert_der(made))
        (tmp_path / "ca.pem").write_bytes(material.cert_pem(made))
        out = material.openssl(
            "cms", "-verify", "-inform", "DER", "-binary", "-noverify", "-CAfile", tmp_path / "ca.pem", stdin=encoded
        )
        assert out == CONTENT


@pytest.mark.parametrize("options", [[], ["-keyid"], ["-noattr"], ["-nocerts"], ["-md", "sha512"]])
@pytest.mark.parametrize("key", ["RSA-2048", "EC-P384"])
def test_verifies_what_openssl_signs(key: str, options: list[str], tmp_path: Path) -> None:
    made = material.certificate(material.private_key(key))
    (tmp_path / "cert.pem").write_bytes(material.cert_pem(made))
    (tmp_path / "key.pem").write_bytes(material.key_pem(material.private_key(key)))
    (tmp_path / "data").write_bytes(CONTENT)
    encoded = material.openssl(
        "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-in", tmp_path / "data",
        "-signer", tmp_path / "cert.pem", "-inkey", tmp_path / "key.pem", *options,
    )  # fmt: skip
    signed = cms.decode_signed_data(encoded)
    candidates = (material.cert_der(made),) if "-nocerts" in options else ()
    (found,) = cms.verify_signed_data(signed, candidates=candidates)
    assert found.der == material.cert_der(made)
    assert signed.content == CONTENT
    if "-nocerts" in options:
        fault(FaultKind.NOT_FOUND, cms.verify_signed_data, signed)


def test_certs_only_is_not_taken_for_signed() -> None:
    signed = cms.decode_signed_data(cms.encode_certs_only(chain(1)))
    fault(FaultKind.BAD_SIGNATURE, cms.verify_signed_data, signed, content=CONTENT)


def test_another_s_certificate_with_the_same_name_does_not_verify() -> None:
    signer = material.signer()
    own = material.cert_der(material.certificate(signer.key, "same"))
    foreign = material.cert_der(material.certificate(material.private_key("EC-P256", 1), "same"))
    encoded = cms.build_signed_data(oids.DATA, CONTENT, signer, own, certificates=(foreign,))
    fault(FaultKind.BAD_SIGNATURE, cms.verify_signed_data, cms.decode_signed_data(encoded))


def test_signed_attributes_are_needed_over_other_types_than_data() -> None:
    """Else a signature over data could be read as one over attributes (RFC 5652 section 5.3, CVE-2020-14310's kin)."""
    signer = material.signer()
    certificate = material.cert_der(material.certificate(signer.key))
    info = der.sequence(
        der.integer(1), x509.decode_certificate(certificate).issuer_and_serial,
        algorithms.hash_identifier("sha256"), algorithms.signature_identifier("ecdsa-sha256"),
        der.octet_string(signer.sign(CONTENT)),
    )  # fmt: skip
    for content_type, accepted in ((oids.DATA, True), (oids.ASYMMETRIC_KEY_PACKAGE, False)):
        encapsulated = der.sequence(der.oid(content_type), der.explicit(0, der.octet_string(CONTENT)))
        parts = (der.integer(1), der.set_of([]), encapsulated, der.explicit(0, certificate), der.set_of([info]))
        signed = cms.decode_signed_data(der.sequence(*parts), bare=True)
        if accepted:
            cms.verify_signed_data(signed)
        else:
            fault(FaultKind.BAD_SIGNATURE, cms.verify_signed_data, signed)


def test_sha1_is_refused_in_signatures() -> None:
    signer = material.signer("RSA-2048", "rsa-sha256")
    certificate = material.cert_der(material.certificate(signer.key))
    encoded = cms.build_signed_data(oids.DATA, CONTENT, signer, certificate)
    sha256, sha1 = algorithms.hash_identifier("sha256"), algorithms.hash_identifier("sha1")
    signed = cms.decode_signed_data(encoded)
    (info,) = signed.signers
    weak = cms.SignerInfo(
        info.issuer_and_serial, b"", "sha1", info.signed_attributes, info.signed_attributes_der,
        info.signature_algorithm, info.signature,
    )  # fmt: skip
    assert sha256 != sha1
    fault(
        FaultKind.BAD_ALGORITHM,
        cms.verify_signed_data,
        cms.SignedData(signed.content_type, signed.content, signed.certificates, (), (weak,)),
    )


# enveloped


@pytest.mark.parametrize("algorithm", RECIPIENTS)
@pytest.mark.parametrize("cipher", [*CBC, *GCM])
@pytest.mark.parametrize("by_key", [False, True])
def test_encrypts_and_decrypts(algorithm: str, cipher: str, by_key: bool) -> None:
    encoded = cms.encrypt(oids.SIGNED_DATA, CONTENT, (recipient(algorithm, by_key=by_key),), cipher=cipher)
    enveloped = cms.decode_enveloped(encoded)
    assert (enveloped.cipher, enveloped.content_type) == (cipher, oids.SIGNED_DATA)
    (info,) = enveloped.recipients
    assert bool(info.key_identifier) == by_key
    assert cms.decrypt(enveloped, info, unwrap(algorithm)) == CONTENT
    with pytest.raises(Fault):
        cms.decrypt(enveloped, info, unwrap(algorithm, 1))


@pytest.mark.parametrize("algorithm", RECIPIENTS)
@pytest.mark.parametrize("cipher", [*CBC, *GCM])
@pytest.mark.parametrize("by_key", [False, True])
def test_openssl_decrypts(algorithm: str, cipher: str, by_key: bool, tmp_path: Path) -> None:
    """GCM with id-data only: OpenSSL 3.0 reads the authenticated attributes, needed otherwise, under a wrong tag."""
    content_type = oids.DATA if cipher in GCM else oids.SIGNED_DATA
    encoded = cms.encrypt(content_type, CONTENT, (recipient(algorithm, by_key=by_key),), cipher=cipher)
    key = material.private_key(algorithm)
    (tmp_path / "key.pem").write_bytes(material.key_pem(key))
    (tmp_path / "cert.pem").write_bytes(material.cert_pem(material.certificate(key)))
    out = material.openssl(
        "cms", "-decrypt", "-inform", "DER", "-binary", "-inkey", tmp_path / "key.pem", "-recip", tmp_path / "cert.pem",
        stdin=encoded,
    )  # fmt: skip
    assert out == CONTENT


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-128-gcm"])
def test_symmetric_recipient_also_for_openssl(size: int, cipher: str) -> None:
    key = os.urandom(size)
    encoded = cms.encrypt(oids.DATA, CONTENT, (cms.KeyEncryptionKey(key, b"kid"),), cipher=cipher)
    enveloped = cms.decode_enveloped(encoded)
    assert enveloped.recipients[0].key_identifier == b"kid"
    assert cms.decrypt(enveloped, enveloped.recipients[0], cms.unwrap_kek(key)) == CONTENT
    fault(FaultKind.MALFORMED, cms.decrypt, enveloped, enveloped.recipients[0], cms.unwrap_kek(bytes(size)))
    out = material.openssl(
        "cms", "-decrypt", "-inform", "DER", "-binary", "-secretkey", key.hex(), "-secretkeyid", b"kid".hex(),
        stdin=encoded,
    )  # fmt: skip
    assert out == CONTENT


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("RSA-2048", ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]),
        ("RSA-2048", ["-keyopt", "rsa_padding_mode:oaep", "-keyid"]),
        ("EC-P256", []),
        ("EC-P384", ["-keyid"]),
        ("EC-P521", ["-keyopt", "ecdh_kdf_md:sha512"]),
    ],
)
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-128-gcm"])
def test_decrypts_what_openssl_encrypts(algorithm: str, options: list[str], cipher: str, tmp_path: Path) -> None:
    if algorithm.startswith("EC") and "-keyopt" not in options:
        options = [*options, "-keyopt", "ecdh_kdf_md:sha256"]
    made = material.certificate(material.private_key(algorithm))
    (tmp_path / "cert.pem").write_bytes(material.cert_pem(made))
    flags = [one for one in options if one == "-keyid"]
    rest = [one for one in options if one != "-keyid"]
    encoded = material.openssl(
        "cms", "-encrypt", "-binary", "-outform", "DER", f"-{cipher}", *flags, "-recip", tmp_path / "cert.pem", *rest,
        stdin=CONTENT,
    )  # fmt: skip
    enveloped = cms.decode_enveloped(encoded)
    assert cms.decrypt(enveloped, enveloped.recipients[0], unwrap(algorithm)) == CONTENT


def test_pkcs1_key_transport_is_read_only_when_allowed(tmp_path: Path) -> None:
    key = material.private_key("RSA-2048")
    (tmp_path / "cert.pem").write_bytes(material.cert_pem(material.certificate(key)))
    encoded = material.openssl(
        "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-128-cbc", tmp_path / "cert.pem", stdin=CONTENT
    )
    enveloped = cms.decode_enveloped(encoded)
    (info,) = enveloped.recipients
    fault(FaultKind.BAD_ALGORITHM, cms.decrypt, enveloped, info, cms.unwrap_rsa(key))
    assert cms.decrypt(enveloped, info, cms.unwrap_rsa(key, allow_pkcs1=True)) == CONTENT


def test_every_recipient_can_decrypt() -> None:
    everyone = [recipient(algorithm, by_key=True) for algorithm in RECIPIENTS]
    enveloped = cms.decode_enveloped(cms.encrypt(oids.DATA, CONTENT, everyone))
    opened = 0
    for info in enveloped.recipients:
        for algorithm in RECIPIENTS:
            if info.key_identifier == recipient(algorithm, by_key=True).key_identifier:
                assert cms.decrypt(enveloped, info, unwrap(algorithm)) == CONTENT
                opened += 1
    assert opened == len(RECIPIENTS)


def test_old_content_ciphers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_bytes(material.cert_pem(material.certificate(material.private_key("RSA-2048"))))
    encoded = material.openssl(
        "cms", "-encrypt", "-binary", "-outform", "DER", "-des3", tmp_path / "cert.pem", stdin=CONTENT
    )
    fault(FaultKind.BAD_ALGORITHM, cms.decode_enveloped, encoded)


def test_a_signing_key_cannot_receive() -> None:
    for algorithm in ("Ed25519", "ML-DSA-44"):
        fault(FaultKind.BAD_ALGORITHM, cms.recipient_for_key, material.spki(material.private_key(algorithm)))
    fault(FaultKind.MALFORMED, cms.recipient_for_key, b"\x30\x00")


def test_tampering_with_authenticated_content_is_noticed() -> None:
    encoded = cms.encrypt(oids.SIGNED_DATA, CONTENT, (recipient("EC-P256", by_key=True),), cipher="aes-256-gcm")
    enveloped = cms.decode_enveloped(encoded)
    for changed in (
        encoded.replace(enveloped.encrypted, bytes((enveloped.encrypted[0] ^ 1,)) + enveloped.encrypted[1:]),
        encoded.replace(enveloped.tag, bytes(16)),
        encoded.replace(enveloped.vector, bytes(12)),
    ):
        assert changed != encoded
        damaged = cms.decode_enveloped(changed)
        fault(FaultKind.MALFORMED, cms.decrypt, damaged, damaged.recipients[0], unwrap("EC-P256"))
    # the content type is authenticated too
    swapped = encoded.replace(der.oid(oids.SIGNED_DATA), der.oid(oids.DATA))
    damaged = cms.decode_enveloped(swapped)
    fault(FaultKind.MALFORMED, cms.decrypt, damaged, damaged.recipients[0], unwrap("EC-P256"))


def test_every_decryption_failure_reads_the_same() -> None:
    enveloped = cms.decode_enveloped(cms.encrypt(oids.DATA, CONTENT, (recipient("RSA-2048", by_key=True),)))
    (info,) = enveloped.recipients
    texts = set()
    for key in (lambda _: bytes(32), lambda _: bytes(5), unwrap("RSA-2048", 1)):
        try:
            cms.decrypt(enveloped, info, key)
        except Fault as caught:
            texts.add((caught.kind, caught.public))
    assert texts == {(FaultKind.MALFORMED, "the message cannot be decrypted")}


@pytest.mark.parametrize(
    ("listed", "chosen"),
    [
        ([], "aes-256-cbc"),
        ([oids.AES_128_CBC, oids.AES_256_CBC], "aes-128-cbc"),
        ([oids.AES_256_GCM, oids.AES_192_CBC], "aes-192-cbc"),
        ([oids.AES_256_GCM], "aes-256-gcm"),
        ([oids.AES_256_WRAP, "1.2.840.113549.1.1.11"], "aes-256-cbc"),  # says nothing of content ciphers
        (["1.2.840.113549.3.7", oids.AES_128_CBC], "aes-128-cbc"),  # 3DES first
    ],
)
def test_cipher_is_one_that_the_client_has(listed: list[str], chosen: str) -> None:
    assert cms.negotiate_cipher([Capability(one) for one in listed]) == chosen


def test_no_common_cipher() -> None:
    fault(FaultKind.BAD_ALGORITHM, cms.negotiate_cipher, [Capability("1.2.840.113549.3.7")])


SAMPLES = [
    cms.encode_certs_only(chain(2)),
    cms.build_signed_data(oids.DATA, CONTENT, material.signer(), chain(1)[0]),
    cms.encrypt(oids.DATA, CONTENT[:64], [recipient(one, by_key=True) for one in RECIPIENTS]),
    cms.encrypt(oids.SIGNED_DATA, CONTENT[:64], (recipient("EC-P256", by_key=False),), cipher="aes-128-gcm"),
]


@given(st.integers(0, len(SAMPLES) - 1), st.data())
def test_damage_raises_nothing_but_fault(index: int, data: st.DataObject) -> None:
    encoded = bytearray(SAMPLES[index])
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    try:
        if index < 2:
            cms.verify_signed_data(cms.decode_signed_data(bytes(encoded)))
        else:
            enveloped = cms.decode_enveloped(bytes(encoded))
            for info in enveloped.recipients:
                cms.decrypt(enveloped, info, unwrap("EC-P256"))
    except Fault:
        pass
