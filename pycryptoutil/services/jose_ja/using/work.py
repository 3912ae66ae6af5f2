"""One request's work: keys by the gate of the keyring, policies of tokens, and the audit."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.message import Request
from pycryptoutil.jose.jwe import Recipient
from pycryptoutil.jose.jwk import JwkPublic, parse_public
from pycryptoutil.jose.jws import JwsSigner
from pycryptoutil.jose.jwt import CreationPolicy, ValidationPolicy, media_type
from pycryptoutil.keyring import Operation, UsableKey
from pycryptoutil.service.definition import Context
from pycryptoutil.services.jose_ja.engine.bodies import Keys, Validation
from pycryptoutil.services.jose_ja.rings import store
from pycryptoutil.services.jose_ja.using.reading import Opening, Verifying
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

if TYPE_CHECKING:
    from pycryptoutil.services.jose_ja.state import State


@dataclass(slots=True)
class Tally:
    """How many items were done, and how many of them failed by what."""

    items: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.faults.total()

    def add(self, more: Tally) -> None:
        """Add another one's."""
        self.items += more.items
        self.faults += more.faults


class Samples:
    """Picks each Nth success of an operation, the first one too; 0 picks none."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._counts: dict[str, itertools.count[int]] = {}

    def due(self, action: str) -> bool:
        """Tell whether this success is to be audited."""
        if not self._every:
            return False
        return next(self._counts.setdefault(action, itertools.count())) % self._every == 0


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a ring's tokens say by policy."""

    creation: CreationPolicy
    typ: str


def token_rules(found: Mapping[str, Any] | None, default: CreationPolicy) -> TokenRules:
    """Return the rules that a stored policy says, or the service's own."""
    if found is None:
        return TokenRules(default, "JWT")
    policy = CreationPolicy(
        issuer=found["issuer"] or default.issuer,
        audience=tuple(found["audience"]),
        lifetime=found["lifetime"],
        not_before=found["not_before"],
        token_id=found["token_id"],
    )
    return TokenRules(policy, found["typ"])


class Work:
    """Keys are asked for once for all items of a request, and of a portion of a stream."""

    def __init__(self, context: Context, request: Request) -> None:
        self.context = context
        self.state: State = context.state
        self.now = int(self.state.clock.now().timestamp())
        self._request = request
        self._used: dict[tuple[str, Operation], UsableKey | Fault] = {}
        self._rules: dict[str, TokenRules] = {}
        self._rings: set[str] = set()

    def use(self, ring: str, operation: Operation, times: int = 1) -> UsableKey:
        """Return a ring's active key for what it protects; the gate's Faults."""
        self._rings.add(ring)
        found = self._used.get((ring, operation))
        if found is None:
            try:
                found = self.state.keyring.use(self.context.tenant_id, ring, operation, times=0)
            except Fault as fault:
                found = fault
            self._used[ring, operation] = found
        if isinstance(found, Fault):
            raise found
        self.state.keyring.count(found, operation, times)
        return found

    def signer(self, ring: str, header: Mapping[str, Any], *, encoded: bool = True, uses: int = 1) -> JwsSigner:
        """Return a ring's signer under a header."""
        if "kid" in header:
            said = "kid is the ring's to set"
            raise Fault(FaultKind.INVALID, said, said, pointer="#/header/kid")
        key = self.use(ring, Operation.SIGN, uses).jwk
        if isinstance(key, JwkPublic):
            raise Fault(FaultKind.INTERNAL, f"ring {ring[:64]!r} has no private key")
        return JwsSigner(key, header=header, encoded=encoded)

    def recipient(self, ring: str | None, jwk: Mapping[str, Any] | None, *, uses: int = 1) -> Recipient:
        """Return a ring's key to encrypt to, or the public key that was given."""
        return parse_public(jwk or {}) if ring is None else self.use(ring, Operation.ENCRYPT, uses).jwk

    def verifying(self, keys: Keys, algs: list[str] | None = None) -> Verifying:
        """Return what verifies with a ring's keys, or with those given."""
        keys.check_one()
        self._rings.update(filter(None, [keys.key]))
        return Verifying(self.state.keyring, self.context.tenant_id, keys, algs)

    def opening(self, ring: str, algs: list[str] | None = None, encs: list[str] | None = None) -> Opening:
        """Return what decrypts with a ring's keys."""
        self._rings.add(ring)
        return Opening(self.state.keyring, self.context.tenant_id, ring, algs, encs)

    def opened(self, ring: str, token: str) -> bytes:
        """Return the token inside of one that is encrypted (RFC 7519 section 11.2)."""
        found = self.opening(ring).decrypt(token)
        if media_type(found.header.get("cty")) != "jwt":
            said = "the encrypted content is not a token"
            raise Fault(FaultKind.INVALID, said, said)
        return found.plaintext

    # -- tokens --------------------------------------------------------------------------------------------------------

    def token_rules(self, ring: str) -> TokenRules:
        """Return what a ring's tokens say; Fault(NOT_FOUND)."""
        found = self._rules.get(ring)
        if found is None:
            used = self._used.get((ring, Operation.SIGN))
            key = used.key if isinstance(used, UsableKey) else self.state.keyring.get(self.context.tenant_id, ring)
            with self.context.database.read(self.context.tenant_id) as reader:
                found = token_rules(store.policy(reader, key.id), self.state.default_policy)
            self._rules[ring] = found
        return found

    def validation(self, keys: Keys, wanted: Validation) -> ValidationPolicy:
        """Return what a token must say: as asked, and where it is left open by the ring's policy."""
        issuers = wanted.issuers
        if issuers is None:
            own = self.token_rules(keys.key).creation.issuer if keys.key is not None else ""
            issuers = [own] if own else []
        return ValidationPolicy(
            issuers=frozenset(issuers),
            audiences=frozenset(wanted.audiences),
            typ=wanted.typ,
            required=frozenset(wanted.required),
            skew=self.state.settings.tokens.skew_seconds if wanted.skew is None else wanted.skew,
            max_age=wanted.max_age,
            subject=wanted.subject,
        )

    # -- audit ---------------------------------------------------------------------------------------------------------

    def audit(self, action: str, tally: Tally) -> None:
        """Record what was done: every failure, and of successes each Nth. What cannot be recorded fails."""
        if not tally.failed and not self.state.samples.due(action):
            return
        details: dict[str, Any] = {"items": tally.items}
        if tally.failed:
            details |= {"failed": tally.failed, "faults": dict(tally.faults)}
        event = AuditEvent(
            action,
            self.context.actor[:300],
            ",".join(sorted(self._rings))[:500],
            "failure" if tally.failed else "success",
            details,
            self._request.request_id[:100],
        )
        with self.context.database.unit_of_work(self.context.tenant_id) as uow:
            audit.append(uow, event)
