"""Validation as durable jobs: a challenge that is processed is tried by whichever replica takes it, until decided.

What a job has to do stands in the database: a process that ends leaves it to the next one, after its claim has run out.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from pycryptoutil_protocols.acme import attestation, caa, validation
from pycryptoutil_protocols.acme.jwk import stored_jwk
from pycryptoutil_protocols.acme.messages import (
    AuthorizationStatus,
    ChallengeStatus,
    ChallengeType,
    Identifier,
    IdentifierType,
)
from pycryptoutil_protocols.acme.problems import AcmeFault, Problem, ProblemType
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.acme import orders
from pycryptoutil.authority.acme.context import Caller, Core, actor_of
from pycryptoutil.authority.acme.dns import NoAnswerFault, Resolver
from pycryptoutil.authority.acme.fetch import Fetcher
from pycryptoutil.authority.acme.store import accounts as account_store
from pycryptoutil.authority.acme.store import orders as store
from pycryptoutil.authority.acme.store.rows import AccountRow, AuthorizationRow, ChallengeRow, OrderRow
from pycryptoutil.authority.outreach import Deadline
from pycryptoutil.crypto.chain import verify_chain
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_CLAIM: Final = timedelta(seconds=10)  # beyond an attempt; two at once do no harm, the first decides
_BEYOND: Final = 1.5  # times an attempt's time: the last question to the DNS begins within it, and ends by itself
_AGAIN: Final = frozenset(
    {ProblemType.CONNECTION, ProblemType.DNS, ProblemType.TLS, ProblemType.INCORRECT_RESPONSE}
)  # what may be better in a moment

_log = logging.getLogger(__name__)

Proof = Callable[[Fetcher, Identifier, ChallengeRow, str, Deadline], None]


def _http_01(fetcher: Fetcher, one: Identifier, row: ChallengeRow, expected: str, deadline: Deadline) -> None:
    validation.http_01(fetcher.http(one, row.token, deadline), expected)


def _dns_01(fetcher: Fetcher, one: Identifier, _row: ChallengeRow, expected: str, _deadline: Deadline) -> None:
    validation.dns_01(fetcher.resolver.texts(validation.dns_name(one)), expected)


def _tls_alpn_01(fetcher: Fetcher, one: Identifier, _row: ChallengeRow, expected: str, deadline: Deadline) -> None:
    certificate, protocol = fetcher.tls(one, deadline)
    validation.tls_alpn_01(certificate, protocol, one, expected)


_PROOFS: Final[Mapping[str, Proof]] = {
    ChallengeType.HTTP_01: _http_01,
    ChallengeType.DNS_01: _dns_01,
    ChallengeType.TLS_ALPN_01: _tls_alpn_01,
}


class Validator:
    """Tries challenges from as many resolvers' views as are to agree; shared by all threads."""

    def __init__(self, core: Core, fetchers: Sequence[Fetcher]) -> None:
        self._core = core
        self._fetchers = tuple(fetchers)

    # -- one challenge -------------------------------------------------------------------------------------------------

    def run(self, tenant_id: str, challenge_id: str) -> bool:
        """Try a challenge that is due, unless another replica does; tell whether it was tried."""
        core = self._core
        database, now = core.room.database, core.room.clock.now()
        life = _CLAIM + timedelta(seconds=_BEYOND * core.rules.reach.timeout * len(self._fetchers))
        with database.unit_of_work(tenant_id) as uow:
            if not store.claim(uow, challenge_id, now, now + life):
                return False
            row = store.challenge(uow, challenge_id)
            owner = store.authorization(uow, row.authorization_id) if row is not None else None
            account = account_store.by_id(uow, owner.account_id) if owner is not None else None
        if row is None or owner is None or account is None:
            return False
        problem = self._attempt(row, owner, account)
        with database.unit_of_work(tenant_id) as uow:
            if problem is None:
                self.succeeded(uow, row, owner, account)
            elif problem.type in _AGAIN and row.attempts + 1 < core.rules.attempts:
                self._postpone(uow, row, problem)
            else:
                self.failed(uow, row, owner, account, problem)
        return True

    def _attempt(self, row: ChallengeRow, owner: AuthorizationRow, account: AccountRow) -> Problem | None:
        expected = validation.key_authorization(row.token, stored_jwk(account.jwk).thumbprint)
        one = Identifier(owner.type, owner.value)

        def ask(fetcher: Fetcher) -> None:
            deadline = fetcher.deadline(self._core.rules.reach.timeout)
            _PROOFS[row.type](fetcher, one, row, expected, deadline)
            self._ask_caa(fetcher, owner, account, row.type, deadline)

        try:
            self._agreed(ask)
        except AcmeFault as fault:
            _log.info("ACME %s of %s: %s", row.type, owner.value, fault.detail)
            return fault.problem
        except Exception:  # noqa: BLE001  it is logged, and the challenge must come to an end
            _log.exception("ACME %s of %s", row.type, owner.value)
            return Problem(ProblemType.SERVER_INTERNAL, "the validation failed")
        return None

    def _agreed(self, ask: Callable[[Fetcher], None]) -> None:
        """Ask from one view after the other until enough agree; a resolver that fails is passed over, a no is a no."""
        wanted, silent = min(self._core.rules.reach.agree, len(self._fetchers)), None
        for fetcher in self._fetchers:
            try:
                ask(fetcher)
            except NoAnswerFault as fault:
                silent = silent or fault
                continue
            wanted -= 1
            if not wanted:
                return
        raise silent or Fault(FaultKind.INTERNAL, "ACME validates from no view")

    def check_caa(self, row: OrderRow, account: AccountRow) -> None:
        """Ask whether this CA may issue for an order's names; the problem ``caa``, or ``dns`` when nobody can tell."""
        with self._core.room.database.read(row.tenant_id) as reader:
            found = store.authorizations_of_order(reader, row.id)
        for one in found:

            def ask(fetcher: Fetcher, one: AuthorizationRow = one) -> None:
                deadline = fetcher.deadline(self._core.rules.reach.timeout)
                self._ask_caa(fetcher, one, account, one.method, deadline)

            self._agreed(ask)

    def _ask_caa(
        self, fetcher: Fetcher, owner: AuthorizationRow, account: AccountRow, method: str, deadline: Deadline
    ) -> None:
        if owner.type != IdentifierType.DNS:
            return
        issuing = caa.Issuing(self._core.rules.caa_identities, account.url, method, owner.wildcard)
        caa.check(_relevant(fetcher.resolver, owner.value, deadline), issuing, owner.value)

    def _postpone(self, uow: UnitOfWork, row: ChallengeRow, problem: Problem) -> None:
        wait = self._core.rules.retry_after * 2**row.attempts
        values = {
            "attempts": row.attempts + 1,
            "due_at": self._core.room.clock.now() + wait,
            "claimed_until": None,
            "error": problem.document(),
        }
        store.change_challenge(uow, row.id, (ChallengeStatus.PROCESSING,), values)

    # -- decided -------------------------------------------------------------------------------------------------------

    def succeeded(
        self, uow: UnitOfWork, row: ChallengeRow, owner: AuthorizationRow, account: AccountRow, spki: str = ""
    ) -> None:
        """Write down that a name is under the account's control."""
        core, now = self._core, self._core.now
        values: dict[str, Any] = {"status": ChallengeStatus.VALID, "validated_at": now, "error": None, "due_at": None}
        live = (ChallengeStatus.PROCESSING, ChallengeStatus.PENDING)
        if not store.change_challenge(uow, row.id, live, values):
            return
        values = {
            "status": AuthorizationStatus.VALID,
            "validated_at": now,
            "expires_at": now + core.rules.authorization_lifetime,
            "method": row.type,
            "attested_spki": spki,
        }
        if store.change_authorization(uow, owner.id, (AuthorizationStatus.PENDING,), values):
            details = {"method": row.type}
            audit.append(uow, AuditEvent("acme.authorization.valid", actor_of(account), f"{owner.type}:{owner.value}",
                                         details=details))  # fmt: skip
            orders.settle(core, uow, owner.id, None)

    def failed(
        self, uow: UnitOfWork, row: ChallengeRow, owner: AuthorizationRow, account: AccountRow, problem: Problem
    ) -> None:
        """Write down that it is not."""
        core = self._core
        values: dict[str, Any] = {"status": ChallengeStatus.INVALID, "error": problem.document(), "due_at": None}
        live = (ChallengeStatus.PROCESSING, ChallengeStatus.PENDING)
        if not store.change_challenge(uow, row.id, live, values):
            return
        if store.change_authorization(uow, owner.id, (AuthorizationStatus.PENDING,), {"status": "invalid"}):
            details = {"method": row.type, "problem": problem.type.value}
            audit.append(uow, AuditEvent("acme.authorization.invalid", actor_of(account), f"{owner.type}:{owner.value}",
                                         "failure", details))  # fmt: skip
            shown = Problem(problem.type, problem.detail, (owner.type, owner.value))
            orders.settle(core, uow, owner.id, Problem(problem.type, "a validation failed", subproblems=(shown,)))

    # -- device attestation: nothing to reach, so it is judged at once -------------------------------------------------

    def attest(self, caller: Caller, row: ChallengeRow, owner: AuthorizationRow, payload: Mapping[str, Any]) -> None:
        """Judge a device's statement (draft-ietf-acme-device-attest section 5)."""
        expected = validation.key_authorization(row.token, caller.key.thumbprint)
        core = self._core
        with core.room.database.unit_of_work(caller.place.tenant_id) as uow:
            try:
                spki = self._attested(row, owner, payload, expected)
            except AcmeFault as fault:
                self.failed(uow, row, owner, caller.account, fault.problem)
                return
            self.succeeded(uow, row, owner, caller.account, hashlib.sha256(spki).hexdigest())

    def _attested(self, row: ChallengeRow, owner: AuthorizationRow, payload: Mapping[str, Any], expected: str) -> bytes:
        found = attestation.check(payload, row.token, expected)
        try:
            verify_chain(found.chain[0], found.chain[1:], self._core.rules.attestation_roots, self._core.now)
        except Fault as fault:
            if fault.kind is FaultKind.INTERNAL:
                raise
            raise attestation.bad("the attestation's certificate is not trusted") from None
        if owner.value not in found.identifiers:
            raise attestation.bad("the device has another identifier")
        return found.spki


def _relevant(resolver: Resolver, name: str, deadline: Deadline) -> list[caa.Record]:
    """Return the record set that counts (RFC 8659 section 3): the nearest above that is not empty."""
    for each in caa.climb(name):
        if deadline.over:
            raise NoAnswerFault(f"looking up CAA of {name}: no whole answer in time")
        found = resolver.caa(each)
        if found:
            return found
    return []
