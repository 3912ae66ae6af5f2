"""What one service's pages of keys are told: where they are, what it calls its keys, what it does about a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from pycryptoutil.http.message import Request
from pycryptoutil.http.page import PREFIX
from pycryptoutil.keyring.lifecycle import WAITING
from pycryptoutil.keyring.model import ElasticKey, KeyVersion


class Visit(Protocol):
    """What is needed of the template's Context, which the keyring does not know."""

    @property
    def state(self) -> Any:
        """The service's, with its ``keyring``."""

    @property
    def principal(self) -> Any:
        """Who asks."""

    @property
    def actor(self) -> str:
        """The same, as audit events name them."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """What the path says."""

    @property
    def tenant_id(self) -> str:
        """The principal's tenant."""


def _nothing_to_do(_visit: Visit) -> None:
    pass


def _usual_waiting(_visit: Visit) -> timedelta:
    return WAITING


def _nothing_more(_visit: Visit, _key: ElasticKey, _versions: Sequence[KeyVersion]) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Desk:
    """One service's pages of keys."""

    path: str  # under /browser
    one: str  # what it calls an elastic key
    many: str
    lead: str
    empty: str  # what an empty list says
    read: str  # scopes
    write: str
    purposes: tuple[tuple[str, str], ...]  # the ones it has, with what they are called
    template: str = "key.html"  # the page of one key
    changed: Callable[[Visit], None] = _nothing_to_do  # after every change
    waiting: Callable[[Visit], timedelta] = _usual_waiting  # from a deletion to the end
    more: Callable[[Visit, ElasticKey, Sequence[KeyVersion]], Mapping[str, Any]] = _nothing_more  # for the template

    @property
    def place(self) -> str:
        """The whole path of the list."""
        return PREFIX + self.path


def who(visit: Visit, request: Request) -> tuple[str, str]:
    """Name the principal as audit events do, and the request."""
    return visit.actor, request.request_id


NOTICES: Final = {
    "created": "The {one} is made, with its first version.",
    "rotated": "A new version is active. Older ones go on reading what they protected.",
    "key-enabled": "The {one} can be used again.",
    "key-disabled": "Every use of the {one} is refused until it is enabled.",
    "key-deleted": "The {one} is deleted. It can be restored until its waiting period ends.",
    "key-restored": "The deletion is taken back. The {one} is disabled: enabling it is a decision of its own.",
    "version-revoked": "The version is revoked, on every replica at once.",
    "version-disabled": "Every use of the version is refused until it is enabled.",
    "version-enabled": "The version can be used again, for what its place in the ring allows.",
}
