"""Every bit of failInfo that RFC 9810 section 5.2.3 gives a use in CMP, each by the fault that it is for.

The others are of the time-stamp protocol, which shares the type: incorrectData, timeNotAvailable.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pycryptoutil_protocols import der
from pycryptoutil_protocols.cmp import codec
from pycryptoutil_protocols.cmp.messages import (
    BodyType,
    ErrorMessage,
    PKIFailureInfo,
    PKIStatus,
)
from pycryptoutil_protocols.cmp.protection import (
    signer_certificate,
    verify_mac,
    verify_signature,
)
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.cmp import CmpService
from pycryptoutil.authority.crl import CrlService
from tests.e2e.cmp.cases import CASES, NAMES, Case, F, ask, own, wrong_secret
from tests.e2e.cmp.conftest import PACKAGES
from tests.support.authority import NOW, TENANT
from tests.support.cmp import (
    Client,
    CmpWorld,
    failures,
    new_key,
    open_cmp,
    signed_request,
    texts,
)
from tests.support.databases import Databases


@pytest.mark.parametrize(("case", "expected"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_each_fault_has_its_failinfo(shared: CmpWorld, case: Case, expected: PKIFailureInfo) -> None:
    client = Client.by_secret(shared.credential(), NOW)
    answer = case(shared, client)
    assert failures(answer) == {expected.name}
    if isinstance(answer.body, ErrorMessage):
        assert answer.body.status.status is PKIStatus.REJECTION


def test_every_bit_is_reached_but_those_of_time_stamps() -> None:
    elsewhere = {
        F.INCORRECT_DATA,  # notaries
        F.TIME_NOT_AVAILABLE,  # time-stamping authorities
        F.MISSING_TIME_STAMP,  # test_a_time_that_is_missing
        F.SYSTEM_UNAVAIL,  # test_a_sealed_barrier
        F.SYSTEM_FAILURE,  # test_what_nobody_expected
    }
    assert {bit for _, bit in CASES} | elsewhere == set(PKIFailureInfo)


def test_a_time_that_is_missing(shared: CmpWorld) -> None:
    rules = replace(shared.rules, policy=replace(shared.rules.policy, require_time=True))
    replica = shared.replicas[0]
    strict = CmpService(replica.service, CrlService(replica.service.room), rules, shared.clock)
    client = Client.by_secret(shared.credential(), NOW)
    made = client.request(signed_request(new_key(), *NAMES), message_time=None)
    assert failures(codec.decode(strict.answer("", made.encoded, None, "").encoded)) == {"MISSING_TIME_STAMP"}
    assert not failures(shared.send(made))


def test_a_sealed_barrier(sqlite_databases: Databases, tmp_path: Path) -> None:
    with open_cmp(sqlite_databases.fresh(PACKAGES), tmp_path) as world:
        client = Client.by_secret(world.credential(), NOW)
        made = client.request(signed_request(new_key(), *NAMES))
        world.service.room.barrier.seal()
        answer = world.send(made)
        assert failures(answer) == {"SYSTEM_UNAVAIL"}
        assert answer.protection is None  # no key can be used


def test_what_nobody_expected(shared: CmpWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise Fault(FaultKind.INTERNAL, "secret detail")

    client = Client.by_secret(shared.credential(), NOW)
    monkeypatch.setattr(shared.service, "enrol", broken, raising=False)
    answer = ask(shared, client)
    assert failures(answer) == {"SYSTEM_FAILURE"}
    assert "secret detail" not in "".join(texts(answer) or ())


# -- how errors are protected ------------------------------------------------------------------------------------------


def test_an_error_has_the_requests_protection(shared: CmpWorld) -> None:
    credential = shared.credential()
    client = Client.by_secret(credential, NOW, pvno=3)
    answer = client.hear(ask(shared, client, message_time=NOW - timedelta(days=1)))
    assert failures(answer) == {"BAD_TIME"}
    verify_mac(answer, credential.password.encode())
    key, found = own(shared)
    signing = Client.by_certificate(key, found, NOW)
    answer = signing.hear(ask(shared, signing, message_time=NOW - timedelta(days=1)))
    verify_signature(answer, signer_certificate(answer).spki)


def test_an_error_to_nobody_known_is_signed(shared: CmpWorld) -> None:
    client = Client.by_secret(shared.credential(), NOW)
    answer = client.hear(wrong_secret(shared, client))
    signer = signer_certificate(answer)
    verify_signature(answer, signer.spki)
    assert signer.der == shared.service.signer(TENANT, "", "cmp").certificate
    answer = shared.send(b"no message at all")
    assert failures(answer) == {"BAD_DATA_FORMAT"}
    verify_signature(answer, signer_certificate(answer).spki)
    assert answer.header.transaction_id is None


def test_nothing_deep_or_long_gets_far(shared: CmpWorld) -> None:
    deep = b""
    for _ in range(10_000):
        deep = der.sequence(deep)
    assert failures(shared.send(deep)) == {"BAD_DATA_FORMAT"}
    assert failures(shared.send(der.sequence(bytes(2 << 20)))) == {"BAD_DATA_FORMAT"}


def test_a_body_that_does_not_decode_is_answered_in_its_transaction(shared: CmpWorld) -> None:
    client = Client.by_secret(shared.credential(), NOW)
    made = client.request(signed_request(new_key(), *NAMES))
    header, _, *rest = der.read(made.encoded).children()
    body = der.explicit(BodyType.IR, der.sequence(der.integer(1)))
    answer = client.hear(shared.send(der.sequence(header.encoded, body, *(one.encoded for one in rest))))
    assert failures(answer) == {"BAD_DATA_FORMAT"}
