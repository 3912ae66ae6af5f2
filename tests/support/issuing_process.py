"""A CA to be killed: ``python -m tests.support.issuing_process issue|publish URL FOLDER STEP``.

It ends itself by SIGKILL before the step of that number, as a process does that the machine loses at this instant.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from pycryptoutil.authority import IssueOrder, issue
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.crl import store as crl_store
from tests.support.authority import TENANT, World, open_world

PUBLISHING = ("take lease", "take number", "commit number", "sign", "signed", "insert", "commit", "answer")


def die(*_: object, **__: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def issue_one(world: World, step: int, request: bytes) -> None:
    """Issue for a request on standard input; step 7 is the commit, step 8 the answer."""
    if step <= len(issue.WRITES):
        issue.WRITES = (*issue.WRITES[:step], die, *issue.WRITES[step:])  # type: ignore[misc]
    order = IssueOrder(profile="tls-server", csr=request, idempotency_key="k")
    world.service.issue(TENANT, order, "tester")
    die()


def publish(world: World, step: int) -> None:
    """Publish the issuing CA's list."""
    crls = CrlService(world.service.room)
    issuing = world.service.authority(TENANT).id
    name = PUBLISHING[step]
    if name == "take lease":
        crls._take_lease = die  # type: ignore[method-assign]
    elif name == "take number":
        crl_store.next_number = die
    elif name == "commit number":
        _die_after(crl_store, "next_number")
    elif name == "sign":
        crls._sign = die  # type: ignore[method-assign]
    elif name == "signed":
        _die_after(crls, "_sign")
    elif name == "insert":
        crl_store.insert = die
    elif name == "commit":
        _die_after(crl_store, "insert")
    crls.publish(TENANT, issuing, "tester")
    die()


def _die_after(place: Any, name: str) -> None:
    real: Callable[..., Any] = getattr(place, name)

    def run(*arguments: Any, **more: Any) -> None:
        real(*arguments, **more)
        die()

    setattr(place, name, run)


def main() -> None:
    """Run one of the above."""
    what, url, folder, step = sys.argv[1:]
    with open_world(url, Path(folder)) as world:
        if what == "issue":
            issue_one(world, int(step), sys.stdin.buffer.read())
        else:
            world.clock.instant += timedelta(seconds=int(step))
            publish(world, int(step))


if __name__ == "__main__":
    main()
