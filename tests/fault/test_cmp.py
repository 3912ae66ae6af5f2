"""CMP under kill -9: whoever repeats the message that was not answered goes on, and nothing is issued twice."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from pycryptoutil_protocols.cmp import codec
from pycryptoutil_protocols.cmp.messages import CONTENT_TYPE, BodyType, PKIMessage
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.clock import SystemClock
from tests.support.cmp import Client, accepts, certificate, failures, new_key, serial, signed_request
from tests.support.pki import Ca
from tests.support.suite import Suite, make_suite, until

pytestmark = [pytest.mark.fault, pytest.mark.slow]
CLOCK = SystemClock()
KEY = new_key()


@dataclass(frozen=True)
class Credential:
    """What :class:`tests.support.cmp.Client` takes for one."""

    username: str
    password: str


@dataclass
class Walker:
    """One client that enrols again and again, each time for another name, and keeps what was not answered."""

    credential: Credential
    number: int
    turn: int = 0
    client: Client | None = None
    message: PKIMessage | None = None
    confirmed: list[bytes] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def next_message(self) -> PKIMessage:
        if self.message is None:
            self.turn += 1
            name = f"n{self.number}-{self.turn}.example.test"
            self.client = Client.by_secret(self.credential, CLOCK.now())  # type: ignore[arg-type]
            self.message = self.client.request(signed_request(KEY, name, name))
        return self.message

    def hear(self, answer: PKIMessage) -> None:
        assert self.client is not None
        if failures(answer) == {"SYSTEM_UNAVAIL"}:
            return  # and is asked again
        if failures(answer):
            self.odd.append(str(answer.body))
        self.client.hear(answer)
        if answer.kind is BodyType.PKICONF:
            self.message = None
            return
        self._found = certificate(answer)
        self.message = self.client.confirm(accepts(self._found))

    def walk(self, url: str, stop: threading.Event) -> None:
        """Go on until stopped, or until the server is gone."""
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
            while not stop.is_set():
                message = self.next_message()
                confirms = message.kind is BodyType.CERTCONF
                try:
                    response = http.post("/cmp", content=message.encoded, headers={"Content-Type": CONTENT_TYPE})
                except httpx.HTTPError:
                    return
                if response.status_code == 503:
                    continue
                self.hear(codec.decode(response.content))
                if confirms and self.message is None:
                    self.confirmed.append(self._found)


def walk(running: Suite, walkers: list[Walker], seconds: float, *, killed: bool) -> None:
    stop = threading.Event()
    url = running.url("pki-ca", "plain")
    threads = [threading.Thread(target=one.walk, args=(url, stop)) for one in walkers]
    before = sum(len(one.confirmed) for one in walkers)
    for thread in threads:
        thread.start()
    until(lambda: sum(len(one.confirmed) for one in walkers) > before, "a certificate of this round")
    CLOCK.sleep(seconds)
    if killed:
        running.kill()
    stop.set()
    for thread in threads:
        thread.join(60)


@pytest.mark.parametrize(("database", "rounds"), [("sqlite", 2), ("postgresql", 1)])
def test_clients_go_on_where_the_server_was_killed(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, rounds: int
) -> None:
    url = request.getfixturevalue("postgresql_databases").empty() if database == "postgresql" else ""
    settings = {"pki_ca": {"cmp": {"confirm_wait": 3600, "message_time_window": 3600}}}
    running = make_suite(tmp_path / "suite", "pki-ca", settings, database_url=url)
    chance = random.Random(database)
    try:
        running.start()
        ca = Ca(running)
        walkers = [Walker(Credential(*ca.credential()), number) for number in range(4)]
        for _ in range(rounds):
            walk(running, walkers, chance.uniform(0.05, 0.6), killed=True)
            running.start()
        walk(running, walkers, 0.1, killed=False)
        assert [one.odd for one in walkers] == [[], [], [], []]
        confirmed = [found for one in walkers for found in one.confirmed]
        assert len(confirmed) >= 4
        for found in confirmed:
            assert ca.record(serial(found)).json()["status"] == "valid"
        names = [decode_certificate(found).sans[0].value for found in confirmed]
        assert len(set(names)) == len(names)
        for one in walkers:  # one certificate for each name that was asked for, however often the question came
            for turn in range(1, one.turn):
                name = f"n{one.number}-{turn}.example.test"
                listed = running.api().get("certificates", params={"contains": name}).json()["items"]
                assert len(listed) == 1, name
        assert not running.foreign_lines()
    finally:
        running.close()
