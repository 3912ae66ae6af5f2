"""Answers: statuses, certificates and what else was found, in a PKIResponse that the CA's responder signs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from pycryptoutil_protocols import algorithms, cms
from pycryptoutil_protocols.cmc import authenticated, codec, controls, layers
from pycryptoutil_protocols.cmc.messages import (
    PKI_RESPONSE,
    THIS_MESSAGE,
    Control,
    PkiResponse,
    Status,
    StatusInfo,
    TaggedContent,
)
from pycryptoutil_protocols.cmc.values import TrustAnchors
from pycryptoutil_protocols.x509 import decode_certificate

from .backend import Backend, Responder, Rules
from .conversation import Conversation
from .operations import Findings


@dataclass(slots=True)
class Inner:
    """What a message has come to; ``inside`` are the messages in it, by their body part."""

    found: Findings
    talk: Conversation = field(default_factory=Conversation)
    secret: bytes = field(default=b"", repr=False)
    batch: bool = False
    inside: list[tuple[int, Inner]] = field(default_factory=list)


def encode(backend: Backend, rules: Rules, inner: Inner) -> bytes:
    """Return the signed answer; Fault when nobody can sign now."""
    responder = backend.responder()
    numbers = count(1)
    made: list[Control] = []

    def add(kind: controls.Kind[Any], value: Any) -> None:
        made.append(kind.control(next(numbers), value))

    statuses = merged(inner.found.statuses) or [StatusInfo(Status.SUCCESS, ((THIS_MESSAGE,),))]
    for status in statuses:
        add(controls.STATUS_INFO_V2, status)
    for kind, value in (*inner.talk.echo(), *inner.found.answers):
        add(kind, value)
    contents = [TaggedContent(next(numbers), encode(backend, rules, below)) for _, below in inner.inside]
    if inner.batch and contents:
        add(controls.BATCH_RESPONSES, tuple(content.body_part for content in contents))
    if inner.secret and inner.found.issued and rules.trust_anchors:
        content = TaggedContent(next(numbers), _anchors(responder, inner.secret))
        contents.append(content)
        add(controls.AUTH_DATA, content.body_part)
    response = codec.encode_response(PkiResponse(tuple(made), tuple(contents)))
    certificates = _unique((*inner.found.certificates, *responder.chain, responder.certificate))
    return layers.signed_layer(
        PKI_RESPONSE,
        response,
        responder.signer,
        certificate=responder.certificate,
        certificates=certificates,
        crls=_unique(inner.found.crls),
        attributes=(layers.signing_time(backend.now()),),
    )


def _unique(found: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(found))


def merged(statuses: list[StatusInfo]) -> list[StatusInfo]:
    """Return statuses with all successes in one."""
    good = [one for one in statuses if one.status is Status.SUCCESS and not one.text]
    others = [one for one in statuses if one not in good]
    if not good:
        return others
    return [StatusInfo(Status.SUCCESS, tuple(path for one in good for path in one.parts)), *others]


def seen_from_above(status: StatusInfo, body_part: int) -> StatusInfo:
    """Return a status of a message inside another one, as the outer one's answer has it."""
    paths = tuple((body_part, *(part for part in path if part != THIS_MESSAGE)) for path in status.parts)
    return replace(status, parts=paths)


def _anchors(responder: Responder, secret: bytes) -> bytes:
    """The root's hash, authenticated by the shared secret: the client need trust no certificate yet (section 6.16)."""
    root = responder.chain[-1]
    number = int(decode_certificate(root).not_before.timestamp())  # a later root has a higher number
    value = TrustAnchors(number, algorithms.hash_identifier("sha256"), (algorithms.digest("sha256", root),))
    response = PkiResponse((controls.TRUSTED_ANCHORS.control(1, value),))
    return authenticated.authenticate(PKI_RESPONSE, codec.encode_response(response), secret)


def simple(certificate: bytes, chain: Iterable[bytes]) -> bytes:
    """DER Simple PKI Response: the certificate first, then its issuers (section 4.1)."""
    return cms.encode_certs_only((certificate, *chain))
