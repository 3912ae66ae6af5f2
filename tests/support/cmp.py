"""CMP as a client speaks it, message by message, and a CA that answers without HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.cmp import codec, general
from pycryptoutil_protocols.cmp import pop as possession
from pycryptoutil_protocols.cmp.mac import MacParameters, PbmParameters
from pycryptoutil_protocols.cmp.messages import (
    NULL_NAME,
    Body,
    BodyType,
    CertConfirm,
    CertRepMessage,
    CertRequests,
    CertStatus,
    ErrorMessage,
    General,
    InfoTypeAndValue,
    PKIFailureInfo,
    PKIHeader,
    PKIMessage,
    PKIStatus,
    PKIStatusInfo,
    PollReq,
    RevDetails,
    RevRequest,
    RevResponse,
    directory_name,
)
from pycryptoutil_protocols.cmp.protection import MacProtector, Protector, SignatureProtector, seal
from pycryptoutil_protocols.crmf.messages import CertReqMsg, CertRequest, CertTemplate, Controls
from pycryptoutil_protocols.names import GeneralName, encode_general_names
from pycryptoutil_protocols.x509 import Extension, decode_certificate

from pycryptoutil.authority import CertificateAuthorityService
from pycryptoutil.authority.cmp import CmpRules, CmpService
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.model import CredentialOrder, NamePatterns, NewCredential
from pycryptoutil.authority.service import DistributionUrls
from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import FixedClock
from pycryptoutil.crypto.x509 import name_der
from pycryptoutil.service.settings import BarrierSettings
from pycryptoutil.services.pki_ca.settings import PkiCaSettings
from pycryptoutil.storage import Database
from tests.protocols.material import KeySigner
from tests.support.authority import NOW, PLAIN, TENANT

RA_PROFILE = """
name: registration-authority
title: Registration authority
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256, RSA]}
subject: {allowed: [CN, O]}
key_usage: {default: [digitalSignature]}
extended_key_usage: ["1.3.6.1.5.5.7.3.28"]
"""


@dataclass
class Replica:
    """One process of the CA, as far as CMP goes."""

    service: CertificateAuthorityService
    cmp: CmpService
    database: Database


@dataclass
class CmpWorld:
    """Replicas over one database, and a clock that only tests move."""

    replicas: list[Replica]
    clock: FixedClock
    url: str
    rules: CmpRules = field(default_factory=CmpRules)

    @property
    def service(self) -> CertificateAuthorityService:
        return self.replicas[0].service

    def send(self, message: PKIMessage | bytes, label: str = "", replica: int = 0, **more: Any) -> PKIMessage:
        """Give a message to a replica and decode its answer."""
        encoded = message if isinstance(message, bytes) else message.encoded
        answer = self.replicas[replica].cmp.answer(label, encoded, more.get("allowed"), "test")
        return codec.decode(answer.encoded)

    def credential(self, profile: str = "tls-server", *dns: str, **more: Any) -> NewCredential:
        names = NamePatterns(dns=dns or ("*.example.test",)) if profile == "tls-server" else NamePatterns(dns=dns)
        return self.service.credential_add(TENANT, CredentialOrder(profile, names=names, **more), "tests")

    def status(self, serial: str) -> str:
        return self.service.certificate(TENANT, serial).status.value


@contextmanager
def open_cmp(
    url: str, folder: Path, replicas: int = 1, rules: CmpRules | None = None, **settings: Any
) -> Iterator[CmpWorld]:
    """Open replicas of a CA over one database."""
    clock = FixedClock(NOW)
    opened: list[Database] = []
    chosen = rules or CmpRules()
    made = []
    try:
        for number in range(replicas):
            database = Database.open(url, clock=clock)
            opened.append(database)
            barrier = Barrier.open(database, BarrierSettings(mode="dev"), clock, folder)
            service = CertificateAuthorityService(
                database, barrier, clock, DistributionUrls(PLAIN), PkiCaSettings(**settings), 7 + number, TENANT
            )
            service.first_start(TENANT)
            made.append(Replica(service, CmpService(service, CrlService(service.room), chosen, clock), database))
        yield CmpWorld(made, clock, url, chosen)
    finally:
        for database in opened:
            database.close()


# -- the client --------------------------------------------------------------------------------------------------------


def new_key() -> KeySigner:
    """A P-256 key that signs."""
    return KeySigner(ec.generate_private_key(ec.SECP256R1()))


def template(key: bytes | None, common_name: str | None = "a.example.test", *dns: str, **more: Any) -> CertTemplate:
    """What a client asks for."""
    extensions: tuple[Extension, ...] = more.pop("extensions", ())
    if dns:
        names = encode_general_names([GeneralName.dns(one) for one in dns])
        extensions = (*extensions, Extension(oids.SUBJECT_ALT_NAME, False, names))
    subject = name_der(f"CN={common_name}") if common_name else None
    return CertTemplate(subject=subject, spki=key, extensions=extensions, **more)


def signed_request(
    key: KeySigner, common_name: str | None = "a.example.test", *dns: str, request_id: int = 0, **more: Any
) -> CertReqMsg:
    """A request that its own key signs."""
    controls = more.pop("controls", Controls())
    request = CertRequest(request_id, template(key.public_spki, common_name, *dns, **more), controls)
    return CertReqMsg(request, possession.sign(request, key, sender=NULL_NAME))


@dataclass
class Client:
    """One end of a transaction: keeps id and nonces, and protects what it sends."""

    protector: Protector | None
    now: datetime
    sender: GeneralName = NULL_NAME
    kid: bytes | None = None
    chain: tuple[bytes, ...] = ()
    recipient: GeneralName = NULL_NAME
    pvno: int = 2
    tid: bytes = field(default_factory=lambda: os.urandom(16))
    nonce: bytes = b""
    peer_nonce: bytes | None = None

    @classmethod
    def by_secret(
        cls, credential: NewCredential, now: datetime, parameters: MacParameters | None = None, **more: Any
    ) -> Client:
        protector = MacProtector(credential.password.encode(), parameters or PbmParameters.fresh(100))
        return cls(protector, now, kid=credential.username.encode(), **more)

    @classmethod
    def by_certificate(cls, key: KeySigner, certificate: bytes, now: datetime, **more: Any) -> Client:
        facts = decode_certificate(certificate)
        return cls(
            SignatureProtector(key),
            now,
            sender=directory_name(facts.subject),
            kid=facts.subject_key_identifier or None,
            chain=(certificate,),
            **more,
        )

    def again(self, **more: Any) -> Client:
        """The same client in a new transaction."""
        return replace(self, tid=os.urandom(16), nonce=b"", peer_nonce=None, **more)

    def message(self, kind: BodyType, body: Body, *infos: InfoTypeAndValue, **header: Any) -> PKIMessage:
        """Make the next message; keywords replace fields of its header."""
        self.nonce = os.urandom(16)
        made = PKIHeader(
            sender=self.sender,
            recipient=self.recipient,
            pvno=self.pvno,
            message_time=self.now,
            sender_kid=self.kid,
            transaction_id=self.tid,
            sender_nonce=self.nonce,
            recipient_nonce=self.peer_nonce,
            general_info=infos,
        )
        return seal(replace(made, **header), kind, body, self.protector, self.chain)

    def hear(self, answer: PKIMessage) -> PKIMessage:
        """Take note of an answer's nonce, after checking that it answers."""
        assert answer.header.transaction_id == self.tid
        assert answer.header.recipient_nonce == self.nonce
        assert answer.header.pvno == self.pvno
        assert answer.header.sender_nonce is not None
        assert len(answer.header.sender_nonce) == 16
        self.peer_nonce = answer.header.sender_nonce
        return answer

    # the messages

    def request(
        self, *requests: CertReqMsg, kind: BodyType = BodyType.IR, implicit: bool = False, **header: Any
    ) -> PKIMessage:
        infos = (general.implicit_confirm(),) if implicit else ()
        return self.message(kind, CertRequests(requests), *infos, **header)

    def confirm(self, *statuses: CertStatus, **header: Any) -> PKIMessage:
        return self.message(BodyType.CERTCONF, CertConfirm(statuses), **header)

    def poll(self, *ids: int, **header: Any) -> PKIMessage:
        return self.message(BodyType.POLLREQ, PollReq(ids or (0,)), **header)

    def revoke(self, certificate: bytes, reason: int | None = 1, **header: Any) -> PKIMessage:
        return self.message(BodyType.RR, RevRequest((revocation(certificate, reason),)), **header)

    def ask(self, *infos: InfoTypeAndValue, **header: Any) -> PKIMessage:
        return self.message(BodyType.GENM, General(infos), **header)


def revocation(certificate: bytes, reason: int | None = 1) -> RevDetails:
    facts = decode_certificate(certificate)
    entry = (Extension(oids.REASON_CODE, False, der.enumerated(reason)),) if reason is not None else ()
    return RevDetails(CertTemplate(serial=facts.serial, issuer=facts.issuer), entry)


def accepts(certificate: bytes, request_id: int = 0) -> CertStatus:
    """The status that takes a certificate."""
    name = algorithms.decode_signature(decode_certificate(certificate).signature_algorithm).name
    return CertStatus(algorithms.digest(algorithms.signature_hash(name), certificate), request_id)


def rejects(certificate: bytes, request_id: int = 0) -> CertStatus:
    """The status that does not."""
    status = PKIStatusInfo(PKIStatus.REJECTION, ("not what I wanted",), frozenset({PKIFailureInfo.BAD_CERT_TEMPLATE}))
    return replace(accepts(certificate, request_id), status=status)


# -- reading answers ---------------------------------------------------------------------------------------------------


def certificates(answer: PKIMessage) -> list[bytes]:
    """The certificates of an answer that grants every request."""
    assert isinstance(answer.body, CertRepMessage), answer.body
    found = []
    for response in answer.body.responses:
        assert response.key_pair is not None, response.status
        assert response.status.status in (PKIStatus.ACCEPTED, PKIStatus.GRANTED_WITH_MODS)
        found.append(response.key_pair.certificate)
    return found


def certificate(answer: PKIMessage) -> bytes:
    """The one certificate of an answer."""
    (found,) = certificates(answer)
    return found


def serial(encoded: bytes) -> str:
    """The serial number as the CA writes it."""
    return f"{decode_certificate(encoded).serial:x}"


def failures(answer: PKIMessage) -> set[str]:
    """The bits of failInfo in an error message, or in the first status of another answer."""
    match answer.body:
        case ErrorMessage(status=status):
            return {one.name for one in status.failures}
        case CertRepMessage(responses=(first, *_)):
            return {one.name for one in first.status.failures}
        case RevResponse(status=(first, *_)):
            return {one.name for one in first.failures}
    return set()


def texts(answer: PKIMessage) -> Sequence[str]:
    """What an error message says to people."""
    assert isinstance(answer.body, ErrorMessage), answer.body
    return answer.body.status.text
