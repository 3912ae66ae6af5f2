"""A CA that stamps, on both kinds of database, and more replicas of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pycryptoutil_protocols.tsp import codec
from pycryptoutil_protocols.tsp.messages import TimeStampRequest
from pycryptoutil_protocols.tsp.token import Token, verify_token

from pycryptoutil.authority.timestamp import TimestampService
from pycryptoutil.services.pki_ca.tsa.settings import TsaSettings
from tests.support.authority import TENANT, World, open_world
from tests.support.databases import Databases

PACKAGES = ("pycryptoutil.storage", "pycryptoutil.authority")


@dataclass
class Stamper:
    """One replica."""

    world: World
    service: TimestampService

    def stamp(self, request: TimeStampRequest, authority: str = "issuing", candidates: tuple[bytes, ...] = ()) -> Token:
        reply = codec.decode_reply(
            self.service.stamp(TENANT, authority, codec.encode_request(replace(request, cert_req=True)))
        )
        return verify_token(reply.token, candidates=candidates)


MakeStamper = Callable[..., Stamper]


@pytest.fixture
def make_stamper(databases: Databases, tmp_path: Path) -> Iterator[MakeStamper]:
    """Every call gives another replica on the same database."""
    url = databases.fresh(PACKAGES)
    with ExitStack() as stack:

        def make(instance: int = 0, **settings: Any) -> Stamper:
            world = stack.enter_context(open_world(url, tmp_path))
            room = replace(world.service.room, instance=instance)
            service = TimestampService(room, world.service.signers, TsaSettings(**settings).rules())
            return Stamper(world, service)

        yield make
