"""Revocation of client certificates: OCSP first, then CRL, and nobody enters if neither can tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import FixedClock
from pycryptoutil.service.client_certificates import RevocationCheck, fetch
from tests.support import certificates
from tests.support.certificates import CLIENT, Made

OCSP, CRL = "http://ocsp.test/", "http://crl.test/ca.crl"
CLOCK = FixedClock()
AT = CLOCK.now()
DAY = timedelta(days=1)

Answer = Callable[[bytes | None], bytes]


class World:
    """Answers of the outside, and how often it was asked."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = {OCSP: answers.get("ocsp"), CRL: answers.get("crl")}
        self.asked: list[str] = []

    def __call__(self, url: str, body: bytes | None, timeout: float, limit: int) -> bytes:
        self.asked.append(url)
        assert timeout == 3
        answer = self.answers[url]
        if answer is None:
            raise OSError("unreachable")
        return answer(body)


@pytest.fixture(scope="module")
def authority() -> Made:
    return certificates.root("CA", at=AT)


@pytest.fixture(scope="module")
def client(authority: Made) -> Made:
    return authority.issue("client", usage=CLIENT, ocsp=OCSP, crl=CRL, at=AT, valid=(-DAY, 300 * DAY))


def check(world: World, authority: Made, clock: FixedClock | None = None) -> RevocationCheck:
    return RevocationCheck(clock or FixedClock(), lambda: (authority.certificate,), timeout=3, fetch=world)


def ocsp_answer(
    authority: Made,
    subject: Made,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    *,
    signer: Made | None = None,
    this: datetime = AT - timedelta(hours=1),
    lasting: timedelta | None = DAY,
    with_signer: bool = True,
) -> Answer:
    def answer(body: bytes | None) -> bytes:
        assert body is not None
        request = ocsp.load_der_ocsp_request(body)
        if subject.certificate.serial_number == request.serial_number:
            assert request.issuer_name_hash
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        signing = signer or authority
        builder = ocsp.OCSPResponseBuilder().add_response(
            subject.certificate, authority.certificate, hashes.SHA1(), status, this,
            this + lasting if lasting else None, AT - DAY if revoked else None, None,
        ).responder_id(ocsp.OCSPResponderEncoding.HASH, signing.certificate)  # fmt: skip
        if signer is not None and with_signer:
            builder = builder.certificates([signing.certificate])
        return builder.sign(signing.key, hashes.SHA256()).public_bytes(Encoding.DER)

    return answer


def crl_answer(
    authority: Made,
    *revoked: Made,
    age: timedelta = timedelta(hours=1),
    lasting: timedelta = DAY,
    point: x509.IssuingDistributionPoint | None = None,
) -> Answer:
    def answer(body: bytes | None) -> bytes:
        assert body is None
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.certificate.subject)
            .last_update(AT - age)
            .next_update(AT - age + lasting)
        )
        if point is not None:
            builder = builder.add_extension(point, critical=True)
        for one in revoked:
            entry = (
                x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number).revocation_date(AT - DAY)
            )
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)

    return answer


def refused(checking: RevocationCheck, *chain: Made) -> FaultKind:
    with pytest.raises(Fault) as caught:
        checking.check(tuple(one.der for one in chain))
    return caught.value.kind


def test_good_by_ocsp_is_remembered_for_its_lifetime(authority: Made, client: Made) -> None:
    world, clock = World(ocsp=ocsp_answer(authority, client)), FixedClock()
    checking = check(world, authority, clock)
    for _ in range(3):
        checking.check((client.der,))
    assert world.asked == [OCSP]
    clock.advance(23 * 3600 + 600)
    assert refused(checking, client) is FaultKind.UNAVAILABLE  # the answer has ended, and it is the same old one
    assert world.asked == [OCSP, OCSP, CRL]


def test_revoked_by_ocsp(authority: Made, client: Made) -> None:
    world = World(ocsp=ocsp_answer(authority, client, ocsp.OCSPCertStatus.REVOKED), crl=crl_answer(authority))
    assert refused(check(world, authority), client) is FaultKind.FORBIDDEN
    assert world.asked == [OCSP]


def test_crl_is_asked_when_ocsp_is_away(authority: Made, client: Made) -> None:
    world = World(crl=crl_answer(authority))
    checking = check(world, authority)
    checking.check((client.der,))
    checking.check((client.der,))
    assert world.asked == [OCSP, CRL]
    assert refused(check(World(crl=crl_answer(authority, client)), authority), client) is FaultKind.FORBIDDEN


def test_one_list_serves_many_certificates(authority: Made, client: Made) -> None:
    other = authority.issue("other", crl=CRL, at=AT)
    third = authority.issue("third", crl=CRL, at=AT)
    world = World(crl=crl_answer(authority, third))
    checking = check(world, authority)
    checking.check((other.der,))
    assert refused(checking, third) is FaultKind.FORBIDDEN
    assert world.asked == [CRL]


def test_it_fails_closed_and_does_not_ask_again_at_once(authority: Made, client: Made) -> None:
    clock, world = FixedClock(), World()
    checking = check(world, authority, clock)
    for _ in range(3):
        assert refused(checking, client) is FaultKind.UNAVAILABLE
    assert world.asked == [OCSP, CRL]
    clock.advance(31)
    world.answers[OCSP] = ocsp_answer(authority, client)
    checking.check((client.der,))


def test_a_certificate_that_names_nobody_cannot_be_known(authority: Made) -> None:
    silent = authority.issue("silent", usage=CLIENT, at=AT)
    assert refused(check(World(), authority), silent) is FaultKind.UNAVAILABLE


BAD_OCSP: dict[str, Callable[[Made, Made], Answer]] = {
    "unknown": lambda ca, c: ocsp_answer(ca, c, ocsp.OCSPCertStatus.UNKNOWN),
    "old": lambda ca, c: ocsp_answer(ca, c, this=AT - 3 * DAY),
    "of the future": lambda ca, c: ocsp_answer(ca, c, this=AT + DAY),
    "old without an end": lambda ca, c: ocsp_answer(ca, c, this=AT - 3 * DAY, lasting=None),
    "another certificate": lambda ca, _: ocsp_answer(ca, ca.issue("other", at=AT)),
    "another signer": lambda ca, c: ocsp_answer(ca, c, signer=certificates.root("CA", at=AT), with_signer=False),
    "a stranger's delegate": lambda ca, c: ocsp_answer(
        ca, c, signer=certificates.root("CA", at=AT).issue("r", usage=ExtendedKeyUsageOID.OCSP_SIGNING, at=AT)),
    "a delegate without the usage": lambda ca, c: ocsp_answer(ca, c, signer=ca.issue("r", usage=CLIENT, at=AT)),
    "an old delegate": lambda ca, c: ocsp_answer(ca, c, signer=ca.issue(
        "r", usage=ExtendedKeyUsageOID.OCSP_SIGNING, at=AT, valid=(-3 * DAY, -DAY))),
    "not successful": lambda _ca, _c: lambda _b: ocsp.OCSPResponseBuilder.build_unsuccessful(
        ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER),
    "garbage": lambda _ca, _c: lambda _b: b"<html>",
    "empty": lambda _ca, _c: lambda _b: b"",
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_OCSP)
def test_an_answer_that_proves_nothing_counts_as_none(authority: Made, client: Made, case: str) -> None:
    world = World(ocsp=BAD_OCSP[case](authority, client))
    assert refused(check(world, authority), client) is FaultKind.UNAVAILABLE
    assert world.asked == [OCSP, CRL]


def test_a_delegated_responder(authority: Made, client: Made) -> None:
    responder = authority.issue("responder", usage=ExtendedKeyUsageOID.OCSP_SIGNING, at=AT)
    check(World(ocsp=ocsp_answer(authority, client, signer=responder)), authority).check((client.der,))


def scope(url: str = "", *, user: bool = False, ca: bool = False) -> x509.IssuingDistributionPoint:
    names = [x509.UniformResourceIdentifier(url)] if url else None
    return x509.IssuingDistributionPoint(names, None, user, ca, None, False, False)


@pytest.mark.parametrize("point", [scope(CRL), scope(user=True), scope(CRL, user=True)])
def test_a_list_of_its_distribution_point_counts(
    authority: Made, client: Made, point: x509.IssuingDistributionPoint
) -> None:
    check(World(crl=crl_answer(authority, point=point)), authority).check((client.der,))
    revoked = check(World(crl=crl_answer(authority, client, point=point)), authority)
    assert refused(revoked, client) is FaultKind.FORBIDDEN


BAD_CRL: dict[str, Callable[[Made], Answer]] = {
    "for CAs": lambda ca: crl_answer(ca, point=scope(ca=True)),
    "of another point": lambda ca: crl_answer(ca, point=scope("http://crl.test/other.crl")),
    "old": lambda ca: crl_answer(ca, age=3 * DAY),
    "of the future": lambda ca: crl_answer(ca, age=-DAY),
    "another signer": lambda _ca: crl_answer(certificates.root("CA", at=AT)),
    "another issuer": lambda _ca: crl_answer(certificates.root("Other", at=AT)),
    "garbage": lambda _ca: lambda _b: b"<html>",
}


@pytest.mark.parametrize("case", BAD_CRL)
def test_a_list_that_proves_nothing_counts_as_none(authority: Made, client: Made, case: str) -> None:
    assert refused(check(World(crl=BAD_CRL[case](authority)), authority), client) is FaultKind.UNAVAILABLE


def test_every_certificate_up_to_the_anchor_is_checked(authority: Made) -> None:
    middle = authority.issue("middle", authority=True, crl=CRL, at=AT)
    leaf = middle.issue("leaf", ocsp=OCSP, at=AT)
    world = World(ocsp=ocsp_answer(middle, leaf), crl=crl_answer(authority, middle))
    assert refused(check(world, authority), leaf, middle) is FaultKind.FORBIDDEN
    world = World(ocsp=ocsp_answer(middle, leaf), crl=crl_answer(authority))
    check(world, authority).check((leaf.der, middle.der))
    world = World(ocsp=ocsp_answer(middle, leaf))
    check(world, middle).check((leaf.der,))  # the bundle holds the issuing CA itself: nothing above it is asked


@pytest.mark.parametrize("url", ["https://a/", "ftp://a/", "file:///etc/passwd", "http://u:p@a/", "http:///x"])
def test_only_plain_http_is_fetched(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        fetch(url, None, 1, 10)
