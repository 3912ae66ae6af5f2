"""PKCS#10: golden requests of three makers, the attributes, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509 as other
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import csr, der, oids, x509
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material

REFUSED = {
    "csr/openssl-rsa-1024.pem": FaultKind.WEAK_KEY,
    "csr/openssl-rsa-sha1.pem": FaultKind.BAD_ALGORITHM,
    "csr/openssl-ec-secp256k1.pem": FaultKind.BAD_ALGORITHM,
    "rfc7030/a3-simpleenroll-request.b64": FaultKind.BAD_ALGORITHM,  # SHA-1
}
KEYS = {
    "cryptography-ml-dsa-44": "ML-DSA-44",
    "cryptography-ml-dsa-65": "ML-DSA-65",
    "cryptography-ml-dsa-87": "ML-DSA-87",
    "gnutls-ecdsa": "EC-P256",
    "gnutls-ed25519": "Ed25519",
    "gnutls-rsa": "RSA-2048",
    "openssl-ec-P-256": "EC-P256",
    "openssl-ec-P-384": "EC-P384",
    "openssl-ec-P-521": "EC-P521",
    "openssl-ed25519": "Ed25519",
    "openssl-ed448": "Ed448",
    "openssl-rsa-pss-key": "RSA-2048",
    "openssl-rsa-pss-sha256": "RSA-2048",
    "openssl-rsa-sha256": "RSA-2048",
    "openssl-rsa-sha3-256": "RSA-2048",
    "openssl-rsa-sha512": "RSA-2048",
}
GOLDEN = [*material.vectors("csr/*.pem"), "rfc7030/a3-simpleenroll-request.b64"]


def test_every_golden_request_has_an_expectation() -> None:
    assert {*REFUSED, *(f"csr/{name}.pem" for name in KEYS)} == set(GOLDEN)


@pytest.mark.parametrize("path", GOLDEN)
def test_golden_requests_say_what_cryptography_reads(path: str) -> None:
    encoded = material.vector(path)
    request, peer = csr.decode_csr(encoded), other.load_der_x509_csr(encoded)
    assert request.subject == peer.subject.public_bytes()
    assert request.info == peer.tbs_certrequest_bytes
    assert request.signature == peer.signature
    assert [one.oid for one in request.extensions] == [one.oid.dotted_string for one in peer.extensions]
    if path in REFUSED:
        with pytest.raises(Fault) as caught:
            csr.verify_csr(request)
        assert caught.value.kind is REFUSED[path]
    else:
        csr.verify_csr(request)
        assert request.key.algorithm == KEYS[path.removeprefix("csr/").removesuffix(".pem")]


def test_openssl_request_keeps_order_types_and_password() -> None:
    request = csr.decode_csr(material.vector("csr/openssl-ec-P-256.pem"))
    assert [(one.kind.name, one.value) for one in request.sans] == [
        ("DNS", "b.example.test"),
        ("DNS", "a.example.test"),
        ("IP", "192.0.2.1"),
        ("IP", "2001:db8::1"),
        ("EMAIL", "me@example.test"),
        ("URI", "https://example.test/x"),
    ]
    assert request.name.find("2.5.4.10") == ("Exämple",)
    assert der.read(request.name.rdns[0][0].value).tag == der.PRINTABLE_STRING  # C
    assert der.read(request.name.rdns[1][0].value).tag == der.UTF8_STRING
    assert request.challenge_password == "openssl-words"
    usage = request.extension(oids.KEY_USAGE)
    assert usage is not None
    assert usage.critical
    assert x509.encode_extensions(request.extensions) == request.extensions_der


def test_rfc_7030_request_carries_tls_unique() -> None:
    request = csr.decode_csr(material.vector("rfc7030/a3-simpleenroll-request.b64"))
    assert request.name.common_names == ("demostep4 1368141352",)
    assert request.challenge_password == "+rrCir/7+EYu50T4"
    assert request.sans == ()
    assert request.extensions_der == b""


def test_a_changed_request_proves_nothing() -> None:
    encoded = material.vector("csr/openssl-ec-P-256.pem").replace(b"b.example.test", b"c.example.test")
    with pytest.raises(Fault) as caught:
        csr.verify_csr(csr.decode_csr(encoded))
    assert caught.value.kind is FaultKind.BAD_POP


def test_proof_is_of_one_request_and_not_of_a_changed_copy() -> None:
    made = csr.decode_csr(material.vector("csr/openssl-ec-P-256.pem"))
    csr.verify_csr(made)
    csr.verify_csr(made)  # known by now
    with pytest.raises(Fault) as caught:
        csr.verify_csr(replace(made, info=made.info[:-1] + bytes([made.info[-1] ^ 1])))
    assert caught.value.kind is FaultKind.BAD_POP


def build(
    attributes: list[bytes] | None = None,
    *,
    version: int = 0,
    subject: bytes = der.sequence(),
    algorithm: bytes = der.sequence(der.oid("1.2.840.10045.4.3.2")),
) -> bytes:
    """A request by hand, signed; without attributes at all when they are None."""
    signer = material.signer()
    wrapper = b"" if attributes is None else der.explicit(0, *attributes)
    info = der.sequence(der.integer(version), subject, signer.public_spki, wrapper)
    return der.sequence(info, algorithm, der.bit_string(signer.sign(info)))


def one(oid: str, *values: bytes) -> bytes:
    return Attribute(oid, values).encode()


def test_absent_and_empty_attributes() -> None:
    for encoded in (build(None), build([])):
        csr.verify_csr(csr.decode_csr(encoded))
    assert csr.decode_csr(build([])).name.rdns == ()


def test_attributes_of_est() -> None:
    names = der.sequence(der.implicit(2, b"new.example"))
    request = csr.decode_csr(
        build(
            [
                one(oids.DECRYPT_KEY_IDENTIFIER, der.octet_string(b"key-1")),
                one(oids.ASYMMETRIC_DECRYPT_KEY_IDENTIFIER, der.octet_string(b"key-2")),
                one(
                    oids.SMIME_CAPABILITIES,
                    der.sequence(
                        der.sequence(der.oid(oids.AES_256_GCM)), der.sequence(der.oid(oids.AES_256_CBC), der.null())
                    ),
                ),
                one(oids.EST_IDENTITY_LINKING, der.utf8_string("AAAA")),
                one(oids.CHANGE_SUBJECT_NAME, der.sequence(material.name("new").public_bytes(), names)),
                one("1.2.3.4", der.null(), der.integer(1)),
            ]
        )
    )
    assert request.decrypt_key_identifier == b"key-1"
    assert request.asymmetric_decrypt_key_identifier == b"key-2"
    assert [(c.oid, c.parameters) for c in request.capabilities] == [
        (oids.AES_256_GCM, b""),
        (oids.AES_256_CBC, der.null()),
    ]
    assert request.identity_linking == "AAAA"
    assert request.challenge_password is None
    change = request.change_subject_name
    assert change is not None
    assert change.subject == material.name("new").public_bytes()
    assert [san.value for san in change.sans or ()] == ["new.example"]
    assert request.attributes[-1].values == (der.integer(1), der.null())


@pytest.mark.parametrize(
    ("value", "subject", "sans"),
    [
        (der.sequence(der.sequence()), True, False),  # an empty name is a name
        (der.sequence(der.sequence(der.implicit(2, b"x"))), False, True),
    ],
)
def test_change_subject_name_with_one_part(value: bytes, subject: bool, sans: bool) -> None:
    change = csr.decode_csr(build([one(oids.CHANGE_SUBJECT_NAME, value)])).change_subject_name
    assert change is not None
    assert ((change.subject is not None), (change.sans is not None)) == (subject, sans)


def test_microsoft_s_extension_request_counts_and_must_not_contradict() -> None:
    extensions = x509.encode_extensions([x509.Extension("1.2.3", False, b"v")])
    others = x509.encode_extensions([x509.Extension("1.2.4", False, b"v")])
    assert csr.decode_csr(build([one(oids.MS_EXTENSION_REQUEST, extensions)])).extensions_der == extensions
    both = [one(oids.MS_EXTENSION_REQUEST, extensions), one(oids.EXTENSION_REQUEST, extensions)]
    assert csr.decode_csr(build(both)).extensions_der == extensions
    with pytest.raises(Fault) as caught:
        csr.decode_csr(build([one(oids.MS_EXTENSION_REQUEST, extensions), one(oids.EXTENSION_REQUEST, others)]))
    assert caught.value.kind is FaultKind.INVALID


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (build(version=1), FaultKind.UNSUPPORTED),
        (build(subject=der.set_of([])), FaultKind.MALFORMED),
        (build([one(oids.CHALLENGE_PASSWORD, der.utf8_string("a"), der.utf8_string("b"))]), FaultKind.INVALID),
        (build([one(oids.CHALLENGE_PASSWORD)]), FaultKind.INVALID),
        (build([one(oids.CHALLENGE_PASSWORD, der.utf8_string(""))]), FaultKind.INVALID),
        (build([one(oids.CHALLENGE_PASSWORD, der.utf8_string("a" * 256))]), FaultKind.INVALID),
        (build([one(oids.CHALLENGE_PASSWORD, der.octet_string(b"a"))]), FaultKind.MALFORMED),
        (build([one("1.2.3"), one("1.2.3")]), FaultKind.INVALID),
        (build([one(f"1.2.{number}") for number in range(65)]), FaultKind.TOO_LARGE),
        (build([one(oids.EXTENSION_REQUEST, der.null())]), FaultKind.MALFORMED),
        (build([one(oids.DECRYPT_KEY_IDENTIFIER, der.null())]), FaultKind.MALFORMED),
        (
            build([one(oids.SMIME_CAPABILITIES, der.sequence(*[der.sequence(der.oid("1.2.3"))] * 33))]),
            FaultKind.TOO_LARGE,
        ),
        (build([one(oids.CHANGE_SUBJECT_NAME, der.sequence())]), FaultKind.INVALID),
        (build([one(oids.CHANGE_SUBJECT_NAME, der.sequence(der.sequence(), der.sequence()))]), FaultKind.MALFORMED),
        (der.sequence(), FaultKind.MALFORMED),
        (der.octet_string(bytes(csr.MAX_CSR)), FaultKind.TOO_LARGE),
        (build() + b"\x00", FaultKind.MALFORMED),
    ],
)
def test_requests_that_are_refused(encoded: bytes, kind: FaultKind) -> None:
    with pytest.raises(Fault) as caught:
        csr.decode_csr(encoded)
    assert caught.value.kind is kind


def test_secrets_stay_out_of_repr() -> None:
    request = csr.decode_csr(build([one(oids.CHALLENGE_PASSWORD, der.utf8_string("hunter2"))]))
    assert request.challenge_password == "hunter2"
    assert "hunter2" not in repr(request)
    assert b"hunter2".hex() not in repr(request)


@given(st.sampled_from(GOLDEN), st.data())
def test_damage_raises_nothing_but_fault(path: str, data: st.DataObject) -> None:
    encoded = bytearray(material.vector(path))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        request = csr.decode_csr(bytes(encoded))
        csr.verify_csr(request)
        assert request.key
    except Fault:
        pass
