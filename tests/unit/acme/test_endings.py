"""What ends: accounts with all that they began, orders that ran out, auto-renewals; and what is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from pycryptoutil_protocols.acme import caa, renewal
from pycryptoutil_protocols.acme.jwk import decode_base64url, encode_base64url
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.acme import accounts
from pycryptoutil.authority.acme.model import AutoRenewalRules, Limits, Reach
from pycryptoutil.authority.acme.store import orders as store
from pycryptoutil.storage import audit
from tests.support.acme import AcmeClient, FakeFetcher, Internet, Reply, jws
from tests.support.authority import TENANT, csr
from tests.unit.acme.conftest import MakeReplica, Replica

STAR = {"end-date": "2026-06-08T12:00:00Z", "lifetime": 86400, "allow-certificate-get": True}
RENEWS = AutoRenewalRules(timedelta(hours=1), timedelta(days=10))


def auto_renewed(replica: Replica, client: AcmeClient) -> Reply:
    ready = replica.validated(client, "star.example.com", **{"auto-renewal": STAR})
    done = client.finalize(ready, csr("star.example.com"))
    assert done.json["status"] == "valid", done.body
    return done


def renewals(replica: Replica) -> int:
    with replica.world.database.read(TENANT) as reader:
        due = store.renewals_due(reader, replica.world.clock.now(), 10)
    for row in due:
        replica.service.renew(row)
    return len(due)


APPROVED = """name: approved
title: Needs an approval
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256]}
names: {types: [dns], required: true}
key_usage: {default: [digitalSignature]}
extended_key_usage: [serverAuth]
approvals: 1
"""


def waiting(replica: Replica, name: str = "w.example.com", **account: Any) -> tuple[AcmeClient, Reply, str]:
    """An account, its order, and the request that waits for an approval."""
    replica.world.service.put_profile(TENANT, "approved", APPROVED, "tester")
    client = replica.account("approved", **account)
    ready = replica.validated(client, name)
    done = client.finalize(ready, csr(name))
    assert done.json["status"] == "processing", done.body
    return client, ready, order_row(replica, ready).enrolment_id


def leaf(reply: Reply) -> x509.Certificate:
    assert reply.status == 200, reply.body
    return x509.load_pem_x509_certificates(reply.body)[0]


def order_row(replica: Replica, order: Reply) -> Any:
    with replica.world.database.read(TENANT) as reader:
        return store.order(reader, order.headers["location"].rpartition("/")[2])


# --- accounts (RFC 8555 section 7.3.6)


def test_a_deactivated_account_has_nothing_approved(replica: Replica) -> None:
    service = replica.world.service
    client, order, enrolment = waiting(replica)
    _, other, others = waiting(replica, "v.example.com")
    assert client.post(client.kid, {"status": "deactivated"}).status == 200
    withdrawn = service.approval(TENANT, enrolment)
    assert withdrawn.state.value == "cancelled"
    with pytest.raises(Fault) as caught:
        service.approve(TENANT, enrolment, "user:approver")
    assert caught.value.kind is FaultKind.CONFLICT
    with replica.world.database.read(TENANT) as reader:
        (event,) = (one.event for one in audit.export(reader, TENANT) if one.event.action == "approval.cancel")
    assert (event.target, event.actor) == (enrolment, f"acme:{client.kid.rpartition('/')[2]}")
    assert order_row(replica, order).status == "invalid"
    assert service.approve(TENANT, others, "user:approver").state.value == "issued"
    assert order_row(replica, other).enrolment_id == others


def test_an_account_that_ends_while_the_ca_is_asked(one: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    one.world.service.put_profile(TENANT, "approved", APPROVED, "tester")
    client = one.account("approved")
    ready = one.validated(client, "w.example.com")
    real, found = one.world.service.enrol, []

    def enrol(*given: Any) -> Any:
        assert client.post(client.kid, {"status": "deactivated"}).status == 200
        found.append(real(*given))
        return found[0]

    monkeypatch.setattr(one.world.service, "enrol", enrol)
    client.finalize(ready, csr("w.example.com"))
    assert one.world.service.approval(TENANT, found[0].id).state.value == "cancelled"


def test_a_deactivated_account_is_answered_401(one: Replica) -> None:
    client = one.account()
    client.post(client.kid, {"status": "deactivated"})
    for reply in (client.post(client.kid), client.order("a.example.com"), client.register()):
        assert (reply.status, reply.problem) == (401, "unauthorized")
    stranger = client.post(client.kid, key=one.account().key)
    assert (stranger.status, stranger.problem) == (403, "unauthorized"), "another key is told nothing of it"


def test_a_deactivated_account_leaves_nothing_that_goes_on(make_replica: MakeReplica) -> None:
    replica = make_replica(auto_renewal=RENEWS)
    client, other = replica.account(), replica.account()
    kept = replica.validated(other, "kept.example.com")
    star = auto_renewed(replica, client)
    ready = replica.validated(client, "ready.example.com")
    pending = client.order("pending.example.com")
    challenge = client.challenge(client.authorizations(pending)[0], "http-01")
    client.post(challenge["url"], {})
    client.post(client.kid, {"status": "deactivated"})
    assert replica.service.work() == 0, "nobody is bothered any more"
    assert [order_row(replica, one).status for one in (ready, pending, star)] == ["invalid", "invalid", "canceled"]
    assert order_row(replica, ready).error["detail"] == "the account was deactivated"
    replica.world.clock.advance(86400)
    assert renewals(replica) == 0
    assert replica.send("GET", star.json["star-certificate"], b"", {}).problem == "autoRenewalCanceled"
    assert other.post(kept.headers["location"]).json["status"] == "ready", "and others go on"


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unix", "unix"),
    ],
)
def test_accounts_are_counted_by_who_could_have_made_them(peer: str, counted: str) -> None:
    assert accounts.network_of(peer) == counted


def test_many_addresses_of_one_network_are_one(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(limits=Limits(accounts_per_address=2))
    for number in range(2):
        replica.peer = f"2001:db8::{number}"
        replica.account()
    replica.peer = "2001:db8::ffff"
    assert replica.client().register().problem == "rateLimited"
    replica.peer = "2001:db8:0:1::1"
    assert replica.client().register().status == 201


# --- orders that ran out


def test_an_order_that_ran_out_is_in_nobodys_way(one: Replica) -> None:
    client = one.account()
    done = one.issued(client, "a.example.com")
    replaced = renewal.certificate_id(leaf_der(client, done)).text
    left = client.order("a.example.com", "b.example.com", replaces=replaced)
    assert left.status == 201
    assert client.order("a.example.com", replaces=replaced).problem == "alreadyReplaced"
    listed = client.post(client.post(client.kid).json["orders"]).json["orders"]
    assert left.headers["location"] in listed
    one.world.clock.advance(timedelta(days=8).total_seconds())
    assert client.post(left.headers["location"]).json["status"] == "invalid"
    listed = client.post(client.post(client.kid).json["orders"]).json["orders"]
    assert listed == [done.headers["location"]]
    assert client.order("a.example.com", replaces=replaced).status == 201


def leaf_der(client: AcmeClient, done: Reply) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return leaf(client.post(done.json["certificate"])).public_bytes(Encoding.DER)


# --- auto-renewal


def test_each_renewal_asks_about_caa(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(auto_renewal=RENEWS)
    client = replica.account()
    url = auto_renewed(replica, client).json["star-certificate"]
    first = leaf(client.post(url)).serial_number
    replica.internet.caa_records["example.com"] = [caa.Record(0, "issue", ";")]
    replica.world.clock.advance(86400 * 0.6)
    from pycryptoutil_protocols.acme.problems import AcmeFault, ProblemType

    with pytest.raises(AcmeFault) as caught:
        renewals(replica)
    assert caught.value.problem.type is ProblemType.CAA
    assert leaf(client.post(url)).serial_number == first
    assert renewals(replica) == 0, "not before its time"
    replica.internet.caa_records.clear()
    replica.world.clock.advance(301)
    assert renewals(replica) == 1
    assert leaf(client.post(url)).serial_number != first


def test_a_renewal_that_never_came_about_ends_with_the_whole(make_sqlite: MakeReplica) -> None:
    """Nobody tries for ever what was due when the CA was away until its end."""
    replica = make_sqlite(auto_renewal=RENEWS)
    done = auto_renewed(replica, replica.account())
    replica.world.clock.advance(timedelta(days=20).total_seconds())
    assert renewals(replica) == 1
    assert order_row(replica, done).renew_at is None
    assert renewals(replica) == 0


# --- tried again


def test_a_client_may_ask_for_another_attempt(one: Replica) -> None:
    """RFC 8555 section 8.2: it costs one of the attempts."""
    client = one.account()
    order = client.order("a.example.com")
    challenge = client.challenge(client.authorizations(order)[0], "http-01")
    client.post(challenge["url"], {})
    assert one.service.work() == 1
    assert one.service.work() == 0, "not before its time"
    one.internet.put_http(client, "a.example.com", challenge)
    assert client.post(challenge["url"], {}).json["status"] == "processing"
    assert one.service.work() == 1
    assert client.post(order.headers["location"]).json["status"] == "ready"
    late = client.order("b.example.com")
    challenge = client.challenge(client.authorizations(late)[0], "http-01")
    for _ in range(3):
        client.post(challenge["url"], {})
        assert one.service.work() == 1
    assert client.post(challenge["url"], {}).json["status"] == "invalid"
    assert one.service.work() == 0


def test_an_order_that_was_left_is_taken_up_once(one: Replica) -> None:
    client = one.account()
    order = one.validated(client, "a.example.com")
    identifier = order.headers["location"].rpartition("/")[2]
    with one.world.database.unit_of_work(TENANT) as uow:
        values = {"status": "processing", "csr": csr("a.example.com"), "changed_at": one.world.clock.now()}
        assert store.change_order(uow, identifier, ("ready",), values)
    one.world.clock.advance(31)
    row = order_row(one, order)
    with one.world.database.unit_of_work(TENANT) as uow:
        assert store.claim_order(uow, row, one.world.clock.now())
        assert not store.claim_order(uow, row, one.world.clock.now()), "another replica has it"


# --- several views of the DNS


@pytest.mark.parametrize(
    ("agree", "down", "lying", "status"),
    [
        (1, {0}, set(), "ready"),  # the first resolver is away: the next one is asked
        (1, {0, 1, 2}, set(), "invalid"),
        (2, {1}, set(), "ready"),
        (2, {0, 1}, set(), "invalid"),
        (2, set(), {1}, "invalid"),  # what one that answers rules out, no other makes good
        (1, set(), {0}, "invalid"),
        (2, set(), {2}, "ready"),  # two have agreed before the third was asked
    ],
)
def test_views_of_the_dns(make_sqlite: MakeReplica, agree: int, down: set[int], lying: set[int], status: str) -> None:
    replica = make_sqlite(attempts=1, reach=Reach(agree=agree))
    views = [Internet() for _ in range(3)]
    replica.service._validator._fetchers = tuple(map(FakeFetcher, views))  # type: ignore[assignment]
    client = replica.account()
    order = client.order("a.example.com")
    challenge = client.challenge(client.authorizations(order)[0], "dns-01")
    for number, view in enumerate(views):
        if number in down:
            view.down.add("_acme-challenge.a.example.com")
        elif number not in lying:
            view.put_txt(client, "a.example.com", challenge)
    client.post(challenge["url"], {})
    replica.settle()
    assert client.post(order.headers["location"]).json["status"] == status


def test_a_name_server_that_takes_its_time_over_caa(make_sqlite: MakeReplica) -> None:
    """A hundred labels, each answered late: the attempt ends in its time, and nobody else waits for it."""
    replica = make_sqlite(attempts=1, reach=Reach(timeout=0.2))
    asked: list[str] = []

    class Slow(FakeFetcher):
        def caa(self, name: str) -> list[caa.Record]:
            from tests.support.acme import CLOCK

            asked.append(name)
            CLOCK.sleep(0.1)
            return []

    replica.service._validator._fetchers = (Slow(replica.internet),)  # type: ignore[assignment]
    client = replica.account()
    order = replica.validated(client, ".".join("a" * 60) + ".example.com")
    assert order.json["status"] == "invalid"
    assert order.json["error"]["type"].endswith("dns")
    assert len(asked) <= 3


# --- the envelope


def test_what_is_not_understood_is_ignored_unless_it_is_critical(shared: Replica) -> None:
    """RFC 7515 section 4: unknown header parameters and members are ignored; critical ones are not."""
    client = shared.account()
    assert client.post(client.kid, typ="JOSE", x5t="x").status == 200
    assert client.post(client.kid, crit=["exp"], exp=1).problem == "malformed"
    head = {"alg": "ES256", "kid": client.kid, "nonce": client.nonce(), "url": client.kid}
    import json

    for extra, status in (({"future": 1}, 200), ({"header": {}}, 400), ({"signatures": []}, 400)):
        document = jws(head | {"nonce": client.nonce()}, None, client.key.sign) | extra  # type: ignore[operator]
        assert client.raw(client.kid, json.dumps(document).encode()).status == status


def test_every_answer_but_the_directory_says_where_the_index_is(make_sqlite: MakeReplica) -> None:
    replica = make_sqlite(auto_renewal=RENEWS)
    client = replica.account()
    star = auto_renewed(replica, client)
    found = leaf(client.post(star.json["star-certificate"]))
    identifier = f"{key_identifier(found)}.{serial_text(found)}"
    for reply in (
        client.get(client.directory["newNonce"]),
        client.get(star.json["star-certificate"]),
        client.get(f"{client.directory['renewalInfo']}/{identifier}"),
        client.post(client.kid),
        client.order("bad..example.com"),
    ):
        assert reply.links["index"] == client.directory_url
    assert "index" not in client.get(client.directory_url).links


def key_identifier(certificate: x509.Certificate) -> str:
    extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert extension.key_identifier is not None
    return encode_base64url(extension.key_identifier)


def serial_text(certificate: x509.Certificate) -> str:
    number = certificate.serial_number
    text = encode_base64url(number.to_bytes(number.bit_length() // 8 + 1, "big"))
    assert int.from_bytes(decode_base64url(text, "serial"), "big") == number
    return text


# --- other chains (RFC 8555 section 7.4.2)


def test_another_chain_to_the_root_s_new_key(replica: Replica) -> None:
    """While a root has two keys, a client finds the chain to the one that it trusts."""
    from pycryptoutil.authority.lifecycle import rollover
    from pycryptoutil.authority.lifecycle.rollover import RolloverOrder

    client = replica.account()
    done = replica.issued(client, "a.example.com")
    url = done.json["certificate"]
    assert "alternate" not in client.post(url).links
    room = replica.world.service.room
    made = rollover.prepare(room, TENANT, "root", RolloverOrder(), "user:tester")
    usual = client.post(url)
    assert usual.links["alternate"] == f"{url}/1"
    other = client.post(usual.links["alternate"])
    assert other.links["alternate"] == url
    first, second = (x509.load_pem_x509_certificates(one.body) for one in (usual, other))
    assert first[0] == second[0]
    assert [len(first), len(second)] == [2, 3], "leaf, issuing CA, and the old root's key certified by the new one"
    for below, above in zip(second, [*second[1:], x509.load_der_x509_certificate(made.new.certificate)], strict=True):
        below.verify_directly_issued_by(above)
    old = x509.load_der_x509_certificate(made.old.certificate)
    first[-1].verify_directly_issued_by(old)
    for missing in ("2", "0", "-1", "x", "9999999"):
        assert client.post(f"{url}/{missing}").status == 404
    assert replica.account().post(f"{url}/1").problem == "unauthorized"


# --- what nobody needs any more


def test_orders_that_came_to_nothing_are_forgotten(replica: Replica) -> None:
    client = replica.account()
    done = replica.issued(client, "a.example.com")
    left = client.order("a.example.com", "b.example.com")
    failed = client.order("c.example.com")
    (owner,) = failed.json["authorizations"]
    client.post(owner, {"status": "deactivated"})

    def rows() -> list[int]:
        tables = ("orders", "order_authorizations", "authorizations", "challenges")
        with replica.world.database.read(TENANT) as reader:
            return [reader.execute(f"SELECT count(*) FROM acme_{one}").scalar_one() for one in tables]

    before = rows()
    replica.service.tidy()
    assert rows() == before
    replica.world.clock.advance(timedelta(days=89).total_seconds())
    replica.service.tidy()
    assert rows() == before, "whoever asks why is told"
    assert client.post(left.headers["location"]).json["status"] == "invalid"
    replica.world.clock.advance(timedelta(days=40).total_seconds())
    replica.service.tidy()
    assert rows() == [1, 1, 1, 3], "what led to a certificate stays, with the authorization that others used too"
    assert client.post(left.headers["location"]).problem == "unauthorized"
    assert client.post(done.json["certificate"]).status == 200
