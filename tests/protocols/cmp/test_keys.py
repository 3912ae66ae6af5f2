"""Private keys that the CA made: through every way of encrypting, and only from who may make keys."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from pyasn1.codec.der import decoder
from pyasn1_alt_modules import rfc5958
from pycryptoutil_protocols import cms, der, oids, x509
from pycryptoutil_protocols.cmp import keys as generated
from pycryptoutil_protocols.cms.unwrapping import SoftDecryptor
from pycryptoutil_protocols.crmf import encrypted
from pycryptoutil_protocols.crmf.messages import EncryptedKey
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material as keys
from tests.protocols.cmp import material

MAKER = material.make_certificate(
    material.SERVER_KEY.public_key(), "KGA", purposes=(generated.KEY_GENERATION_AUTHORITY,)
)
NEW = keys.private_key("EC-P256", 30)
SIGNER = keys.KeySigner(material.SERVER_KEY)


def refused(kind: FaultKind, call: Any) -> None:
    with pytest.raises(Fault) as caught:
        call()
    assert caught.value.kind is kind


def wrap(recipient: cms.Recipient, **how: Any) -> EncryptedKey:
    package = generated.with_public_key(keys.pkcs8(NEW), keys.spki(NEW))
    return generated.wrap(package, recipient, SIGNER, (MAKER, material.CA), **how)


def check(found: tuple[bytes, x509.Certificate, tuple[bytes, ...]]) -> None:
    key, maker, certificates = found
    loaded = load_der_private_key(key, None)
    assert keys.pkcs8(loaded) == keys.pkcs8(NEW)
    assert maker.der == MAKER
    assert certificates == (MAKER, material.CA)
    generated.check_maker(maker, ())


@pytest.mark.parametrize("package", [True, False])
@pytest.mark.parametrize("algorithm", ["RSA-2048", "EC-P256", "EC-P384"])
def test_to_a_certificate(algorithm: str, package: bool) -> None:
    key = keys.private_key(algorithm, 31)
    certificate = x509.decode_certificate(material.make_certificate(key.public_key(), "subject", signs=False))
    recipient = cms.recipient_for_key(certificate.spki, issuer_and_serial=certificate.issuer_and_serial)
    check(generated.unwrap(wrap(recipient, package=package), SoftDecryptor(key)))


def test_to_a_kem_key() -> None:
    recipient = cms.recipient_for_key(keys.spki(material.KEM_KEY), key_identifier=b"kid")
    check(generated.unwrap(wrap(recipient), SoftDecryptor(material.KEM_KEY)))


def test_to_a_password() -> None:
    sealed = wrap(cms.Password(material.SECRET, 1000))
    check(generated.unwrap(sealed, material.SECRET))
    refused(FaultKind.MALFORMED, lambda: generated.unwrap(sealed, b"another"))


def test_openssl_opens_it(tmp_path: Any) -> None:
    key = keys.private_key("RSA-2048", 31)
    certificate = material.make_certificate(key.public_key(), "subject", signs=False)
    decoded = x509.decode_certificate(certificate)
    sealed = wrap(cms.recipient_for_key(decoded.spki, issuer_and_serial=decoded.issuer_and_serial))
    (tmp_path / "key.pem").write_bytes(keys.key_pem(key))
    (tmp_path / "in.der").write_bytes(cms.content_info(oids.ENVELOPED_DATA, sealed.enveloped))
    inner = keys.openssl(
        "cms", "-decrypt", "-inform", "DER", "-in", tmp_path / "in.der", "-inkey", tmp_path / "key.pem", "-binary"
    )
    (tmp_path / "signed.der").write_bytes(cms.content_info(oids.SIGNED_DATA, inner))
    (tmp_path / "maker.pem").write_bytes(keys.openssl("x509", "-inform", "DER", stdin=MAKER))
    package = keys.openssl("cms", "-verify", "-inform", "DER", "-in", tmp_path / "signed.der", "-noverify", "-binary")
    (only,) = der.split_sequence(package)
    found = decoder.decode(only, asn1Spec=rfc5958.OneAsymmetricKey())[0]
    assert int(found["version"]) == 1
    assert found["publicKey"].asOctets() == keys.spki(NEW)[-65:]
    assert generated.without_public_key(only) == keys.pkcs8(NEW)


def test_only_who_may_make_keys() -> None:
    server, ca = x509.decode_certificate(material.SERVER), x509.decode_certificate(material.CA)
    refused(FaultKind.FORBIDDEN, lambda: generated.check_maker(server, (material.CA,)))
    generated.check_maker(ca, (material.CA,))
    other = x509.decode_certificate(
        material.make_certificate(material.SERVER_KEY.public_key(), "x", purposes=("1.3.6.1.5.5.7.3.1",))
    )
    refused(FaultKind.FORBIDDEN, lambda: generated.check_maker(other, ()))


def sealed_content(content_type: str, content: bytes) -> EncryptedKey:
    return encrypted.seal(content_type, content, (cms.Password(b"x", 1000),))


def signed(content_type: str, content: bytes) -> bytes:
    return cms.build_signed_data(content_type, content, SIGNER, MAKER, bare=True)


@pytest.mark.parametrize(
    "content",
    [der.sequence(), der.sequence(der.sequence(), der.sequence()), b"", b"\x04\x00", b"\x30\x03\x30"],
)
def test_packages_without_exactly_one_key(content: bytes) -> None:
    key = sealed_content(oids.SIGNED_DATA, signed(oids.ASYMMETRIC_KEY_PACKAGE, content))
    refused(FaultKind.MALFORMED, lambda: generated.unwrap(key, b"x"))


def test_what_is_not_a_signed_package() -> None:
    refused(FaultKind.MALFORMED, lambda: generated.unwrap(sealed_content("1.2.3", b"x"), b"x"))
    other = sealed_content(oids.SIGNED_DATA, signed("1.2.3", b"x"))
    refused(FaultKind.MALFORMED, lambda: generated.unwrap(other, b"x"))
    good = signed(oids.ASYMMETRIC_KEY_PACKAGE, der.sequence(keys.pkcs8(NEW)))
    broken = sealed_content(oids.SIGNED_DATA, good[:-1] + bytes((good[-1] ^ 1,)))
    refused(FaultKind.BAD_SIGNATURE, lambda: generated.unwrap(broken, b"x"))
