"""What the OCSP responder says, and when it may repeat itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509 as cx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pycryptoutil_protocols import oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ocsp import codec, response
from pycryptoutil_protocols.ocsp.failures import error_response
from pycryptoutil_protocols.ocsp.messages import CertStatus, OcspResponse
from pycryptoutil_protocols.x509 import decode_certificate, find_extension

from pycryptoutil.authority import IssuedCertificate
from pycryptoutil.authority.model import RevocationReason
from pycryptoutil.crypto.policy import check_public_key

from .conftest import House, MakeHouse

HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


def request_for(issued: IssuedCertificate, hash_name: str = "sha1", nonce: bytes | None = None) -> bytes:
    leaf, issuer = map(cx.load_der_x509_certificate, (issued.der, issued.chain[0]))
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, HASHES[hash_name])
    if nonce is not None:
        builder = builder.add_extension(cx.OCSPNonce(nonce), False)
    return builder.build().public_bytes(Encoding.DER)


def request_for_authority(house: House) -> bytes:
    """Ask the root about the issuing CA."""
    root, issuing = (house.service.authority("7e" * 16, name).certificate for name in ("root", "issuing"))
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        cx.load_der_x509_certificate(issuing), cx.load_der_x509_certificate(root), hashes.SHA1()
    )
    return builder.build().public_bytes(Encoding.DER)


def ask(house: House, issued: IssuedCertificate, **options: object) -> OcspResponse:
    return decoded(house, house.ocsp.respond("issuing", request_for(issued, **options)).der)  # type: ignore[arg-type]


def decoded(house: House, der: bytes) -> OcspResponse:
    """Decode, and verify the way a client does: the signer's certificate is the CA's, for OCSP, and signed this."""
    answer = response.decode_response(der)
    ca = cx.load_der_x509_certificate(house.service.authority("7e" * 16, "issuing").certificate)
    signer = cx.load_der_x509_certificate(answer.certificates[0])
    signer.verify_directly_issued_by(ca)
    assert cx.ExtendedKeyUsageOID.OCSP_SIGNING in signer.extensions.get_extension_for_class(cx.ExtendedKeyUsage).value
    signer.extensions.get_extension_for_class(cx.OCSPNoCheck)
    response.verify_response(answer, decode_certificate(answer.certificates[0]).spki)
    return answer


@pytest.mark.parametrize("hash_name", sorted(HASHES))
def test_good_then_revoked_with_its_reason(house: House, hash_name: str) -> None:
    issued = house.issue()
    (single,) = ask(house, issued, hash_name=hash_name).singles
    assert single.status is CertStatus.GOOD
    assert single.cert_id.hash_algorithm == hash_name
    house.clock.advance(60)
    house.revoke(issued.serial)
    (single,) = ask(house, issued, hash_name=hash_name).singles
    assert (single.status, single.reason, single.revoked_at) == (CertStatus.REVOKED, 1, house.clock.now())


def test_what_was_never_issued_is_unknown_and_nobody_keeps_that(house: House) -> None:
    issued = house.issue()
    ca = decode_certificate(issued.chain[0])
    asked = codec.encode_request((codec.encode_cert_id("sha1", ca.subject, key_bits(ca.spki), 12345),))
    answer = house.ocsp.respond("issuing", asked, ("issuing", asked))
    assert decoded(house, answer.der).singles[0].status is CertStatus.UNKNOWN
    assert ("cache-control", "no-store") in answer.headers
    house.watch.poll()
    assert house.ocsp.cached(("issuing", asked)) is None


def key_bits(spki: bytes) -> bytes:
    from pycryptoutil_protocols import algorithms

    return algorithms.key_info(spki).key


def test_extended_revoke_by_configuration(make_house: MakeHouse) -> None:
    house = make_house(ocsp_never_issued="revoked")
    issued = house.issue()
    ca = decode_certificate(issued.chain[0])
    asked = codec.encode_request((codec.encode_cert_id("sha256", ca.subject, key_bits(ca.spki), 4711),))
    answer = decoded(house, house.ocsp.respond("issuing", asked).der)
    assert (answer.singles[0].status, answer.singles[0].reason) == (CertStatus.REVOKED, 6)
    assert answer.singles[0].revoked_at is not None
    assert answer.singles[0].revoked_at.timestamp() == 0
    assert find_extension(answer.extensions, oids.OCSP_EXTENDED_REVOKE) is not None


def test_a_foreign_issuer_is_unauthorized_and_an_unknown_ca_too(house: House, make_house: MakeHouse) -> None:
    issued = house.issue()
    root = house.service.authority("7e" * 16, "root")
    assert root.public_id == "root"
    with pytest.raises(Fault) as caught:
        house.ocsp.respond("root", request_for(issued))
    assert caught.value.kind is FaultKind.FORBIDDEN
    with pytest.raises(Fault) as caught:
        house.ocsp.respond("nobody", request_for(issued))
    assert caught.value.kind is FaultKind.NOT_FOUND


def test_several_certificates_in_one_request(house: House) -> None:
    one, two = house.issue("one.example.test"), house.issue("two.example.test")
    house.revoke(two.serial, RevocationReason.SUPERSEDED)
    ca = decode_certificate(one.chain[0])
    ids = [
        codec.encode_cert_id("sha1", ca.subject, key_bits(ca.spki), int(serial, 16))
        for serial in (one.serial, two.serial, "0abc")
    ]
    singles = decoded(house, house.ocsp.respond("issuing", codec.encode_request(ids)).der).singles
    assert [single.status for single in singles] == [CertStatus.GOOD, CertStatus.REVOKED, CertStatus.UNKNOWN]
    assert [single.cert_id.der for single in singles] == ids
    assert singles[1].reason == RevocationReason.SUPERSEDED.code


def test_a_nonce_is_echoed_and_its_answer_not_kept(house: House) -> None:
    issued = house.issue()
    asked = request_for(issued, nonce=b"n" * 32)
    answer = house.ocsp.respond("issuing", asked, ("issuing", asked))
    assert decoded(house, answer.der).nonce == b"n" * 32
    assert answer.headers[-1] == ("cache-control", "no-store")
    house.watch.poll()
    assert house.ocsp.cached(("issuing", asked)) is None


def test_archive_cutoff_says_how_far_back_status_is_kept(house: House) -> None:
    (single,) = ask(house, house.issue()).singles
    cutoff = find_extension(single.extensions, oids.OCSP_ARCHIVE_CUTOFF)
    assert cutoff is not None
    assert single.this_update - timedelta(days=2557) == cx_time(cutoff.value)


def cx_time(value: bytes) -> object:
    from pycryptoutil_protocols import der

    return der.read(value).time()


def test_a_revocation_ends_the_cached_answer_on_another_replica_within_a_second(
    house: House, make_house: MakeHouse
) -> None:
    replica = make_house()
    issued = house.issue()
    asked = request_for(issued)
    key = ("issuing", asked)
    for one in (house, replica):
        one.watch.poll()
        one.ocsp.respond("issuing", asked, key)
        assert one.ocsp.cached(key) is not None
    house.revoke(issued.serial)
    house.clock.advance(0.3)
    replica.watch.poll()
    assert replica.ocsp.cached(key) is None
    assert decoded(replica, replica.ocsp.respond("issuing", asked, key).der).singles[0].status is CertStatus.REVOKED
    found = replica.ocsp.cached(key)
    assert found is not None
    assert decoded(replica, found.der).singles[0].status is CertStatus.REVOKED
    # a replica whose poll fails or hangs does not go on saying what it knew
    house.clock.advance(1.0)
    assert replica.ocsp.cached(key) is None


def test_a_status_read_before_a_revocation_is_not_cached_after_it(house: House) -> None:
    issued = house.issue()
    asked = request_for(issued)
    house.watch.poll()
    statuses = house.ocsp._statuses

    def slow(*arguments: object) -> object:
        found = statuses(*arguments)  # type: ignore[arg-type]
        house.revoke(issued.serial)
        house.watch.poll()
        return found

    house.ocsp._statuses = slow  # type: ignore[method-assign,assignment]
    house.ocsp.respond("issuing", asked, ("issuing", asked))
    assert house.ocsp.cached(("issuing", asked)) is None


def test_a_release_is_seen_too(house: House) -> None:
    issued = house.issue()
    house.revoke(issued.serial, RevocationReason.CERTIFICATE_HOLD)
    assert ask(house, issued).singles[0].reason == 6
    house.revoke(issued.serial, RevocationReason.REMOVE_FROM_CRL)
    assert ask(house, issued).singles[0].status is CertStatus.GOOD


def test_times_and_headers_of_a_cacheable_answer(house: House) -> None:
    issued = house.issue()
    answer = house.ocsp.respond("issuing", request_for(issued))
    single = decoded(house, answer.der).singles[0]
    assert single.next_update is not None
    assert single.this_update == house.clock.now()
    assert single.next_update - single.this_update == timedelta(hours=24)
    headers = dict(answer.headers)
    assert headers["cache-control"] == "max-age=300, public, no-transform, must-revalidate"
    assert headers["last-modified"] == "Sun, 01 Mar 2026 12:00:00 GMT"
    assert headers["expires"] == "Mon, 02 Mar 2026 12:00:00 GMT"
    assert headers["etag"] == answer.etag


def test_what_is_asked_often_is_signed_anew_before_it_ends(house: House) -> None:
    issued = house.issue()
    asked = request_for(issued)
    key = ("issuing", asked)
    house.watch.poll()
    house.ocsp.respond("issuing", asked, key)
    first = house.ocsp.cached(key)
    assert first is not None
    house.clock.advance(12 * 3600 - 60)
    house.watch.poll()
    house.ocsp.refresh()
    second = house.ocsp.cached(key)
    assert second is not None
    assert second.der != first.der
    assert decoded(house, second.der).singles[0].this_update == house.clock.now()


def test_the_signer_renews_itself_before_it_ends_and_the_new_one_is_used(house: House) -> None:
    issued = house.issue()
    before = ask(house, issued).certificates[0]
    house.clock.advance(10 * 86400)
    house.ocsp.renew()
    house.clock.advance(61)
    after = ask(house, issued).certificates[0]
    assert after != before
    assert cx.load_der_x509_certificate(before).not_valid_after_utc > house.clock.now()
    # and without any renewal in time, one is made when it is needed
    house.clock.advance(40 * 86400)
    assert ask(house, issued).certificates[0] not in {before, after}


def test_the_ca_signs_by_itself_if_configured(make_house: MakeHouse) -> None:
    house = make_house(ocsp_signing="ca")
    issued = house.issue()
    answer = response.decode_response(house.ocsp.respond("issuing", request_for(issued)).der)
    assert answer.certificates == ()
    response.verify_response(answer, decode_certificate(issued.chain[0]).spki)


def test_sealing_ends_every_answer(house: House) -> None:
    issued = house.issue()
    asked = request_for(issued)
    house.watch.poll()
    house.ocsp.respond("issuing", asked, ("issuing", asked))
    house.room.barrier.seal()
    assert house.ocsp.cached(("issuing", asked)) is None
    with pytest.raises(Fault) as caught:
        house.ocsp.respond("issuing", asked)
    assert caught.value.kind is FaultKind.SEALED


def test_statuses_in_memory_end_with_a_change_and_with_a_watch_that_stops(house: House, make_house: MakeHouse) -> None:
    replica = make_house()
    issued = house.issue()
    replica.watch.poll()

    def says(nonce: bytes) -> CertStatus:
        asked = request_for(issued, nonce=nonce)
        return decoded(replica, replica.ocsp.respond("issuing", asked).der).singles[0].status

    assert says(b"1" * 16) is CertStatus.GOOD
    house.revoke(issued.serial)
    house.clock.advance(0.3)
    replica.watch.poll()
    assert says(b"2" * 16) is CertStatus.REVOKED
    other = house.issue("b.example.test")
    replica.watch.poll()
    replica.ocsp.respond("issuing", request_for(other, nonce=b"3" * 16))
    house.revoke(other.serial)
    house.clock.advance(1.0)
    der = replica.ocsp.respond("issuing", request_for(other, nonce=b"4" * 16)).der
    assert decoded(replica, der).singles[0].status is CertStatus.REVOKED


def signer_of(answer: OcspResponse) -> str:
    return f"{decode_certificate(answer.certificates[0]).serial:x}"


def test_a_revoked_signer_signs_no_more(house: House) -> None:
    issued = house.issue()
    first = signer_of(ask(house, issued))
    house.watch.poll()
    house.revoke(first)
    house.watch.poll()
    second = signer_of(ask(house, issued))  # at once, and not when the responder is looked up again
    assert second != first
    house.ocsp.renew()
    assert signer_of(ask(house, issued)) == second


def test_what_a_revoked_signer_signed_ahead_is_dropped_everywhere_at_once(house: House, make_house: MakeHouse) -> None:
    replica = make_house()
    issued, other = house.issue(), house.issue("b.example.test")
    keys = {name: ("issuing", request_for(one)) for name, one in (("a", issued), ("b", other))}
    for one in (house, replica):
        one.watch.poll()
        for key in keys.values():
            one.ocsp.respond("issuing", key[1], key)
            assert one.ocsp.cached(key) is not None
    root = ("root", request_for_authority(house))
    replica.ocsp.respond("root", root[1], root)
    revoked = signer_of(ask(replica, issued))
    house.revoke(revoked)
    replica.watch.poll()
    assert [replica.ocsp.cached(key) for key in keys.values()] == [None, None]
    assert replica.ocsp.cached(root) is not None  # another CA's answers stay
    replica.ocsp.refresh()
    found = replica.ocsp.respond("issuing", keys["a"][1], keys["a"])
    assert signer_of(decoded(replica, found.der)) != revoked
    kept = replica.ocsp.cached(keys["a"])
    assert kept is not None
    assert kept.der == found.der


def test_an_older_signer_s_answers_go_with_it_too(house: House) -> None:
    """The responder has a newer one by then; what the older one signed is still kept."""
    issued = house.issue()
    key = ("issuing", request_for(issued))
    house.watch.poll()
    house.ocsp.respond("issuing", key[1], key)
    older = signer_of(ask(house, issued))
    house.clock.advance(10 * 86400)
    house.ocsp.renew()
    house.watch.poll()
    fresh = ("issuing", request_for(issued))
    assert signer_of(decoded(house, house.ocsp.respond("issuing", fresh[1], fresh).der)) != older
    assert house.ocsp.cached(fresh) is not None
    house.revoke(older)
    house.watch.poll()
    assert house.ocsp.cached(fresh) is not None  # the newer one's answers stay


def test_an_expired_ca_is_answered_for_by_nobody(make_house: MakeHouse) -> None:
    house = make_house(issuing_days=30)
    issued = house.issue()
    ask(house, issued)
    house.clock.advance(31 * 86400)
    house.watch.poll()
    house.ocsp.renew()
    with pytest.raises(Fault) as caught:
        house.ocsp.respond("issuing", request_for(issued))
    assert caught.value.kind is FaultKind.EXPIRED
    assert error_response(caught.value) == b"\x30\x03\x0a\x01\x06"  # unauthorized


@pytest.mark.parametrize(
    ("algorithm", "signer"),
    [("RSA-3072", "RSA-2048"), ("EC-P384", "EC-P256"), ("Ed25519", "Ed25519"), ("ML-DSA-65", "ML-DSA-65")],
)
def test_the_signer_is_of_its_ca_s_kind(make_house: MakeHouse, algorithm: str, signer: str) -> None:
    house = make_house(root_algorithm=algorithm, issuing_algorithm=algorithm)
    found = house.ocsp.respond("issuing", request_for(house.issue()))
    certificate = response.decode_response(found.der).certificates[0]
    assert check_public_key(decode_certificate(certificate).spki).algorithm == signer


def test_the_signer_s_kind_can_be_configured(make_house: MakeHouse) -> None:
    house = make_house(root_algorithm="ML-DSA-44", issuing_algorithm="ML-DSA-44", ocsp_signer_algorithm="EC-P384")
    found = house.ocsp.respond("issuing", request_for(house.issue()))
    certificate = response.decode_response(found.der).certificates[0]
    assert check_public_key(decode_certificate(certificate).spki).algorithm == "EC-P384"


def test_no_response_outlives_the_certificate_that_signs_it(make_house: MakeHouse) -> None:
    house = make_house(ocsp_signer_days=1, ocsp_validity_hours=240)
    issued = house.issue()
    answer = ask(house, issued)
    signer = cx.load_der_x509_certificate(answer.certificates[0])
    assert answer.singles[0].next_update is not None
    assert house.clock.now() < answer.singles[0].next_update <= signer.not_valid_after_utc


def test_what_is_in_use_is_answered_ahead_from_the_start(house: House, make_house: MakeHouse) -> None:
    """A replica that starts has signed before it was asked, in whatever spelling the question comes."""
    issued = [house.issue(f"n{number}.example.test") for number in range(3)]
    house.revoke(issued[1].serial)
    replica = make_house()
    assert replica.ocsp.warm() == 0, "not before it knows of revocations"
    replica.watch.poll()
    assert replica.ocsp.warm() >= 3
    assert replica.ocsp.warm() == 0, "once is enough"
    for one, status in zip(issued, (CertStatus.GOOD, CertStatus.REVOKED, CertStatus.GOOD), strict=True):
        found = replica.ocsp.cached(("issuing", request_for(one)))
        assert found is not None
        answer = decoded(replica, found.der)
        assert [(each.status, each.cert_id.serial) for each in answer.singles] == [(status, int(one.serial, 16))]
        path = f"/ocsp/issuing/{codec.encode_get(request_for(one))}"
        assert replica.ocsp.respond("issuing", request_for(one), ("issuing", path)).der == found.der
        assert replica.ocsp.cached(("issuing", path)) is found
    house.revoke(issued[0].serial)
    replica.watch.poll()
    assert replica.ocsp.cached(("issuing", request_for(issued[0]))) is None
    replica.clock.advance(12 * 3600 - 60)
    replica.watch.poll()
    assert replica.ocsp.warm() >= 3, "and again before they end"
    found = replica.ocsp.cached(("issuing", request_for(issued[0])))
    assert found is not None
    assert decoded(replica, found.der).singles[0].status is CertStatus.REVOKED


def test_what_is_signed_ahead_is_bounded_and_can_be_turned_off(house: House, make_house: MakeHouse) -> None:
    for number in range(4):
        house.clock.advance(1)
        newest = house.issue(f"n{number}.example.test")
    few = make_house(ocsp_presigned=2)
    few.watch.poll()
    assert few.ocsp.warm() == 2
    assert few.ocsp.cached(("issuing", request_for(newest))) is not None
    none = make_house(ocsp_presigned=0)
    none.watch.poll()
    assert none.ocsp.warm() == 0
    house.clock.advance(400 * 86400)  # expired: nobody asks any more
    few.watch.poll()
    assert few.ocsp.warm() == 0


def test_clients_never_see_the_change_of_signers(house: House) -> None:
    """Two months, day by day: every answer, kept or signed for a nonce, verifies, by a signer that outlives it."""
    issued = house.issue()
    asked = request_for(issued)
    signers = set()
    for _ in range(65):
        house.clock.advance(23 * 3600)
        house.watch.poll()
        house.ocsp.renew()
        house.ocsp.refresh()
        house.ocsp.warm()
        kept = house.ocsp.cached(("issuing", asked))
        ders = [house.ocsp.respond("issuing", request_for(issued, nonce=b"n" * 16)).der]
        ders.append(kept.der if kept is not None else house.ocsp.respond("issuing", asked, ("issuing", asked)).der)
        for encoded in ders:
            answer = decoded(house, encoded)
            signer = cx.load_der_x509_certificate(answer.certificates[0])
            now = house.clock.now()
            assert signer.not_valid_before_utc <= now < signer.not_valid_after_utc
            next_update = answer.singles[0].next_update
            assert next_update is not None
            assert now < next_update <= signer.not_valid_after_utc
            signers.add(signer.serial_number)
    assert len(signers) >= 4


@pytest.mark.parametrize("limit", ["_WARM_OCTETS", "_WARM_SECONDS"])
def test_signing_ahead_takes_neither_all_the_memory_nor_all_the_time(
    house: House, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    from pycryptoutil.authority.ocsp import responder, warm

    monkeypatch.setattr(responder, limit, 1000 if limit == "_WARM_OCTETS" else 0.0)
    monkeypatch.setattr(warm, "_BATCH", 2)
    for number in range(8):
        house.issue(f"n{number}.example.test")
    house.watch.poll()
    assert house.ocsp.warm() == (2 if limit == "_WARM_OCTETS" else 0)
