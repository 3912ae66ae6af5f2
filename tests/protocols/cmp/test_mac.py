"""MAC algorithms: right values, bounded work, and what is refused."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc4210, rfc5280, rfc8018, rfc9810
from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.cmp import mac
from pycryptoutil_protocols.cmp.mac import KemMacParameters, MacLimits, Pbmac1Parameters, PbmParameters
from pycryptoutil_protocols.faults import Fault, FaultKind

SALT = b"0123456789abcdef"
HMAC_SHA1 = "1.3.6.1.5.5.8.1.2"
HMAC_SHA256 = "1.2.840.113549.2.9"
NULL = der.null()


def refused(encoded: bytes, limits: MacLimits = mac.DEFAULT_LIMITS, kind: FaultKind = FaultKind.BAD_ALGORITHM) -> Fault:
    with pytest.raises(Fault) as caught:
        mac.decode_mac(encoded, limits)
    assert caught.value.kind is kind
    return caught.value


def pbm(
    salt: bytes = SALT, owf: str = oids.SHA256, iterations: int = 500, name: str = HMAC_SHA256, extra: bytes = b""
) -> bytes:
    parameters = der.sequence(
        der.octet_string(salt),
        algorithms.algorithm_identifier(owf, NULL),
        der.integer(iterations),
        algorithms.algorithm_identifier(name, NULL),
        extra,
    )
    return algorithms.algorithm_identifier(mac.PASSWORD_BASED_MAC, parameters)


def pbmac1(
    salt: bytes = SALT,
    iterations: int = 10_000,
    length: bytes = der.integer(32),
    prf: bytes = algorithms.algorithm_identifier(HMAC_SHA256, NULL),
    name: str = HMAC_SHA256,
    kdf: str = mac.PBKDF2,
) -> bytes:
    derivation = der.sequence(der.octet_string(salt), der.integer(iterations), length, prf)
    schemes = der.sequence(
        algorithms.algorithm_identifier(kdf, derivation), algorithms.algorithm_identifier(name, NULL)
    )
    return algorithms.algorithm_identifier(mac.PBMAC1, schemes)


def kem(
    kdf: bytes = algorithms.algorithm_identifier("1.2.840.113549.1.9.16.3.28"),
    length: int = 32,
    name: str = HMAC_SHA256,
    context: bytes = b"",
) -> bytes:
    parameters = der.sequence(kdf, context, der.integer(length), algorithms.algorithm_identifier(name, NULL))
    return algorithms.algorithm_identifier(mac.KEM_BASED_MAC, parameters)


def test_password_based_mac_by_hand() -> None:
    parameters = PbmParameters(SALT, 3, "sha256", "sha512")
    key = b"secret" + SALT
    for _ in range(3):
        key = hashlib.sha256(key).digest()
    assert parameters.compute(b"secret", b"data") == hmac.digest(key, b"data", "sha512")


def test_pbmac1_by_pyca() -> None:
    parameters = Pbmac1Parameters(SALT, 1234, 20, "sha384", "sha512")
    key = PBKDF2HMAC(hashes.SHA384(), 20, SALT, 1234).derive(b"secret")
    assert parameters.compute(b"secret", b"data") == hmac.digest(key, b"data", "sha512")


def test_kem_based_mac_by_hand() -> None:
    parameters = KemMacParameters(b"transaction id", mac="sha384", context=b"ctx")
    info = decoder.decode(parameters.other_info(), asn1Spec=rfc9810.KemOtherInfo())[0]
    assert str(info["staticString"][0]) == "CMP-KEM"
    assert bytes(info["transactionID"]) == b"transaction id"
    assert bytes(info["kemContext"]) == b"ctx"
    key = HKDF(hashes.SHA256(), 32, None, encoder.encode(info)).derive(b"shared")
    assert parameters.compute(b"shared", b"data") == hmac.digest(key, b"data", "sha384")
    other = replace(parameters, kdf="kdf3", kdf_hash="sha512", length=16)
    key = hashlib.sha512(b"\0\0\0\1shared" + encoder.encode(info)).digest()[:16]
    assert other.compute(b"shared", b"data") == hmac.digest(key, b"data", "sha384")
    assert replace(parameters, transaction_id=b"another").compute(b"shared", b"data") != parameters.compute(
        b"shared", b"data"
    )


hash_names = st.sampled_from(["sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"])
macs = st.sampled_from(["sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"])


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.builds(PbmParameters, st.binary(min_size=8, max_size=32), st.integers(100, 100_000), hash_names, macs),
        st.builds(
            Pbmac1Parameters,
            st.binary(min_size=8, max_size=32),
            st.integers(1000, 600_000),
            st.integers(16, 64),
            macs,
            macs,
        ),
        st.builds(
            KemMacParameters,
            st.just(b"tid"),
            st.sampled_from(["hkdf", "kdf3"]),
            st.sampled_from(["sha256", "sha384", "sha512"]),
            st.integers(16, 64),
            macs,
            st.none() | st.binary(max_size=8),
        ),
    )
)
def test_parameters_survive(parameters: mac.MacParameters) -> None:
    encoded = parameters.encode()
    assert mac.decode_mac(encoded, transaction_id=b"tid") == parameters
    outer = decoder.decode(encoded, asn1Spec=rfc5280.AlgorithmIdentifier())[0]
    spec = {
        mac.PASSWORD_BASED_MAC: rfc4210.PBMParameter(),
        mac.PBMAC1: rfc8018.PBMAC1_params(),
        mac.KEM_BASED_MAC: rfc9810.KemBMParameter(),
    }[str(outer["algorithm"])]
    inner, rest = decoder.decode(outer["parameters"], asn1Spec=spec)
    assert rest == b""
    assert encoder.encode(inner) == bytes(outer["parameters"])


def test_sha1_is_verified_and_never_made() -> None:
    for oid in (HMAC_SHA1, "1.2.840.113549.2.7"):
        found = mac.decode_mac(pbm(name=oid))
        assert isinstance(found, PbmParameters)
        assert found.mac == "sha1"
        key = found.salt
        assert found.compute(b"s", b"d") != key
        with pytest.raises(Fault):
            found.encode()
        answer = found.answering()
        assert (answer.mac, answer.owf, answer.iterations) == ("sha256", "sha256", 500)
        assert answer.salt != found.salt
    old = mac.decode_mac(pbmac1(prf=b"", name=HMAC_SHA1, length=b""))
    assert isinstance(old, Pbmac1Parameters)
    assert (old.prf, old.mac, old.key_length) == ("sha1", "sha1", 20)
    assert (old.answering().prf, old.answering().mac) == ("sha256", "sha256")
    assert mac.decode_mac(old.answering().encode()) is not None


@pytest.mark.parametrize("iterations", [-1, 0, 1, 99, 100_001, 2**31, 2**64, 2**63])
def test_password_based_mac_iterations_are_bounded(iterations: int) -> None:
    with pytest.raises(Fault) as caught:
        mac.decode_mac(pbm(iterations=iterations))
    assert caught.value.kind in (FaultKind.BAD_ALGORITHM, FaultKind.INVALID)


@pytest.mark.parametrize("iterations", [0, 999, 600_001, 2**40])
def test_pbkdf2_iterations_are_bounded(iterations: int) -> None:
    assert "iteration" in refused(pbmac1(iterations=iterations)).public


def test_an_enormous_integer_is_refused_unread() -> None:
    refused(pbm(iterations=1 << 8 * 4000), kind=FaultKind.TOO_LARGE)


def test_limits_can_be_set() -> None:
    limits = MacLimits(max_iterations=200, min_iterations=150)
    assert mac.decode_mac(pbm(iterations=200), limits)
    refused(pbm(iterations=201), limits)
    refused(pbm(iterations=149), limits)


@pytest.mark.parametrize(
    "encoded",
    [
        pbm(salt=b"7 octet"),
        pbm(salt=bytes(129)),
        pbm(owf=oids.SHA1),
        pbm(owf="1.2.840.113549.2.5"),
        pbm(name="1.2.840.113549.2.6"),
        pbm(name="2.16.840.1.101.3.4.2.19"),  # KMAC
        pbmac1(salt=b"short"),
        pbmac1(length=der.integer(15)),
        pbmac1(length=der.integer(65)),
        pbmac1(kdf="1.3.6.1.4.1.11591.4.11"),
        pbmac1(prf=algorithms.algorithm_identifier("1.2.840.113549.2.6", NULL)),
        kem(length=8),
        kem(length=100),
        kem(kdf=algorithms.algorithm_identifier("1.2.3")),
        kem(kdf=algorithms.algorithm_identifier("1.2.840.113549.1.9.16.3.28", NULL)),
        kem(kdf=algorithms.algorithm_identifier("1.3.133.16.840.9.44.1.2")),
        kem(kdf=algorithms.algorithm_identifier("1.3.133.16.840.9.44.1.2", algorithms.hash_identifier("sha1"))),
        algorithms.algorithm_identifier(mac.DH_BASED_MAC, der.sequence()),
        algorithms.algorithm_identifier(mac.PASSWORD_BASED_MAC),
        algorithms.algorithm_identifier("1.2.3"),
    ],
)
def test_what_is_refused(encoded: bytes) -> None:
    refused(encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        pbm(extra=NULL),
        algorithms.algorithm_identifier(mac.PASSWORD_BASED_MAC, NULL),
        algorithms.algorithm_identifier(mac.PASSWORD_BASED_MAC, der.sequence(NULL)),
        algorithms.algorithm_identifier(mac.PBMAC1, der.sequence()),
        algorithms.algorithm_identifier(mac.KEM_BASED_MAC, der.sequence()),
    ],
)
def test_what_is_malformed(encoded: bytes) -> None:
    refused(encoded, kind=FaultKind.MALFORMED)


def test_secrets_are_not_shown() -> None:
    from pycryptoutil_protocols.cmp.protection import MacProtector

    assert "hidden" not in repr(MacProtector(b"hidden", PbmParameters(SALT)))
