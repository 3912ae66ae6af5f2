"""A CA of a few lines for the tests of the client: each test says what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.serialization import load_der_public_key
from pycryptoutil_protocols import csr
from pycryptoutil_protocols.cmp import codec, protection
from pycryptoutil_protocols.cmp.messages import (
    RESPONSE_OF,
    Body,
    BodyType,
    CertifiedKeyPair,
    CertRepMessage,
    CertRequests,
    CertResponse,
    InfoTypeAndValue,
    Pkcs10,
    PKIHeader,
    PKIMessage,
    PKIStatus,
    PKIStatusInfo,
    directory_name,
)
from pycryptoutil_protocols.cmp.protection import MacProtector, Mechanism, Protector, SignatureProtector

from tests.protocols import material as keys
from tests.protocols.cmp import material

ACCEPTED = PKIStatusInfo(PKIStatus.ACCEPTED)
WAITING = PKIStatusInfo(PKIStatus.WAITING)


@dataclass
class ScriptedCa:
    """Answers with MACs to MACs, and signed to everything else."""

    secret: bytes = material.SECRET
    seen: list[PKIMessage] = field(default_factory=list)

    def take(self, encoded: bytes) -> PKIMessage:
        """Decode and keep a message."""
        message = codec.decode(encoded)
        self.seen.append(message)
        return message

    def protector(self, request: PKIMessage) -> Protector:
        """What protects the answer."""
        how = protection.mechanism(request)
        if how.by_secret or how is Mechanism.KEM_BASED_MAC:
            return MacProtector(self.secret, protection.verify_mac(request, self.secret).answering())
        return SignatureProtector(keys.KeySigner(material.SERVER_KEY))

    def answer(
        self,
        request: PKIMessage,
        kind: BodyType,
        body: Body,
        infos: tuple[InfoTypeAndValue, ...] = (),
        protector: Protector | None = None,
        extra: tuple[bytes, ...] = (material.SERVER,),
        **changes: Any,
    ) -> bytes:
        """Return a whole answer; ``changes`` are of its header."""
        header = PKIHeader(
            sender=directory_name(keys.name("CMP test server").public_bytes()),
            recipient=request.header.sender,
            pvno=request.header.pvno,
            message_time=material.NOW,
            transaction_id=request.header.transaction_id,
            sender_nonce=bytes(16),
            recipient_nonce=request.header.sender_nonce,
            general_info=infos,
        )
        chosen = protector or self.protector(request)
        return protection.seal(replace(header, **changes), kind, body, chosen, extra).encoded

    def issue(self, request: PKIMessage, number: int = 0, **names: Any) -> bytes:
        """Return a certificate for one of the keys asked for."""
        if isinstance(request.body, Pkcs10):
            spki = csr.decode_csr(request.body.request).spki
        else:
            assert isinstance(request.body, CertRequests)
            spki = request.body.messages[number].request.template.spki or b""
        return material.make_certificate(load_der_public_key(spki), "subject", **names)

    def grant(self, request: PKIMessage, certificate: bytes, request_id: int = 0, **how: Any) -> bytes:
        """Answer with one certificate."""
        response = CertResponse(request_id, ACCEPTED, CertifiedKeyPair(certificate))
        return self.answer(request, RESPONSE_OF[request.kind], CertRepMessage((response,), (material.CA,)), **how)
