"""What a registration authority says of the requests it hands on (RFC 5272 sections 6.5, 6.8, 6.19, RFC 6402)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pycryptoutil_protocols.cmc import controls
from pycryptoutil_protocols.cmc.failures import Refusal
from pycryptoutil_protocols.cmc.messages import THIS_MESSAGE, BodyPartPath, FailInfo, PkiData
from pycryptoutil_protocols.crmf.messages import CertTemplate
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

from .backend import Party, Role

RA_ONLY = frozenset(
    kind.oid
    for kind in (
        controls.ADD_EXTENSIONS,
        controls.MOD_CERT_TEMPLATE,
        controls.RA_POP_WITNESS,
        controls.RA_IDENTITY_WITNESS,
        controls.CONTROL_PROCESSED,
        controls.BATCH_REQUESTS,
    )
)


@dataclass(frozen=True, slots=True)
class Change:
    """Something to be put into certain requests of one message; an empty ``requests`` means all of them."""

    message: BodyPartPath
    requests: tuple[int, ...]
    extensions: tuple[Extension, ...] = ()
    template: CertTemplate | None = None
    replace: bool = True

    def concerns(self, body_part: int) -> bool:
        """Whether it is for this request of the message that it is for."""
        return self.message == () and (not self.requests or body_part in self.requests)


@dataclass(frozen=True, slots=True)
class Vouching:
    """What was said, as seen from one message: paths begin there, and ``()`` is the message itself.

    ``ra`` is who said it; None: nobody did.
    """

    ra: Party | None = None
    changes: tuple[Change, ...] = ()
    possession: tuple[tuple[BodyPartPath, tuple[int, ...]], ...] = ()
    identity: tuple[BodyPartPath, ...] = ()
    processed: tuple[BodyPartPath, ...] = ()

    def possesses(self, body_part: int) -> bool:
        """Whether possession was shown for a request of this message."""
        return any(path == () and (not parts or body_part in parts) for path, parts in self.possession)

    @property
    def skipped(self) -> frozenset[int]:
        """Controls of this message that need not be processed again."""
        return frozenset(path[0] for path in (*self.processed, *self.identity) if len(path) == 1)

    @property
    def knows_sender(self) -> bool:
        """Whether the RA has verified the identity of this message's sender."""
        return any(len(path) <= 1 for path in self.identity)

    def below(self, body_part: int) -> Vouching:
        """Return what was said of a message inside this one."""
        return Vouching(
            self.ra,
            tuple(
                Change(one.message[1:], one.requests, one.extensions, one.template, one.replace)
                for one in self.changes
                if one.message[:1] == (body_part,)
            ),
            tuple((path[1:], parts) for path, parts in self.possession if path[:1] == (body_part,)),
            _inside(self.identity, body_part),
            _inside(self.processed, body_part),
        )

    def joined(self, other: Vouching) -> Vouching:
        """Return what both said; who is further inside is heard last."""
        if other.ra is None:
            return self
        return Vouching(
            other.ra,
            (*other.changes, *self.changes),
            (*self.possession, *other.possession),
            (*self.identity, *other.identity),
            (*self.processed, *other.processed),
        )


def _inside(paths: Iterable[BodyPartPath], body_part: int) -> tuple[BodyPartPath, ...]:
    return tuple(path[1:] for path in paths if len(path) > 1 and path[0] == body_part)


def read(data: PkiData, party: Party) -> Vouching:
    """Return what a message's own controls say, if its sender may say that; Fault(FORBIDDEN) if not."""
    found = [control for control in data.controls if control.oid in RA_ONLY]
    if not found:
        return Vouching()
    if party.role is not Role.RA or not party.whole:
        parts = tuple((control.body_part,) for control in found)
        public = "only a registration authority may send these controls"
        raise Refusal(FailInfo.BAD_REQUEST, f"RA controls from {party.role.value}", public, parts=parts)
    changes = [
        Change(_message(value.data), value.requests, extensions=value.extensions)
        for _, value in controls.ADD_EXTENSIONS.all(data.controls)
    ]
    changes += [
        Change(_path(value.data), value.requests, template=value.template, replace=value.replace)
        for _, value in controls.MOD_CERT_TEMPLATE.all(data.controls)
    ]
    said = Vouching(
        party,
        tuple(changes),
        tuple((_message(value.data), value.requests) for _, value in controls.RA_POP_WITNESS.all(data.controls)),
        tuple(_path(value) for _, value in controls.RA_IDENTITY_WITNESS.all(data.controls)),
        tuple(_path(path) for _, value in controls.CONTROL_PROCESSED.all(data.controls) for path in value),
    )
    _check_references(data, said)
    return said


def _message(reference: int) -> BodyPartPath:
    return () if reference == THIS_MESSAGE else (reference,)


def _path(path: BodyPartPath) -> BodyPartPath:
    """Return a path without the references to the message itself that it may have."""
    return tuple(part for part in path if part != THIS_MESSAGE)


def _check_references(data: PkiData, said: Vouching) -> None:
    """Raise Fault(INVALID) for a reference to nothing: it would be obeyed by nobody noticing."""
    inside = {content.body_part for content in data.contents}
    own = {request.body_part for request in data.requests}
    for change in said.changes:
        _check_reference(change.message, change.requests, inside, own)
    for path, parts in said.possession:
        _check_reference(path, parts, inside, own)
    known = inside | {control.body_part for control in data.controls}
    for path in (*said.identity, *said.processed):
        if path and path[0] not in known:
            raise _nothing(path[0])


def _check_reference(path: BodyPartPath, parts: tuple[int, ...], inside: set[int], own: set[int]) -> None:
    if path and path[0] not in inside:
        raise _nothing(path[0])
    if not path and not own.issuperset(parts):
        raise _nothing(next(part for part in parts if part not in own))


def _nothing(part: int) -> Fault:
    text = f"there is no body part {part}"
    return Fault(FaultKind.INVALID, text, text)
