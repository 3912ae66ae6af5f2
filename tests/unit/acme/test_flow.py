"""The whole way from an account to a certificate and its end, on both kinds of database."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.acme import AccountKey, AcmeClient, b64, jws
from tests.support.authority import csr, new_key
from tests.unit.acme.conftest import MakeReplica, Replica


def leaf_of(client: AcmeClient, order: object) -> x509.Certificate:
    chain = client.post(order.json["certificate"])  # type: ignore[attr-defined]
    assert chain.status == 200
    assert chain.headers["content-type"] == "application/pem-certificate-chain"
    found = x509.load_pem_x509_certificates(chain.body)
    assert len(found) == 2, "leaf and issuing CA"
    found[0].verify_directly_issued_by(found[1])
    return found[0]


def names_of(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(one.value) for one in found]


@pytest.mark.parametrize("kind", ["http-01", "dns-01"])
def test_a_certificate(replica: Replica, kind: str) -> None:
    client = replica.account(contact=["mailto:a@example.com"])
    order = replica.validated(client, "b.example.com", "A.example.com", kind=kind)
    assert order.json["status"] == "ready"
    assert order.json["identifiers"] == [
        {"type": "dns", "value": "b.example.com"},
        {"type": "dns", "value": "a.example.com"},
    ]
    done = client.finalize(order, csr("a.example.com", "b.example.com"))
    assert done.json["status"] == "valid"
    assert done.headers["location"] == order.headers["location"]
    assert set(names_of(leaf_of(client, done))) == {"a.example.com", "b.example.com"}
    listed = client.post(client.post(client.kid).json["orders"]).json["orders"]
    assert listed == [done.headers["location"]]


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "RS256", "RS512", "PS256", "EdDSA"])
def test_every_account_key(shared: Replica, algorithm: str) -> None:
    client = shared.client(key=AccountKey.new(algorithm))
    assert client.register().status == 201
    assert client.post(client.kid).json["status"] == "valid"


def test_a_wildcard_is_proved_by_the_dns_alone(replica: Replica) -> None:
    client = replica.account()
    order = client.order("*.example.com", "example.com")
    wildcard, bare = client.authorizations(order)
    assert wildcard.json["wildcard"] is True
    assert wildcard.json["identifier"]["value"] == "example.com"
    assert [one["type"] for one in wildcard.json["challenges"]] == ["dns-01"]
    assert "wildcard" not in bare.json
    assert {one["type"] for one in bare.json["challenges"]} == {"http-01", "dns-01", "tls-alpn-01"}
    assert len({one["token"] for one in bare.json["challenges"]}) == 3
    ready = replica.validated(client, "*.example.com", "example.com", kind="dns-01")
    assert ready.json["status"] == "ready"
    done = client.finalize(ready, csr("*.example.com", "example.com"))
    assert set(names_of(leaf_of(client, done))) == {"*.example.com", "example.com"}


def test_an_address(replica: Replica) -> None:
    """RFC 8738."""
    client = replica.account()
    order = client.order("ip:192.0.2.1", "ip:2001:db8::1")
    assert order.status == 201
    for one in client.authorizations(order):
        assert {challenge["type"] for challenge in one.json["challenges"]} == {"http-01", "tls-alpn-01"}
    ready = replica.validated(client, "ip:192.0.2.1", "ip:2001:db8::1")
    import ipaddress

    addresses = tuple(x509.IPAddress(ipaddress.ip_address(one)) for one in ("192.0.2.1", "2001:db8::1"))
    done = client.finalize(ready, csr(names=addresses))
    assert set(names_of(leaf_of(client, done))) == {"192.0.2.1", "2001:db8::1"}


def test_an_authorization_is_used_again_by_its_account_only(replica: Replica) -> None:
    client, other = replica.account(), replica.account()
    replica.issued(client, "a.example.com")
    assert client.order("a.example.com").json["status"] == "ready"
    assert other.order("a.example.com").json["status"] == "pending"
    replica.world.clock.advance(31 * 86400)
    assert client.order("a.example.com").json["status"] == "pending"


def test_pre_authorization(replica: Replica) -> None:
    client = replica.account()
    made = client.post(client.directory["newAuthz"], {"identifier": {"type": "dns", "value": "p.example.com"}})
    assert made.status == 201
    again = client.post(client.directory["newAuthz"], {"identifier": {"type": "dns", "value": "p.example.com"}})
    assert again.headers["location"] == made.headers["location"]
    challenge = client.challenge(made, "http-01")
    replica.internet.put_http(client, "p.example.com", challenge)
    client.post(challenge["url"], {})
    replica.settle()
    assert client.post(made.headers["location"]).json["status"] == "valid"
    assert client.order("p.example.com").json["status"] == "ready"


def test_deactivated_authorizations_end_orders(replica: Replica) -> None:
    client = replica.account()
    order = replica.validated(client, "a.example.com")
    (url,) = order.json["authorizations"]
    assert client.post(url, {"status": "deactivated"}).json["status"] == "deactivated"
    over = client.post(order.headers["location"]).json
    assert over["status"] == "invalid"
    assert over["error"]["type"].endswith("unauthorized")
    assert client.order("a.example.com").json["status"] == "pending"


def test_external_binding_holds_an_account_to_its_credential(make_replica: MakeReplica) -> None:
    replica = make_replica(external_account_required=True)
    username, password = replica.credential("*.example.com", max_uses=1)
    client = replica.client()
    assert client.directory["meta"]["externalAccountRequired"] is True
    made = client.bind(username, password)
    assert made.status == 201
    assert made.json["externalAccountBinding"]["protected"]
    assert client.order("a.example.org").problem == "rejectedIdentifier"
    replica.issued(client, "a.example.com")
    ready = replica.validated(client, "b.example.com")
    assert client.finalize(ready, csr("b.example.com")).status == 403, "the credential is used up"
    replica.world.service.credential_delete(
        replica.world.service.credential_list(client_tenant())[0].tenant_id, username_id(replica, username), "tester"
    )
    assert client.order("a.example.com").problem == "unauthorized"


def client_tenant() -> str:
    from tests.support.authority import TENANT

    return TENANT


def username_id(replica: Replica, username: str) -> str:
    return replica.world.service.credential_get(client_tenant(), username).id


def test_key_change(replica: Replica) -> None:
    client = replica.account()
    old, new = client.key, AccountKey.new("ES384")
    url = client.directory["keyChange"]
    inner = jws(
        {"alg": new.algorithm, "jwk": new.jwk, "url": url}, {"account": client.kid, "oldKey": old.jwk}, new.sign
    )
    assert client.post(url, inner).status == 200
    assert client.post(client.kid).status in {400, 403}, "the old key is good for nothing"
    client.key = new
    assert client.post(client.kid).json["status"] == "valid"
    other = replica.account()
    inner = jws(
        {"alg": new.algorithm, "jwk": new.jwk, "url": url}, {"account": other.kid, "oldKey": other.key.jwk}, new.sign
    )
    taken = other.post(url, inner)
    assert taken.status == 409
    assert taken.headers["location"] == client.kid


def test_revocation_by_any_of_three_keys(replica: Replica) -> None:
    owner, other = replica.account(), replica.account()
    key = new_key()
    certificates = [
        leaf_of(owner, replica.issued(owner, "a.example.com", key=key)).public_bytes(Encoding.DER) for _ in range(3)
    ]
    url = owner.directory["revokeCert"]
    # another account may not, until it has the name authorized as well
    body = {"certificate": b64(certificates[0]), "reason": 4}
    assert other.post(url, body).problem == "unauthorized"
    replica.validated(other, "a.example.com")
    assert other.post(url, body).status == 200
    assert owner.post(url, body).problem == "alreadyRevoked"
    assert owner.post(url, {"certificate": b64(certificates[1])}).status == 200
    own = AccountKey(key)
    assert owner.post(url, {"certificate": b64(certificates[2]), "reason": 1}, key=own, use_jwk=True).status == 200
    for certificate in certificates:
        serial = f"{x509.load_der_x509_certificate(certificate).serial_number:x}"
        assert replica.world.service.certificate(client_tenant(), serial).revoked_at is not None


def test_deactivated_accounts_do_nothing(replica: Replica) -> None:
    client = replica.account()
    assert client.post(client.kid, {"status": "deactivated"}).json["status"] == "deactivated"
    assert client.post(client.kid).problem == "unauthorized"
    assert client.register().problem == "unauthorized"


def test_accounts_are_found_again(replica: Replica) -> None:
    client = replica.account(contact=["mailto:a@example.com"])
    kid = client.kid
    again = client.register(onlyReturnExisting=True)
    assert (again.status, again.headers["location"]) == (200, kid)
    assert client.register().headers["location"] == kid
    changed = client.post(kid, {"contact": ["mailto:b@example.com"]})
    assert changed.json["contact"] == ["mailto:b@example.com"]
    assert replica.client().register(onlyReturnExisting=True).problem == "accountDoesNotExist"
    elsewhere = replica.client("internal-tls", client.key)
    assert elsewhere.register(onlyReturnExisting=True).problem == "accountDoesNotExist", "another directory"


def test_orders_come_in_pages(shared: Replica) -> None:
    client = shared.account()
    made = [client.order(f"n{number}.example.com").headers["location"] for number in range(53)]
    found: list[str] = []
    url = client.post(client.kid).json["orders"]
    while url:
        page = client.post(url)
        found += page.json["orders"]
        url = page.links.get("next", "")
    assert sorted(found) == sorted(made)


def test_renewal_information(replica: Replica) -> None:
    """RFC 9773: a window in the last third, the past for what was revoked, and replaces once."""
    from datetime import datetime

    client = replica.account()
    leaf = leaf_of(client, replica.issued(client, "a.example.com"))
    identifier = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier or b""
    serial = leaf.serial_number.to_bytes((leaf.serial_number.bit_length() + 8) // 8, "big")
    certificate_id = f"{b64(identifier)}.{b64(serial)}"
    url = f"{client.directory['renewalInfo']}/{certificate_id}"
    told = client.get(url)
    assert int(told.headers["retry-after"]) > 0
    start, end = (datetime.fromisoformat(told.json["suggestedWindow"][name]) for name in ("start", "end"))
    assert leaf.not_valid_before_utc < start < end < leaf.not_valid_after_utc
    renewed = client.order("a.example.com", replaces=certificate_id)
    assert renewed.json["replaces"] == certificate_id
    assert client.order("a.example.com", replaces=certificate_id).problem == "alreadyReplaced"
    assert replica.account().order("a.example.com", replaces=certificate_id).problem == "unauthorized"
    assert client.order("z.example.com", replaces=certificate_id).problem in {"malformed", "alreadyReplaced"}
    body = {"certificate": b64(leaf.public_bytes(Encoding.DER))}
    assert client.post(client.directory["revokeCert"], body).status == 200
    told = client.get(url)
    assert datetime.fromisoformat(told.json["suggestedWindow"]["end"]) <= replica.world.clock.now()
    assert client.get(f"{client.directory['renewalInfo']}/AAAA.AQ").status == 404
    assert client.get(f"{client.directory['renewalInfo']}/nonsense").problem == "malformed"


def test_directory_says_what_there_is(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(terms_of_service="https://ca.example.com/terms", website="https://ca.example.com")
    meta = replica.client().directory["meta"]
    assert meta == {
        "externalAccountRequired": False,
        "termsOfService": "https://ca.example.com/terms",
        "website": "https://ca.example.com",
        "caaIdentities": ["ca.example.com"],
    }


def test_nonces(shared: Replica) -> None:
    client = shared.client()
    head = client.get(client.directory["newNonce"], "HEAD")
    got = client.get(client.directory["newNonce"])
    assert (head.status, got.status) == (200, 204)
    assert head.headers["cache-control"] == got.headers["cache-control"] == "no-store"
    assert head.headers["replay-nonce"] != got.headers["replay-nonce"]
    assert head.links["index"] == client.directory_url
    reply = client.register()
    assert client.post(client.kid, nonce=reply.headers["replay-nonce"]).status == 200
    assert hashlib.sha256(base64.urlsafe_b64decode(reply.headers["replay-nonce"] + "=")).digest()
