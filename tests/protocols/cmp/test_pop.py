"""Proof of possession: signatures with and without input, encrypted certificates, challenges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from pycryptoutil_protocols import algorithms, cms, der, oids
from pycryptoutil_protocols.cmp import pop
from pycryptoutil_protocols.cmp.client import requests
from pycryptoutil_protocols.cmp.messages import Challenge, directory_name
from pycryptoutil_protocols.cms.unwrapping import SoftDecryptor
from pycryptoutil_protocols.crmf import codec as crmf
from pycryptoutil_protocols.crmf import encrypted
from pycryptoutil_protocols.crmf.messages import (
    CertReqMsg,
    CertTemplate,
    EncryptedKey,
    EncryptedValue,
    PkMac,
    RaVerified,
    SigningKeyInput,
)
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material as keys
from tests.protocols.cmp import material

SUBJECT = keys.name("subject").public_bytes()
SENDER = directory_name(SUBJECT)
SIGNER = keys.signer()
DECRYPTORS = {
    "RSA-2048": keys.private_key("RSA-2048"),
    "EC-P256": keys.private_key("EC-P256"),
    "EC-P384": keys.private_key("EC-P384"),
    "X25519": x25519.X25519PrivateKey.generate(),
    "ML-KEM-768": mlkem.MLKEM768PrivateKey.generate(),
    "ML-KEM-1024": mlkem.MLKEM1024PrivateKey.generate(),
}


def sent(message: CertReqMsg) -> CertReqMsg:
    """The message as the other side decodes it."""
    (found,) = crmf.decode_messages(der.read(crmf.encode_messages((message,))))
    return found


def refused(kind: FaultKind, call: Any) -> None:
    with pytest.raises(Fault) as caught:
        call()
    assert caught.value.kind is kind


def request(template: CertTemplate | None = None, **how: Any) -> CertReqMsg:
    wanted = template if template is not None else requests.template(SUBJECT, None)
    return sent(requests.signed(wanted, SIGNER, **how).messages[0])


@pytest.mark.parametrize(("algorithm", "name"), keys.SIGNERS)
def test_a_signature_over_the_request(algorithm: str, name: str) -> None:
    (made,) = requests.signed(requests.template(SUBJECT, None), keys.signer(algorithm, name)).messages
    message = sent(made)
    pop.verify_signature(message)
    damaged = replace(message, request=replace(message.request, encoded=message.request.encoded[:-1] + b"?"))
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(damaged))


def test_a_signature_by_another_key() -> None:
    other = replace(requests.template(SUBJECT, None), spki=keys.spki(keys.private_key("EC-P256", 5)))
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(request(other)))


def test_without_subject_the_sender_is_named() -> None:
    message = request(CertTemplate(), sender=SENDER)
    pop.verify_signature(message, sender=SENDER)
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(message))
    other = directory_name(keys.name("other").public_bytes())
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(message, sender=other))


def test_without_subject_the_secret_vouches() -> None:
    message = request(CertTemplate(), secret=material.SECRET)
    pop.verify_signature(message, secret=material.SECRET)
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(message, secret=b"another"))
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(message, sender=SENDER))
    refused(FaultKind.INVALID, lambda: request(CertTemplate()))


def test_an_input_of_another_key() -> None:
    message = request(CertTemplate(), sender=SENDER)
    other = keys.spki(keys.private_key("EC-P256", 5))
    turned = replace(message, request=replace(message.request, template=CertTemplate(spki=other)))
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(turned, sender=SENDER))


def test_what_is_no_signature() -> None:
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(replace(request(), pop=None)))
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(replace(request(), pop=RaVerified())))
    bare = replace(request(), request=replace(request().request, template=CertTemplate(subject=SUBJECT)))
    refused(FaultKind.BAD_POP, lambda: pop.verify_signature(bare))


def test_another_mac_over_the_key() -> None:
    spki = SIGNER.public_spki
    odd = PkMac(algorithms.algorithm_identifier("1.2.3"), b"x")
    refused(FaultKind.BAD_ALGORITHM, lambda: pop.verify_mac(odd, b"s", spki))
    from pycryptoutil_protocols.cmp.mac import Pbmac1Parameters

    other = Pbmac1Parameters.fresh()
    value = PkMac(other.encode(), other.compute(b"s", spki))
    refused(FaultKind.BAD_ALGORITHM, lambda: pop.verify_mac(value, b"s", spki))


def test_an_empty_input_cannot_be_written() -> None:
    refused(FaultKind.INVALID, lambda: crmf.encode_signing_input(SigningKeyInput(b"\x30\x00")))


@pytest.mark.parametrize("name", DECRYPTORS)
def test_encrypted_certificates(name: str) -> None:
    key = DECRYPTORS[name]
    certificate = material.make_certificate(key.public_key(), "subject", signs=False)
    sealed = pop.encrypt_certificate(certificate)
    assert certificate not in sealed.enveloped
    assert pop.decrypt_certificate(sealed, SoftDecryptor(key)) == certificate
    enveloped = cms.decode_bare_enveloped(sealed.enveloped)
    assert enveloped.content_type == oids.DATA
    nameless = material.make_certificate(key.public_key(), "subject", signs=False, identifier=False)
    assert pop.decrypt_certificate(pop.encrypt_certificate(nameless), SoftDecryptor(key)) == nameless


def test_encrypted_certificates_of_somebody_else() -> None:
    certificate = material.make_certificate(keys.private_key("EC-P256", 5).public_key(), "subject")
    recipient = cms.recipient_for_key(SIGNER.public_spki, key_identifier=b"kid")
    sealed = encrypted.seal(oids.DATA, certificate, (recipient,))
    refused(FaultKind.MALFORMED, lambda: pop.decrypt_certificate(sealed, SoftDecryptor(SIGNER.key)))
    other = SoftDecryptor(keys.private_key("EC-P256", 5))
    refused(FaultKind.MALFORMED, lambda: pop.decrypt_certificate(sealed, other))


def test_a_key_that_only_signs_cannot_decrypt() -> None:
    certificate = material.make_certificate(keys.private_key("Ed25519").public_key(), "subject")
    refused(FaultKind.BAD_ALGORITHM, lambda: pop.encrypt_certificate(certificate))


@pytest.mark.parametrize("name", DECRYPTORS)
def test_challenges(name: str) -> None:
    key = DECRYPTORS[name]
    asked = pop.challenge(keys.spki(key), SENDER)
    assert str(asked.number) not in repr(asked)
    assert pop.answer(asked.challenge, SoftDecryptor(key), SENDER) == asked.number
    other = directory_name(keys.name("other").public_bytes())
    refused(FaultKind.MALFORMED, lambda: pop.answer(asked.challenge, SoftDecryptor(key), other))
    turned = replace(asked.challenge, witness=bytes(32))
    refused(FaultKind.MALFORMED, lambda: pop.answer(turned, SoftDecryptor(key), SENDER))
    old = Challenge(None, b"", b"old form")
    refused(FaultKind.UNSUPPORTED, lambda: pop.answer(old, SoftDecryptor(key), SENDER))


def old_value(cipher: str = oids.AES_256_CBC, padding: bytes | None = None) -> tuple[EncryptedValue, bytes]:
    """An EncryptedValue as RFC 4210's servers made them, by pyca/cryptography."""
    from cryptography.hazmat.primitives import padding as block
    from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
    from cryptography.hazmat.primitives.ciphers import Cipher, modes
    from cryptography.hazmat.primitives.ciphers.algorithms import AES

    key, vector, content = bytes(range(32)), bytes(16), b"the content"
    padder, encryptor = block.PKCS7(128).padder(), Cipher(AES(key), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    wrapped = keys.private_key("RSA-2048").public_key().encrypt(key, rsa_padding.PKCS1v15())
    symmetric = algorithms.algorithm_identifier(cipher, der.octet_string(vector))
    return EncryptedValue(None, symmetric, wrapped, padding, None, sealed), content


def test_encrypted_values_of_old_are_read() -> None:
    decryptor = SoftDecryptor(keys.private_key("RSA-2048"))
    rsa = algorithms.algorithm_identifier(oids.RSA_ENCRYPTION, der.null())
    for padding in (None, rsa):
        value, content = old_value(padding=padding)
        key = EncryptedKey(value=value)
        assert encrypted.unseal(key, decryptor, allow_pkcs1=True) == ("", content)
        refused(FaultKind.BAD_ALGORITHM, lambda: encrypted.unseal(key, decryptor))  # noqa: B023


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"symmetric_algorithm": None}, FaultKind.BAD_ALGORITHM),
        ({"encrypted_symmetric_key": None}, FaultKind.BAD_ALGORITHM),
        ({"symmetric_algorithm": algorithms.algorithm_identifier("1.2.840.113549.3.7")}, FaultKind.BAD_ALGORITHM),
        ({"key_algorithm": algorithms.algorithm_identifier("1.2.3")}, FaultKind.BAD_ALGORITHM),
        ({"encrypted": b"short"}, FaultKind.MALFORMED),
        (
            {"symmetric_algorithm": algorithms.algorithm_identifier(oids.AES_128_CBC, der.octet_string(bytes(16)))},
            FaultKind.MALFORMED,
        ),
        ({"encrypted_symmetric_key": b"x" * 256}, FaultKind.MALFORMED),
    ],
)
def test_encrypted_values_that_cannot_be_opened(change: dict[str, Any], kind: FaultKind) -> None:
    value, _ = old_value()
    key = EncryptedKey(value=replace(value, **change))
    decryptor = SoftDecryptor(keys.private_key("RSA-2048"))
    refused(kind, lambda: encrypted.unseal(key, decryptor, allow_pkcs1=True))


def test_passwords_open_no_encrypted_value() -> None:
    value, _ = old_value()
    refused(FaultKind.UNSUPPORTED, lambda: encrypted.unseal_by_password(EncryptedKey(value=value), b"x"))


def test_passphrases_by_password() -> None:
    sealed = encrypted.seal(oids.DATA, b"passphrase", (cms.Password(b"secret", 1000),))
    assert encrypted.unseal_by_password(sealed, b"secret") == (oids.DATA, b"passphrase")
    refused(FaultKind.MALFORMED, lambda: encrypted.unseal_by_password(sealed, b"other"))
