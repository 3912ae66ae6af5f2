"""What is remembered between requests, or within one, is never what is not true any more."""

from __future__ import annotations

import pytest
from pycryptoutil_protocols.csr import decode_csr
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import (
    AuthorityStatus,
    CertificateAuthorityService,
    DistributionUrls,
    IssueOrder,
    RevocationReason,
)
from tests.support.authority import PLAIN, TENANT, World, csr

WHO = "tester"


def replica(world: World) -> CertificateAuthorityService:
    """Another process on the same database."""
    urls = DistributionUrls(PLAIN)
    return CertificateAuthorityService(world.database, world.barrier, world.clock, urls, world.settings, 8, TENANT)


def test_a_decoded_request_counts_only_for_its_own_bytes(shared: World) -> None:
    asked, other = csr("a.example.com"), csr("b.example.com")
    same = IssueOrder(csr=asked, request=decode_csr(asked))
    assert shared.service.issue(TENANT, same, WHO).sans == ("dns:a.example.com",)
    foreign = IssueOrder(csr=asked, request=decode_csr(other))
    assert shared.service.issue(TENANT, foreign, WHO).sans == ("dns:a.example.com",)
    damaged = decode_csr(asked[:-1] + bytes([asked[-1] ^ 1]))
    with pytest.raises(Fault) as caught:
        shared.service.issue(TENANT, IssueOrder(csr=damaged.der, request=damaged), WHO)
    assert caught.value.kind is FaultKind.BAD_POP


def test_what_another_replica_changes_of_a_ca_is_seen_at_once(world: World) -> None:
    other = replica(world)
    for status in (AuthorityStatus.DISABLED, AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED):
        other.set_authority_status(TENANT, "issuing", status, WHO)
        assert world.service.authority(TENANT, "issuing").status is status
    with pytest.raises(Fault) as caught:
        world.service.issue(TENANT, IssueOrder(csr=csr("a.example.com"), authority="issuing"), WHO)
    assert caught.value.kind is FaultKind.CONFLICT


def test_a_ca_that_another_replica_revokes_issues_nothing_more(world: World) -> None:
    order = IssueOrder(csr=csr("a.example.com"), authority="issuing")
    world.service.issue(TENANT, order, WHO)
    issuing = decode_serial(world)
    replica(world).revoke(TENANT, issuing, RevocationReason.CESSATION_OF_OPERATION, None, WHO)
    with pytest.raises(Fault) as caught:
        world.service.issue(TENANT, order, WHO)
    assert (caught.value.kind, caught.value.detail) == (FaultKind.CONFLICT, "CA issuing is revoked")


def decode_serial(world: World) -> str:
    """Return the issuing CA's own serial."""
    from pycryptoutil_protocols.x509 import decode_certificate

    return f"{decode_certificate(world.service.authority(TENANT, 'issuing').certificate).serial:x}"
