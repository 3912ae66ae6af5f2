"""Messages that do one thing wrong, each with the failInfo that it gets."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.cmp import codec, general
from pycryptoutil_protocols.cmp.mac import PbmParameters
from pycryptoutil_protocols.cmp.messages import (
    BodyType,
    CertRepMessage,
    CertStatus,
    ErrorMessage,
    KeyRecovery,
    Nested,
    Pkcs10,
    PkiConf,
    PKIFailureInfo,
    PKIMessage,
    PKIStatus,
    PKIStatusInfo,
    RevDetails,
    RevRequest,
    directory_name,
)
from pycryptoutil_protocols.cmp.protection import (
    MacProtector,
)
from pycryptoutil_protocols.crmf.messages import (
    ArchiveOptions,
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Controls,
    PrivateKeyPop,
    RaVerified,
    SignaturePop,
    SubsequentMessage,
)
from pycryptoutil_protocols.x509 import Extension

from pycryptoutil.authority.model import RevocationReason
from pycryptoutil.crypto.x509 import name_der
from tests.protocols.material import KeySigner, cert_der, csr_der, private_key, spki
from tests.protocols.material import certificate as make
from tests.support.authority import NOW, TENANT
from tests.support.cmp import (
    Client,
    CmpWorld,
    accepts,
    certificate,
    failures,
    new_key,
    serial,
    signed_request,
    template,
)

NAMES = ("a.example.test", "a.example.test")
Case = Callable[[CmpWorld, Client], PKIMessage]


def ask(world: CmpWorld, client: Client, **header: object) -> PKIMessage:
    return world.send(client.request(signed_request(new_key(), *NAMES), **header))


def own(world: CmpWorld) -> tuple[KeySigner, bytes]:
    key = new_key()
    client = Client.by_secret(world.credential(), NOW)
    answer = client.hear(world.send(client.request(signed_request(key, *NAMES), implicit=True)))
    return key, certificate(answer)


# each case does one thing wrong


def bad_mac_algorithm(world: CmpWorld, client: Client) -> PKIMessage:
    client.protector = MacProtector(b"x", PbmParameters(os.urandom(16), 10_000_000))
    return world.send(_sealed_cheaply(client))


def _sealed_cheaply(client: Client) -> PKIMessage:
    """A message that asks for ten million iterations, made without them."""
    cheap = MacProtector(b"x", PbmParameters(os.urandom(16), 100))
    kept, client.protector = client.protector, cheap
    made = client.request(signed_request(new_key(), *NAMES))
    client.protector = kept
    assert kept is not None
    header = replace(made.header, protection_algorithm=kept.algorithm)
    protected = codec.encode_protected(header, made.kind, made.body)
    return codec.decode(codec.assemble(protected, made.protection))


def bad_signature_algorithm(world: CmpWorld, client: Client) -> PKIMessage:
    del client
    key, found = own(world)
    sha1 = algorithms.algorithm_identifier("1.2.840.10045.4.1")  # ecdsa-with-SHA1
    signing = Client.by_certificate(key, found, NOW)
    made = signing.request(signed_request(new_key(), *NAMES))
    header = replace(made.header, protection_algorithm=sha1)
    protected = codec.encode_protected(header, made.kind, made.body)
    return world.send(codec.assemble(protected, made.protection, made.extra_certificates))


def bad_pop_algorithm(world: CmpWorld, client: Client) -> PKIMessage:
    good = signed_request(new_key(), *NAMES)
    assert isinstance(good.pop, SignaturePop)
    pop = replace(good.pop, algorithm=algorithms.algorithm_identifier("1.2.840.10045.4.1"))
    return world.send(client.request(replace(good, pop=pop)))


def wrong_secret(world: CmpWorld, client: Client) -> PKIMessage:
    client.protector = MacProtector(b"not the secret", PbmParameters.fresh())
    return ask(world, client)


def unknown_reference(world: CmpWorld, client: Client) -> PKIMessage:
    client.kid = b"enroll-nobody"
    return ask(world, client)


def no_reference(world: CmpWorld, client: Client) -> PKIMessage:
    client.kid = None
    return ask(world, client)


def no_protection(world: CmpWorld, client: Client) -> PKIMessage:
    client.protector = None
    return ask(world, client)


def wrong_signature(world: CmpWorld, client: Client) -> PKIMessage:
    del client
    _, found = own(world)
    return ask(world, Client.by_certificate(new_key(), found, NOW))


def signer_is_not_the_sender(world: CmpWorld, client: Client) -> PKIMessage:
    del client
    key, found = own(world)
    signing = Client.by_certificate(key, found, NOW)
    return ask(world, signing, sender=directory_name(name_der("CN=somebody else")))


def signer_without_certificate(world: CmpWorld, client: Client) -> PKIMessage:
    del client
    key, found = own(world)
    signing = Client.by_certificate(key, found, NOW)
    signing.chain = ()
    return ask(world, signing)


def foreign_signer(world: CmpWorld, client: Client) -> PKIMessage:
    del client
    key, found = foreign_certificate()
    return ask(world, Client.by_certificate(key, found, NOW))


def foreign_certificate() -> tuple[KeySigner, bytes]:
    key = private_key("EC-P256", 11)
    return KeySigner(key), cert_der(make(key, "a.example.test"))


def revoked_signer(world: CmpWorld, client: Client) -> PKIMessage:
    del client
    key, found = own(world)
    signing = Client.by_certificate(key, found, NOW)
    assert not failures(world.send(signing.revoke(found)))
    return ask(world, signing.again())


def body_that_is_no_request(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.message(BodyType.PKICONF, PkiConf()))


def confirmation_of_nothing(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.confirm(CertStatus(bytes(32), 0), recipient_nonce=os.urandom(16)))


def poll_of_nothing(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.poll(0, recipient_nonce=os.urandom(16)))


def confirmation_of_another_request(world: CmpWorld, client: Client) -> PKIMessage:
    found = certificate(client.hear(ask(world, client)))
    return world.send(client.confirm(accepts(found, 1)))


def confirmation_that_contradicts_itself(world: CmpWorld, client: Client) -> PKIMessage:
    found = certificate(client.hear(ask(world, client)))
    status = PKIStatusInfo(PKIStatus.ACCEPTED, (), frozenset({PKIFailureInfo.BAD_REQUEST}))
    return world.send(client.confirm(replace(accepts(found), status=status)))


def hash_algorithm_in_version_2(world: CmpWorld, client: Client) -> PKIMessage:
    found = certificate(client.hear(ask(world, client)))
    status = CertStatus(algorithms.digest("sha512", found), 0, hash_algorithm=algorithms.hash_identifier("sha512"))
    return world.send(client.confirm(status, pvno=2))


def two_requests_of_one_id(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.request(signed_request(new_key(), *NAMES), signed_request(new_key(), *NAMES)))


def too_many_requests(world: CmpWorld, client: Client) -> PKIMessage:
    key = new_key()
    return world.send(client.request(*(signed_request(key, *NAMES, request_id=n) for n in range(17))))


def archived_key(world: CmpWorld, client: Client) -> PKIMessage:
    controls = Controls(archive=ArchiveOptions(archive_generated=True))
    return world.send(client.request(signed_request(new_key(), *NAMES, controls=controls)))


def key_recovery(world: CmpWorld, client: Client) -> PKIMessage:
    answer = world.send(client.request(signed_request(new_key(), *NAMES), kind=BodyType.KRR))
    assert answer.kind is BodyType.KRP
    assert isinstance(answer.body, KeyRecovery)
    return replace(answer, body=ErrorMessage(answer.body.status))


def cross_certification(world: CmpWorld, client: Client) -> PKIMessage:
    answer = world.send(client.request(signed_request(new_key(), *NAMES), kind=BodyType.CCR))
    assert answer.kind is BodyType.CCP
    return answer


def path_of_another_operation(world: CmpWorld, client: Client) -> PKIMessage:
    made = client.request(signed_request(new_key(), *NAMES))
    return world.send(made, allowed=frozenset({BodyType.RR}))


def question_with_a_value(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.ask(replace(general.request(general.CA_CERTS), value=der.null())))


def old_time(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, message_time=NOW - timedelta(minutes=11))


def future_time(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, message_time=NOW + timedelta(minutes=11))


def unknown_certificate(world: CmpWorld, client: Client) -> PKIMessage:
    _, found = foreign_certificate()
    return world.send(client.revoke(found))


def wrong_hash(world: CmpWorld, client: Client) -> PKIMessage:
    client.hear(ask(world, client))
    return world.send(client.confirm(CertStatus(bytes(32), 0)))


def trailing_octets(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.request(signed_request(new_key(), *NAMES)).encoded + b"\0")


def indefinite_length(world: CmpWorld, client: Client) -> PKIMessage:
    encoded = client.request(signed_request(new_key(), *NAMES)).encoded
    return world.send(b"\x30\x80" + der.read(encoded).content + b"\0\0")


def no_transaction_id(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, transaction_id=None)


def short_transaction_id(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, transaction_id=b"1234567")


def bad_csr(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.message(BodyType.P10CR, Pkcs10(der.sequence(der.integer(1)))))


def another_authority(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, recipient=directory_name(name_der("CN=another CA")))


def another_issuer(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.request(signed_request(new_key(), *NAMES, issuer=name_der("CN=another CA"))))


def tampered_pop(world: CmpWorld, client: Client) -> PKIMessage:
    good, other = signed_request(new_key(), *NAMES), signed_request(new_key(), *NAMES)
    return world.send(client.request(replace(good, pop=other.pop)))


def no_pop(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.request(replace(signed_request(new_key(), *NAMES), pop=None)))


def challenge_asked(world: CmpWorld, client: Client) -> PKIMessage:
    pop = PrivateKeyPop(subsequent=SubsequentMessage.CHALLENGE_RESP)
    return world.send(client.request(replace(signed_request(new_key(), *NAMES), pop=pop)))


def key_sent_along(world: CmpWorld, client: Client) -> PKIMessage:
    pop = PrivateKeyPop(this_message=b"the private key")
    return world.send(client.request(replace(signed_request(new_key(), *NAMES), pop=pop)))


def key_that_cannot_decrypt(world: CmpWorld, client: Client) -> PKIMessage:
    request = CertRequest(0, template(spki(private_key("Ed25519")), *NAMES))
    pop = PrivateKeyPop(subsequent=SubsequentMessage.ENCR_CERT)
    return world.send(client.request(CertReqMsg(request, pop)))


def csr_of_another_key(world: CmpWorld, client: Client) -> PKIMessage:
    good = csr_der(private_key("EC-P256", 5), NAMES[0], sans=[NAMES[1]])
    info, algorithm, _ = der.read(good).children()
    signature = new_key().sign(info.encoded)
    broken = der.sequence(info.encoded, algorithm.encoded, der.bit_string(signature))
    return world.send(client.message(BodyType.P10CR, Pkcs10(broken)))


def pop_for_a_key_that_is_made(world: CmpWorld, client: Client) -> PKIMessage:
    request = CertRequest(0, template(None, *NAMES))
    return world.send(client.request(CertReqMsg(request, signed_request(new_key(), *NAMES).pop)))


def already_revoked(world: CmpWorld, client: Client) -> PKIMessage:
    found = certificate(client.hear(ask(world, client)))
    client.hear(world.send(client.confirm(accepts(found))))
    client = client.again()
    assert not failures(client.hear(world.send(client.revoke(found))))
    return world.send(client.again().revoke(found))


def late_confirmation(world: CmpWorld, client: Client) -> PKIMessage:
    found = certificate(client.hear(ask(world, client)))
    world.service.revoke(TENANT, serial(found), RevocationReason.SUPERSEDED, None, "tests")
    client.hear(world.send(client.confirm()))
    return world.send(client.confirm(accepts(found)))


def confirmed_twice(world: CmpWorld, client: Client) -> PKIMessage:
    found = certificate(client.hear(ask(world, client)))
    client.hear(world.send(client.confirm(accepts(found))))
    return world.send(client.confirm(accepts(found)))


def another_kind_of_protection(world: CmpWorld, client: Client) -> PKIMessage:
    """A nested message with a MAC, where RFC 9483 section 5.2.2 wants a signature."""
    inner = client.again().request(signed_request(new_key(), *NAMES))
    return world.send(client.message(BodyType.NESTED, Nested((inner,))))


def recipient_nonce_in_the_first_message(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, recipient_nonce=os.urandom(16))


def wrong_recipient_nonce(world: CmpWorld, client: Client) -> PKIMessage:
    found = certificate(client.hear(ask(world, client)))
    return world.send(client.confirm(accepts(found), recipient_nonce=os.urandom(16)))


def no_recipient_nonce(world: CmpWorld, client: Client) -> PKIMessage:
    found = certificate(client.hear(ask(world, client)))
    return world.send(client.confirm(accepts(found), recipient_nonce=None))


def policy_that_is_not_offered(world: CmpWorld, client: Client) -> PKIMessage:
    policies = der.sequence(der.sequence(der.oid("1.2.3.4.5")))
    wanted = (Extension("2.5.29.32", False, policies),)
    return world.send(client.request(signed_request(new_key(), *NAMES, extensions=wanted)))


def extension_that_is_not_allowed(world: CmpWorld, client: Client) -> PKIMessage:
    wanted = (Extension("1.2.3.4.5", False, der.null()),)
    return world.send(client.request(signed_request(new_key(), *NAMES, extensions=wanted)))


def ca_certificate_asked_for(world: CmpWorld, client: Client) -> PKIMessage:
    wanted = (Extension(oids.BASIC_CONSTRAINTS, True, der.sequence(der.boolean(True))),)
    return world.send(client.request(signed_request(new_key(), *NAMES, extensions=wanted)))


def update_of_an_unknown_root(world: CmpWorld, client: Client) -> PKIMessage:
    _, found = foreign_certificate()
    return world.send(client.ask(general.certificate_info(general.ROOT_CA_CERT, found)))


def short_nonce(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, sender_nonce=os.urandom(15))


def no_nonce(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, sender_nonce=None)


def nonce_used_before(world: CmpWorld, client: Client) -> PKIMessage:
    nonce = os.urandom(16)
    answer = ask(world, client, sender_nonce=nonce)
    client.peer_nonce = answer.header.sender_nonce
    return world.send(client.confirm(accepts(certificate(answer)), sender_nonce=nonce))


def name_that_is_not_allowed(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.request(signed_request(new_key(), "a.elsewhere.test", "a.elsewhere.test")))


def serial_number_asked_for(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.request(signed_request(new_key(), *NAMES, serial=5)))


def kind_of_key_that_is_not_allowed(world: CmpWorld, client: Client) -> PKIMessage:
    x25519 = der.sequence(algorithms.algorithm_identifier(oids.X25519), der.bit_string(bytes(range(32))))
    pop = PrivateKeyPop(subsequent=SubsequentMessage.ENCR_CERT)
    return world.send(client.request(CertReqMsg(CertRequest(0, template(x25519, *NAMES)), pop)))


def revocation_without_serial(world: CmpWorld, client: Client) -> PKIMessage:
    details = RevDetails(CertTemplate(subject=name_der("CN=a.example.test")))
    return world.send(client.message(BodyType.RR, RevRequest((details,))))


def transaction_id_of_another_request(world: CmpWorld, client: Client) -> PKIMessage:
    client.hear(ask(world, client))
    return ask(world, client, recipient_nonce=None)


def transaction_id_of_somebody_else(world: CmpWorld, client: Client) -> PKIMessage:
    client.hear(ask(world, client))
    stranger = Client.by_secret(world.credential(), NOW, tid=client.tid)
    return ask(world, stranger)


def version_1(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, pvno=1)


def version_4(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, pvno=4)


def somebody_elses_certificate(world: CmpWorld, client: Client) -> PKIMessage:
    _, found = own(world)
    return world.send(client.revoke(found))


def somebody_elses_transaction(world: CmpWorld, client: Client) -> PKIMessage:
    found = certificate(client.hear(ask(world, client)))
    stranger = Client.by_secret(world.credential(), NOW, tid=client.tid, peer_nonce=client.peer_nonce)
    return world.send(stranger.confirm(accepts(found)))


def self_declared_ra(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.request(replace(signed_request(new_key(), *NAMES), pop=RaVerified())))


def label_of_another_profile(world: CmpWorld, client: Client) -> PKIMessage:
    return world.send(client.request(signed_request(new_key(), *NAMES)), "tls-client")


def profile_of_somebody_else(world: CmpWorld, client: Client) -> PKIMessage:
    return ask(world, client, general_info=(general.cert_profile(["tls-client"]),))


def used_up_credential(world: CmpWorld, client: Client) -> PKIMessage:
    del client
    limited = Client.by_secret(world.credential(max_uses=1), NOW)
    assert not failures(ask(world, limited))
    return ask(world, limited.again())


def nested_by_who_is_no_ra(world: CmpWorld, client: Client) -> PKIMessage:
    key, found = own(world)
    inner = client.request(signed_request(new_key(), *NAMES))
    signing = Client.by_certificate(key, found, NOW, tid=client.tid)
    return world.send(signing.message(BodyType.NESTED, Nested((inner,)), sender_nonce=client.nonce))


def the_same_certificate_twice(world: CmpWorld, client: Client) -> PKIMessage:
    key = new_key()
    answer = world.send(client.request(*(signed_request(key, *NAMES, request_id=n) for n in (0, 1))))
    assert isinstance(answer.body, CertRepMessage)
    assert answer.body.responses[0].key_pair is not None
    return replace(answer, body=ErrorMessage(answer.body.responses[1].status))


F = PKIFailureInfo
CASES: list[tuple[Case, PKIFailureInfo]] = [
    (bad_mac_algorithm, F.BAD_ALG),
    (bad_signature_algorithm, F.BAD_ALG),
    (bad_pop_algorithm, F.BAD_ALG),
    (wrong_secret, F.BAD_MESSAGE_CHECK),
    (unknown_reference, F.BAD_MESSAGE_CHECK),
    (no_reference, F.BAD_MESSAGE_CHECK),
    (no_protection, F.BAD_MESSAGE_CHECK),
    (wrong_signature, F.BAD_MESSAGE_CHECK),
    (signer_is_not_the_sender, F.BAD_MESSAGE_CHECK),
    (signer_without_certificate, F.BAD_MESSAGE_CHECK),
    (body_that_is_no_request, F.BAD_REQUEST),
    (confirmation_of_nothing, F.BAD_REQUEST),
    (poll_of_nothing, F.BAD_REQUEST),
    (confirmation_of_another_request, F.BAD_REQUEST),
    (confirmation_that_contradicts_itself, F.BAD_REQUEST),
    (hash_algorithm_in_version_2, F.BAD_REQUEST),
    (two_requests_of_one_id, F.BAD_REQUEST),
    (too_many_requests, F.BAD_REQUEST),
    (archived_key, F.BAD_REQUEST),
    (key_recovery, F.BAD_REQUEST),
    (path_of_another_operation, F.BAD_REQUEST),
    (question_with_a_value, F.BAD_REQUEST),
    (old_time, F.BAD_TIME),
    (future_time, F.BAD_TIME),
    (unknown_certificate, F.BAD_CERT_ID),
    (wrong_hash, F.BAD_CERT_ID),
    (trailing_octets, F.BAD_DATA_FORMAT),
    (indefinite_length, F.BAD_DATA_FORMAT),
    (no_transaction_id, F.BAD_DATA_FORMAT),
    (short_transaction_id, F.BAD_DATA_FORMAT),
    (bad_csr, F.BAD_DATA_FORMAT),
    (another_authority, F.WRONG_AUTHORITY),
    (another_issuer, F.WRONG_AUTHORITY),
    (tampered_pop, F.BAD_POP),
    (no_pop, F.BAD_POP),
    (challenge_asked, F.BAD_POP),
    (key_sent_along, F.BAD_POP),
    (key_that_cannot_decrypt, F.BAD_POP),
    (csr_of_another_key, F.BAD_POP),
    (pop_for_a_key_that_is_made, F.BAD_POP),
    (already_revoked, F.CERT_REVOKED),
    (late_confirmation, F.CERT_REVOKED),
    (confirmed_twice, F.CERT_CONFIRMED),
    (another_kind_of_protection, F.WRONG_INTEGRITY),
    (recipient_nonce_in_the_first_message, F.BAD_RECIPIENT_NONCE),
    (wrong_recipient_nonce, F.BAD_RECIPIENT_NONCE),
    (no_recipient_nonce, F.BAD_RECIPIENT_NONCE),
    (policy_that_is_not_offered, F.UNACCEPTED_POLICY),
    (extension_that_is_not_allowed, F.UNACCEPTED_EXTENSION),
    (ca_certificate_asked_for, F.UNACCEPTED_EXTENSION),
    (update_of_an_unknown_root, F.ADD_INFO_NOT_AVAILABLE),
    (short_nonce, F.BAD_SENDER_NONCE),
    (no_nonce, F.BAD_SENDER_NONCE),
    (nonce_used_before, F.BAD_SENDER_NONCE),
    (name_that_is_not_allowed, F.BAD_CERT_TEMPLATE),
    (serial_number_asked_for, F.BAD_CERT_TEMPLATE),
    (kind_of_key_that_is_not_allowed, F.BAD_CERT_TEMPLATE),
    (revocation_without_serial, F.BAD_CERT_TEMPLATE),
    (foreign_signer, F.SIGNER_NOT_TRUSTED),
    (revoked_signer, F.SIGNER_NOT_TRUSTED),
    (transaction_id_of_another_request, F.TRANSACTION_ID_IN_USE),
    (transaction_id_of_somebody_else, F.TRANSACTION_ID_IN_USE),
    (version_1, F.UNSUPPORTED_VERSION),
    (version_4, F.UNSUPPORTED_VERSION),
    (somebody_elses_certificate, F.NOT_AUTHORIZED),
    (somebody_elses_transaction, F.NOT_AUTHORIZED),
    (self_declared_ra, F.NOT_AUTHORIZED),
    (label_of_another_profile, F.NOT_AUTHORIZED),
    (profile_of_somebody_else, F.NOT_AUTHORIZED),
    (used_up_credential, F.NOT_AUTHORIZED),
    (nested_by_who_is_no_ra, F.NOT_AUTHORIZED),
    (cross_certification, F.NOT_AUTHORIZED),
    (the_same_certificate_twice, F.DUPLICATE_CERT_REQ),
]
