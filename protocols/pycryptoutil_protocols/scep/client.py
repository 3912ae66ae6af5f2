"""A SCEP client without I/O: makes requests and reads answers (RFC 8894 section 2.3)."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from pycryptoutil_protocols import algorithms, cms, der, oids, x509
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.cms import MAX_CMS
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName, encode_general_names
from pycryptoutil_protocols.ports import Signer
from pycryptoutil_protocols.x509 import Certificate

from . import codec, messages
from .codec import Header
from .messages import FailInfo, MessageType, PkiMessage, PkiStatus

_KEY_ENCIPHERMENT = 2  # the bit of keyUsage


@dataclass(frozen=True, slots=True)
class Server:
    """What GetCACert told: the CA that issues, and who answers for it (the CA itself where there is no RA)."""

    certificates: tuple[bytes, ...]
    issuer: Certificate
    responder: Certificate


def decode_ca_certificates(body: bytes, content_type: str) -> Server:
    """Read the answer to GetCACert; Fault(MALFORMED, NOT_FOUND)."""
    single = content_type.partition(";")[0].strip().lower() == messages.CA_CERTIFICATE
    found = (body,) if single else cms.decode_certs_only(cms.from_ber(body))
    known = [x509.decode_certificate(one) for one in found]
    authorities = [one for one in known if _is_ca(one)]
    responders = [one for one in known if not _is_ca(one)] or authorities
    able = [one for one in responders if algorithms.key_info(one.spki).family == "RSA" and _may_encrypt(one)]
    issued = {one.issuer for one in responders}
    issuers = [one for one in authorities if single or one.subject in issued]
    if not able or not issuers:
        raise Fault(FaultKind.NOT_FOUND, "no RSA certificate to encrypt to", "the CA has no certificate for SCEP")
    return Server(tuple(found), issuers[0], able[0])


def _is_ca(certificate: Certificate) -> bool:
    found = certificate.extension(oids.BASIC_CONSTRAINTS)
    children = der.read(found.value).children() if found is not None else ()
    return bool(children) and children[0].tag == der.BOOLEAN and children[0].boolean()


def _may_encrypt(certificate: Certificate) -> bool:
    found = certificate.extension(oids.KEY_USAGE)
    if found is None:
        return True
    content = der.read(found.value).expect(der.BIT_STRING).content
    return len(content) > 1 and bool(content[1] & (0x80 >> _KEY_ENCIPHERMENT))


def decode_next_ca(body: bytes, present: bytes) -> tuple[bytes, ...]:
    """Verify the answer to GetNextCACert by the present CA's certificate, and return the next certificates."""
    signed = cms.decode_signed_data(cms.from_ber(body))
    for one in cms.verify_signed_data(signed, candidates=(present,)):
        if one.der != present:
            raise Fault(FaultKind.BAD_SIGNATURE, "GetNextCACert signed by somebody else", "not signed by the CA")
    return cms.decode_certs_only(signed.content or b"")


def self_signed(signer: Signer, subject: bytes, not_before: int, not_after: int) -> bytes:
    """DER certificate that a first request is signed under (section 2.3); times in Unix seconds."""
    usage = x509.Extension(oids.KEY_USAGE, True, der.tlv(der.BIT_STRING, b"\x05\xa0"))
    tbs = x509.build_tbs(
        signer.signature_algorithm,
        subject,
        os.urandom(8),
        not_before,
        not_after,
        subject,
        signer.public_spki,
        x509.encode_extensions((usage,)),
    )
    return x509.sign_tbs(tbs, signer)


def transaction_id(spki: bytes) -> str:
    """Return what section 3.2.1.1 suggests: a hash of the key to be certified."""
    return hashlib.sha256(spki).hexdigest()


@dataclass(frozen=True, slots=True)
class Sent:
    """A request made, and what its answer will be held to."""

    encoded: bytes = field(repr=False)
    transaction_id: str
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Client:
    """One client with its key and certificate, self-signed or issued before."""

    server: Server
    signer: Signer
    certificate: bytes
    cipher: str = "aes-256-cbc"
    oaep: bool = False

    def request(self, kind: MessageType, content: bytes, transaction: str) -> Sent:
        """Make a request of any type around the DER of its content."""
        responder = self.server.responder
        recipient = cms.recipient_for_key(
            responder.spki, issuer_and_serial=responder.issuer_and_serial, pkcs1=not self.oaep
        )
        envelope = cms.encrypt(oids.DATA, content, (recipient,), cipher=self.cipher)
        nonce = os.urandom(messages.NONCE_LENGTH)
        header = Header(kind, transaction, nonce)
        return Sent(codec.encode_message(header, envelope, self.signer, self.certificate), transaction, nonce)

    def enrol(self, csr: bytes, spki: bytes, *, renewal: bool = False) -> Sent:
        """PKCSReq, or RenewalReq."""
        kind = MessageType.RENEWAL_REQ if renewal else MessageType.PKCS_REQ
        return self.request(kind, csr, transaction_id(spki))

    def poll(self, subject: bytes, transaction: str) -> Sent:
        """CertPoll."""
        content = codec.encode_issuer_and_subject(self.server.issuer.subject, subject)
        return self.request(MessageType.CERT_POLL, content, transaction)

    def get_certificate(self, serial: int) -> Sent:
        """GetCert."""
        return self._by_serial(MessageType.GET_CERT, serial)

    def get_crl(self, serial: int) -> Sent:
        """GetCRL, for a certificate of that serial number."""
        return self._by_serial(MessageType.GET_CRL, serial)

    def _by_serial(self, kind: MessageType, serial: int) -> Sent:
        content = der.sequence(self.server.issuer.subject, der.integer(serial))
        return self.request(kind, content, os.urandom(16).hex())


@dataclass(frozen=True, slots=True)
class Answer:
    """A verified CertRep."""

    status: PkiStatus
    fail_info: FailInfo | None = None
    fail_text: str = ""
    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()


def read_answer(
    body: bytes, sent: Sent, responders: Sequence[bytes], unwrap: cms.Unwrap | None = None, *, password: str = ""
) -> Answer:
    """Verify and decrypt a CertRep; Fault(BAD_SIGNATURE, REPLAYED, MALFORMED).

    ``responders`` are the certificates that may sign: RAs and CAs of GetCACert, trusted before.
    """
    message = codec.decode_message(body)
    signers = cms.verify_signed_data(message.signed, candidates=responders, content=message.signed.content or b"")
    if any(one.der not in responders for one in signers):
        raise Fault(FaultKind.BAD_SIGNATURE, "answer signed by somebody unknown", "not signed by the CA")
    if message.transaction_id != sent.transaction_id or not hmac.compare_digest(message.recipient_nonce, sent.nonce):
        raise Fault(FaultKind.REPLAYED, "answer to another request", "the answer is to another request")
    if message.message_type is not MessageType.CERT_REP or message.status is None:
        raise der.malformed("not a CertRep")
    if message.status is not PkiStatus.SUCCESS:
        return Answer(message.status, message.fail_info, message.fail_text)
    inner = _open(message, cms.unwrap_password(password.encode()) if password and unwrap is None else unwrap)
    return Answer(PkiStatus.SUCCESS, certificates=inner.certificates, crls=inner.crls)


def _open(message: PkiMessage, unwrap: cms.Unwrap | None) -> cms.SignedData:
    if message.envelope is None or unwrap is None or len(message.envelope) > MAX_CMS:
        raise der.malformed("an answer without content, or nothing to open it with")
    envelope = cms.decode_enveloped(cms.from_ber(message.envelope), legacy=True)
    if not envelope.recipients:
        raise der.malformed("no recipient that is supported")
    content = cms.decrypt(envelope, envelope.recipients[0], unwrap)
    return cms.decode_signed_data(cms.from_ber(content))


def certification_request(
    signer: Signer, subject: bytes, names: Sequence[GeneralName] = (), challenge: str = ""
) -> bytes:
    """DER PKCS#10 request with the challenge password (RFC 2985 section 5.4.1) that a first one carries."""
    attributes = []
    if challenge:
        attributes.append(Attribute(oids.CHALLENGE_PASSWORD, (der.utf8_string(challenge),)))
    if names:
        extension = x509.Extension(oids.SUBJECT_ALT_NAME, False, encode_general_names(names))
        attributes.append(Attribute(oids.EXTENSION_REQUEST, (x509.encode_extensions((extension,)),)))
    encoded = der.set_of(attribute.encode() for attribute in attributes)
    info = der.sequence(der.integer(0), subject, signer.public_spki, der.retag(der.context(0), encoded))
    algorithm = algorithms.signature_identifier(signer.signature_algorithm)
    return der.sequence(info, algorithm, der.bit_string(signer.sign(info)))
