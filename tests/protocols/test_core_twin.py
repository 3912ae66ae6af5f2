"""The core and the Python twins of its builders are each other's oracle: the same octets before the signature."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols import algorithms, crl, der, oids, x509
from pycryptoutil_protocols.crl import CrlEntry
from pycryptoutil_protocols.ocsp import codec, exchange, response
from pycryptoutil_protocols.ocsp.messages import SingleStatus

from pycryptoutil.crypto import keys
from pycryptoutil.crypto import signer as core
from tests.protocols import material

PAIRS = [pair for pair in material.SIGNERS if pair[0] != "Ed448"]
ISSUER = material.name("ca").public_bytes()
TIME = st.integers(1, 4102444800)  # to the year 2100, across UTCTime's end
CERT_ID = st.builds(
    codec.encode_cert_id,
    st.sampled_from(["sha1", "sha256", "sha384", "sha512"]),
    st.binary(max_size=8),
    st.binary(max_size=8),
    st.integers(1, (1 << 159) - 1),
)
EXTENSIONS = st.just(b"") | TIME.map(exchange.archive_cutoff_extension)
SINGLE = st.one_of(
    st.tuples(CERT_ID, st.just(0), st.just(0), st.just(-1), TIME, st.just(0) | TIME, EXTENSIONS),
    st.tuples(CERT_ID, st.just(1), st.just(0) | TIME, st.sampled_from([-1, 1, 4, 6, 9, 10]), TIME, TIME, EXTENSIONS),
    st.tuples(CERT_ID, st.just(2), st.just(0), st.just(-1), TIME, TIME, EXTENSIONS),
)
ENTRY = st.tuples(
    st.integers(1, (1 << 159) - 1).map(lambda serial: serial.to_bytes((serial.bit_length() + 7) // 8, "big")),
    TIME,
    st.sampled_from([-1, 1, 2, 3, 4, 5, 6, 8, 9, 10]),
    st.just(0) | TIME,
)


def both(algorithm: str, name: str) -> tuple[core.KeySigner, material.KeySigner]:
    """The same key in the core and in pyca/cryptography."""
    python = material.signer(algorithm, name)
    return core.KeySigner(keys.PrivateKey.from_pkcs8(material.pkcs8(python.key)), name), python


@pytest.mark.parametrize(("algorithm", "name"), PAIRS)
def test_each_verifies_what_the_other_signs(algorithm: str, name: str) -> None:
    rust, python = both(algorithm, name)
    assert rust.public_spki == python.public_spki
    identifier = algorithms.signature_identifier(name)
    algorithms.verify(python.public_spki, identifier, b"data", rust.sign(b"data"))
    keys.verify(rust.public_spki, name, b"data", python.sign(b"data"))


@given(st.lists(SINGLE, min_size=1, max_size=4), TIME, st.none() | st.binary(min_size=1, max_size=128), EXTENSIONS)
def test_ocsp_responses_are_the_same(
    singles: list[SingleStatus], produced_at: int, nonce: bytes | None, extensions: bytes
) -> None:
    rust, python = both("EC-P256", "ecdsa-sha256")
    certificate = material.cert_der(material.certificate(python.key))
    for certificates in ((), (certificate,)):
        encoded = core.OcspSigner(rust, certificates).sign(singles, produced_at, nonce, extensions)
        decoded = response.decode_response(encoded)
        assert decoded.tbs == response.build_tbs(singles, produced_at, python.public_spki, nonce, extensions)
        response.verify_response(decoded, python.public_spki)
        assert decoded.certificates == certificates


@pytest.mark.parametrize(("algorithm", "name"), PAIRS)
def test_ocsp_responses_of_every_algorithm(algorithm: str, name: str) -> None:
    rust, python = both(algorithm, name)
    single: SingleStatus = (codec.encode_cert_id("sha1", b"n", b"k", 5), 0, 0, -1, 100, 200, b"")
    certificate = material.cert_der(material.certificate(python.key))
    encoded = core.OcspSigner(rust, (certificate,)).sign([single], 100)
    ours = response.build_response([single], 100, python, (certificate,))
    if name in ("rsa-sha256", "rsa-sha384", "rsa-sha512", "ed25519"):  # deterministic signatures
        assert encoded == ours
    decoded = response.decode_response(encoded)
    response.verify_response(decoded, python.public_spki)
    assert decoded.signature_algorithm == algorithms.signature_identifier(name)


@given(st.lists(SINGLE, max_size=5), TIME)
def test_bulk_responses_are_those_made_one_by_one(singles: list[SingleStatus], produced_at: int) -> None:
    rust, python = both("EC-P256", "ecdsa-sha256")
    made = core.OcspSigner(rust, ()).sign_many(singles, produced_at)
    tbs = [response.decode_response(one).tbs for one in made]
    assert tbs == [response.build_tbs([one], produced_at, python.public_spki, None, b"") for one in singles]


@given(st.lists(ENTRY, max_size=20), TIME, st.integers(1, 10**9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_crls_are_the_same(tmp_path: Path, entries: list[CrlEntry], this_update: int, lifetime: int) -> None:
    next_update = this_update + lifetime
    rust, python = both("EC-P256", "ecdsa-sha256")
    extensions = der.sequence(x509.Extension(oids.CRL_NUMBER, False, der.integer(7)).encode())
    tbs = crl.build_tbs("ecdsa-sha256", ISSUER, this_update, next_update, extensions, entries)
    encoded = core.build_crl(rust, ISSUER, this_update, next_update, extensions, iter(entries))
    assert der.split_sequence(encoded)[0] == tbs
    signature = der.read(encoded).children()[2].bits()
    algorithms.verify(python.public_spki, algorithms.signature_identifier("ecdsa-sha256"), tbs, signature)
    path = tmp_path / "crl"
    length = core.build_crl_file(path, rust, ISSUER, this_update, next_update, extensions, iter(entries))
    written = path.read_bytes()
    assert (len(written), der.split_sequence(written)[0]) == (length, tbs)


@given(
    st.integers(1, (1 << 159) - 1),
    TIME,
    st.integers(1, 10**9),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).map(
        lambda text: der.sequence(der.set_of([_common_name(text)]))
    ),
    st.lists(st.tuples(st.integers(1, 99), st.booleans(), st.binary(max_size=40)), min_size=1, max_size=5),
)
def test_certificates_are_the_same(
    serial: int, not_before: int, lifetime: int, subject: bytes, extensions: list[tuple[int, bool, bytes]]
) -> None:
    rust, python = both("EC-P256", "ecdsa-sha256")
    magnitude = serial.to_bytes((serial.bit_length() + 7) // 8, "big")
    encoded = x509.encode_extensions(
        [x509.Extension(f"1.2.{arc}", critical, value) for arc, critical, value in extensions]
    )
    spki = material.spki(material.private_key("RSA-2048"))
    builder = core.CertificateSigner(rust, ISSUER)
    tbs = builder.tbs(magnitude, not_before, not_before + lifetime, subject, spki, encoded)
    assert tbs == x509.build_tbs(
        "ecdsa-sha256", ISSUER, magnitude, not_before, not_before + lifetime, subject, spki, encoded
    )
    outer, algorithm, signature = der.read(builder.sign(tbs)).children()
    assert outer.encoded == tbs
    algorithms.verify(python.public_spki, algorithm, tbs, signature.bits())
    assert der.split_sequence(x509.sign_tbs(tbs, python))[:2] == (tbs, algorithm.encoded)


def _common_name(text: str) -> bytes:
    return der.sequence(der.oid(oids.COMMON_NAME), der.utf8_string(text))
