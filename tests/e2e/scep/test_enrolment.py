"""Enrolling and renewing: who may, for what, and what a repeat gets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509 as other
from cryptography.hazmat.primitives.asymmetric import rsa
from pycryptoutil_protocols.scep import client
from pycryptoutil_protocols.scep.messages import FailInfo, PkiStatus

from pycryptoutil.authority.model import AuthorityOrder, CertificateFilter, CredentialOrder, RevocationReason
from pycryptoutil.authority.scep import ScepRules, StaticChallenge
from tests.protocols import material
from tests.support.authority import TENANT
from tests.support.scep import ScepWorld, leaf, open_scep


def issued(world: ScepWorld, requester: str) -> int:
    return len(world.service.certificates(TENANT, CertificateFilter(requester=requester)).items)


def refused(answer: client.Answer, info: FailInfo, text: str = "") -> None:
    assert (answer.status, answer.fail_info) == (PkiStatus.FAILURE, info), answer
    assert text in answer.fail_text


def test_enrols_by_challenge_on_both_databases(world: ScepWorld) -> None:
    made = world.credential()
    device = world.device(made.password)
    found = leaf(device.enrol())
    assert found.public_key() == device.key.public_key()
    names = found.extensions.get_extension_for_class(other.SubjectAlternativeName).value
    assert names.get_values_for_type(other.DNSName) == ["device.example.test"]
    record = world.service.certificate(TENANT, f"{found.serial_number:x}")
    assert (record.protocol, record.requester) == ("scep", f"credential:{made.username}")


@pytest.mark.parametrize(
    ("algorithm", "signature"),
    [("EC-P256", "ecdsa-sha256"), ("EC-P384", "ecdsa-sha384"), ("RSA-2048", "rsa-pss-sha256")],
)
def test_other_keys(shared: ScepWorld, algorithm: str, signature: str) -> None:
    device = shared.device(shared.credential().password, algorithm=algorithm, signature=signature)
    password = device.challenge if algorithm.startswith("EC") else ""
    found = leaf(device.send(device.enrol_request(), password=password))
    assert found.public_key() == device.key.public_key()


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-128-gcm", "aes-256-gcm"])
def test_the_answer_is_encrypted_as_the_request_was(shared: ScepWorld, cipher: str) -> None:
    leaf(shared.device(shared.credential().password, cipher=cipher).enrol())


def test_only_the_leaf_is_sent(shared: ScepWorld) -> None:
    assert len(shared.device(shared.credential().password).enrol().certificates) == 1


def test_a_repeat_gets_the_same_certificate(world: ScepWorld) -> None:
    """Within one transaction, from any replica, even when the one-time challenge is spent."""
    made = world.credential(max_uses=1)
    device = world.device(made.password)
    sent = device.enrol_request()
    first = leaf(device.send(sent, 0))
    assert leaf(device.send(sent, 1)) == first
    assert leaf(device.send(device.enrol_request(csr=device.make_csr()), 1)) == first  # asked anew, signed anew
    assert issued(world, f"credential:{made.username}") == 1
    another = world.device(made.password, number=1)
    refused(another.enrol(), FailInfo.BAD_REQUEST, "used up")


def test_another_transaction_is_another_certificate(shared: ScepWorld) -> None:
    device = shared.device(shared.credential().password)
    first = leaf(device.enrol(transaction="one"))
    assert leaf(device.enrol(transaction="two")).serial_number != first.serial_number


# -- challenges


def test_wrong_challenges(shared: ScepWorld) -> None:
    refused(shared.device("wrong").enrol(), FailInfo.BAD_REQUEST, "challenge")
    refused(shared.device("").enrol(), FailInfo.BAD_REQUEST, "challengePassword is needed")
    expired = shared.credential(expires_at=shared.clock.now() + timedelta(seconds=1))
    withdrawn = shared.credential()
    shared.service.credential_delete(TENANT, withdrawn.id, "tests")
    refused(shared.device(withdrawn.password).enrol(), FailInfo.BAD_REQUEST, "challenge")
    assert expired.password


def test_a_credential_s_own_limits_hold(shared: ScepWorld) -> None:
    made = shared.credential("tls-server", "a.example.test")
    refused(shared.device(made.password).enrol(), FailInfo.BAD_REQUEST)
    only_est = shared.credential(protocols=("est",))
    refused(shared.device(only_est.password).enrol(), FailInfo.BAD_REQUEST, "not for scep")
    for_another = shared.credential("tls-client")
    refused(shared.device(for_another.password).enrol(), FailInfo.BAD_REQUEST, "profile")
    leaf(shared.device(for_another.password, label="tls-client").enrol())


def test_without_a_label_the_credential_says_which_profile(shared: ScepWorld) -> None:
    device = shared.device(shared.credential("tls-client").password, label="")
    found = leaf(device.enrol())
    assert shared.service.certificate(TENANT, f"{found.serial_number:x}").profile == "tls-client"


def test_a_static_challenge(empty: str, tmp_path: Path) -> None:
    rules = ScepRules(challenges=(StaticChallenge("tls-client", "", "shared secret"),))
    with open_scep(empty, tmp_path, rules=rules) as world:
        for number in range(2):
            found = leaf(world.device("shared secret", label="tls-client", number=number).enrol())
            record = world.service.certificate(TENANT, f"{found.serial_number:x}")
            assert record.requester == "scep:static:tls-client"
        refused(world.device("shared secret", label="tls-server").enrol(), FailInfo.BAD_REQUEST, "challenge")
        refused(world.device("shared secret.", label="tls-client").enrol(), FailInfo.BAD_REQUEST, "challenge")


# -- what a request may not be


def test_a_weak_key_and_a_wrong_proof(shared: ScepWorld) -> None:
    made = shared.credential()
    device = shared.device(made.password)
    csr = device.csr[:-1] + bytes((device.csr[-1] ^ 1,))
    refused(device.enrol(csr=csr), FailInfo.BAD_REQUEST, "signature")
    weak = rsa.generate_private_key(65537, 1024)
    refused(device.enrol(csr=device.make_csr(key=weak)), FailInfo.BAD_ALG, "RSA")


def test_names_beyond_the_profile(shared: ScepWorld) -> None:
    device = shared.device(shared.credential().password)
    refused(device.enrol(csr=device.make_csr(common_name="*.example.test")), FailInfo.BAD_REQUEST)


# -- renewal


def test_renews_by_the_certificate(world: ScepWorld) -> None:
    device = world.device(world.credential(max_uses=1).password)
    first = device.enrol()
    old = leaf(first)
    world.clock.advance(60)
    holder = device.with_certificate(first.certificates[0])
    sent = holder.enrol_request(renewal=True)  # the same key, so the same transactionID and no challenge
    new = leaf(holder.send(sent, 0))
    assert new.serial_number != old.serial_number
    assert (new.subject, new.public_key()) == (old.subject, old.public_key())
    assert leaf(holder.send(sent, 1)) == new  # a repeat by another replica
    # and with a new key, under the newest certificate
    again = holder.with_certificate(new.public_bytes(material.DER))
    other_key = material.private_key("RSA-2048", 3)
    third = leaf(again.enrol(renewal=True, csr=again.make_csr("", key=other_key)))
    assert third.public_key() == other_key.public_key()


def test_renewal_never_returns_the_old_certificate(shared: ScepWorld) -> None:
    device = shared.device(shared.credential().password)
    seen = set()
    answer = device.enrol()
    for _ in range(4):  # at once, with the same CSR and transactionID each time
        seen.add(answer.certificates[0])
        holder = device.with_certificate(answer.certificates[0])
        answer = holder.enrol(renewal=True, csr=device.make_csr(""))
        assert answer.certificates[0] not in seen


@pytest.mark.parametrize("again", [False, True], ids=["without a challenge", "with the spent challenge"])
def test_pkcsreq_under_an_old_certificate_is_a_renewal_too(shared: ScepWorld, again: bool) -> None:
    """What clients sent before RenewalReq; certmonger sends its challenge with it, although that is spent."""
    device = shared.device(shared.credential(max_uses=1).password)
    first = device.enrol()
    holder = device.with_certificate(first.certificates[0])
    renewed = leaf(holder.enrol(csr=device.csr if again else b""))
    assert renewed.serial_number != leaf(first).serial_number


def test_pkcsreq_for_other_names_under_an_old_certificate_needs_its_challenge(shared: ScepWorld) -> None:
    device = shared.device(shared.credential(max_uses=1).password)
    holder = device.with_certificate(device.enrol().certificates[0])
    refused(holder.enrol(csr=holder.make_csr("wrong", "other.example.test")), FailInfo.BAD_REQUEST, "challenge")
    fresh = shared.credential(max_uses=1).password
    leaf(holder.enrol(csr=holder.make_csr(fresh, "other.example.test")))


def test_a_renewal_adds_no_name(shared: ScepWorld) -> None:
    device = shared.device(shared.credential().password)
    holder = device.with_certificate(device.enrol().certificates[0])
    csr = holder.make_csr("", "other.example.test")
    refused(holder.enrol(renewal=True, csr=csr), FailInfo.BAD_REQUEST)


def test_who_may_not_renew(shared: ScepWorld) -> None:
    stranger = shared.device("")
    refused(stranger.enrol(renewal=True), FailInfo.BAD_REQUEST)
    device = shared.device(shared.credential().password)
    first = device.enrol()
    holder = device.with_certificate(first.certificates[0])
    wrong_label = device.with_certificate(first.certificates[0])
    wrong_label.label = "tls-client"
    refused(wrong_label.enrol(renewal=True), FailInfo.BAD_REQUEST, "profile")
    serial = f"{leaf(first).serial_number:x}"
    shared.service.revoke(TENANT, serial, RevocationReason.SUPERSEDED, None, "tests")
    refused(holder.enrol(renewal=True), FailInfo.BAD_REQUEST)


def test_an_expired_certificate_does_not_renew(world: ScepWorld) -> None:
    device = world.device(world.credential().password)
    holder = device.with_certificate(device.enrol().certificates[0])
    world.clock.advance(200 * 86400)
    refused(holder.enrol(renewal=True), FailInfo.BAD_CERT_ID)


def test_renewal_can_be_turned_off(empty: str, tmp_path: Path) -> None:
    with open_scep(empty, tmp_path, rules=ScepRules(renewal=False)) as world:
        device = world.device(world.credential().password)
        holder = device.with_certificate(device.enrol().certificates[0])
        refused(holder.enrol(renewal=True), FailInfo.BAD_REQUEST, "renewal")


# -- the RA


def test_every_kind_of_ca_has_an_rsa_ra(shared: ScepWorld) -> None:
    for algorithm in ("Ed25519", "ML-DSA-44", "RSA-2048"):
        name = f"ca-{algorithm.lower()}"
        order = AuthorityOrder(name, f"CN={name}", parent="root", key_algorithm=algorithm)
        shared.service.create_authority(TENANT, order, "tests")
        credential = shared.service.credential_add(
            TENANT, CredentialOrder("tls-server", name, shared.credential().credential.names), "tests"
        )
        device = shared.device(credential.password, label=f"{name}:tls-server")
        found = leaf(device.enrol())
        assert f"CN={name}" in found.issuer.rfc4514_string()
        assert device.client.server.issuer.der == shared.service.authority(TENANT, name).certificate


def test_a_successor_is_used_before_the_ra_ends_and_the_old_one_still_opens(world: ScepWorld) -> None:
    made = world.credential()
    device = world.device(made.password)
    before = device.enrol_request()
    old = world.server("tls-server").responder
    days = (old.not_after - world.clock.now()).days
    world.clock.advance((days - 3) * 86400)
    for replica in world.replicas:
        replica.service.signers.renew()
        replica.service.signers.forget()
    new = world.server("tls-server").responder
    assert new.serial != old.serial
    assert new.not_after > old.not_after
    # made for the old one, answered by the new one
    leaf(device.send(before, 1))


# -- old clients


def test_old_algorithms_only_for_a_named_credential(world: ScepWorld) -> None:
    named, unnamed = world.credential(), world.credential()
    old = {"cipher": "des-ede3-cbc"}
    refused(world.device(named.password, **old).enrol(), FailInfo.BAD_ALG)
    document = world.service.profile_document(TENANT, "tls-server")
    world.put_profile(f"{document}\nlegacy_credentials: [{named.username}]\n")
    leaf(world.device(named.password, **old).enrol())
    refused(world.device(unnamed.password, **old).enrol(), FailInfo.BAD_ALG, "Triple DES")
    leaf(world.device(unnamed.password).enrol())
    assert b"DES3" in world.scep.capabilities("tls-server")
    assert b"DES3" not in world.scep.capabilities("tls-client")
    lookup = world.device("", **old)
    refused(lookup.send(lookup.client.get_crl(1)), FailInfo.BAD_ALG)
