"""OCSP decisions, responses and their header fields."""

from __future__ import annotations

import contextlib
import email.utils
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509 as other
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import algorithms, der, oids, x509
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ocsp import caching, codec, exchange, failures, response
from pycryptoutil_protocols.ocsp.exchange import Issuer, Policy, Status
from pycryptoutil_protocols.ocsp.messages import CertStatus, OcspRequest, ResponseStatus, SingleStatus

from tests.protocols import material

CA = material.certificate(material.private_key("EC-P256"), "ca")
CA_NAME, CA_SPKI = CA.subject.public_bytes(), material.spki(material.private_key("EC-P256"))
CA_KEY = algorithms.key_info(CA_SPKI).key
ISSUER = Issuer.of(CA_NAME, CA_SPKI)
NOW = datetime(2026, 11, 24, 12, 0, 0, 999999, tzinfo=UTC)
UNIX = 1795521600
REVOKED_AT = UNIX - 1000


def own(serial: int, hash_name: str = "sha1") -> bytes:
    return codec.encode_cert_id(hash_name, CA_NAME, CA_KEY, serial)


def foreign(serial: int) -> bytes:
    return codec.encode_cert_id("sha1", b"another", CA_KEY, serial)


def asked(*cert_ids: bytes, nonce: bytes | None = None, extensions: bytes = b"") -> OcspRequest:
    return codec.decode_request(codec.encode_request(cert_ids, nonce, extensions))


def answer(request: OcspRequest, statuses: dict[int, Status], policy: Policy | None = None) -> exchange.Answer:
    return exchange.answer(request, ISSUER, statuses, NOW, policy or Policy())


GOOD, REVOKED = Status(False), Status(True, REVOKED_AT, 1)


def test_good_revoked_and_never_issued() -> None:
    request = asked(own(1), own(2, "sha256"), own(3, "sha512"))
    assert exchange.serials(request, ISSUER) == (1, 2, 3)
    found = answer(request, {1: GOOD, 2: REVOKED})
    assert found.singles == (
        (own(1), 0, 0, -1, UNIX, UNIX + 3600, b""),
        (own(2, "sha256"), 1, REVOKED_AT, 1, UNIX, UNIX + 3600, b""),
        (own(3, "sha512"), 2, 0, -1, UNIX, UNIX + 3600, b""),
    )
    assert found.counts == {CertStatus.GOOD: 1, CertStatus.REVOKED: 1, CertStatus.UNKNOWN: 1}
    assert found.produced_at == UNIX
    assert not found.cacheable


def test_cert_id_is_echoed_as_it_was_written() -> None:
    """With NULL or absent parameters of the hash, whatever the client wrote."""
    absent = der.sequence(algorithms.hash_identifier("sha1"), *(child for child in der.split_sequence(own(1))[1:]))
    assert absent != own(1)
    assert answer(asked(absent), {1: GOOD}).singles[0][0] == absent


@pytest.mark.parametrize("hash_name", ["sha1", "sha256", "sha384", "sha512"])
def test_every_hash_names_the_issuer(hash_name: str) -> None:
    assert answer(asked(own(1, hash_name)), {1: GOOD}).singles[0][1] == CertStatus.GOOD


def test_another_issuer_is_not_ours_to_answer() -> None:
    for request in (asked(foreign(1)), asked(codec.encode_cert_id("sha1", CA_NAME, b"key", 1))):
        with pytest.raises(Fault) as caught:
            exchange.serials(request, ISSUER)
        assert failures.response_status(caught.value.kind) is ResponseStatus.UNAUTHORIZED
        with pytest.raises(Fault):
            answer(request, {1: GOOD})


def test_another_issuer_among_ours_is_unknown_even_if_the_serial_is_ours() -> None:
    request = asked(foreign(1), own(1))
    assert exchange.serials(request, ISSUER) == (1,)
    assert [one[1] for one in answer(request, {1: GOOD}).singles] == [CertStatus.UNKNOWN, CertStatus.GOOD]


def test_unspecified_reason_is_left_out_and_hold_is_not() -> None:
    assert answer(asked(own(1)), {1: Status(True, REVOKED_AT, 0)}).singles[0][3] == -1
    assert answer(asked(own(1)), {1: Status(True, REVOKED_AT, 6)}).singles[0][3] == 6


def test_extended_revoke() -> None:
    """RFC 6960 sections 2.2 and 4.4.8."""
    policy = Policy(extended_revoke=True, archive_cutoff=86400)
    found = answer(asked(own(9)), {}, policy)
    assert found.singles == ((own(9), 1, 0, 6, UNIX, UNIX + 3600, b""),)
    (extension,) = x509.decode_extensions(der.read(der.sequence(found.extensions)))
    assert (extension.oid, extension.value) == (oids.OCSP_EXTENDED_REVOKE, der.null())
    assert answer(asked(own(1)), {1: REVOKED}, policy).extensions == b""
    mixed = answer(asked(foreign(5), own(1)), {1: GOOD}, policy)
    assert mixed.singles[0][1] == CertStatus.UNKNOWN


def test_archive_cutoff_and_backdating() -> None:
    found = answer(asked(own(1)), {1: GOOD}, Policy(archive_cutoff=100, backdate=60, validity=7200))
    (single,) = found.singles
    assert single[4:6] == (UNIX - 60, UNIX + 7200)
    (extension,) = x509.decode_extensions(der.read(der.sequence(single[6])))
    assert extension.oid == oids.OCSP_ARCHIVE_CUTOFF
    assert der.read(extension.value).time() == datetime.fromtimestamp(UNIX - 160, UTC)


def test_nonce_is_echoed_or_not_by_policy() -> None:
    request = asked(own(1), nonce=b"n" * 32)
    assert answer(request, {1: GOOD}).nonce == b"n" * 32
    assert not answer(request, {1: GOOD}).cacheable
    ignoring = answer(request, {1: GOOD}, Policy(echo_nonce=False))
    assert ignoring.nonce is None
    assert ignoring.cacheable


def test_limits_and_demands() -> None:
    with pytest.raises(Fault) as caught:
        answer(asked(*[own(n) for n in range(1, 4)]), {}, Policy(max_requests=2))
    assert caught.value.kind is FaultKind.TOO_LARGE
    with pytest.raises(Fault) as caught:
        answer(asked(own(1)), {}, Policy(require_signature=True))
    assert failures.response_status(caught.value.kind) is ResponseStatus.SIG_REQUIRED
    odd = x509.Extension(oids.OCSP_RESPONSE, False, der.sequence(der.oid("1.2.3"))).encode()
    with pytest.raises(Fault) as caught:
        answer(asked(own(1), extensions=odd), {})
    assert caught.value.kind is FaultKind.UNSUPPORTED


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.dictionaries(st.integers(1, 6), st.booleans()))
def test_never_good_without_a_record(serials: list[int], issued: dict[int, bool]) -> None:
    statuses = {serial: REVOKED if revoked else GOOD for serial, revoked in issued.items()}
    for extended in (False, True):
        found = answer(asked(*map(own, serials)), statuses, Policy(extended_revoke=extended))
        assert [one[0] for one in found.singles] == [own(serial) for serial in serials]
        for serial, single in zip(serials, found.singles, strict=True):
            assert (single[1] == CertStatus.GOOD) == (issued.get(serial) is False)
            if serial not in issued:
                assert single[1] == (CertStatus.REVOKED if extended else CertStatus.UNKNOWN)


def test_presigning_gives_what_an_answer_gives() -> None:
    singles, produced_at = exchange.presign([(own(1), GOOD), (own(2), REVOKED)], NOW, Policy())
    assert singles == answer(asked(own(1), own(2)), {1: GOOD, 2: REVOKED}).singles
    assert produced_at == UNIX


# responses

SINGLES: list[SingleStatus] = [
    (own(1), 0, 0, -1, UNIX, UNIX + 3600, b""),
    (own(2, "sha256"), 1, REVOKED_AT, 1, UNIX, UNIX + 3600, exchange.archive_cutoff_extension(UNIX)),
    (own(3), 1, 0, 6, UNIX, 0, b""),
    (own(4), 2, 0, -1, UNIX, UNIX + 1, b""),
]


@pytest.mark.parametrize(("key", "name"), [one for one in material.SIGNERS if one[0] != "Ed448"])
def test_built_response_says_the_same_to_cryptography(key: str, name: str) -> None:
    signer = material.signer(key, name)
    certificate = material.cert_der(material.certificate(signer.key))
    for single in SINGLES:
        encoded = response.build_response([single], UNIX, signer, (certificate,), b"n" * 32)
        peer = ocsp.load_der_ocsp_response(encoded)
        assert peer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        assert peer.certificate_status.value == single[1]
        assert peer.serial_number == codec.decode_cert_id(der.read(single[0])).serial
        assert peer.produced_at_utc == datetime.fromtimestamp(UNIX, UTC)
        assert peer.this_update_utc == datetime.fromtimestamp(single[4], UTC)
        assert peer.next_update_utc == (datetime.fromtimestamp(single[5], UTC) if single[5] else None)
        assert peer.extensions.get_extension_for_class(other.OCSPNonce).value.nonce == b"n" * 32
        assert peer.responder_key_hash == algorithms.digest("sha1", algorithms.key_info(signer.public_spki).key)
        assert [one.public_bytes(material.DER) for one in peer.certificates] == [certificate]
        if single[1] == 1:
            assert peer.revocation_time_utc == datetime.fromtimestamp(single[2], UTC)
        algorithms.verify(
            signer.public_spki, algorithms.signature_identifier(name), peer.tbs_response_bytes, peer.signature
        )


def test_built_response_goes_round_with_several() -> None:
    signer = material.signer()
    encoded = response.build_response(SINGLES, UNIX, signer, (), b"n", exchange.extended_revoke_extension())
    decoded = response.decode_response(encoded)
    response.verify_response(decoded, signer.public_spki)
    assert decoded.nonce == b"n"
    assert [one.oid for one in decoded.extensions] == [oids.OCSP_NONCE, oids.OCSP_EXTENDED_REVOKE]
    assert decoded.certificates == ()
    assert decoded.produced_at == datetime.fromtimestamp(UNIX, UTC)
    for single, one in zip(SINGLES, decoded.singles, strict=True):
        revoked_at = datetime.fromtimestamp(single[2], UTC) if single[1] == 1 else None
        assert (one.cert_id.der, one.status, one.revoked_at) == (single[0], single[1], revoked_at)
        assert one.reason == (single[3] if single[3] >= 0 else None)
        assert one.next_update == (datetime.fromtimestamp(single[5], UTC) if single[5] else None)
        assert b"".join(extension.encode() for extension in one.extensions) == single[6]
    with pytest.raises(Fault) as caught:
        response.verify_response(decoded, material.signer(number=1).public_spki)
    assert caught.value.kind is FaultKind.BAD_SIGNATURE


def test_openssl_accepts_the_response(tmp_path: Path) -> None:
    signer = material.signer()
    leaf = material.certificate(material.private_key("EC-P384"), "leaf", serial=77, issuer="ca")
    (tmp_path / "ca.pem").write_bytes(material.cert_pem(CA))
    (tmp_path / "leaf.pem").write_bytes(material.cert_pem(leaf))
    # openssl judges the times by its own clock
    now = int(datetime.now(UTC).timestamp())  # noqa: TID251 - the judge reads the clock
    singles = [(own(77, name), 1, now - 50, 4, now - 10, now + 600, b"") for name in ("sha1", "sha256")]
    for name, single in zip(("sha1", "sha256"), singles, strict=True):
        (tmp_path / "r.der").write_bytes(response.build_response([single], now, signer, (material.cert_der(CA),)))
        out = material.openssl(
            "ocsp", f"-{name}", "-issuer", tmp_path / "ca.pem", "-cert", tmp_path / "leaf.pem", "-no_nonce",
            "-respin", tmp_path / "r.der", "-CAfile", tmp_path / "ca.pem", "-no_cert_checks", "-partial_chain",
        )  # fmt: skip
        assert b"leaf.pem: revoked" in out
        assert b"Reason: superseded" in out


def test_golden_responses_of_openssl() -> None:
    issuer = other.load_pem_x509_certificate((material.VECTORS / "ocsp/ca.pem").read_bytes())
    facts = x509.decode_certificate(issuer.public_bytes(material.DER))
    by_name = response.decode_response(material.vector("ocsp/response-openssl.der"))
    assert by_name.responder_name == facts.subject
    assert [one.status for one in by_name.singles] == [CertStatus.GOOD, CertStatus.REVOKED, CertStatus.UNKNOWN]
    assert by_name.singles[1].reason == 1
    assert by_name.certificates == (facts.der,)
    response.verify_response(by_name, facts.spki)
    by_key = response.decode_response(material.vector("ocsp/response-openssl-key-hash.der"))
    assert by_key.responder_key_hash == algorithms.digest("sha1", algorithms.key_info(facts.spki).key)
    response.verify_response(by_key, facts.spki)


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_fault_has_a_response_that_others_read(kind: FaultKind) -> None:
    encoded = failures.error_response(Fault(kind, "detail"))
    assert len(encoded) == 5
    peer = ocsp.load_der_ocsp_response(encoded)
    assert peer.response_status.value == failures.response_status(kind) != ResponseStatus.SUCCESSFUL
    assert response.decode_response(encoded).status == failures.response_status(kind)


def test_statuses_of_rfc_6960() -> None:
    expected = {
        FaultKind.MALFORMED: ResponseStatus.MALFORMED_REQUEST,
        FaultKind.UNSUPPORTED: ResponseStatus.MALFORMED_REQUEST,
        FaultKind.INTERNAL: ResponseStatus.INTERNAL_ERROR,
        FaultKind.SEALED: ResponseStatus.TRY_LATER,
        FaultKind.UNAVAILABLE: ResponseStatus.TRY_LATER,
        FaultKind.FORBIDDEN: ResponseStatus.UNAUTHORIZED,
        FaultKind.NOT_FOUND: ResponseStatus.UNAUTHORIZED,
    }
    assert {kind: failures.response_status(kind) for kind in expected} == expected


RESPONSE = response.build_response(SINGLES, UNIX, material.signer(), (material.cert_der(CA),), b"n")


@given(st.data())
def test_damaged_response_raises_nothing_but_fault(data: st.DataObject) -> None:
    encoded = bytearray(material.vector("ocsp/response-openssl.der"))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Fault):
        response.verify_response(response.decode_response(bytes(encoded)), CA_SPKI)


# header fields


def test_header_fields_of_rfc_5019() -> None:
    headers = dict(caching.headers(RESPONSE, UNIX, UNIX + 3600, UNIX + 600))
    assert headers["content-type"] == "application/ocsp-response"
    assert headers["cache-control"] == "max-age=3000, public, no-transform, must-revalidate"
    assert email.utils.parsedate_to_datetime(headers["last-modified"]) == datetime.fromtimestamp(UNIX, UTC)
    assert email.utils.parsedate_to_datetime(headers["expires"]) == datetime.fromtimestamp(UNIX + 3600, UTC)
    assert headers["etag"].startswith('"')
    assert headers["etag"] != caching.entity_tag(RESPONSE + b".")


@given(st.integers(0, 10**6), st.integers(-100, 10**6), st.none() | st.integers(1, 10**6))
def test_no_cache_keeps_it_past_its_end_or_the_cap(age: int, left: int, cap: int | None) -> None:
    headers = dict(caching.headers(b"r", UNIX - age, UNIX + left, UNIX, max_age=cap))
    if left <= 0:
        assert headers["cache-control"] == "no-store"
        assert "etag" not in headers
        return
    max_age = int(headers["cache-control"].split(",")[0].removeprefix("max-age="))
    assert 0 < max_age <= min(left, cap or left)
    expires = email.utils.parsedate_to_datetime(headers["expires"])
    assert expires - datetime.fromtimestamp(UNIX, UTC) == timedelta(seconds=max_age)


def test_no_store() -> None:
    assert dict(caching.no_store()) == {"content-type": "application/ocsp-response", "cache-control": "no-store"}


SUCCESS = der.read(RESPONSE)
BASIC = der.read(SUCCESS.children()[1].inner().children()[1].octets())


def rebuilt(tbs_index: int, part: bytes) -> bytes:
    """The response with one element of its ResponseData replaced."""
    tbs, *rest = BASIC.children()
    parts = [child.encoded for child in tbs.children()]
    parts[tbs_index] = part
    basic = der.sequence(der.sequence(*parts), *(child.encoded for child in rest))
    body = der.sequence(der.oid(oids.OCSP_BASIC), der.octet_string(basic))
    return der.sequence(der.enumerated(0), der.explicit(0, body))


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (der.sequence(der.enumerated(4)), FaultKind.MALFORMED),
        (der.sequence(der.enumerated(0)), FaultKind.MALFORMED),
        (der.sequence(der.integer(1)), FaultKind.MALFORMED),
        (
            der.sequence(der.enumerated(0), der.explicit(0, der.sequence(der.oid("1.2.3"), der.octet_string(b"")))),
            FaultKind.UNSUPPORTED,
        ),
        (rebuilt(0, der.explicit(0, der.integer(1)) + der.explicit(2, der.octet_string(b""))), FaultKind.UNSUPPORTED),
        (rebuilt(0, b""), FaultKind.MALFORMED),
        (rebuilt(0, der.explicit(1, der.sequence()) + der.explicit(2, der.octet_string(b""))), FaultKind.MALFORMED),
        (rebuilt(1, der.x509_time(UNIX)), FaultKind.MALFORMED),  # UTCTime
        (
            rebuilt(2, der.sequence(der.sequence(own(1), der.implicit(3, b""), der.generalized_time(UNIX)))),
            FaultKind.MALFORMED,
        ),
    ],
)
def test_responses_that_are_refused(encoded: bytes, kind: FaultKind) -> None:
    with pytest.raises(Fault) as caught:
        response.decode_response(encoded)
    assert caught.value.kind is kind
