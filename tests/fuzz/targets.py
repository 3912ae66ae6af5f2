"""One target per decoder: its name, what to call, and seeds to start from.

A target may raise Fault and nothing else. Where two decoders must agree, or an encoder must undo a decoder, the
target checks that too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pycryptoutil_protocols import ber, cms, csr, der, names, oids, pem, x509
from pycryptoutil_protocols.acme import attestation, caa, jwk, jws
from pycryptoutil_protocols.algorithms import decode_signature, key_info
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.cmc import codec as cmc_codec
from pycryptoutil_protocols.cmc import controls as cmc_controls
from pycryptoutil_protocols.cmp import codec as cmp_codec
from pycryptoutil_protocols.cmp import general, mac, pop, protection
from pycryptoutil_protocols.cmp.messages import CertRequests, General, InfoTypeAndValue
from pycryptoutil_protocols.crmf import codec as crmf_codec
from pycryptoutil_protocols.crmf.messages import SignaturePop
from pycryptoutil_protocols.est import codec as est_codec
from pycryptoutil_protocols.est import csrattrs, exchange, serverkeygen
from pycryptoutil_protocols.faults import Fault
from pycryptoutil_protocols.ocsp import codec as ocsp_codec
from pycryptoutil_protocols.ocsp import response as ocsp_response
from pycryptoutil_protocols.scep import codec as scep_codec
from pycryptoutil_protocols.scep import transport as scep_transport
from pycryptoutil_protocols.tsp import codec as tsp_codec
from pycryptoutil_protocols.tsp.token import verify_token

from tests.fuzz import cmc_seeds
from tests.protocols import scep_material

VECTORS = Path(__file__).parent.parent / "vectors"
_LIMIT = 1 << 16


@dataclass(frozen=True)
class Target:
    """``run`` takes arbitrary bytes; ``seeds`` gives valid ones."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]


def _files(pattern: str) -> Callable[[], Sequence[bytes]]:
    @cache
    def load() -> Sequence[bytes]:
        found = []
        for path in sorted(VECTORS.glob(pattern)):
            data = path.read_bytes()
            found.append(data if path.suffix == ".der" else pem.decode_body(data, 1 << 20))
        assert found, f"no seeds match {pattern}"
        return found

    return load


def _raw(pattern: str) -> Callable[[], Sequence[bytes]]:
    return cache(lambda: [path.read_bytes() for path in sorted(VECTORS.glob(pattern))])


def _der(data: bytes) -> None:
    der.check(data)
    element = der.read(data)
    assert element.encoded == data
    for tag_reader in (element.integer, element.boolean, element.oid, element.text, element.time, element.bits):
        try:
            tag_reader()
        except Fault:
            continue


def _csr(data: bytes) -> None:
    request = csr.decode_csr(data)
    assert request.der == data
    assert request.info in data
    csr.verify_csr(request)
    assert request.key.bits
    exchange.check_binding(request, exchange.ChannelBinding(bytes(32)), exchange.BindingPolicy.VERIFY)
    serverkeygen.protection(request)


def _certificate(data: bytes) -> None:
    found = x509.decode_certificate(data)
    assert found.sans is not None
    assert found.subject_key_identifier is not None
    names.decode_name(found.subject)
    names.same_name(found.subject, found.issuer)
    key_info(found.spki)
    decode_signature(found.signature_algorithm)


def _signed(data: bytes) -> None:
    cms.verify_signed_data(cms.decode_signed_data(data))


def _enveloped(data: bytes) -> None:
    enveloped = cms.decode_enveloped(data)
    for recipient in enveloped.recipients:
        if recipient.kind is cms.RecipientKind.PASSWORD:
            cms.decrypt(enveloped, recipient, cms.unwrap_password(b"password", max_iterations=100))
        else:
            cms.decrypt(enveloped, recipient, cms.unwrap_kek(bytes(32)))


def _ber(data: bytes) -> None:
    made = ber.to_der(data)
    der.check(made)
    assert ber.to_der(made) == made


def _scep(data: bytes) -> None:
    message = scep_codec.decode_message(data)
    assert 0 < len(message.transaction_id) <= 128
    scep_material.open_request(data, legacy=True)


@cache
def _scep_seeds() -> Sequence[bytes]:
    devices = (
        scep_material.Device(),
        scep_material.Device(oaep=True, signature="rsa-pss-sha256", cipher="aes-128-gcm"),
        scep_material.Device(algorithm="EC-P256", signature="ecdsa-sha256"),
    )
    first = devices[0].client
    others = (first.poll(devices[0].subject, "id"), first.get_certificate(5), first.get_crl(5))
    return [one.enrol().encoded for one in devices] + [one.encoded for one in others]


def _ber_seeds() -> Sequence[bytes]:
    return [
        bytes.fromhex("308002010524800402aabb0401cc00000101010000"),
        bytes.fromhex("23800303000f0f030204f00000"),
        *_files("csr/*.pem")()[:4],
    ]


def _csrattrs(data: bytes) -> None:
    csrattrs.decode(data)


def _ocsp_request(data: bytes) -> None:
    seen = ocsp_codec.peek(data)
    try:
        request = ocsp_codec.decode_fully(data)
    except Fault:
        assert seen is None
        raise
    assert ocsp_codec.decode_request(data) == request
    if seen is not None:
        assert seen == (request.cert_ids[0].der, request.nonce is not None)
        assert len(request.cert_ids) == 1


def _ocsp_get(data: bytes) -> None:
    found = ocsp_codec.decode_get(data)
    assert ocsp_codec.decode_get(ocsp_codec.encode_get(found)) == found


def _body(data: bytes) -> None:
    decoded = pem.decode_body(data, _LIMIT)
    assert len(decoded) <= _LIMIT
    assert pem.decode_base64(pem.encode_base64(decoded), _LIMIT) == decoded


def _cmp(data: bytes) -> None:
    message = cmp_codec.decode(data)
    assert cmp_codec.peek_header(data) == message.header
    again = cmp_codec.decode(cmp_codec.encode(message).encoded)
    assert again == message
    if protection.mechanism(message).by_secret:
        protection.verify_mac(message, b"vector-secret", mac.MacLimits(max_iterations=1000, max_pbkdf2_iterations=2000))
    elif message.protection is not None and message.extra_certificates:
        protection.verify_signature(message, protection.signer_certificate(message).spki)


def _cmc_request(data: bytes) -> None:
    found = cmc_codec.decode_data(data)
    again = cmc_codec.encode_data(found)  # sorts the sets that came unsorted
    assert cmc_codec.encode_data(cmc_codec.decode_data(again)) == again
    cmc_controls.strange(found.controls)
    for control in found.controls:
        kind = cmc_controls.KINDS.get(control.oid)
        if kind is not None:
            value = kind.value(control)
            assert kind.value(kind.control(control.body_part, value)) == value


def _cmc_response(data: bytes) -> None:
    found = cmc_codec.decode_response(data)
    again = cmc_codec.encode_response(found)
    assert cmc_codec.encode_response(cmc_codec.decode_response(again)) == again


def _crmf(data: bytes) -> None:
    messages = crmf_codec.decode_messages(der.read(data))
    assert crmf_codec.decode_messages(der.read(crmf_codec.encode_messages(messages))) == messages
    for message in messages:
        if isinstance(message.pop, SignaturePop):
            pop.verify_signature(message, secret=b"vector-secret")


_INFO_READERS = (
    general.read_confirm_wait_time,
    general.read_cert_profile,
    general.read_orig_pki_message,
    general.read_kem_ciphertext_info,
    general.read_ca_certs,
    general.read_root_ca_key_update,
    general.read_ca_key_update_info,
    general.read_crls,
    general.read_crl_status_list,
    general.read_cert_req_template,
    general.read_key_pair_param_req,
    general.read_unsupported_oids,
    general.read_rev_passphrase,
    general.read_supp_lang_tags,
)


def _cmp_info(data: bytes) -> None:
    for number, reader in enumerate(_INFO_READERS):
        oids_of = (14, 21, 15, 24, 17, 18, 5, 23, 22, 19, 10, 7, 12, 16)
        try:
            reader(InfoTypeAndValue(f"1.3.6.1.5.5.7.4.{oids_of[number]}", data))
        except Fault:
            continue


def _cmp_requests() -> Sequence[bytes]:
    bodies = [cmp_codec.decode(one).body for one in _files("cmp/openssl3*/[!k]*.der")()]
    return [crmf_codec.encode_messages(one.messages) for one in bodies if isinstance(one, CertRequests)]


def _cmp_infos() -> Sequence[bytes]:
    bodies = [cmp_codec.decode(one).body for one in _files("cmp/openssl3*/genm*.der")()]
    return [info.value for one in bodies if isinstance(one, General) for info in one.infos if info.value]


def _acme_jws(data: bytes) -> None:
    signed = jws.decode(data)
    if signed.jwk is not None:
        assert jwk.stored_jwk(signed.jwk.canonical) == signed.jwk
        jws.verify(signed, signed.jwk)
    signed.document()


def _attestation(data: bytes) -> None:
    attestation.check({"attObj": jwk.encode_base64url(data)}, "token", "token.thumbprint")


def _caa(data: bytes) -> None:
    issuing = caa.Issuing(("ca.example",), "https://x/1", "dns-01", False)
    caa.check([caa.Record(0, "issue", data.decode("latin-1"))], issuing, "a.example")


def _tsp_request(data: bytes) -> None:
    request = tsp_codec.decode_request(data)
    assert tsp_codec.decode_request(tsp_codec.encode_request(request)) == request


def _tsp_reply(data: bytes) -> None:
    reply = tsp_codec.decode_reply(data)
    if reply.token:
        info = verify_token(reply.token).info
        assert tsp_codec.decode_tst_info(tsp_codec.encode_tst_info(info)) == info


_BOUNDARY = serverkeygen.encode_plain(b"\x30\x00", b"\x30\x00").content_type


def _multipart_seeds() -> Sequence[bytes]:
    (leaf, *_) = cms.decode_certs_only(_files("rfc7030/a1-*.b64")()[0])
    return [
        serverkeygen.encode_plain(der.sequence(der.integer(0)), leaf).body,
        serverkeygen.encode_protected(_enveloped_seeds()[0], leaf).body,
    ]


@cache
def _enveloped_seeds() -> Sequence[bytes]:
    recipient = cms.KeyEncryptionKey(bytes(32), b"kid")
    spki = csr.decode_csr(_files("csr/openssl-ec-P-256.pem")()[0]).spki
    both = (recipient, cms.recipient_for_key(spki, key_identifier=b"ski"), cms.Password(b"password", iterations=10))
    return [
        cms.encrypt(oids.DATA, b"content", both),
        cms.encrypt(oids.SIGNED_DATA, b"content", (recipient,), cipher="aes-256-gcm"),
    ]


def _attribute_seeds() -> Sequence[bytes]:
    wish = csrattrs.CsrAttributes(
        key="RSA-3072",
        signature="rsa-sha256",
        subject=(csrattrs.NameTemplate(oids.COMMON_NAME), csrattrs.NameTemplate("2.5.4.10", der.utf8_string("o"))),
        extensions=(csrattrs.ExtensionTemplate(oids.SUBJECT_ALT_NAME), csrattrs.ExtensionTemplate("1.2.3", True, b"v")),
        attributes=(Attribute("1.2.3", (der.null(),)),),
    )
    return [*_files("rfc9908/*.b64")(), *_files("rfc7030/*csrattrs.b64")(), csrattrs.encode(wish)]


def _certificates() -> Sequence[bytes]:
    return cms.decode_certs_only(_files("rfc7030/a1-*.b64")()[0])


def _names() -> Sequence[bytes]:
    return [csr.decode_csr(one).subject for one in _files("csr/*.pem")()]


def _general_names() -> Sequence[bytes]:
    return [names.encode_general_names(csr.decode_csr(one).sans) for one in _files("csr/*.pem")()]


TARGETS: dict[str, Target] = {
    "der": Target(_der, _files("csr/*.pem")),
    "pem-body": Target(_body, _raw("csr/*.pem")),
    "name": Target(names.decode_name, _names),
    "general-names": Target(names.decode_general_names, _general_names),
    "certificate": Target(_certificate, _certificates),
    "csr": Target(_csr, _files("csr/*.pem")),
    "cms-signed": Target(_signed, _files("rfc7030/a*-cacerts.b64")),
    "cms-enveloped": Target(_enveloped, _enveloped_seeds),
    "ber": Target(_ber, _ber_seeds),
    "scep-message": Target(_scep, _scep_seeds),
    "scep-get": Target(
        lambda data: scep_transport.decode_get(data.decode("latin-1")),
        lambda: [scep_transport.encode_get(one).encode() for one in _scep_seeds()],
    ),
    "est-csr-body": Target(lambda data: est_codec.decode_csr(data, "application/pkcs10"), _raw("csr/*.pem")),
    "est-certificates": Target(est_codec.decode_certificates, _raw("rfc7030/a3-*response.b64")),
    "est-csrattrs": Target(_csrattrs, _attribute_seeds),
    "est-serverkeygen": Target(lambda data: serverkeygen.decode(data, _BOUNDARY), _multipart_seeds),
    "ocsp-request": Target(_ocsp_request, _files("ocsp/[!r]*.der")),
    "ocsp-get": Target(_ocsp_get, lambda: [ocsp_codec.encode_get(one).encode() for one in _files("ocsp/gnutls.der")()]),
    "ocsp-response": Target(ocsp_response.decode_response, _files("ocsp/response*.der")),
    "cmp-message": Target(_cmp, _files("cmp/openssl3*/*.der")),
    "cmp-info": Target(_cmp_info, _cmp_infos),
    "crmf": Target(_crmf, _cmp_requests),
    "acme-jws": Target(_acme_jws, _raw("acme/*.json")),
    "acme-attestation": Target(_attestation, lambda: [b"\xa2cfmtdstepgattStmt\xa1cx5c\x81\x41\x30"]),
    "acme-caa": Target(_caa, lambda: [b"ca.example; accounturi=https://x/1; validationmethods=dns-01,http-01"]),
    "cmc-request": Target(_cmc_request, cmc_seeds.requests),
    "cmc-response": Target(_cmc_response, cmc_seeds.responses),
    "cmc-exchange": Target(cmc_seeds.exchange, cmc_seeds.messages),
    "tsp-request": Target(_tsp_request, _raw("tsp/*.tsq")),
    "tsp-reply": Target(_tsp_reply, _raw("tsp/*.tsr")),
}


def run_one(name: str, data: bytes) -> None:
    """Run a target on one input; a Fault is an answer, anything else a finding."""
    try:
        TARGETS[name].run(data)
    except Fault:
        return
