"""OCSP requests: golden ones, the GET form under everything that proxies do, and the fast peek."""

from __future__ import annotations

import base64
import contextlib
import re
import urllib.parse

import pytest
from cryptography import x509 as other
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from hypothesis import assume, given
from hypothesis import strategies as st
from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ocsp import codec
from pycryptoutil_protocols.ocsp.messages import OcspRequest
from pycryptoutil_protocols.x509 import Extension

from tests.protocols import material

REQUESTS = [path for path in material.vectors("ocsp/*.der") if "response" not in path]
SERIAL = 0x1100AABBCCDDEEFF00112233445566778899
HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


def cert_id(serial: int = SERIAL, hash_name: str = "sha1", issuer: bytes = b"name", key: bytes = b"key") -> bytes:
    return codec.encode_cert_id(hash_name, issuer, key, serial)


def refused(kind: FaultKind, encoded: bytes) -> None:
    with pytest.raises(Fault) as caught:
        codec.decode_request(encoded)
    assert caught.value.kind is kind
    assert codec.peek(encoded) is None


@pytest.mark.parametrize("path", REQUESTS)
def test_golden_requests(path: str) -> None:
    encoded = material.vector(path)
    request = codec.decode_request(encoded)
    first = request.cert_ids[0]
    assert first.serial == SERIAL
    assert first.der in encoded
    assert ("nonce" in path or "several" in path or "signed" in path) == (request.nonce is not None)
    assert len(request.cert_ids) == (3 if "several" in path else 1)
    assert request.signed == ("signed" in path)
    assert (request.requestor_name is not None) == ("signed" in path)
    issuer = other.load_pem_x509_certificate((material.VECTORS / "ocsp/ca.pem").read_bytes())
    spki = issuer.public_key().public_bytes(material.DER, material.serialization.PublicFormat.SubjectPublicKeyInfo)
    key = algorithms.key_info(spki).key
    hash_name = next((name for name in HASHES if f"-{name}" in path), "sha1")
    assert first.hash_algorithm == hash_name
    assert first.issuer_name_hash == algorithms.digest(hash_name, issuer.subject.public_bytes())
    assert first.issuer_key_hash == algorithms.digest(hash_name, key)
    if "several" not in path and "signed" not in path:
        assert codec.peek(encoded) == (first.der, request.nonce is not None)
    else:
        assert codec.peek(encoded) is None


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("nonce", [None, b"n" * 32])
def test_requests_of_cryptography(hash_name: str, nonce: bytes | None) -> None:
    algorithm = HASHES[hash_name]
    size = algorithm.digest_size
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(bytes(size), bytes(range(size)), SERIAL, algorithm)
    if nonce:
        builder = builder.add_extension(other.OCSPNonce(nonce), critical=False)
    encoded = builder.build().public_bytes(material.DER)
    request = codec.decode_request(encoded)
    (one,) = request.cert_ids
    assert (one.hash_algorithm, one.issuer_name_hash, one.serial) == (hash_name, bytes(size), SERIAL)
    assert request.nonce == nonce
    assert codec.peek(encoded) == (one.der, nonce is not None)


@given(
    st.lists(st.integers(1, (1 << 159) - 1), min_size=1, max_size=4),
    st.sampled_from(sorted(HASHES)),
    st.none() | st.binary(min_size=1, max_size=128),
)
def test_what_is_written_is_read_also_by_cryptography(serials: list[int], hash_name: str, nonce: bytes | None) -> None:
    ids = tuple(cert_id(serial, hash_name) for serial in serials)
    encoded = codec.encode_request(ids, nonce)
    request = codec.decode_request(encoded)
    assert tuple(one.der for one in request.cert_ids) == ids
    assert [one.serial for one in request.cert_ids] == serials
    assert request.nonce == nonce
    if len(serials) == 1:
        peer = ocsp.load_der_ocsp_request(encoded)
        assert peer.serial_number == serials[0]
        seen = codec.peek(encoded)
        if nonce is None or len(nonce) <= 123:
            assert seen == (ids[0], nonce is not None)
        else:
            assert seen is None


def test_nonce_lengths_of_rfc_9654() -> None:
    for length in (1, 16, 32, 128):
        assert codec.decode_request(codec.encode_request((cert_id(),), bytes(length))).nonce == bytes(length)
    for length in (0, 129, 1000):
        refused(FaultKind.MALFORMED, codec.encode_request((cert_id(),), bytes(length)))
    bare = Extension(oids.OCSP_NONCE, False, b"\x05bare!").encode()  # no OCTET STRING inside
    refused(FaultKind.MALFORMED, codec.encode_request((cert_id(),), None, bare))


def test_further_extensions() -> None:
    acceptable = Extension(oids.OCSP_RESPONSE, False, der.sequence(der.oid(oids.OCSP_BASIC))).encode()
    preferred = Extension(
        oids.OCSP_PREFERRED_SIGNATURE_ALGORITHMS,
        False,
        der.sequence(*(der.sequence(algorithms.signature_identifier(one)) for one in ("ecdsa-sha256", "rsa-sha256"))),
    ).encode()
    unknown = Extension("1.2.3", False, b"?").encode()
    request = codec.decode_request(codec.encode_request((cert_id(),), b"nonce", acceptable + preferred + unknown))
    assert request.acceptable_responses == (oids.OCSP_BASIC,)
    assert request.preferred_signatures == ("1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11")
    assert request.nonce == b"nonce"
    refused(FaultKind.MALFORMED, codec.encode_request((cert_id(),), None, Extension("1.2.3", True, b"?").encode()))


def wrapped(*tbs: bytes) -> bytes:
    return der.sequence(der.sequence(*tbs))


LIST = der.sequence(der.sequence(cert_id()))


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (b"", FaultKind.MALFORMED),
        (b"\x30\x00", FaultKind.MALFORMED),
        (wrapped(), FaultKind.MALFORMED),
        (wrapped(der.sequence()), FaultKind.MALFORMED),
        (wrapped(der.explicit(0, der.integer(1)), LIST), FaultKind.UNSUPPORTED),
        (wrapped(LIST, der.null()), FaultKind.MALFORMED),
        (wrapped(der.explicit(1, der.null()), LIST), FaultKind.MALFORMED),
        (wrapped(LIST) + b"\x00", FaultKind.MALFORMED),
        (codec.encode_request((cert_id(),) * 257), FaultKind.TOO_LARGE),
        (der.octet_string(bytes(codec.MAX_REQUEST)), FaultKind.TOO_LARGE),
        (wrapped(der.sequence(der.sequence(cert_id(1 << 300)))), FaultKind.MALFORMED),
        (codec.encode_request((cert_id(),), b"n", codec.encode_nonce(b"n")), FaultKind.INVALID),
        (der.sequence(der.sequence(LIST), der.explicit(0, der.null())), FaultKind.MALFORMED),
    ],
)
def test_requests_that_are_refused(encoded: bytes, kind: FaultKind) -> None:
    refused(kind, encoded)


def test_version_written_out_and_an_unknown_hash_are_read() -> None:
    assert codec.decode_request(wrapped(der.explicit(0, der.integer(0)), LIST)).cert_ids[0].serial == SERIAL
    odd = der.sequence(
        algorithms.algorithm_identifier("1.2.3.4"), der.octet_string(b"a"), der.octet_string(b"b"), der.integer(-5)
    )
    (one,) = codec.decode_request(wrapped(der.sequence(der.sequence(odd)))).cert_ids
    assert (one.hash_algorithm, one.serial, one.der) == ("1.2.3.4", -5, odd)


# peek


@pytest.mark.parametrize("hash_name", HASHES)
def test_peek_at_every_length_that_changes_a_header(hash_name: str) -> None:
    for octets in range(1, 31):
        for nonce in (None, *(bytes(length) for length in range(1, 124))):
            one = cert_id((1 << (8 * octets)) - 1 >> 1, hash_name)
            encoded = codec.encode_request((one,), nonce)
            assert codec.peek(encoded) == (one, nonce is not None)
            assert codec.decode_request(encoded) == codec.decode_fully(encoded)


SEEDS = [material.vector(path) for path in REQUESTS] + [
    codec.encode_request((cert_id(127, name),), nonce)
    for name in HASHES
    for nonce in (None, b"1", bytes(123), bytes(128))
]


@given(st.sampled_from(SEEDS), st.data())
def test_peek_never_disagrees_with_the_decoder(seed: bytes, data: st.DataObject) -> None:
    encoded = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(encoded[: data.draw(st.integers(len(encoded) - 3, len(encoded) + 1))])
    seen = codec.peek(damaged)
    try:
        request = codec.decode_fully(damaged)
    except Fault:
        assert seen is None
        with pytest.raises(Fault):
            codec.decode_request(damaged)
        return
    assert codec.decode_request(damaged) == request
    if seen is not None:
        assert (request.cert_ids[0].der, request.nonce is not None) == seen
        assert len(request.cert_ids) == 1
        assert not request.signed


@given(st.binary(max_size=600))
def test_peek_on_anything(data: bytes) -> None:
    codec.peek(data)


# GET


@pytest.mark.parametrize("path", REQUESTS)
def test_get_forms_that_clients_and_proxies_make(path: str) -> None:
    encoded = material.vector(path)
    text = base64.b64encode(encoded).decode()
    forms = {
        text,
        codec.encode_get(encoded),
        urllib.parse.quote(text),  # slashes as they are
        urllib.parse.quote(text, safe=""),
        urllib.parse.quote(text, safe="").lower() if text.lower() == text else text,
        text.rstrip("="),
        text.replace("+", " "),
        text.replace("+", "-").replace("/", "_"),
        base64.urlsafe_b64encode(encoded).decode().rstrip("="),
        "/" + text,
        "//" + text,
        text + "/",
        text.replace("=", "%3D") + "%3d"[:0],
    }
    for form in forms:
        assert codec.decode_get(form) == encoded
        assert codec.decode_get(form.encode()) == encoded


def with_double_slash() -> list[tuple[str, bytes]]:
    """Requests whose base64 has // in it, as text without padding; a few in a hundred have."""
    found = []
    for number in range(1, 4000):
        encoded = codec.encode_request((cert_id(number, "sha256", b"%d" % number),), b"n%d" % number)
        text = base64.b64encode(encoded).decode().rstrip("=")
        if "//" in text and "///" not in text and not text.endswith("/"):
            found.append((text, encoded))
    return found


def test_a_collapsed_double_slash_is_put_back_or_refused_but_never_guessed() -> None:
    found = with_double_slash()
    assert len(found) > 20
    restored = 0
    for text, encoded in found:
        serial = codec.decode_request(encoded).cert_ids[0].serial

        def ours(request: OcspRequest, serial: int = serial) -> bool:
            name_hash = algorithms.digest("sha256", b"%d" % serial)
            key_hash = algorithms.digest("sha256", b"key")
            return all((one.issuer_name_hash, one.issuer_key_hash) == (name_hash, key_hash) for one in request.cert_ids)

        assert codec.decode_get(text, ours) == encoded
        try:
            again = codec.decode_get(re.sub("//+", "/", text), ours)
        except Fault:
            continue
        assert again == encoded
        restored += 1
    assert restored > 0.9 * len(found)


@pytest.mark.parametrize(
    "path",
    ["", "/", "favicon.ico", "AAAA", "MAA", "MEI", "%", "%zz", "MEIwQDA+MDwwOjAJ", "é" * 20, "\x00", "M" * 4000],
)
def test_get_that_is_no_request(path: str) -> None:
    with pytest.raises(Fault) as caught:
        codec.decode_request(codec.decode_get(path))
    assert caught.value.kind is FaultKind.MALFORMED


def test_get_that_is_too_long() -> None:
    with pytest.raises(Fault) as caught:
        codec.decode_get("M" * 9000)
    assert caught.value.kind is FaultKind.TOO_LARGE


@given(st.text(max_size=300))
def test_get_of_anything_raises_nothing_but_fault(path: str) -> None:
    with contextlib.suppress(Fault):
        codec.decode_get(path)


@given(st.sampled_from(SEEDS), st.data())
def test_get_with_escapes_anywhere(seed: bytes, data: st.DataObject) -> None:
    text = base64.b64encode(seed).decode()
    assume(len(text) < 2000)
    escaped = data.draw(st.sets(st.integers(0, len(text) - 1), max_size=10))
    path = "".join(f"%{ord(one):02x}" if at in escaped else one for at, one in enumerate(text))
    assert codec.decode_get(path) == seed
