"""OCSP responses of the core, read and compared with cryptography's."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import keys
from pycryptoutil.crypto import x509 as helpers
from pycryptoutil.crypto.signer import CertificateSigner, KeySigner, OcspSigner, SingleStatus

KEY = keys.generate("EC-P256")
NAME = helpers.name_der("CN=CA")
ISSUE = CertificateSigner(KeySigner(KEY), NAME)
CERTIFICATE = ISSUE.sign(ISSUE.tbs(b"\x09" * 17, 0, 4_000_000_000, NAME, KEY.public_spki, b""))
PARSED = x509.load_der_x509_certificate(CERTIFICATE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HASHES: list[hashes.HashAlgorithm] = [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]
REASONS = {1: "key_compromise", 2: "ca_compromise", 3: "affiliation_changed", 4: "superseded",
           5: "cessation_of_operation", 6: "certificate_hold", 8: "remove_from_crl", 9: "privilege_withdrawn",
           10: "aa_compromise"}  # fmt: skip
INSTANTS = st.integers(0, 4_000_000_000)


def at(unix: int) -> datetime:
    return EPOCH + timedelta(seconds=unix)


def cert_id(algorithm: hashes.HashAlgorithm = HASHES[1]) -> bytes:
    request = ocsp.OCSPRequestBuilder().add_certificate(PARSED, PARSED, algorithm).build()
    (tbs,) = der.read(request.public_bytes(Encoding.DER)).children()
    return tbs.children()[0].children()[0].children()[0].encoded


def decode(response: bytes) -> ocsp.OCSPResponse:
    decoded = ocsp.load_der_ocsp_response(response)
    assert decoded.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    keys.verify(KEY.public_spki, "ecdsa-sha256", decoded.tbs_response_bytes, decoded.signature)
    return decoded


@settings(max_examples=80, deadline=None)
@given(
    algorithm=st.sampled_from(HASHES),
    produced=INSTANTS,
    this=INSTANTS,
    lasts=st.none() | st.integers(1, 10**8),
    revoked=st.none() | st.tuples(INSTANTS, st.sampled_from([-1, *REASONS])),
)
def test_the_same_octets_as_cryptography(
    algorithm: hashes.HashAlgorithm, produced: int, this: int, lasts: int | None, revoked: tuple[int, int] | None
) -> None:
    """cryptography takes producedAt from the clock, so that is patched in."""
    until = this + lasts if lasts else 0
    single = (cert_id(algorithm), int(revoked is not None), *(revoked or (0, -1)), this, until, b"")
    ours = decode(OcspSigner(KeySigner(KEY), [CERTIFICATE]).sign([single], produced))
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            PARSED,
            PARSED,
            algorithm,
            ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            at(this),
            at(until) if until else None,
            at(revoked[0]) if revoked else None,
            x509.ReasonFlags[REASONS[revoked[1]]] if revoked and revoked[1] in REASONS else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, PARSED)
        .certificates([PARSED])
    )
    private = load_der_private_key(KEY.export_pkcs8(), None)
    twin = builder.sign(private, hashes.SHA256())  # type: ignore[arg-type]
    stamp = f"{at(produced):%Y%m%d%H%M%S}Z".encode()
    theirs = twin.tbs_response_bytes.replace(f"{twin.produced_at_utc:%Y%m%d%H%M%S}Z".encode(), stamp, 1)
    assert ours.tbs_response_bytes == theirs
    assert [one.public_bytes(Encoding.DER) for one in ours.certificates] == [CERTIFICATE]


def single(status: int = 0, revoked_at: int = 0, reason: int = -1, extensions: bytes = b"") -> SingleStatus:
    return (cert_id(), status, revoked_at, reason, 1000, 2000, extensions)


def test_nonce_unknown_several_and_extensions() -> None:
    extension = der.sequence(der.oid("1.3.6.1.5.5.7.48.1.6"), der.octet_string(der.generalized_time(5)))
    signer = OcspSigner(KeySigner(KEY), [])
    response = decode(signer.sign([single(2), single(1, 500, 4, extension)], 1500, b"n" * 32, extension))
    assert [one.certificate_status.name for one in response.responses] == ["UNKNOWN", "REVOKED"]
    assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32
    assert len(response.extensions) == 2
    assert response.produced_at_utc == at(1500)
    assert response.responder_key_hash == hashlib.sha1(helpers.key_bits(KEY.public_spki)).digest()
    assert response.certificates == []
    assert extension in response.tbs_response_bytes


def test_many_are_in_order_and_each_alone() -> None:
    many = OcspSigner(KeySigner(KEY), []).sign_many([single(1, 1000 + index) for index in range(50)], 1500)
    assert [decode(one).revocation_time_utc for one in many] == [at(1000 + index) for index in range(50)]
    assert OcspSigner(KeySigner(KEY), []).sign_many([], 1500) == []


@pytest.mark.parametrize("algorithm", ["RSA-2048", "EC-P384", "Ed25519", "ML-DSA-44"])
def test_other_algorithms(algorithm: str) -> None:
    signer = KeySigner(keys.generate(algorithm))
    decoded = ocsp.load_der_ocsp_response(OcspSigner(signer, []).sign([single()], 1500))
    keys.verify(signer.public_spki, signer.signature_algorithm, decoded.tbs_response_bytes, decoded.signature)


@pytest.mark.parametrize(
    "arguments",
    [
        ([], 0, None, b""),
        ([single(3)], 0, None, b""),
        ([single(1, 5, 7)], 0, None, b""),
        ([single(1, 5, 11)], 0, None, b""),
        ([single(1, 1 << 40)], 0, None, b""),
        ([single(extensions=b"\x04\x00")], 0, None, b""),
        ([(b"", 0, 0, -1, 0, 0, b"")], 0, None, b""),
        ([(b"\x30" + bytes(600), 0, 0, -1, 0, 0, b"")], 0, None, b""),
        ([single()], 1 << 60, None, b""),
        ([single()], 0, b"", b""),
        ([single()], 0, b"n" * 129, b""),
        ([single()], 0, None, b"\x30\x05"),
    ],
    ids=range(12),
)
def test_bad_fields_are_refused(arguments: tuple[list[SingleStatus], int, bytes | None, bytes]) -> None:
    with pytest.raises(Fault):
        OcspSigner(KeySigner(KEY), []).sign(*arguments)


def test_the_certificate_must_be_of_the_key() -> None:
    other = KeySigner(keys.generate("EC-P256"))
    with pytest.raises(Fault) as raised:
        OcspSigner(other, [CERTIFICATE])
    assert raised.value.kind is FaultKind.INVALID
    with pytest.raises(Fault):
        OcspSigner(KeySigner(KEY), [b"nonsense"])


def test_wrong_types_are_type_errors() -> None:
    signer = OcspSigner(KeySigner(KEY), [])
    for wrong in ([("x", 0, 0, -1, 0, 0, b"")], [(b"",)], [None], 7):
        with pytest.raises((TypeError, ValueError)):
            signer.sign(wrong, 0)  # type: ignore[arg-type]
