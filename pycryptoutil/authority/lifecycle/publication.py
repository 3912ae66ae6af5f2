"""What everybody is to know of a CA: its chain, its other generations, and the links between them.

EST cacerts, CMP caCerts and ``caIssuers`` give the same set; rootCaKeyUpdate gives the part that a root's successor is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.lifecycle import store
from pycryptoutil.authority.lifecycle.store import LinkKind, LinkRow, RolloverRow, RolloverState
from pycryptoutil.authority.room import above
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.storage import Reader

_SHOWN: Final = frozenset({RolloverState.PREPARED, RolloverState.ACTIVATED})


@dataclass(frozen=True, slots=True)
class Update:
    """A CA's new certificate and its links (RFC 9810 section 4.4), DER."""

    new_with_new: bytes = field(repr=False)
    new_with_old: bytes = field(repr=False)
    old_with_new: bytes = field(repr=False)


def certificates(reader: Reader, row: AuthorityRow, rows: list[AuthorityRow]) -> tuple[bytes, ...]:
    """Return the CA's chain, its own certificate first, then what rollovers add to it."""
    shown = [one for one in store.all_rollovers(reader) if one.state in _SHOWN]
    found = dict.fromkeys(one.certificate for one in above(row, rows))
    if not shown:
        return tuple(found)
    made = store.links_of(reader, rollover_ids=[one.id for one in shown])
    by_id = {one.id: one for one in rows}
    pending = [one.id for one in above(row, rows)]
    seen = set(pending)
    while pending:
        at = pending.pop(0)
        for rollover in shown:
            if at not in (rollover.old_id, rollover.new_id):
                continue
            found |= dict.fromkeys(link.certificate for link in made if link.rollover_id == rollover.id)
            other = rollover.new_id if at == rollover.old_id else rollover.old_id
            for one in above(by_id[other], rows):
                found[one.certificate] = None
                if one.id not in seen:
                    seen.add(one.id)
                    pending.append(one.id)
    return tuple(found)


def root_update(reader: Reader, row: AuthorityRow, rows: list[AuthorityRow], root: bytes | None) -> Update | None:
    """Return what follows on a root; Fault(NOT_FOUND) for a certificate that is no root of this tenant."""
    if root is None:
        old = above(row, rows)[-1]
    else:
        tops = [one for one in rows if not one.parent_id and one.certificate == root]
        if not tops:
            raise Fault(FaultKind.NOT_FOUND, "a root that is not ours", "nothing is known here of this root CA")
        old = tops[0]
    by_id = {one.id: one for one in rows}
    shown = [one for one in store.all_rollovers(reader) if one.state in _SHOWN]
    following = [one for one in shown if one.old_id == old.id]
    if root is None and not following:  # who does not say which root it has may have the one before
        following = [one for one in shown if one.new_id == old.id]
    if not following:
        return None
    return update_of(following[-1], by_id, store.links_of(reader, rollover_ids=[following[-1].id]))


def update_of(rollover: RolloverRow, by_id: dict[str, AuthorityRow], made: list[LinkRow]) -> Update:
    """Put a rollover's certificates together."""
    by_kind = {link.kind: link.certificate for link in made if link.rollover_id == rollover.id}
    new = by_id[rollover.new_id].certificate
    return Update(new, by_kind.get(LinkKind.NEW_WITH_OLD, b""), by_kind.get(LinkKind.OLD_WITH_NEW, b""))
