"""The client's side of CMC: requests to make and answers to read. For tests, and for an RA that talks to a CA.

A :class:`Draft` collects body parts; how it is authenticated is chosen at the end: ``signed_by_key``,
``signed_by_certificate``, ``unsigned`` or ``authenticated``. ``read`` verifies an answer and returns what is in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pycryptoutil_protocols import algorithms, cms, der, x509
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.crmf.messages import CertReqMsg
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Signer
from pycryptoutil_protocols.x509 import Certificate

from . import authenticated, codec, controls, layers, proofs
from .messages import (
    PKI_DATA,
    PKI_RESPONSE,
    Control,
    FailInfo,
    PkiData,
    PkiResponse,
    Status,
    StatusInfo,
    TaggedContent,
    TaggedRequest,
)
from .values import TrustAnchors

_T = TypeVar("_T")


@dataclass(slots=True)
class Draft:
    """A request on its way. Identifiers are given out in order; what is added returns its own."""

    _next: int = 1
    _controls: list[Control] = field(default_factory=list)
    _requests: list[TaggedRequest] = field(default_factory=list)
    _contents: list[TaggedContent] = field(default_factory=list)

    def _number(self) -> int:
        parts: list[Control | TaggedRequest | TaggedContent] = [*self._controls, *self._requests, *self._contents]
        taken = {part.body_part for part in parts}
        while self._next in taken:
            self._next += 1
        self._next += 1
        return self._next - 1

    def add(self, kind: controls.Kind[_T], value: _T) -> int:
        """Add a control."""
        identifier = self._number()
        self._controls.append(kind.control(identifier, value))
        return identifier

    def add_pkcs10(self, encoded: bytes) -> int:
        """Add a PKCS#10 request."""
        identifier = self._number()
        self._requests.append(codec.pkcs10_request(identifier, encoded))
        return identifier

    def add_crmf(self, message: CertReqMsg) -> int:
        """Add a CRMF request, whose certReqId is its identifier."""
        self._requests.append(codec.crmf_request(message))
        return message.request.request_id

    def add_request(self, request: TaggedRequest) -> int:
        """Add a request as it is, for example from an encryptedPOP."""
        self._requests.append(request)
        return request.body_part

    def add_message(self, content_info: bytes) -> int:
        """Put another message into this one, as an RA does."""
        identifier = self._number()
        self._contents.append(TaggedContent(identifier, content_info))
        return identifier

    def prove_identity(self, identity: str, secret: bytes, hash_name: str = "sha256") -> None:
        """Add identification and identityProofV2. All requests must be in by now: the proof covers them."""
        self.add(controls.IDENTIFICATION, identity)
        sequence = der.sequence(*(request.encoded for request in self._requests))
        self.add(controls.IDENTITY_PROOF_V2, proofs.prove_identity(secret, identity, sequence, hash_name))

    def data(self) -> PkiData:
        """Return the PKIData."""
        sequence = der.sequence(*(request.encoded for request in self._requests))
        return PkiData(tuple(self._controls), tuple(self._requests), tuple(self._contents), (), sequence)

    def encode(self) -> bytes:
        """DER PKIData."""
        return codec.encode_data(self.data())

    def signed_by_key(self, signer: Signer, *, at: datetime | None = None, identifier: bytes = b"") -> bytes:
        """Sign with the key of a request, named by its key identifier (RFC 5272 section 3.2)."""
        name = identifier or proofs.key_identifier(signer.public_spki)
        return layers.signed_layer(PKI_DATA, self.encode(), signer, key_identifier=name, attributes=_times(at))

    def signed_by_certificate(
        self, signer: Signer, certificate: bytes, *, at: datetime | None = None, included: bool = True
    ) -> bytes:
        """Sign with the key of a certificate: renewal, revocation, an RA's requests."""
        return layers.signed_layer(
            PKI_DATA,
            self.encode(),
            signer,
            certificate=certificate,
            certificates=(certificate,) if included else (),
            attributes=_times(at),
        )

    def unsigned(self, *, at: datetime | None = None) -> bytes:
        """Sign not at all (appendix C.1): for keys that cannot, with an identity proof beside the requests."""
        return layers.unsigned_layer(PKI_DATA, self.encode(), _times(at))

    def authenticated(self, secret: bytes, *, at: datetime | None = None) -> bytes:
        """Authenticate everything by a shared secret; ``identification`` must be among the controls."""
        return authenticated.authenticate(PKI_DATA, self.encode(), secret, attributes=_times(at))


def _times(at: datetime | None) -> tuple[Attribute, ...]:
    return (layers.signing_time(at),) if at is not None else ()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose signature was verified; ``signer`` is the certificate that made it."""

    response: PkiResponse
    certificates: tuple[bytes, ...] = field(repr=False)
    crls: tuple[bytes, ...] = field(repr=False)
    signer: Certificate = field(repr=False)
    signing_time: datetime | None = None

    @property
    def statuses(self) -> tuple[StatusInfo, ...]:
        """Every status, in order, of either version."""
        kinds = {kind.oid: kind for kind in (controls.STATUS_INFO, controls.STATUS_INFO_V2)}
        return tuple(kinds[one.oid].value(one) for one in self.response.controls if one.oid in kinds)

    def status(self, *path: int) -> StatusInfo | None:
        """Return the status of a body part."""
        return next((one for one in self.statuses if path in one.parts), None)

    @property
    def failures(self) -> tuple[FailInfo | None, ...]:
        """Every failure code; None for a failure without one."""
        bad = (Status.FAILED, Status.NO_SUPPORT)
        return tuple(one.failure for one in self.statuses if one.status in bad)

    def one(self, kind: controls.Kind[_T]) -> _T | None:
        """Return the value of the only control of a type."""
        return kind.one(self.response.controls)

    def all(self, kind: controls.Kind[_T]) -> tuple[_T, ...]:
        """Return the values of every control of a type."""
        return tuple(value for _, value in kind.all(self.response.controls))

    def certificate_for(self, spki: bytes) -> bytes:
        """Return the certificate of a key; Fault(NOT_FOUND)."""
        for encoded in self.certificates:
            if x509.decode_certificate(encoded).spki == spki:
                return encoded
        raise Fault(FaultKind.NOT_FOUND, "no certificate for the key", "there is no certificate for the key")

    def inside(self) -> tuple[tuple[int, bytes], ...]:
        """Return the messages in this one, by body part."""
        return tuple((one.body_part, one.content_info) for one in self.response.contents)

    def anchors(self, secret: bytes) -> TrustAnchors | None:
        """Return the trust anchors that the shared secret authenticates (RFC 5272 sections 6.15 and 6.16)."""
        part = self.one(controls.AUTH_DATA)
        content = next((one.content_info for one in self.response.contents if one.body_part == part), None)
        if content is None:
            return None
        found = authenticated.decode_authenticated(content)
        authenticated.verify(found, secret)
        return controls.TRUSTED_ANCHORS.one(codec.decode_response(found.content).controls)


def read(encoded: bytes) -> Reply:
    """Read a Full PKI Response and verify its signature; whom to trust is for the caller to say.

    Fault(BAD_SIGNATURE, MALFORMED, INVALID). A control that may not be in an answer fails the whole of it.
    """
    layer = layers.open_layer(encoded)
    if layer.content_type != PKI_RESPONSE or layer.signer is None:
        text = "a signed PKIResponse is expected"
        raise Fault(FaultKind.INVALID, f"content type {layer.content_type}", text)
    known = [x509.decode_certificate(one) for one in layer.certificates]
    signer = next((one for one in known if cms.is_signer(layer.signer, one)), None)
    if signer is None:
        raise Fault(FaultKind.BAD_SIGNATURE, "signer unknown", "the signer's certificate is missing")
    layers.verify(layer, signer.spki)
    response = codec.decode_response(layer.content)
    strange = controls.strange(response.controls, response=True)
    if strange:
        text = f"unknown, misplaced or repeated control {strange[0].oid}"
        raise Fault(FaultKind.INVALID, text, text)
    return Reply(response, layer.certificates, layer.crls, signer, layer.signing_time)


def trusted_root(reply: Reply, anchors: TrustAnchors) -> bytes:
    """Return the root among an answer's certificates that the trust anchors name; Fault(NOT_FOUND)."""
    name = algorithms.decode_hash(der.read(anchors.hash_algorithm))
    for encoded in reply.certificates:
        if algorithms.digest(name, encoded) in anchors.hashes:
            return encoded
    raise Fault(FaultKind.NOT_FOUND, "no such root", "no certificate is the trust anchor")
