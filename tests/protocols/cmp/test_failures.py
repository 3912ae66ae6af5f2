"""Faults in CMP's words, and hashes in certConf."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pycryptoutil_protocols import algorithms
from pycryptoutil_protocols.cmp import confirmation
from pycryptoutil_protocols.cmp.failures import CmpFault, error_message, failure_of, rejected, status_info
from pycryptoutil_protocols.cmp.messages import CertStatus, PKIFailureInfo, PKIStatus, PKIStatusInfo
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material as keys
from tests.protocols.cmp import material


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_of_fault_has_a_bit(kind: FaultKind) -> None:
    info = status_info(Fault(kind, "a detail for the log", "what may be told"))
    assert info.status is PKIStatus.REJECTION
    assert info.text == ("what may be told",)
    assert len(info.failures) == 1


@pytest.mark.parametrize("failure", PKIFailureInfo)
def test_every_bit_can_be_told_and_read(failure: PKIFailureInfo) -> None:
    fault = CmpFault(failure, "detail", "public")
    assert failure_of(fault) is failure
    info = error_message(fault).status
    again = rejected(info)
    assert failure_of(again) is failure
    assert again.kind is fault.kind
    assert "detail" not in repr(info)


def test_texts() -> None:
    assert status_info(Fault(FaultKind.INTERNAL, "x")).text == ()
    bare = rejected(PKIStatusInfo(PKIStatus.REJECTION, ("no",)))
    assert bare.kind is FaultKind.POLICY
    assert "no" in bare.detail


def certificate(algorithm: str) -> bytes:
    key = keys.private_key(algorithm)
    return material.make_certificate(key.public_key(), "x", issuer="x", key=key)


@pytest.mark.parametrize(
    ("algorithm", "implied"),
    [("RSA-2048", "sha256"), ("EC-P256", "sha256"), ("Ed25519", "sha512"), ("Ed448", ""), ("ML-DSA-65", "")],
)
def test_hashes_of_certificates(algorithm: str, implied: str) -> None:
    encoded = certificate(algorithm)
    assert confirmation.implied_hash(encoded) == implied
    status, newer = confirmation.status(encoded, 0)
    assert newer == (implied == "")
    assert status.accepted
    assert status.cert_hash == algorithms.digest(implied or "sha512", encoded)
    confirmation.check(status, encoded, 3)
    with pytest.raises(CmpFault) as caught:
        confirmation.check(replace(status, cert_hash=bytes(64)), encoded, 3)
    assert caught.value.failure is PKIFailureInfo.BAD_CERT_ID


def test_named_hashes() -> None:
    encoded = certificate("EC-P256")
    named = CertStatus(
        algorithms.digest("sha384", encoded), 0, hash_algorithm=algorithms.hash_identifier("sha384", null=True)
    )
    confirmation.check(named, encoded, 3)
    for changed, pvno, failure in (
        (named, 2, PKIFailureInfo.BAD_REQUEST),
        (replace(named, hash_algorithm=algorithms.hash_identifier("sha1")), 3, PKIFailureInfo.BAD_ALG),
        (replace(named, hash_algorithm=algorithms.algorithm_identifier("1.2.3")), 3, PKIFailureInfo.BAD_ALG),
    ):
        with pytest.raises(CmpFault) as caught:
            confirmation.check(changed, encoded, pvno)
        assert caught.value.failure is failure


def test_rejections_in_certconf() -> None:
    encoded = certificate("EC-P256")
    no = PKIStatusInfo(PKIStatus.REJECTION, ("not mine",), frozenset({PKIFailureInfo.INCORRECT_DATA}))
    status, _ = confirmation.status(encoded, 5, no)
    assert not status.accepted
    assert status.request_id == 5
