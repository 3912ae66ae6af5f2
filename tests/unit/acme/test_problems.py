"""Every problem type, by a request that earns it; and requests that are wrong in every way the RFC names."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pycryptoutil_protocols.acme import caa
from pycryptoutil_protocols.acme.problems import ProblemType
from pycryptoutil_protocols.pem import decode_pem

from pycryptoutil.authority.acme.model import AutoRenewalRules, Limits
from tests.support.acme import AccountKey, AcmeClient, b64, external_binding, jws
from tests.support.authority import csr, new_key
from tests.unit.acme.conftest import MakeReplica, Replica

VECTORS = Path(__file__).parents[2] / "vectors"

# --- the envelope


def send(client: AcmeClient, header: dict[str, object], payload: object = None, **more: object) -> str:
    """Send a JWS with this protected header and return the problem."""
    document = jws(header, payload, client.key.sign) | more
    return client.raw(str(header.get("url")), json.dumps(document).encode()).problem


def good_header(client: AcmeClient, url: str) -> dict[str, object]:
    return {"alg": "ES256", "kid": client.kid, "nonce": client.nonce(), "url": url}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b"hello", b"\xff\xfe", b'{"protected":1,"payload":"","signature":""}',
        b'{"protected":"","payload":"","signature":""}', b'{"protected":"e30","payload":"","signature":""}',
        b'{"protected":"e30","payload":"","signature":"","header":{}}', b'{"payload":"","signatures":[]}',
        b'{"protected":"e30=","payload":"","signature":""}', b'{"a":1,"a":2}', b'{"a":NaN}',
        b"[" * 100_000, b'{"protected":' + b"[" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_jws(shared: Replica, body: bytes) -> None:
    client = shared.account()
    reply = client.raw(client.directory["newOrder"], body)
    assert (reply.status, reply.problem) == (400, "malformed")
    assert reply.headers["replay-nonce"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"alg": "none"}, "badSignatureAlgorithm"),
        ({"alg": "HS256"}, "badSignatureAlgorithm"),
        ({"alg": "RS256"}, "badSignatureAlgorithm"),
        ({"alg": "ES384"}, "badSignatureAlgorithm"),
        ({"alg": None}, "malformed"),
        ({"url": "https://ca.example.com/acme/tls-server/new-authz"}, "unauthorized"),
        ({"url": None}, "malformed"),
        ({"nonce": None}, "badNonce"),
        ({"nonce": ""}, "badNonce"),
        ({"nonce": "AAAA"}, "badNonce"),
        ({"nonce": "!"}, "badNonce"),
        ({"nonce": 5}, "malformed"),
        ({"kid": None}, "malformed"),
        ({"kid": 7}, "malformed"),
        ({"kid": "https://ca.example.com/acme/tls-server/account/nobody"}, "accountDoesNotExist"),
        ({"kid": "https://elsewhere.example.com/account/1"}, "accountDoesNotExist"),
        ({"crit": ["b64"], "b64": False}, "malformed"),
        ({"jwk": {}}, "malformed"),
    ],
)
def test_protected_headers(shared: Replica, change: dict[str, object], problem: str) -> None:
    client = shared.account()
    url = client.directory["newOrder"]
    header = {name: value for name, value in (good_header(client, url) | change).items() if value is not None}
    document = jws(header, {"identifiers": []}, client.key.sign)
    assert client.raw(url, json.dumps(document).encode()).problem == problem


def test_a_signature_over_something_else(shared: Replica) -> None:
    client = shared.account()
    url = client.directory["newOrder"]
    document = jws(good_header(client, url), {"identifiers": []}, lambda _: bytes(64))
    assert client.raw(url, json.dumps(document).encode()).problem == "unauthorized"
    document = jws(good_header(client, url), {"identifiers": []}, lambda _: bytes(63))
    assert client.raw(url, json.dumps(document).encode()).problem == "unauthorized"


def test_nonces_are_good_once(one: Replica) -> None:
    client = one.account()
    nonce = client.nonce()
    assert client.post(client.kid, nonce=nonce).status == 200
    again = client.post(client.kid, nonce=nonce)
    assert again.problem == "badNonce"
    assert client.post(client.kid, nonce=again.headers["replay-nonce"]).status == 200
    old = client.nonce()
    one.world.clock.advance(3601)
    assert client.post(client.kid, nonce=old).problem == "badNonce"


def _rsa_1024() -> dict[str, str]:
    return AccountKey(rsa.generate_private_key(65537, 1024), "RS256").jwk


@pytest.mark.parametrize(
    "jwk",
    [
        "key", {"kty": "oct", "k": "AAAA"}, {"kty": "EC"}, {"kty": "EC", "crv": "P-192", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}, AccountKey.new().jwk | {"d": "AA"}, _rsa_1024(),
    ],
)  # fmt: skip
def test_public_keys(shared: Replica, jwk: object) -> None:
    client = shared.client()
    url = client.directory["newAccount"]
    problem = send(client, {"alg": "ES256", "jwk": jwk, "nonce": client.nonce(), "url": url}, {})
    assert problem == ("malformed" if jwk == "key" else "badPublicKey")


def test_post_as_get_has_no_payload(shared: Replica) -> None:
    client = shared.account()
    order = client.order("a.example.com")
    assert client.post(f"{client.kid}/orders", {}).problem == "malformed"
    assert client.post(order.json["finalize"], None).problem == "malformed"
    assert client.post(client.directory["newOrder"], b"[]").problem == "malformed"
    assert client.post(client.directory["newOrder"], b'"x"').problem == "malformed"


# --- accounts


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({"contact": "mailto:a@example.com"}, "malformed"),
        ({"contact": [1]}, "malformed"),
        ({"contact": ["mailto:a@example.com"] * 11}, "malformed"),
        ({"contact": ["tel:+49123"]}, "unsupportedContact"),
        ({"contact": ["mailto:a@example.com?subject=x"]}, "invalidContact"),
        ({"contact": ["mailto:a@example.com,b@example.com"]}, "invalidContact"),
        ({"contact": ["mailto:"]}, "invalidContact"),
        ({"termsOfServiceAgreed": "yes"}, "malformed"),
        ({"onlyReturnExisting": True}, "accountDoesNotExist"),
        ({"externalAccountBinding": "x"}, "malformed"),
    ],
)
def test_bad_accounts(shared: Replica, payload: dict[str, object], problem: str) -> None:
    assert shared.client().register(**payload).problem == problem


def test_new_accounts_carry_their_key(shared: Replica) -> None:
    client = shared.account()
    assert client.post(client.directory["newAccount"], {}).problem == "malformed"
    assert client.post(client.directory["newOrder"], {}, use_jwk=True).problem == "malformed"


def test_accounts_cannot_be_revoked_by_their_owners(shared: Replica) -> None:
    client = shared.account()
    assert client.post(client.kid, {"status": "revoked"}).problem == "malformed"
    assert shared.account().post(client.kid, {}).problem == "unauthorized"
    assert shared.account().post(f"{client.kid}/orders").problem == "unauthorized"


def test_terms_of_service(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(terms_of_service="https://ca.example.com/terms/1")
    client = replica.client()
    refused = client.register()
    assert refused.problem == "userActionRequired"
    assert refused.links["terms-of-service"] == "https://ca.example.com/terms/1"
    assert client.register(termsOfServiceAgreed=True).status == 201
    changed = make_sqlite(terms_of_service="https://ca.example.com/terms/2")
    later = AcmeClient(changed.send, client.directory_url, client.key)
    later.kid = client.kid
    answer = later.order("a.example.com")
    assert answer.problem == "userActionRequired"
    assert answer.json["instance"] == "https://ca.example.com/terms/2"
    assert later.post(later.kid, {"termsOfServiceAgreed": True}).json["termsOfServiceAgreed"] is True
    assert later.order("a.example.com").status == 201


def test_external_bindings(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(external_account_required=True)
    username, password = replica.credential("*.example.com")
    other_profile, its_password = replica.credential(profile="internal-tls")
    not_for_acme, third = replica.credential(protocols=("est",))
    client = replica.client()
    assert client.register().problem == "externalAccountRequired"
    url = client.directory["newAccount"]

    def bind(*arguments: object, **header: object) -> str:
        binding = external_binding(*arguments, **header)  # type: ignore[arg-type]
        return client.register(externalAccountBinding=binding).problem

    assert bind(client.key, username, "wrong", url) == "unauthorized"
    assert bind(client.key, "nobody", password, url) == "unauthorized"
    assert bind(client.key, other_profile, its_password, url) == "unauthorized"
    assert bind(client.key, not_for_acme, third, url) == "unauthorized"
    assert bind(AccountKey.new(), username, password, url) == "malformed"
    assert bind(client.key, username, password, url + "x") == "malformed"
    assert bind(client.key, username, password, url, nonce="x") == "malformed"
    signed = jws({"alg": "ES256", "kid": username, "url": url}, client.key.jwk, client.key.sign)
    assert client.register(externalAccountBinding=signed).problem == "malformed"
    assert client.bind(username, password).status == 201


def test_key_changes(shared: Replica) -> None:
    client = shared.account()
    new, url = AccountKey.new(), client.directory["keyChange"]

    def change(header: dict[str, object], payload: dict[str, object], signer: AccountKey = new) -> str:
        head = {"alg": "ES256", "jwk": new.jwk, "url": url} | header
        return client.post(url, jws(head, payload, signer.sign)).problem

    right: dict[str, object] = {"account": client.kid, "oldKey": client.key.jwk}
    assert change({}, right, AccountKey.new()) == "unauthorized"
    assert change({"url": url + "x"}, right) == "malformed"
    assert change({"nonce": "x"}, right) == "malformed"
    assert change({}, right | {"account": client.kid + "0"}) == "malformed"
    assert change({}, right | {"oldKey": new.jwk}) == "malformed"
    assert change({"jwk": client.key.jwk}, right, client.key) == "malformed"
    assert client.post(url, {}).problem == "malformed"


# --- orders


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({}, "malformed"),
        ({"identifiers": []}, "malformed"),
        ({"identifiers": "a"}, "malformed"),
        ({"identifiers": [{}]}, "malformed"),
        ({"identifiers": [{"type": "dns", "value": 1}]}, "malformed"),
        ({"identifiers": [{"type": "dns", "value": ""}]}, "malformed"),
        ({"identifiers": [{"type": "dns", "value": f"n{n}.example.com"} for n in range(101)]}, "malformed"),
        ({"identifiers": [{"type": "email", "value": "a@example.com"}]}, "unsupportedIdentifier"),
        ({"identifiers": [{"type": "permanent-identifier", "value": "1"}]}, "unsupportedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "a..example.com"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "-a.example.com"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "*.com"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "a.*.example.com"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "*.*.example.com"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "192.0.2.1"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "ip", "value": "a.example.com"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "ip", "value": "2001:DB8::1"}]}, "malformed"),
        ({"identifiers": [{"type": "ip", "value": "2001:db8:0::1"}]}, "malformed"),
        ({"identifiers": [{"type": "dns", "value": "a.example.com"}], "notBefore": "yesterday"}, "malformed"),
        ({"identifiers": [{"type": "dns", "value": "a.example.com"}], "notAfter": "2020-01-01T00:00:00Z"}, "malformed"),
        ({"identifiers": [{"type": "dns", "value": "a.example.com"}], "replaces": "x"}, "malformed"),
        ({"identifiers": [{"type": "dns", "value": "a.example.com"}], "auto-renewal": {}}, "malformed"),
    ],
)
def test_bad_orders(shared: Replica, payload: dict[str, object], problem: str) -> None:
    client = shared.account()
    assert client.post(client.directory["newOrder"], payload).problem == problem


def test_several_refusals_are_told_apart(shared: Replica) -> None:
    client = shared.account()
    same = client.order("a.example.com", "*.com", "*.net").json
    assert same["type"].endswith("rejectedIdentifier")
    assert [each["identifier"]["value"] for each in same["subproblems"]] == ["*.com", "*.net"]
    mixed = client.order("*.com", "email:a@example.com").json
    assert mixed["type"].endswith("compound")
    assert [each["type"].rpartition(":")[2] for each in mixed["subproblems"]] == [
        "rejectedIdentifier",
        "unsupportedIdentifier",
    ]


def test_other_accounts_resources(shared: Replica) -> None:
    client, other = shared.account(), shared.account()
    order = client.order("a.example.com")
    (authorization,) = order.json["authorizations"]
    challenge = client.authorizations(order)[0].json["challenges"][0]["url"]
    done = shared.issued(client, "b.example.com")
    for url in (order.headers["location"], authorization, challenge, done.json["certificate"]):
        assert other.post(url).problem == "unauthorized"
        assert other.post(url[:-1] + ("0" if url[-1] != "0" else "1")).problem == "unauthorized"
    assert other.post(order.json["finalize"], {"csr": "AAAA"}).problem == "unauthorized"
    assert other.post(challenge, {}).problem == "unauthorized"
    assert other.post(authorization, {"status": "deactivated"}).problem == "unauthorized"
    assert client.post(authorization, {"status": "valid"}).problem == "malformed"
    assert client.post(order.headers["location"], {"status": "valid"}).problem == "malformed"


def test_finalizing_too_early_or_twice(one: Replica) -> None:
    client = one.account()
    early = client.order("a.example.com")
    assert client.finalize(early, csr("a.example.com")).problem == "orderNotReady"
    done = one.issued(client, "b.example.com")
    assert client.finalize(done, csr("b.example.com")).problem == "orderNotReady"
    ready = one.validated(client, "c.example.com")
    one.world.clock.advance(8 * 86400)
    late = client.finalize(ready, csr("c.example.com"))
    assert late.problem == "orderNotReady"
    assert client.post(ready.headers["location"]).json["status"] == "invalid"


def test_an_authorization_that_ran_out_before_finalizing(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(authorization_lifetime=timedelta(hours=1))
    client = replica.account()
    ready = replica.validated(client, "a.example.com")
    replica.world.clock.advance(3601)
    assert client.post(ready.json["authorizations"][0]).json["status"] == "expired"
    again = client.order("a.example.com")
    assert again.json["expires"] == client.authorizations(again)[0].json["expires"]
    assert client.finalize(ready, csr("a.example.com")).problem == "orderNotReady"


def test_bad_csrs(shared: Replica) -> None:
    client = shared.account()
    order = shared.validated(client, "a.example.com")
    good = csr("a.example.com")
    wrong = {
        "other name": csr("b.example.com"),
        "more names": csr("a.example.com", "b.example.com"),
        "fewer names": csr(),
        "common name": csr("a.example.com", cn="b.example.com"),
        "account key": csr("a.example.com", key=client.key.key),
        "weak key": csr("a.example.com", key=rsa.generate_private_key(65537, 1024)),
        "SHA-1": decode_pem((VECTORS / "csr" / "openssl-rsa-sha1.pem").read_bytes(), 1 << 16),
        "altered": good[:-1] + bytes([good[-1] ^ 1]),
        "not DER": b"hello",
        "trailing": good + b"\x00",
        "an address too": csr("a.example.com", names=(x509.RFC822Name("a@example.com"),)),
        "a CA": csr("a.example.com", extensions=((x509.BasicConstraints(True, None), True),)),
    }
    for what, request in wrong.items():
        assert client.finalize(order, request).problem == "badCSR", what
        assert client.post(order.headers["location"]).json["status"] == "ready", what
    assert client.post(order.json["finalize"], {"csr": "!"}).problem == "malformed"
    assert client.finalize(order, csr("a.example.com", cn="a.example.com")).json["status"] == "valid"


def test_dates_that_the_profile_refuses(shared: Replica) -> None:
    client = shared.account()
    order = shared.validated(client, "a.example.com", notAfter="2036-06-01T00:00:00Z")
    assert client.finalize(order, csr("a.example.com")).problem == "badCSR"
    soon = shared.validated(client, "a.example.com", notAfter="2026-06-20T00:00:00Z")
    assert soon.json["notAfter"] == "2026-06-20T00:00:00Z"
    done = client.finalize(soon, csr("a.example.com"))
    leaf = x509.load_pem_x509_certificates(client.post(done.json["certificate"]).body)[0]
    assert leaf.not_valid_after_utc.isoformat().startswith("2026-06-20T00:00:00")


# --- validation


def outcome(replica: Replica, client: AcmeClient, kind: str = "http-01", name: str = "a.example.com") -> dict[str, str]:
    """Have a challenge tried and return the authorization's one challenge that is shown then."""
    order = client.order(name)
    authorization = client.authorizations(order)[0]
    client.post(client.challenge(authorization, kind)["url"], {})
    replica.settle()
    over = client.post(order.headers["location"]).json
    shown = client.post(order.json["authorizations"][0]).json
    if shown["status"] == "invalid":
        assert over["status"] == "invalid"
        assert over["error"]["subproblems"][0]["identifier"]["value"] == name
    (challenge,) = shown["challenges"]
    return challenge  # type: ignore[no-any-return]


def kind_of(challenge: dict[str, object]) -> str:
    assert challenge["status"] == "invalid"
    error = challenge["error"]
    assert isinstance(error, dict)
    return str(error["type"]).rpartition(":")[2]


def test_nobody_answers(one: Replica) -> None:
    assert kind_of(outcome(one, one.account())) == "connection"
    assert len([each for each in one.internet.asked if each.startswith("http")]) == 3, "it is tried again"


def test_the_wrong_answer(one: Replica) -> None:
    client = one.account()
    order = client.order("a.example.com")
    challenge = client.challenge(client.authorizations(order)[0], "http-01")
    one.internet.http["a.example.com", challenge["token"]] = b"<html>"
    client.post(challenge["url"], {})
    one.settle()
    assert kind_of(client.post(challenge["url"]).json) == "incorrectResponse"
    assert kind_of(outcome(one, client, "dns-01", "b.example.com")) == "incorrectResponse"
    one.internet.txt["_acme-challenge.c.example.com"] = [b"x", b"y" * 43]
    assert kind_of(outcome(one, client, "dns-01", "c.example.com")) == "incorrectResponse"


def test_dns_and_tls_that_fail(one: Replica) -> None:
    client = one.account()
    one.internet.down.add("_acme-challenge.a.example.com")
    assert kind_of(outcome(one, client, "dns-01")) == "dns"
    assert kind_of(outcome(one, client, "tls-alpn-01", "b.example.com")) == "tls"


def test_a_late_answer_is_in_time(one: Replica) -> None:
    client = one.account()
    order = client.order("a.example.com")
    challenge = client.challenge(client.authorizations(order)[0], "http-01")
    assert client.post(challenge["url"], {}).json["status"] == "processing"
    assert one.service.work() == 1
    seen = client.post(challenge["url"])
    assert seen.json["status"] == "processing"
    assert seen.json["error"]["type"].endswith("connection")
    assert seen.headers["retry-after"] == "5"
    assert one.service.work() == 0, "not before its time"
    one.internet.put_http(client, "a.example.com", challenge)
    one.settle()
    assert client.post(order.headers["location"]).json["status"] == "ready"
    assert "error" not in client.post(challenge["url"]).json


@pytest.mark.parametrize(
    ("records", "allowed"),
    [
        ({}, True),
        ({"a.example.com": [(0, "issue", "ca.example.com")]}, True),
        ({"a.example.com": [(0, "issue", "other.example")]}, False),
        ({"example.com": [(0, "issue", ";")]}, False),
        ({"example.com": [(0, "issue", ";")], "a.example.com": [(0, "iodef", "mailto:x@y.z")]}, True),
        ({"com": [(0, "issue", "other.example")]}, False),
        ({"a.example.com": [(128, "future", "x")]}, False),
        ({"a.example.com": [(0, "issue", "ca.example.com; validationmethods=dns-01")]}, False),
        ({"a.example.com": [(0, "issue", "ca.example.com; validationmethods=http-01,dns-01")]}, True),
        ({"a.example.com": [(0, "issue", "ca.example.com; accounturi=https://ca.example.com/other")]}, False),
    ],
)
def test_caa(one: Replica, records: dict[str, list[tuple[int, str, str]]], allowed: bool) -> None:
    one.internet.caa_records = {name: [caa.Record(*each) for each in found] for name, found in records.items()}
    client = one.account()
    order = one.validated(client, "a.example.com")
    assert order.json["status"] == ("ready" if allowed else "invalid")
    if not allowed:
        assert order.json["error"]["type"].endswith("caa")


def test_caa_for_this_account(one: Replica) -> None:
    client = one.account()
    one.internet.caa_records["example.com"] = [caa.Record(0, "issue", f"ca.example.com; accounturi={client.kid}")]
    assert one.validated(client, "a.example.com").json["status"] == "ready"
    assert one.validated(one.account(), "a.example.com").json["status"] == "invalid"


def test_caa_that_nobody_can_tell(one: Replica) -> None:
    one.internet.down.add("example.com")
    client = one.account()
    order = one.validated(client, "a.example.com")
    assert order.json["status"] == "invalid"
    assert order.json["error"]["type"].endswith("dns")


def test_caa_is_asked_again_before_issuing(one: Replica) -> None:
    """What was allowed eight hours ago may be forbidden now (RFC 8659 section 3)."""
    client = one.account()
    ready = one.validated(client, "a.example.com")
    one.world.clock.advance(8 * 3600)
    one.internet.caa_records["a.example.com"] = [caa.Record(0, "issue", ";")]
    assert client.finalize(ready, csr("a.example.com")).json["status"] == "processing"
    bring_on(one, client, ready.headers["location"])
    over = client.post(ready.headers["location"]).json
    assert over["status"] == "invalid"
    assert over["error"]["type"].endswith("caa")
    one.internet.caa_records.clear()
    again = client.order("a.example.com")
    assert again.json["status"] == "ready"
    key = new_key()
    assert client.finalize(again, csr("a.example.com", key=key)).json["status"] == "processing"
    bring_on(one, client, again.headers["location"])
    assert client.post(again.headers["location"]).json["status"] == "valid"


def bring_on(replica: Replica, client: AcmeClient, url: str) -> None:
    """Do what the background does for an order whose client does not wait."""
    from pycryptoutil.authority.acme.store import orders as store
    from tests.support.authority import TENANT

    with replica.world.database.read(TENANT) as reader:
        row = store.order(reader, url.rpartition("/")[2])
    assert row is not None
    replica.service._finish(row)


# --- revocation


def test_bad_revocations(shared: Replica) -> None:
    client = shared.account()
    done = shared.issued(client, "a.example.com")
    leaf = x509.load_pem_x509_certificates(client.post(done.json["certificate"]).body)[0].public_bytes(Encoding.DER)
    url = client.directory["revokeCert"]
    for reason in (2, 6, 7, 8, 10, 11, -1):
        assert client.post(url, {"certificate": b64(leaf), "reason": reason}).problem == "badRevocationReason"
    assert client.post(url, {"certificate": b64(leaf), "reason": "1"}).problem == "malformed"
    assert client.post(url, {"certificate": b64(leaf), "reason": True}).problem == "malformed"
    assert client.post(url, {"certificate": "!"}).problem == "malformed"
    assert client.post(url, {"certificate": b64(b"hello")}).problem == "malformed"
    assert client.post(url, {}).problem == "malformed"
    root = shared.world.service.authority("0" * 32, "root").certificate
    assert client.post(url, {"certificate": b64(root)}).problem == "unauthorized"
    assert client.post(url, {"certificate": b64(leaf)}, key=AccountKey.new(), use_jwk=True).problem == "unauthorized"
    altered = leaf[:-1] + bytes([leaf[-1] ^ 1])
    assert client.post(url, {"certificate": b64(altered)}).status == 404


# --- rates


def test_rates(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(limits=Limits(accounts_per_address=2, orders_per_account=3, failures_per_name=1), attempts=1)
    client = replica.account()
    replica.account()
    refused = replica.client().register()
    assert (refused.status, refused.problem) == (429, "rateLimited")
    assert int(refused.headers["retry-after"]) > 0
    replica.peer = "192.0.2.8"
    assert replica.client().register().status == 201
    assert kind_of(outcome(replica, client)) == "connection"
    assert client.order("a.example.com").problem == "rateLimited"
    assert client.order("b.example.com").status == 201
    assert client.order("c.example.com").status == 201
    assert client.order("d.example.com").problem == "rateLimited"
    replica.world.clock.advance(timedelta(hours=1, seconds=1).total_seconds())
    assert client.order("a.example.com").status == 201


def test_validations_at_once(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(limits=Limits(validations_at_once=2))
    client = replica.account()
    found = [
        client.challenge(one, "http-01")
        for one in client.authorizations(client.order("a.example.com", "b.example.com", "c.example.com"))
    ]
    replies = [client.post(one["url"], {}) for one in found]
    assert [one.status for one in replies] == [200, 200, 429]
    assert replies[2].problem == "rateLimited"
    assert replica.account().order("a.example.com").status == 201
    replica.settle()
    assert client.post(found[2]["url"]).json["status"] == "pending"
    assert client.post(found[2]["url"], {}).json["status"] == "processing"


def test_unknown_labels(shared: Replica) -> None:
    reply = shared.send("GET", "https://ca.example.com/acme/nobody/directory", b"", {})
    assert (reply.status, reply.problem) == (404, "malformed")


def test_sealed(one: Replica) -> None:
    client = one.account()
    nonce = client.nonce()
    one.world.barrier.seal()
    reply = client.post(client.kid, nonce=nonce)
    assert (reply.status, reply.problem) == (503, "serverInternal")


def test_every_problem_type_is_in_a_test() -> None:
    """This file and its neighbours name each."""
    said = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    missing = [one.value for one in ProblemType if f'"{one.value}"' not in said]
    assert missing == []


def test_auto_renewal_bounds(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(auto_renewal=AutoRenewalRules(timedelta(hours=1), timedelta(days=10), allow_get=False))
    client = replica.account()
    good = {"end-date": "2026-06-05T00:00:00Z", "lifetime": 86400}

    def order(**change: object) -> str:
        value = {name: each for name, each in (good | change).items() if each is not None}
        return client.order("a.example.com", **{"auto-renewal": value}).problem

    assert order(**{"end-date": "2026-05-05T00:00:00Z"}) == "malformed"
    assert order(**{"end-date": "2026-09-05T00:00:00Z"}) == "malformed"
    assert order(**{"end-date": None}) == "malformed"
    assert order(lifetime=60) == "malformed"
    assert order(lifetime=None) == "malformed"
    assert order(**{"lifetime-adjust": 86400}) == "malformed"
    assert order(**{"lifetime-adjust": 3600}) == "malformed"
    assert order(**{"allow-certificate-get": True}) == "malformed"
    assert (
        client.order("a.example.com", notAfter="2026-06-05T00:00:00Z", **{"auto-renewal": good}).problem == "malformed"
    )
