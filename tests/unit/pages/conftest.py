"""The CA behind the real middleware, over SQLite, with a browser that is logged in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from pycryptoutil.authority import IssuedCertificate, IssueOrder
from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.services.pki_ca import SERVICE
from tests.support.door import Answer, Caller, Door
from tests.support.doors import cheap_passwords, small_door

__all__ = ["Console", "cheap_passwords", "log_in", "person", "small_door"]

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Console:
    """A person at the pages, with the CA at hand."""

    door: Door
    visitor: Caller
    token: str = field(repr=False)

    @property
    def authority(self) -> Any:
        return self.door.edge.state.authority

    def get(self, path: str) -> Answer:
        return self.visitor.get(path)

    def send(self, path: str, token: str | None = None, **fields: str) -> Answer:
        """Send a form with the session's token, or with another."""
        return self.visitor.post(path, form={"csrf_token": self.token if token is None else token, **fields})

    def issue(self, *names: str, subject: str = "", profile: str = "internal-tls") -> IssuedCertificate:
        """Have a certificate."""
        order = IssueOrder(profile=profile, subject=subject or None, sans=tuple(f"dns:{name}" for name in names))
        issued, _ = self.authority.generate_and_issue(self.door.tenant_id, order, "test")
        assert isinstance(issued, IssuedCertificate)
        return issued


def log_in(door: Door, username: str = "admin", password: str = "") -> Console:
    """Log in by the form."""
    form = {"username": username, "password": password or door.first[0].password}
    answer = door.page.post("/login", form=form)
    assert answer.status == 303, answer.text
    visitor = door.page.with_headers(("Cookie", f"__Host-session={answer.cookie}"))
    found = TOKEN.search(visitor.get("/account").text)
    assert found is not None
    return Console(door, visitor, found[1])


def person(door: Door, name: str, *scopes: str) -> Console:
    """A new user with these scopes, logged in."""
    password = "a password that is long enough"
    made = door.admin.post("/principals", {"kind": "user", "name": name, "scopes": list(scopes), "password": password})
    assert made.status == 201, made.text
    return log_in(door, name, password)


@pytest.fixture
def service() -> ServiceDefinition:
    return SERVICE


@pytest.fixture
def door(small_door: Door) -> Door:
    return small_door


@pytest.fixture
def console(door: Door) -> Console:
    return log_in(door)
