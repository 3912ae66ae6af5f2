"""ACME as one object: what the HTTP side calls. Shared by all threads; what it knows stands in the database."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from pycryptoutil_protocols.acme import jws
from pycryptoutil_protocols.acme.jws import Signed
from pycryptoutil_protocols.acme.messages import AuthorizationStatus, ChallengeStatus, ChallengeType, OrderStatus
from pycryptoutil_protocols.acme.problems import malformed

from pycryptoutil.authority import store as tables
from pycryptoutil.authority.acme import accounts, certificates, issuing, orders, predecessors, views
from pycryptoutil.authority.acme.certificates import Chain
from pycryptoutil.authority.acme.context import Caller, Core
from pycryptoutil.authority.acme.dns import resolvers
from pycryptoutil.authority.acme.fetch import Fetcher
from pycryptoutil.authority.acme.model import AcmeRules, Enroller, Place
from pycryptoutil.authority.acme.nonces import Nonces
from pycryptoutil.authority.acme.predecessors import Renewal
from pycryptoutil.authority.acme.store import accounts as account_store
from pycryptoutil.authority.acme.store import orders as store
from pycryptoutil.authority.acme.store.rows import AccountRow, ChallengeRow, OrderRow
from pycryptoutil.authority.acme.validator import Validator
from pycryptoutil.authority.outreach import AddressGuard, Jobs
from pycryptoutil.authority.room import Room
from pycryptoutil.storage import SYSTEM_TENANT

_BATCH: Final = 100
_TIDY_UNITS: Final = 50
_POLL: Final = 1  # seconds
_APPROVAL_POLL: Final = 60  # people are asked
_STUCK_AFTER: Final = timedelta(seconds=30)


class AcmeService:
    """Every directory of an installation."""

    def __init__(
        self, room: Room, enroller: Enroller, rules: AcmeRules, fetchers: Sequence[Fetcher] | None = None
    ) -> None:
        self.rules = rules
        self.core = Core(room, rules, enroller)
        self.nonces = Nonces(room.database, room.barrier, room.clock)
        self._validator = Validator(self.core, fetchers if fetchers is not None else _fetchers(room, rules))
        self._jobs = Jobs("acme", rules.validators)

    # -- directory -----------------------------------------------------------------------------------------------------

    def directory(self, place: Place) -> dict[str, Any]:
        """Section 7.1.1; what is not offered is not in it."""
        rules = self.rules
        meta: dict[str, Any] = {"externalAccountRequired": rules.external_account_required}
        texts = {"termsOfService": rules.terms_of_service, "website": rules.website}
        meta |= {name: value for name, value in texts.items() if value}
        if rules.caa_identities:
            meta["caaIdentities"] = list(rules.caa_identities)
        if rules.auto_renewal is not None:
            meta["auto-renewal"] = {
                "min-lifetime": int(rules.auto_renewal.minimum.total_seconds()),
                "max-duration": int(rules.auto_renewal.maximum.total_seconds()),
                "allow-certificate-get": rules.auto_renewal.allow_get,
            }
        return {
            "newNonce": place.url("new-nonce"),
            "newAccount": place.url("new-account"),
            "newOrder": place.url("new-order"),
            "newAuthz": place.url("new-authz"),
            "revokeCert": place.url("revoke-cert"),
            "keyChange": place.url("key-change"),
            "renewalInfo": place.url("renewal-info"),
            "meta": meta,
        }

    # -- requests ------------------------------------------------------------------------------------------------------

    def open(self, place: Place, body: bytes, url: str) -> Signed:
        """Decode a request and use its nonce up; nothing is believed before its signature is verified."""
        signed = jws.decode(body)
        self.nonces.use(place.tenant_id, jws.check_request(signed, url))
        return signed

    def caller(self, place: Place, signed: Signed, request_id: str, peer: str) -> Caller:
        """Return the account that has signed a request."""
        found = accounts.find(self.core, place, signed)
        return Caller(place, found.account, found.key, request_id, peer)

    # -- accounts ------------------------------------------------------------------------------------------------------

    def new_account(self, place: Place, signed: Signed, request_id: str, peer: str) -> tuple[AccountRow, bool]:
        """Section 7.3."""
        return accounts.new(self.core, place, signed, peer, request_id)

    def account(self, caller: Caller, account_id: str, signed: Signed) -> dict[str, Any]:
        """Show, change or deactivate (sections 7.3.2 and 7.3.6)."""
        payload: Mapping[str, Any] = {} if signed.is_get else signed.document()
        return accounts.document(caller.place, accounts.update(self.core, caller, account_id, payload))

    def account_document(self, place: Place, row: AccountRow) -> dict[str, Any]:
        """Section 7.1.2."""
        return accounts.document(place, row)

    def change_key(self, caller: Caller, signed: Signed) -> dict[str, Any]:
        """Section 7.3.5."""
        return accounts.document(caller.place, accounts.change_key(self.core, caller, signed))

    def orders(
        self, caller: Caller, account_id: str, cursor: tuple[datetime, str] | None
    ) -> tuple[list[str], tuple[datetime, str] | None]:
        """Return URLs of orders, and where the next page begins (section 7.1.2.1)."""
        found = orders.listing(self.core, caller, account_id, cursor)
        page = found[: orders.PAGE]
        after = (page[-1].created_at, page[-1].id) if len(found) > orders.PAGE else None
        return [caller.place.url("order", row.id) for row in page], after

    # -- orders --------------------------------------------------------------------------------------------------------

    def new_order(self, caller: Caller, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Section 7.4: the order's id, and the order."""
        row, found = orders.new(self.core, caller, payload)
        return row.id, views.order(caller.place, row, found, self.core.now)

    def order(self, caller: Caller, order_id: str) -> tuple[dict[str, Any], int]:
        """Show an order, after asking about an approval that it waits for; and in how many seconds to ask again."""
        row, found = orders.own_order(self.core, caller, order_id)
        if row.status == OrderStatus.PROCESSING and row.enrolment_id:
            if issuing.needs_caa(self.core, row, found):
                self._jobs.submit(partial(self._finish, row, caller.request_id))
            else:
                issuing.finish(self.core, row.tenant_id, row.id, caller.request_id, waits=False)
            row, found = orders.own_order(self.core, caller, order_id)
        waits = _APPROVAL_POLL if row.enrolment_id else _POLL
        return views.order(caller.place, row, found, self.core.now), waits if row.status == "processing" else 0

    def cancel_order(self, caller: Caller, order_id: str, payload: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """RFC 8739 section 3.1.3."""
        if payload.get("status") != OrderStatus.CANCELED:
            raise malformed("an order can only be canceled")
        issuing.cancel(self.core, caller, order_id)
        return self.order(caller, order_id)

    def finalize(self, caller: Caller, order_id: str, payload: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """Section 7.4."""
        row, waits = issuing.finalize(self.core, caller, order_id, payload)
        if waits:
            self._jobs.submit(partial(self._finish, row, caller.request_id))
        else:
            issuing.finish(self.core, caller.place.tenant_id, order_id, caller.request_id, waits=True)
        return self.order(caller, order_id)

    def _take_up(self, row: OrderRow) -> None:
        """Bring an order on that was left, unless another thread or replica is at it."""
        with self.core.room.database.unit_of_work(row.tenant_id) as uow:
            mine = store.claim_order(uow, row, self.core.now)
        if mine:
            self._finish(row)

    def renew(self, row: OrderRow) -> None:
        """Issue the next certificate of an auto-renewal, if CAA still lets us."""
        issuing.renew(self.core, row, self._validator.check_caa)

    def _finish(self, row: OrderRow, request_id: str = "") -> None:
        """Bring an order on whose client does not wait for it; CAA is asked about again where that was long ago."""
        with self.core.room.database.read(row.tenant_id) as reader:
            found = store.authorizations_of_order(reader, row.id)
            account = account_store.by_id(reader, row.account_id)
        due = issuing.needs_caa(self.core, row, found)
        if account is None or not due or issuing.ask_caa(self.core, row, account, found, self._validator.check_caa):
            issuing.finish(self.core, row.tenant_id, row.id, request_id, waits=False)

    # -- authorizations ------------------------------------------------------------------------------------------------

    def new_authorization(self, caller: Caller, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any], bool]:
        """Section 7.4.1: the authorization's id, the authorization, and whether it is new."""
        row, offered, made = orders.pre_authorize(self.core, caller, payload)
        return row.id, views.authorization(caller.place, row, offered, self.core.now), made

    def authorization(self, caller: Caller, authorization_id: str, signed: Signed) -> tuple[dict[str, Any], bool]:
        """Show or deactivate (sections 7.5 and 7.5.2); also whether a validator is at work."""
        if signed.is_get or not signed.document():
            row, offered = orders.own_authorization(self.core, caller, authorization_id)
        else:
            row, offered = orders.deactivate(self.core, caller, authorization_id, signed.document())
        now = self.core.now
        busy = views.authorization_status(row, now) == AuthorizationStatus.PENDING and any(
            one.status == ChallengeStatus.PROCESSING for one in offered
        )
        return views.authorization(caller.place, row, offered, now), busy

    def challenge(self, caller: Caller, challenge_id: str, signed: Signed) -> tuple[dict[str, Any], str, int]:
        """Show a challenge or have it tried (sections 7.5.1 and 8.2).

        Also its authorization's id, and after how many seconds to look again while it is being tried.
        """
        row, owner = orders.own_challenge(self.core, caller, challenge_id)
        if not signed.is_get:
            payload = signed.document()
            row = self._respond(caller, row, payload)
        return views.challenge(caller.place, row), owner.id, self._next_try(row)

    def _next_try(self, row: ChallengeRow) -> int:
        if row.status != ChallengeStatus.PROCESSING or row.due_at is None:
            return 0
        return max(_POLL, math.ceil((row.due_at - self.core.room.clock.now()).total_seconds()))

    def _respond(self, caller: Caller, row: ChallengeRow, payload: Mapping[str, Any]) -> ChallengeRow:
        if row.type == ChallengeType.DEVICE_ATTEST_01:
            _, owner = orders.own_challenge(self.core, caller, row.id)
            waiting = views.authorization_status(owner, self.core.now) == AuthorizationStatus.PENDING
            if waiting and row.status == ChallengeStatus.PENDING:
                self._validator.attest(caller, row, owner, payload)
            return orders.own_challenge(self.core, caller, row.id)[0]
        changed, _, begun = orders.respond(self.core, caller, row.id)
        if begun:
            self._jobs.submit(partial(self._validator.run, caller.place.tenant_id, row.id))
        return changed

    # -- certificates --------------------------------------------------------------------------------------------------

    def certificate(self, caller: Caller, order_id: str, number: int = 0) -> Chain:
        """Section 7.4.2; ``number`` is 0 for the usual chain."""
        return certificates.of_order(self.core, caller, order_id, number)

    def current_certificate(self, place: Place, caller: Caller | None, order_id: str) -> Chain:
        """RFC 8739 section 3.3."""
        return certificates.current(self.core, place, caller, order_id)

    def revoke(self, place: Place, signed: Signed, request_id: str, peer: str) -> None:
        """Section 7.6."""
        if signed.kid is not None:
            caller = self.caller(place, signed, request_id, peer)
            certificates.revoke_by_account(self.core, caller, signed.document())
        else:
            certificates.revoke_by_key(self.core, place, signed, request_id)

    def renewal_info(self, place: Place, certificate_id: str) -> Renewal:
        """RFC 9773."""
        return predecessors.renewal_info(self.core, place, certificate_id)

    # -- in the background ---------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Take up what is due: challenges to try, orders to bring on, certificates to follow."""
        if self.core.room.barrier.sealed:
            return
        now = self.core.room.clock.now()
        with self.core.room.database.read(SYSTEM_TENANT) as reader:
            busy = store.busy_tenants(reader, now, now - _STUCK_AFTER)
        for tenant_id in busy:
            with self.core.room.database.read(tenant_id) as reader:
                challenges = store.due(reader, now, _BATCH)
                stuck = store.stuck_orders(reader, now - _STUCK_AFTER, _BATCH)
                renewals = store.renewals_due(reader, now, _BATCH)
            for challenge_id in challenges:
                self._jobs.submit(partial(self._validator.run, tenant_id, challenge_id))
            for row in stuck:
                self._jobs.submit(partial(self._take_up, row))
            for row in renewals:
                self._jobs.submit(partial(self.renew, row))

    def work(self) -> int:
        """Try every challenge that is due in this thread, for tests and tools; return how many were tried."""
        tried = 0
        for tenant_id in self._tenants():
            with self.core.room.database.read(tenant_id) as reader:
                challenges = store.due(reader, self.core.room.clock.now(), _BATCH)
            tried += sum(self._validator.run(tenant_id, one) for one in challenges)
        return tried

    def tidy(self) -> None:
        """Forget nonces that are too old anyway, and orders that came to nothing long ago, some in each unit."""
        now = self.core.room.clock.now()
        for tenant_id in self._tenants():
            with self.core.room.database.unit_of_work(tenant_id) as uow:
                account_store.forget_nonces(uow, now)
            for _ in range(_TIDY_UNITS):
                with self.core.room.database.unit_of_work(tenant_id) as uow:
                    if store.forget_orders(uow, now - self.rules.kept, _BATCH) < _BATCH:
                        break

    def _tenants(self) -> list[str]:
        with self.core.room.database.read(SYSTEM_TENANT) as reader:
            return tables.tenants_with_authorities(reader)


def _fetchers(room: Room, rules: AcmeRules) -> list[Fetcher]:
    reach = rules.reach
    guard = AddressGuard(reach.allow)
    views_of_dns = resolvers(reach.resolvers, reach.timeout / 2, test_loopback=reach.test_loopback)
    return [
        Fetcher(
            one,
            guard,
            room.clock,
            http_ports=reach.http_ports,
            https_port=reach.https_port,
            tls_ports=reach.tls_ports,
        )
        for one in views_of_dns
    ]
