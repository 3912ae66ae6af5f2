"""What real clients and servers send: OpenSSL 3.0 and 3.5, every command."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc9810
from pycryptoutil_protocols import cms, oids, x509
from pycryptoutil_protocols.cmp import codec, confirmation, general, mac, pop, protection
from pycryptoutil_protocols.cmp.messages import (
    BodyType,
    CertConfirm,
    CertRepMessage,
    CertRequests,
    ErrorMessage,
    General,
    PKIFailureInfo,
    PKIMessage,
    PKIStatus,
    RevRequest,
)
from pycryptoutil_protocols.cmp.protection import Mechanism
from pycryptoutil_protocols.crmf.messages import PrivateKeyPop, RaVerified, SignaturePop, SubsequentMessage

from tests.protocols import material

FILES = material.vectors("cmp/openssl3*/*.der")
SECRET = b"vector-secret"
CA, EE = material.vector("cmp/ca.der"), material.vector("cmp/ee.der")
BOTH = ("openssl30", "openssl35")


def load(version: str, name: str) -> PKIMessage:
    return codec.decode(material.vector(f"cmp/{version}/{name}.der"))


def forgotten(message: PKIMessage) -> PKIMessage:
    """The message without any of the octets that were kept, so that all must be encoded anew."""
    body: Any = message.body
    if isinstance(body, CertRequests):
        body = CertRequests(tuple(replace(one, request=replace(one.request, encoded=b"")) for one in body.messages))
    return replace(message, body=body, encoded=b"", protected=b"")


def test_all_commands_are_here() -> None:
    assert len(FILES) > 130


@pytest.mark.parametrize("path", FILES)
def test_octets_survive(path: str) -> None:
    encoded = material.vector(path)
    message = codec.decode(encoded)
    assert codec.encode(forgotten(message)).encoded == encoded
    kind = path.split("/")[-1].split(".")[1]
    if not kind.endswith("-answer"):
        assert message.kind.name.lower() == kind
    found, rest = decoder.decode(encoded, asn1Spec=rfc9810.PKIMessage())
    assert rest == b""
    assert encoder.encode(found["header"]) in message.protected


@pytest.mark.parametrize("path", FILES)
def test_protection_holds(path: str) -> None:
    message = codec.decode(material.vector(path))
    match protection.mechanism(message):
        case Mechanism.PASSWORD_BASED_MAC:
            parameters = protection.verify_mac(message, SECRET)
            assert isinstance(parameters, mac.PbmParameters)
            assert parameters.iterations == 500
        case Mechanism.SIGNATURE:
            signer = protection.signer_certificate(message, (*message.extra_certificates, CA))
            protection.verify_signature(message, signer.spki)
        case Mechanism.NONE:
            assert "unprotected" in path
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("path", [path for path in FILES if "answer" not in path])
def test_possession_is_proved(path: str) -> None:
    message = codec.decode(material.vector(path))
    if not isinstance(message.body, CertRequests):
        return
    for one in message.body.messages:
        if isinstance(one.pop, SignaturePop):
            pop.verify_signature(one, sender=message.header.sender)
        elif "keyenc" in path:
            assert one.pop == PrivateKeyPop(subsequent=SubsequentMessage.ENCR_CERT)
        elif "raverified" in path:
            assert one.pop == RaVerified()
        else:
            assert one.pop is None
            assert "central" in path


@pytest.mark.parametrize("version", BOTH)
def test_the_default_mac_is_hmac_sha1(version: str) -> None:
    parameters = protection.verify_mac(load(version, "ir-pbm.ir"), SECRET)
    assert isinstance(parameters, mac.PbmParameters)
    assert (parameters.owf, parameters.mac) == ("sha256", "sha1")
    assert parameters.answering().mac == "sha256"


@pytest.mark.parametrize("version", BOTH)
def test_other_macs(version: str) -> None:
    for name in ("sha256", "sha512"):
        parameters = protection.verify_mac(load(version, f"ir-pbm-{name}.ir"), SECRET)
        assert isinstance(parameters, mac.PbmParameters)
        assert (parameters.owf, parameters.mac) == (name, name)


@pytest.mark.parametrize("version", BOTH)
def test_a_request(version: str) -> None:
    message = load(version, "ir-pbm.ir")
    header = message.header
    assert header.sender_kid == b"vector-ref"
    assert header.recipient_nonce is None
    assert header.transaction_id is not None
    assert header.sender_nonce is not None
    assert (len(header.transaction_id), len(header.sender_nonce)) == (16, 16)
    assert header.message_time is not None
    assert header.message_time.date() == datetime(2026, 11, 24, tzinfo=UTC).date()
    assert isinstance(message.body, CertRequests)
    template = message.body.messages[0].request.template
    assert template.subject == x509.decode_certificate(EE).subject
    assert template.spki == x509.decode_certificate(EE).spki
    assert [one.oid for one in template.extensions] == [oids.SUBJECT_ALT_NAME]


@pytest.mark.parametrize("version", BOTH)
def test_an_answer_and_its_confirmation(version: str) -> None:
    request, answer = load(version, "ir-pbm.ir"), load(version, "ir-pbm.ir-answer")
    assert answer.header.recipient_nonce == request.header.sender_nonce
    assert isinstance(answer.body, CertRepMessage)
    (response,) = answer.body.responses
    assert response.status.status is PKIStatus.ACCEPTED
    assert response.key_pair is not None
    assert response.key_pair.certificate == EE
    conf = load(version, "ir-pbm.certconf")
    assert isinstance(conf.body, CertConfirm)
    confirmation.check(conf.body.statuses[0], EE, conf.header.pvno)
    assert conf.body.statuses[0] == confirmation.status(EE, 0)[0] or conf.body.statuses[0].status is not None


@pytest.mark.parametrize("version", BOTH)
def test_a_rejection_with_every_bit(version: str) -> None:
    body = load(version, "ir-rejected.ir-answer").body
    assert isinstance(body, CertRepMessage)
    assert body.responses[0].status.failures == frozenset(PKIFailureInfo)
    assert body.responses[0].status.text == ("refused",)
    error = load(version, "ir-error.ir-answer").body
    assert isinstance(error, ErrorMessage)
    assert error.status.failures
    assert error.code
    assert error.details


@pytest.mark.parametrize("version", BOTH)
def test_header_information(version: str) -> None:
    assert load(version, "ir-implicit.ir").header.info(general.IMPLICIT_CONFIRM) == general.implicit_confirm()
    info = load(version, "ir-geninfo.ir").header.info("1.2.3.4")
    assert info is not None
    assert info.value.hex() == "020203db"


def test_a_profile_is_named() -> None:
    info = load("openssl35", "ir-profile.ir").header.info(general.CERT_PROFILE)
    assert info is not None
    assert general.read_cert_profile(info) == ("tls-server",)


@pytest.mark.parametrize("version", BOTH)
def test_validity_and_policies_are_asked_for(version: str) -> None:
    body = load(version, "ir-reqexts.ir").body
    assert isinstance(body, CertRequests)
    template = body.messages[0].request.template
    assert template.not_before is not None
    assert template.not_after is not None
    assert (template.not_after - template.not_before).days == 30
    assert {one.oid for one in template.extensions} == {"2.5.29.32", oids.SUBJECT_ALT_NAME}


@pytest.mark.parametrize("version", BOTH)
def test_key_update_names_the_old_certificate(version: str) -> None:
    body = load(version, "kur-sig.kur").body
    assert isinstance(body, CertRequests)
    old = body.messages[0].request.controls.old_certificate
    assert old is not None
    assert old.serial == x509.decode_certificate(EE).serial


@pytest.mark.parametrize("version", BOTH)
def test_revocation_names_a_certificate_and_a_reason(version: str) -> None:
    body = load(version, "rr-pbm.rr").body
    assert isinstance(body, RevRequest)
    details = body.details[0]
    ee = x509.decode_certificate(EE)
    assert (details.template.issuer, details.template.serial) == (ee.issuer, ee.serial)
    assert [(one.oid, one.value.hex()) for one in details.crl_entry] == [(oids.REASON_CODE, "0a0104")]


def infos(version: str, name: str) -> General:
    body = load(version, name).body
    assert isinstance(body, General)
    return body


def test_support_messages() -> None:
    assert [one.oid for one in infos("openssl35", "genm-caCerts.genm").infos] == [general.CA_CERTS]
    (asked,) = infos("openssl35", "genm-crlStatusList.genm").infos
    (status,) = general.read_crl_status_list(asked)
    assert status.this_update is not None
    assert status.source.issuer
    update = general.read_root_ca_key_update(infos("openssl35", "genm-rootCaCert.genm-answer").infos[0])
    assert update is not None
    assert (update.new_with_new, update.new_with_old, update.old_with_new) == (CA, CA, CA)
    assert general.read_certificate(infos("openssl35", "genm-rootCaCert.genm").infos[0], general.ROOT_CA_CERT) == CA


def test_a_key_that_the_ca_made() -> None:
    """OpenSSL's server: SignedData in EnvelopedData, to an RSA key."""
    message = load("openssl35", "cr-central.cr-answer")
    assert message.header.pvno == 2  # OpenSSL sends EnvelopedData under the old version number
    assert isinstance(message.body, CertRepMessage)
    pair = message.body.responses[0].key_pair
    assert pair is not None
    assert pair.private_key is not None
    enveloped = cms.decode_bare_enveloped(pair.private_key.enveloped)
    assert enveloped.content_type == oids.DATA  # and where RFC 9810 has id-signedData
    assert [one.kind.value for one in enveloped.recipients] == ["ktri"]


def test_polling() -> None:
    assert load("openssl30", "ir-poll.pollreq").kind is BodyType.POLLREQ
    first = load("openssl30", "ir-poll.ir-answer").body
    assert isinstance(first, CertRepMessage)
    assert first.responses[0].status.status is PKIStatus.WAITING
