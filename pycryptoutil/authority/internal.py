"""Certificates that a CA makes for itself and its servants: the same steps as everybody's, without a request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from pycryptoutil.authority import decisions, issue
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.names import refused
from pycryptoutil.storage import UnitOfWork

SYSTEM: Final = "system"
_SECOND: Final = timedelta(seconds=1)
_STEPS: Final[tuple[Callable[[Issuance], None], ...]] = (decisions.build_tbs, decisions.lint_tbs)
_WRITES: Final[tuple[Callable[[Issuance, UnitOfWork], None], ...]] = (
    issue.reserve_serial,
    issue.audit_intent,
    issue.sign,
    issue.compare,
    issue.keep,
)


def certify(i: Issuance, uow: UnitOfWork, seconds: int) -> None:
    """Lint, reserve, audit, sign and store; ``seconds`` 0: as long as the profile's default."""
    _fix_validity(i, seconds)
    certify_dated(i, uow)


def certify_dated(i: Issuance, uow: UnitOfWork) -> None:
    """Do the same where the dates are chosen already."""
    for step in _STEPS:
        step(i)
    for write in _WRITES:
        write(i, uow)


def _fix_validity(i: Issuance, seconds: int) -> None:
    rules = i.profile.validity
    wanted = timedelta(seconds=seconds) if seconds else rules.default
    if not rules.minimum <= wanted <= rules.maximum:
        raise refused(f"the profile {i.profile.name} does not allow so many days", "validity")
    i.not_before = i.now.replace(microsecond=0) - rules.backdate
    i.not_after = i.not_before + wanted - _SECOND
    if not i.self_signed:
        i.not_before = max(i.not_before, i.key.certificate.not_before)
        i.not_after = min(i.not_after, i.key.certificate.not_after)
