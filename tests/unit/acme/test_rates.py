"""How many authorizations an account may ask for without using them."""

from __future__ import annotations

from pycryptoutil.authority.acme.model import Limits
from tests.support.acme import Reply
from tests.unit.acme.conftest import MakeReplica


def test_the_rate_of_authorizations(make_replica: MakeReplica) -> None:
    replica = make_replica(limits=Limits(authorizations_per_account=2))
    client = replica.account()
    url = client.directory["newAuthz"]

    def authorize(name: str) -> Reply:
        return client.post(url, {"identifier": {"type": "dns", "value": name}})

    assert [authorize(f"{one}.example.com").status for one in "ab"] == [201, 201]
    refused = authorize("c.example.com")
    assert (refused.status, refused.problem, refused.headers["retry-after"]) == (429, "rateLimited", "3600")
    replica.world.clock.advance(1)
    assert authorize("a.example.com").status == 200  # it is there already
    assert replica.account().post(url, {"identifier": {"type": "dns", "value": "c.example.com"}}).status == 201
    assert client.order("a.example.com", "d.example.com").status == 201
    replica.world.clock.advance(1)
    assert authorize("e.example.com").status == 201  # an order uses the first, and orders have their own rate
    assert authorize("c.example.com").status == 429
    replica.world.clock.advance(3601)
    assert authorize("c.example.com").status == 201
