"""General information: every type there and back, read by pyasn1 too, and what is malformed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc9810
from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.cmp import codec, general
from pycryptoutil_protocols.cmp.general import CertReqTemplate, CrlSource, CrlStatus, KemCiphertext
from pycryptoutil_protocols.cmp.messages import BodyType, CaKeyUpdate, General, InfoTypeAndValue, directory_name
from pycryptoutil_protocols.crmf.messages import CertTemplate, EncryptedKey
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.x509 import Extension

from tests.protocols.cmp import material
from tests.protocols.cmp.strategies import CRL, ENVELOPED, NAME

AT = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
CERTS = (material.CA, material.SERVER)
EC = algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.oid(oids.P256))
AES = algorithms.algorithm_identifier(oids.AES_256_CBC, der.octet_string(bytes(16)))
TEMPLATE = CertReqTemplate(
    CertTemplate(subject=NAME, extensions=(Extension(oids.KEY_USAGE, True, b"\x03\x02\x07\x80"),)), (EC,), (2048, 4096)
)
STATUSES = (
    CrlStatus(CrlSource(full_name=(GeneralName.uri("http://example.test/a.crl"),)), AT),
    CrlStatus(CrlSource(issuer=(directory_name(NAME),))),
)

Case = tuple[Any, Callable[[Any], InfoTypeAndValue], Callable[[InfoTypeAndValue], Any], Any]
CASES: dict[str, Case] = {
    "caProtEncCert": (
        material.CA,
        lambda one: general.certificate_info(general.CA_PROT_ENC_CERT, one),
        lambda info: general.read_certificate(info, general.CA_PROT_ENC_CERT),
        rfc9810.CAProtEncCertValue(),
    ),
    "signKeyPairTypes": (
        (EC, algorithms.signature_identifier("ed25519")),
        lambda one: general.key_pair_types(general.SIGN_KEY_PAIR_TYPES, one),
        lambda info: general.read_key_pair_types(info, general.SIGN_KEY_PAIR_TYPES),
        rfc9810.SignKeyPairTypesValue(),
    ),
    "encKeyPairTypes": (
        (EC,),
        lambda one: general.key_pair_types(general.ENC_KEY_PAIR_TYPES, one),
        lambda info: general.read_key_pair_types(info, general.ENC_KEY_PAIR_TYPES),
        rfc9810.EncKeyPairTypesValue(),
    ),
    "preferredSymmAlg": (
        AES,
        lambda one: general.algorithm_info(general.PREFERRED_SYMM_ALG, one),
        lambda info: general.read_algorithm(info, general.PREFERRED_SYMM_ALG),
        rfc9810.PreferredSymmAlgValue(),
    ),
    "caKeyUpdateInfo": (
        CaKeyUpdate(material.CA, material.SERVER, material.CA),
        general.ca_key_update_info,
        general.read_ca_key_update_info,
        rfc9810.CAKeyUpdateInfoValue(),
    ),
    "currentCRL": (CRL, general.current_crl, general.read_current_crl, None),
    "unsupportedOIDs": (
        ("1.2.3", "2.5.29.15"),
        general.unsupported_oids,
        general.read_unsupported_oids,
        rfc9810.UnsupportedOIDsValue(),
    ),
    "keyPairParamReq": (
        oids.EC_PUBLIC_KEY,
        general.key_pair_param_req,
        general.read_key_pair_param_req,
        rfc9810.KeyPairParamReqValue(),
    ),
    "keyPairParamRep": (
        EC,
        lambda one: general.algorithm_info(general.KEY_PAIR_PARAM_REP, one),
        lambda info: general.read_algorithm(info, general.KEY_PAIR_PARAM_REP),
        rfc9810.KeyPairParamRepValue(),
    ),
    "revPassphrase": (
        EncryptedKey(enveloped=ENVELOPED),
        general.rev_passphrase,
        general.read_rev_passphrase,
        rfc9810.RevPassphraseValue(),
    ),
    "confirmWaitTime": (AT, general.confirm_wait_time, general.read_confirm_wait_time, rfc9810.ConfirmWaitTimeValue()),
    "suppLangTags": (
        ("de", "en-GB"),
        general.supp_lang_tags,
        general.read_supp_lang_tags,
        rfc9810.SuppLangTagsValue(),
    ),
    "caCerts": (CERTS, general.ca_certs, general.read_ca_certs, rfc9810.CaCertsValue()),
    "rootCaKeyUpdate": (
        CaKeyUpdate(material.CA, material.CA, b"", version=3),
        general.root_ca_key_update,
        general.read_root_ca_key_update,
        rfc9810.RootCaKeyUpdateValue(),
    ),
    "certReqTemplate": (
        TEMPLATE,
        general.cert_req_template,
        general.read_cert_req_template,
        rfc9810.CertReqTemplateValue(),
    ),
    "rootCaCert": (
        material.CA,
        lambda one: general.certificate_info(general.ROOT_CA_CERT, one),
        lambda info: general.read_certificate(info, general.ROOT_CA_CERT),
        rfc9810.RootCaCertValue(),
    ),
    "certProfile": (
        ("tls-server", "tls-client"),
        general.cert_profile,
        general.read_cert_profile,
        rfc9810.CertProfileValue(),
    ),
    "crlStatusList": (
        STATUSES,
        general.crl_status_list,
        general.read_crl_status_list,
        rfc9810.CRLStatusListValue(),
    ),
    "crls": ((CRL, CRL), general.crls, general.read_crls, None),
    "kemCiphertextInfo": (
        KemCiphertext(algorithms.algorithm_identifier(oids.ML_KEM_768), b"ct"),
        general.kem_ciphertext_info,
        general.read_kem_ciphertext_info,
        rfc9810.KemCiphertextInfoValue(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_there_and_back(name: str) -> None:
    value, make, read, spec = CASES[name]
    message = codec.encode(material.sealed(BodyType.GENM, General((make(value),))))
    body = codec.decode(message.encoded).body
    assert isinstance(body, General)
    assert read(body.infos[0]) == value
    known = {str(oid): value for oid, value in rfc9810.cmpInfoTypeAndValueMap.items()}
    assert spec is None or isinstance(spec, type(known[body.infos[0].oid]))
    if spec is not None:
        found, rest = decoder.decode(body.infos[0].value, asn1Spec=spec)
        assert rest == b""
        assert encoder.encode(found) == body.infos[0].value


@pytest.mark.parametrize("name", CASES)
def test_other_types_and_nothing(name: str) -> None:
    value, make, read, _ = CASES[name]
    made = make(value)
    with pytest.raises(Fault) as caught:
        read(InfoTypeAndValue("1.2.3", made.value))
    assert caught.value.kind is FaultKind.INVALID
    with pytest.raises(Fault):
        read(InfoTypeAndValue(made.oid, der.boolean(True)))
    with pytest.raises(Fault):
        read(InfoTypeAndValue(made.oid, made.value + b"\x05\x00"))


def test_nothing_is_an_answer() -> None:
    assert general.read_ca_certs(general.ca_certs(())) == ()
    assert general.read_crls(general.crls(())) == ()
    assert general.read_root_ca_key_update(general.root_ca_key_update(None)) is None
    assert general.read_cert_req_template(general.cert_req_template(None)) is None
    assert general.kem_ciphertext_info() == general.request(general.KEM_CIPHERTEXT_INFO)
    with pytest.raises(Fault):
        general.read_kem_ciphertext_info(general.kem_ciphertext_info())


def test_implicit_confirm() -> None:
    assert general.implicit_confirm() == InfoTypeAndValue("1.3.6.1.5.5.7.4.13", der.null())


def test_original_messages_keep_their_octets() -> None:
    message = codec.encode(material.sealed(BodyType.GENM, General(())))
    info = general.orig_pki_message((message.encoded,))
    assert general.read_orig_pki_message(info) == (message.encoded,)


def test_sources_of_crls() -> None:
    relative = general.crl_status_list((CrlStatus(CrlSource(relative=NAME)),))
    assert general.read_crl_status_list(relative)[0].source.relative == NAME
    odd = InfoTypeAndValue(
        general.CRL_STATUS_LIST, der.sequence(der.sequence(der.explicit(0, der.explicit(5, der.null()))))
    )
    with pytest.raises(Fault):
        general.read_crl_status_list(odd)


def test_the_key_update_of_rfc_4210_needs_all_three() -> None:
    with pytest.raises(Fault):
        general.ca_key_update_info(CaKeyUpdate(material.CA))


def test_huge_ciphertexts() -> None:
    huge = KemCiphertext(algorithms.algorithm_identifier(oids.ML_KEM_768), bytes((1 << 16) + 1))
    with pytest.raises(Fault) as caught:
        general.read_kem_ciphertext_info(general.kem_ciphertext_info(huge))
    assert caught.value.kind is FaultKind.TOO_LARGE
