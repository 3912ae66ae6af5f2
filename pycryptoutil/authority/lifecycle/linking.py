"""Certifying the key of another CA, or another key of the same one: what all such certificates have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pycryptoutil_protocols import oids
from pycryptoutil_protocols.names import decode_name
from pycryptoutil_protocols.x509 import Certificate, Extension, decode_certificate

from pycryptoutil.authority import internal
from pycryptoutil.authority.extensions import Wanted, decode_basic_constraints
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.lifecycle import store
from pycryptoutil.authority.lifecycle.store import LinkKind, LinkRow
from pycryptoutil.authority.model import IssueOrder
from pycryptoutil.authority.oids import NAME_CONSTRAINTS
from pycryptoutil.authority.profile_file import internal_profiles
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto import x509
from pycryptoutil.storage import UnitOfWork

PROFILE = "ca-link"


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, for audit events."""

    actor: str
    request_id: str
    now: datetime


def path_length(certificate: Certificate) -> int | None:
    """Return pathLenConstraint; None where there is none."""
    found = certificate.extension(oids.BASIC_CONSTRAINTS)
    return decode_basic_constraints(found.value)[1] if found is not None else None


def constraints(certificate: Certificate) -> tuple[Extension, ...]:
    """Return the name constraints, as they are encoded."""
    found = certificate.extension(NAME_CONSTRAINTS)
    return (found,) if found is not None else ()


def add_link(
    room: Room,
    uow: UnitOfWork,
    by: AuthorityRow,
    other: AuthorityRow,
    kind: LinkKind,
    rollover_id: str,
    request: Request,
) -> LinkRow:
    """Let ``by`` certify the key of ``other``, a generation of the same CA, and keep the link.

    It begins when that key was first certified, and ends when the first of both does (RFC 9810 section 4.4.1). It has
    the limits of the certificate that it stands beside.
    """
    key, target = room.keys.of(by), decode_certificate(other.certificate)
    i = Issuance(
        room=room,
        order=IssueOrder(profile=PROFILE, protocol="internal"),
        actor=request.actor,
        request_id=request.request_id,
        now=request.now,
        rows=[],
        ca=by,
        profile=internal_profiles()[PROFILE],
        key=key,
        spki=target.spki,
        key_algorithm=other.key_algorithm,
        subject=decode_name(target.subject),
        wanted=Wanted(copied=constraints(target)),
        path_length=path_length(target),
        not_before=target.not_before,
        not_after=min(target.not_after, by.not_after),
        key_identifier=target.subject_key_identifier,
    )
    internal.certify_dated(i, uow)
    row = LinkRow(
        uow.tenant_id,
        by.id,
        i.serial_hex,
        kind,
        rollover_id,
        x509.name_text(target.subject),
        i.not_after,
        i.der,
        request.now,
    )
    store.insert_link(uow, row)
    return row
