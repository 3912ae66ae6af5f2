"""What a supervisor and its workers tell each other: one JSON object a packet, over a local socket pair.

Worker to supervisor: ``ready`` (its listeners answer; with addresses), ``shutdown`` (asked through the admin listener),
``unseal`` (a share, for the others: it stays inside the machine and inside memory), ``seal``, and ``guess`` (a login
failed, for the others to count too; one that finds the line full is lost, and no harm is done).
Supervisor to workers: ``unseal``, ``seal``, ``guess``, ``workers`` (how many of them are ready, for readyz), and
``stop`` (at once). Draining is asked by SIGTERM, which a worker may get twice: service managers signal the whole group.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

MAX_PACKET = 64 << 10

Kind = Literal["ready", "shutdown", "unseal", "seal", "guess", "workers", "stop"]
_KINDS = frozenset(get_args(Kind))
REPEAT_SECONDS = 0.5
"""A stop signal within this of the first is the same one: timeout(1) and service managers send it more than once."""


@dataclass(frozen=True, slots=True)
class Message:
    """One packet."""

    kind: Kind
    share: str = field(default="", repr=False)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    trust_bundle: str = ""
    group: str = ""  # of a guess: the address, as it is counted
    account: str = field(default="", repr=False)
    failed: bool = False
    ready: int = 0
    wanted: int = 0

    def encode(self) -> bytes:
        """Return the packet; members with their default are left out."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}).encode()

    @classmethod
    def decode(cls, packet: bytes) -> Message:
        """Read a packet; ValueError if it is not one."""
        document = json.loads(packet)
        if not isinstance(document, dict) or document.get("kind") not in _KINDS:
            raise ValueError("not a control message")
        try:
            return cls(**document)
        except TypeError as error:
            raise ValueError("not a control message") from error


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the supervisor's and the worker's end; packets keep their boundaries."""
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    left.setblocking(False)
    right.setblocking(False)
    return left, right
