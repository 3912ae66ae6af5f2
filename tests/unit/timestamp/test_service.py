"""Every CA's authority: who signs, in which order, and what is written down."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from cryptography import x509
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.tsp import codec
from pycryptoutil_protocols.tsp.messages import TimeStampRequest
from pycryptoutil_protocols.tsp.token import Token
from pydantic import ValidationError

from pycryptoutil.authority import AuthorityOrder
from pycryptoutil.services.pki_ca.tsa.settings import TsaSettings
from pycryptoutil.storage import audit
from tests.support.authority import OTHER_TENANT, TENANT
from tests.unit.timestamp.conftest import MakeStamper, Stamper

REQUEST = TimeStampRequest(codec.encode_imprint("sha256", bytes(range(32))), nonce=1 << 63)


def events(stamper: Stamper) -> list[audit.AuditEvent]:
    with stamper.world.database.read(TENANT) as reader:
        return [one.event for one in audit.export(reader, TENANT) if one.event.action == "timestamp.sign"]


def test_the_token_says_what_was_asked(make_stamper: MakeStamper) -> None:
    stamper = make_stamper()
    token = stamper.stamp(REQUEST)
    assert token.info.imprint.der == REQUEST.imprint.der
    assert token.info.nonce == REQUEST.nonce
    assert token.info.gen_time == stamper.world.clock.now()
    assert token.info.serial.bit_length() > 128


def test_the_certificate_is_of_the_profile(make_stamper: MakeStamper) -> None:
    stamper = make_stamper()
    token = stamper.stamp(REQUEST)
    certificate = x509.load_der_x509_certificate(token.certificate.der)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usage.critical
    assert list(usage.value) == [x509.ExtendedKeyUsageOID.TIME_STAMPING]
    chain = stamper.world.service.authority(TENANT, "issuing").chain
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(chain[0]))
    assert set(token.certificates) == {token.certificate.der, chain[0]}, "the root is the verifier's own"


def test_without_cert_req_there_is_none(make_stamper: MakeStamper) -> None:
    stamper = make_stamper()
    encoded = codec.encode_request(REQUEST)
    reply = codec.decode_reply(stamper.service.stamp(TENANT, "issuing", encoded))
    assert stamper.stamp(REQUEST).certificate.der not in reply.token


def test_each_ca_has_its_own(make_stamper: MakeStamper) -> None:
    stamper = make_stamper()
    stamper.world.service.create_authority(TENANT, AuthorityOrder("second", "CN=Second", parent="root"), "tester")
    first, second = stamper.stamp(REQUEST), stamper.stamp(REQUEST, "second")
    assert first.certificate.issuer != second.certificate.issuer
    assert first.certificate.spki != second.certificate.spki


def test_replicas_share_the_signer_and_no_serial(make_stamper: MakeStamper) -> None:
    tokens = [make_stamper(instance=number).stamp(REQUEST) for number in (1, 2, 2)]
    assert len({one.info.serial for one in tokens}) == 3
    assert len({one.certificate.der for one in tokens}) == 1


def test_the_signer_rolls_over(make_stamper: MakeStamper) -> None:
    stamper = make_stamper(clock_check="none")
    first = stamper.stamp(REQUEST)
    life = first.certificate.not_after - first.certificate.not_before
    stamper.world.clock.advance((life * 3 / 4).total_seconds())
    stamper.world.service.signers.renew()
    stamper.world.clock.advance(61)
    second = stamper.stamp(REQUEST)
    assert second.certificate.spki != first.certificate.spki
    assert second.certificate.not_after > first.certificate.not_after
    assert stamper.world.clock.now() < first.certificate.not_after, "the successor is used before the old one ends"


def test_a_jumping_clock_stamps_nothing(make_stamper: MakeStamper) -> None:
    stamper = make_stamper()
    stamper.stamp(REQUEST)
    stamper.world.clock.instant -= timedelta(minutes=10)
    with pytest.raises(Fault) as caught:
        stamper.stamp(REQUEST)
    assert caught.value.kind is FaultKind.STALE
    stamper.world.clock.instant += timedelta(minutes=10)
    stamper.stamp(REQUEST)


def test_sealed_it_stamps_nothing(make_stamper: MakeStamper) -> None:
    stamper = make_stamper()
    stamper.stamp(REQUEST)
    stamper.world.barrier.seal()
    with pytest.raises(Fault) as caught:
        stamper.stamp(REQUEST)
    assert caught.value.kind is FaultKind.SEALED


def test_an_unknown_ca(make_stamper: MakeStamper) -> None:
    stamper = make_stamper()
    with pytest.raises(Fault) as caught:
        stamper.stamp(REQUEST, "nobody")
    assert caught.value.kind is FaultKind.NOT_FOUND
    with pytest.raises(Fault) as caught:
        stamper.service.stamp(OTHER_TENANT, "issuing", codec.encode_request(REQUEST))
    assert caught.value.kind is FaultKind.NOT_FOUND


@pytest.mark.parametrize(("every", "expected"), [(1, 5), (2, 3), (0, 0)])
def test_audit_by_the_setting(make_stamper: MakeStamper, every: int, expected: int) -> None:
    stamper = make_stamper(audit_every=every)
    tokens = [stamper.stamp(REQUEST) for _ in range(5)]
    found = events(stamper)
    assert len(found) == expected
    assert {one.details["serial"] for one in found} <= {f"{token.info.serial:x}" for token in tokens}
    assert all(one.details["imprint"] == f"sha256:{bytes(range(32)).hex()}" for one in found)


def test_ordered_tokens_rise_over_replicas(make_stamper: MakeStamper) -> None:
    """Two replicas in several threads, at one and the same moment: every token has its own genTime."""
    settings = {"ordering": True, "fraction_digits": 6, "audit_every": 0}
    stampers = [make_stamper(instance=number, **settings) for number in range(2)]
    found: list[Token] = []
    failed: list[BaseException] = []

    def work(stamper: Stamper) -> None:
        try:
            for _ in range(5):
                before = max((one.info.gen_time for one in found), default=None)
                token = stamper.stamp(REQUEST)
                assert before is None or token.info.gen_time > before
                found.append(token)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(stampers[number % 2],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len({one.info.gen_time for one in found}) == 20
    assert all(one.info.ordering for one in found)


def test_a_replica_whose_clock_is_behind_stamps_nothing(make_stamper: MakeStamper) -> None:
    settings = {"ordering": True, "fraction_digits": 3}
    ahead, behind = make_stamper(**settings), make_stamper(**settings)
    ahead.world.clock.advance(5)
    ahead.stamp(REQUEST)
    with pytest.raises(Fault) as caught:
        behind.stamp(REQUEST)
    assert caught.value.kind is FaultKind.STALE
    behind.world.clock.advance(4.5)
    late = behind.stamp(REQUEST)
    assert late.info.gen_time > ahead.world.clock.now()


@pytest.mark.parametrize(
    "wrong",
    [
        {"policies": []},
        {"policies": ["3.1"]},
        {"policies": ["1.2.03"]},
        {"ordering": True},
        {"fraction_digits": 7},
        {"accuracy_microseconds": 1000},
        {"clock_check": "hope"},
        {"unknown": 1},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TsaSettings(**wrong)  # type: ignore[arg-type]


def test_settings_that_do() -> None:
    rules = TsaSettings(policies=("1.2.3", "2.25.329800735698586629295641978511506172918")).rules()
    assert rules.policy.policies[0] == "1.2.3"
    assert TsaSettings(accuracy_microseconds=0).rules().policy.accuracy is None
