"""CMS by hand: the forms that are refused, and rarer ones that are read."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from pycryptoutil_protocols import algorithms, cms, der, oids, x509
from pycryptoutil_protocols.algorithms import algorithm_identifier, hash_identifier
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.est import serverkeygen
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material

KEK = bytes(range(32))
RECIPIENT = cms.KeyEncryptionKey(KEK, b"kid")
ENVELOPED = der.read(cms.encrypt(oids.DATA, b"content", (RECIPIENT,))).children()[1].inner()
AUTHENTICATED = der.read(cms.encrypt(oids.DATA, b"content", (RECIPIENT,), cipher="aes-256-gcm")).children()[1].inner()
SIGNER = material.signer()
CERTIFICATE = material.cert_der(material.certificate(SIGNER.key))
SIGNED = der.read(cms.build_signed_data(oids.DATA, b"content", SIGNER, CERTIFICATE, bare=True))


def fault(kind: FaultKind, call: object, *arguments: object, **named: object) -> None:
    with pytest.raises(Fault) as caught:
        call(*arguments, **named)  # type: ignore[operator]
    assert caught.value.kind is kind


def changed(element: der.Element, index: int, part: bytes) -> bytes:
    """The SEQUENCE with one element replaced; an empty part leaves it out."""
    parts = [child.encoded for child in element.children()]
    parts[index] = part
    return der.sequence(*parts)


def enveloped(index: int, part: bytes) -> bytes:
    return cms.content_info(oids.ENVELOPED_DATA, changed(ENVELOPED, index, part))


def authenticated(index: int, part: bytes) -> bytes:
    return cms.content_info(oids.AUTH_ENVELOPED_DATA, changed(AUTHENTICATED, index, part))


def content(algorithm: bytes) -> bytes:
    return der.sequence(der.oid(oids.DATA), algorithm, der.implicit(0, bytes(16)))


def gcm(nonce: bytes, *rest: bytes) -> bytes:
    return content(algorithm_identifier(oids.AES_256_GCM, der.sequence(der.octet_string(nonce), *rest)))


def agreement(originator: bytes, keys: int = 1) -> bytes:
    key = der.sequence(der.explicit(0, der.octet_string(b"ski")), der.octet_string(bytes(40)))
    algorithm = algorithm_identifier(oids.DH_SHA256_KDF, algorithm_identifier(oids.AES_256_WRAP))
    return der.explicit(1, der.integer(3), der.explicit(0, originator), algorithm, der.sequence(*[key] * keys))


OTHER_RECIPIENT = der.explicit(4, der.oid("1.2.3"), der.null())


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (cms.encode_certs_only(()), FaultKind.UNSUPPORTED),
        (enveloped(0, der.integer(1)), FaultKind.UNSUPPORTED),
        (authenticated(0, der.integer(1)), FaultKind.UNSUPPORTED),
        (enveloped(1, der.set_of([])), FaultKind.TOO_LARGE),
        (enveloped(1, der.set_of([OTHER_RECIPIENT] * 33)), FaultKind.TOO_LARGE),
        (enveloped(1, der.set_of([agreement(der.sequence())])), FaultKind.UNSUPPORTED),  # static-static
        (enveloped(1, der.set_of([agreement(der.explicit(1), 33)])), FaultKind.UNSUPPORTED),
        (enveloped(2, content(algorithm_identifier(oids.AES_256_CBC))), FaultKind.BAD_ALGORITHM),
        (enveloped(2, content(algorithm_identifier(oids.AES_256_CBC, der.octet_string(b"iv")))), FaultKind.MALFORMED),
        (enveloped(2, gcm(bytes(12), der.integer(16))), FaultKind.BAD_ALGORITHM),  # unauthenticated GCM
        (enveloped(2, der.sequence(der.oid(oids.DATA))), FaultKind.MALFORMED),
        (authenticated(2, content(algorithm_identifier(oids.AES_256_CBC, der.octet_string(bytes(16))))),
         FaultKind.BAD_ALGORITHM),
        (authenticated(2, gcm(bytes(12))), FaultKind.BAD_ALGORITHM),  # the default tag length, 12
        (authenticated(2, gcm(bytes(12), der.integer(4))), FaultKind.BAD_ALGORITHM),
        (authenticated(2, gcm(b"short", der.integer(16))), FaultKind.BAD_ALGORITHM),
        (authenticated(3, der.octet_string(bytes(12))), FaultKind.BAD_ALGORITHM),
    ],
)  # fmt: skip
def test_enveloped_forms_that_are_refused(encoded: bytes, kind: FaultKind) -> None:
    fault(kind, cms.decode_enveloped, encoded)


def test_other_kinds_of_recipients_are_passed_over() -> None:
    infos = [OTHER_RECIPIENT, *(child.encoded for child in ENVELOPED.children()[1].children())]
    found = cms.decode_enveloped(enveloped(1, der.set_of(infos)))
    (recipient,) = found.recipients
    assert cms.decrypt(found, recipient, cms.unwrap_kek(KEK)) == b"content"


def test_a_name_with_more_than_the_key_identifier_is_read() -> None:
    """RecipientKeyIdentifier may carry a date (RFC 5652 section 6.2.2)."""
    inner = der.explicit(0, der.octet_string(b"ski"), der.generalized_time(0))
    key = der.sequence(inner, der.octet_string(bytes(40)))
    spki = der.retag(der.context(1), material.spki(material.private_key("EC-P256")))
    algorithm = algorithm_identifier(oids.DH_SHA256_KDF, algorithm_identifier(oids.AES_256_WRAP))
    material_field = der.explicit(1, der.octet_string(b"ukm"))
    info = der.explicit(1, der.integer(3), der.explicit(0, spki), material_field, algorithm, der.sequence(key))
    (recipient,) = cms.decode_enveloped(enveloped(1, der.set_of([info]))).recipients
    assert (recipient.key_identifier, recipient.user_keying_material) == (b"ski", b"ukm")


def test_authenticated_attributes_must_name_the_content_s_type() -> None:
    for attributes in ([], [Attribute(oids.CONTENT_TYPE, (der.oid(oids.SIGNED_DATA),)).encode()]):
        parts = [child.encoded for child in AUTHENTICATED.children()]
        parts.insert(3, der.retag(der.context(1), der.set_of(attributes)))
        fault(
            FaultKind.MALFORMED, cms.decode_enveloped, cms.content_info(oids.AUTH_ENVELOPED_DATA, der.sequence(*parts))
        )


# unwrapping


def recipient_with(algorithm: bytes, encrypted: bytes = bytes(40), spki: bytes = b"") -> cms.RecipientInfo:
    kind = cms.RecipientKind.KEY_AGREEMENT if spki else cms.RecipientKind.KEY_TRANSPORT
    return cms.RecipientInfo(kind, b"", b"ski", algorithm, encrypted, spki)


def oaep(hash_name: str | None, mask: bytes | None, label: bytes | None = None) -> bytes:
    fields = der.explicit(0, hash_identifier(hash_name)) if hash_name else b""
    fields += der.explicit(1, mask) if mask else b""
    fields += der.explicit(2, label) if label else b""
    return algorithm_identifier(oids.RSAES_OAEP, der.sequence(fields))


def mgf1(hash_name: str) -> bytes:
    return algorithm_identifier(oids.MGF1, hash_identifier(hash_name))


@pytest.mark.parametrize(
    ("algorithm", "main", "mask"),
    [
        (oaep(None, None), hashes.SHA1(), hashes.SHA1()),
        (oaep("sha256", None), hashes.SHA256(), hashes.SHA1()),
        (oaep("sha384", mgf1("sha512")), hashes.SHA384(), hashes.SHA512()),
        (
            oaep("sha256", mgf1("sha256"), algorithm_identifier(oids.P_SPECIFIED, der.octet_string(b""))),
            hashes.SHA256(),
            hashes.SHA256(),
        ),
        (algorithm_identifier(oids.RSAES_OAEP), hashes.SHA1(), hashes.SHA1()),
    ],
)
def test_oaep_parameters_mean_what_they_say(
    algorithm: bytes, main: hashes.HashAlgorithm, mask: hashes.HashAlgorithm
) -> None:
    key = material.private_key("RSA-2048")
    encrypted = key.public_key().encrypt(b"k" * 32, padding.OAEP(padding.MGF1(mask), main, None))
    assert cms.unwrap_rsa(key)(recipient_with(algorithm, encrypted)) == b"k" * 32


@pytest.mark.parametrize(
    "algorithm",
    [
        oaep("sha256", algorithm_identifier("1.2.3", hash_identifier("sha256"))),
        oaep("sha256", algorithm_identifier(oids.MGF1)),
        oaep("sha256", mgf1("sha256"), algorithm_identifier(oids.P_SPECIFIED, der.octet_string(b"label"))),
        oaep("sha256", mgf1("sha256"), algorithm_identifier(oids.P_SPECIFIED)),
        algorithm_identifier("1.2.3"),
    ],
)
def test_oaep_parameters_that_are_refused(algorithm: bytes) -> None:
    fault(FaultKind.BAD_ALGORITHM, cms.unwrap_rsa(material.private_key("RSA-2048")), recipient_with(algorithm))


def test_agreement_that_is_refused() -> None:
    unwrap = cms.unwrap_ec(material.private_key("EC-P256"))
    wrap = algorithm_identifier(oids.AES_256_WRAP)
    own = material.spki(material.private_key("EC-P256", 1))
    other_curve = material.spki(material.private_key("EC-P384"))
    for algorithm, spki, kind in (
        (algorithm_identifier("1.2.3", wrap), own, FaultKind.BAD_ALGORITHM),
        (algorithm_identifier(oids.DH_SHA256_KDF), own, FaultKind.BAD_ALGORITHM),
        (algorithm_identifier(oids.DH_SHA256_KDF, algorithm_identifier("1.2.3")), own, FaultKind.BAD_ALGORITHM),
        (algorithm_identifier(oids.DH_SHA256_KDF, wrap), other_curve, FaultKind.MALFORMED),
        (algorithm_identifier(oids.DH_SHA256_KDF, wrap), material.spki(material.private_key("Ed25519")),
         FaultKind.BAD_ALGORITHM),
        (algorithm_identifier(oids.DH_SHA256_KDF, wrap), own, FaultKind.MALFORMED),  # a wrong wrapped key
    ):  # fmt: skip
        fault(kind, unwrap, recipient_with(algorithm, bytes(40), spki))


def test_wrapping_key_of_another_size() -> None:
    fault(FaultKind.BAD_ALGORITHM, cms.unwrap_kek(KEK), recipient_with(algorithm_identifier(oids.AES_128_WRAP)))
    fault(FaultKind.BAD_ALGORITHM, cms.encrypt, oids.DATA, b"", (cms.KeyEncryptionKey(bytes(20), b"k"),))


def test_recipients_of_the_wrong_kind() -> None:
    rsa, curve = (material.spki(material.private_key(one)) for one in ("RSA-2048", "EC-P256"))
    fault(FaultKind.BAD_ALGORITHM, cms.encrypt, oids.DATA, b"", (cms.KeyTransport(curve, b"", b"k"),))
    fault(FaultKind.BAD_ALGORITHM, cms.encrypt, oids.DATA, b"", (cms.KeyAgreement(rsa, b"", b"k"),))


# signed


def test_signed_forms_that_are_refused() -> None:
    (info,) = SIGNED.children()[4].children()
    many = der.set_of([info.encoded] * 17)
    for encoded, kind in (
        (changed(SIGNED, 0, der.integer(2)), FaultKind.UNSUPPORTED),
        (changed(SIGNED, 4, many), FaultKind.TOO_LARGE),
        (changed(SIGNED, 3, der.explicit(0, *[CERTIFICATE] * 65)), FaultKind.TOO_LARGE),
        (changed(SIGNED, 4, der.set_of([changed(info, 0, der.integer(3))])), FaultKind.MALFORMED),
        (changed(SIGNED, 4, der.set_of([changed(info, 1, der.null())])), FaultKind.MALFORMED),
    ):
        fault(kind, cms.decode_signed_data, encoded, bare=True)
    for oid in ("1.2.3", oids.MD5):  # decoded, so that who asked can be told
        unknown = changed(SIGNED, 4, der.set_of([changed(info, 2, algorithm_identifier(oid))]))
        fault(FaultKind.BAD_ALGORITHM, cms.verify_signed_data, cms.decode_signed_data(unknown, bare=True))
    fault(FaultKind.UNSUPPORTED, cms.decode_signed_data, cms.content_info(oids.DATA, der.octet_string(b"")))


def resigned(attributes: list[Attribute], digest: str = "sha256", algorithm: bytes = b"") -> cms.SignedData:
    """The message with other attributes, truly signed."""
    encoded = der.set_of(one.encode() for one in attributes)
    signed = cms.decode_signed_data(SIGNED.encoded, bare=True)
    info = dataclasses.replace(
        signed.signers[0],
        digest_algorithm=digest,
        signed_attributes=tuple(attributes),
        signed_attributes_der=encoded,
        signature=SIGNER.sign(encoded),
        signature_algorithm=algorithm or signed.signers[0].signature_algorithm,
    )
    return dataclasses.replace(signed, signers=(info,))


KIND = Attribute(oids.CONTENT_TYPE, (der.oid(oids.DATA),))
DIGEST = Attribute(oids.MESSAGE_DIGEST, (der.octet_string(algorithms.digest("sha256", b"content")),))


def test_signed_attributes_must_bind_type_and_content() -> None:
    cms.verify_signed_data(resigned([KIND, DIGEST]))
    other_kind = Attribute(oids.CONTENT_TYPE, (der.oid(oids.SIGNED_DATA),))
    other_digest = Attribute(oids.MESSAGE_DIGEST, (der.octet_string(bytes(32)),))
    for attributes in ([DIGEST], [KIND], [other_kind, DIGEST], [KIND, other_digest]):
        fault(FaultKind.BAD_SIGNATURE, cms.verify_signed_data, resigned(attributes))
    twice = Attribute(oids.CONTENT_TYPE, (der.oid(oids.DATA), der.oid(oids.SIGNED_DATA)))
    fault(FaultKind.INVALID, cms.verify_signed_data, resigned([twice, DIGEST]))


def test_digest_and_signature_algorithms_must_fit() -> None:
    sha512 = Attribute(oids.MESSAGE_DIGEST, (der.octet_string(algorithms.digest("sha512", b"content")),))
    fault(FaultKind.BAD_ALGORITHM, cms.verify_signed_data, resigned([KIND, sha512], "sha512"))


def test_key_identifier_needs_a_certificate_that_has_one() -> None:
    name = material.name("plain").public_bytes()
    tbs = x509.build_tbs(
        "ecdsa-sha256", name, b"\x01", 1_700_000_000, 1_900_000_000, name, SIGNER.public_spki,
        der.sequence(x509.Extension("1.2.3", False, b"").encode()),
    )  # fmt: skip
    plain = x509.sign_tbs(tbs, SIGNER)
    fault(FaultKind.INTERNAL, cms.build_signed_data, oids.DATA, b"", SIGNER, plain, by_key_identifier=True)


# what a client of serverkeygen refuses


def package(content_type: str, inner: bytes) -> bytes:
    signed = cms.build_signed_data(content_type, inner, SIGNER, CERTIFICATE, bare=True)
    return cms.encrypt(oids.SIGNED_DATA, signed, (RECIPIENT,))


@pytest.mark.parametrize(
    "encoded",
    [
        cms.encrypt(oids.DATA, b"key", (RECIPIENT,)),
        package(oids.DATA, der.sequence(der.sequence())),
        package(oids.ASYMMETRIC_KEY_PACKAGE, der.sequence()),
        package(oids.ASYMMETRIC_KEY_PACKAGE, der.sequence(der.sequence(), der.sequence())),
    ],
)
def test_key_packages_that_are_refused(encoded: bytes) -> None:
    fault(FaultKind.MALFORMED, serverkeygen.open_protected, encoded, cms.unwrap_kek(KEK))
