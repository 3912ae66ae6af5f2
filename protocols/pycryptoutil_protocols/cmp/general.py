"""General information: what genm asks, genp answers, and headers carry (RFC 9810 section 5.3.19, RFC 9483 section 4.3).

For each type there is a function that makes the InfoTypeAndValue and one that reads its value. Readers take the value
of the type that their name says and raise Fault(MALFORMED, INVALID) for anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pycryptoutil_protocols import algorithms, der, names
from pycryptoutil_protocols.crmf import codec as crmf
from pycryptoutil_protocols.crmf.controls import ALGORITHM_ID, RSA_KEY_LENGTH
from pycryptoutil_protocols.crmf.messages import AttributeTypeAndValue, CertTemplate, EncryptedKey
from pycryptoutil_protocols.crmf.values import (
    bounded_integer,
    decode_attributes,
    decode_encrypted_key,
    encode_attributes,
    encode_encrypted_key,
)
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName

from .bodies import decode_ca_key_update, decode_root_update, encode_ca_key_update, encode_root_update
from .messages import CaKeyUpdate, InfoTypeAndValue
from .values import children_of, decode_certificate, encode_time, generalized_time

_IT = "1.3.6.1.5.5.7.4"
CA_PROT_ENC_CERT, SIGN_KEY_PAIR_TYPES, ENC_KEY_PAIR_TYPES, PREFERRED_SYMM_ALG = (f"{_IT}.{n}" for n in range(1, 5))
CA_KEY_UPDATE_INFO, CURRENT_CRL, UNSUPPORTED_OIDS = (f"{_IT}.{n}" for n in range(5, 8))
KEY_PAIR_PARAM_REQ, KEY_PAIR_PARAM_REP, REV_PASSPHRASE = (f"{_IT}.{n}" for n in range(10, 13))
IMPLICIT_CONFIRM, CONFIRM_WAIT_TIME, ORIG_PKI_MESSAGE, SUPP_LANG_TAGS = (f"{_IT}.{n}" for n in range(13, 17))
CA_CERTS, ROOT_CA_KEY_UPDATE, CERT_REQ_TEMPLATE, ROOT_CA_CERT = (f"{_IT}.{n}" for n in range(17, 21))
CERT_PROFILE, CRL_STATUS_LIST, CRLS, KEM_CIPHERTEXT_INFO = (f"{_IT}.{n}" for n in range(21, 25))
_MAX_CIPHERTEXT = 1 << 16
_MAX_RSA_LENGTH = 1 << 16

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CrlSource:
    """Where a CRL comes from: a distribution point's full name, or its issuer; exactly one is set."""

    full_name: tuple[GeneralName, ...] = ()
    issuer: tuple[GeneralName, ...] = ()
    relative: bytes = b""  # content of nameRelativeToCRLIssuer


@dataclass(frozen=True, slots=True)
class CrlStatus:
    """A CRL that the client wants, if it is newer than ``this_update``."""

    source: CrlSource
    this_update: datetime | None = None


@dataclass(frozen=True, slots=True)
class CertReqTemplate:
    """What a request should look like; ``algorithms`` are DER key types, ``rsa_lengths`` bits (RFC 9483 4.3.3)."""

    template: CertTemplate
    algorithms: tuple[bytes, ...] = ()
    rsa_lengths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class KemCiphertext:
    """A KEM's DER AlgorithmIdentifier and its ciphertext."""

    kem: bytes
    ciphertext: bytes


def request(oid: str) -> InfoTypeAndValue:
    """Return the question that has no value."""
    return InfoTypeAndValue(oid)


def _read(info: InfoTypeAndValue, oid: str) -> Element:
    if info.oid != oid:
        raise Fault(FaultKind.INVALID, f"info of type {info.oid}", "another type of general information is expected")
    if not info.value:
        raise Fault(FaultKind.INVALID, f"info {oid} without value", "general information has no value")
    return der.read(info.value)


def _all(element: Element, read: Callable[[Element], _T], what: str) -> tuple[_T, ...]:
    return tuple(read(child) for child in children_of(element, what))


# Header information


def implicit_confirm() -> InfoTypeAndValue:
    """Confirmation is not needed (RFC 9810 section 5.1.1.1)."""
    return InfoTypeAndValue(IMPLICIT_CONFIRM, der.null())


def confirm_wait_time(until: datetime) -> InfoTypeAndValue:
    """Until when the CA waits for certConf (RFC 9810 section 5.1.1.2)."""
    return InfoTypeAndValue(CONFIRM_WAIT_TIME, encode_time(until))


def read_confirm_wait_time(info: InfoTypeAndValue) -> datetime:
    """Return the time."""
    return generalized_time(_read(info, CONFIRM_WAIT_TIME))


def cert_profile(profiles: Sequence[str]) -> InfoTypeAndValue:
    """Which profile is wanted (RFC 9810 section 5.1.1.4)."""
    return InfoTypeAndValue(CERT_PROFILE, der.sequence(*(der.utf8_string(name) for name in profiles)))


def read_cert_profile(info: InfoTypeAndValue) -> tuple[str, ...]:
    """Return the profiles' names."""
    return _all(_read(info, CERT_PROFILE), lambda one: one.expect(der.UTF8_STRING).text(), "certProfile")


def orig_pki_message(messages: Sequence[bytes]) -> InfoTypeAndValue:
    """The messages that an RA changed, as they came (RFC 9810 section 5.1.1.3)."""
    return InfoTypeAndValue(ORIG_PKI_MESSAGE, der.sequence(*messages))


def read_orig_pki_message(info: InfoTypeAndValue) -> tuple[bytes, ...]:
    """Return the messages' DER."""
    return _all(_read(info, ORIG_PKI_MESSAGE), lambda one: one.expect(der.SEQUENCE).encoded, "origPKIMessage")


def kem_ciphertext_info(found: KemCiphertext | None = None) -> InfoTypeAndValue:
    """A KEM's ciphertext; without one, the wish for it (RFC 9810 section 5.1.1.5)."""
    if found is None:
        return request(KEM_CIPHERTEXT_INFO)
    return InfoTypeAndValue(KEM_CIPHERTEXT_INFO, der.sequence(found.kem, der.octet_string(found.ciphertext)))


def read_kem_ciphertext_info(info: InfoTypeAndValue) -> KemCiphertext:
    """Return the ciphertext."""
    reader = _read(info, KEM_CIPHERTEXT_INFO).expect(der.SEQUENCE).reader()
    kem = _algorithm(reader.any("kem"))
    ciphertext = reader.take(der.OCTET_STRING, "ct").octets()
    reader.end("KemCiphertextInfo")
    if len(ciphertext) > _MAX_CIPHERTEXT:
        raise Fault(FaultKind.TOO_LARGE, "KEM ciphertext", "the ciphertext is too long")
    return KemCiphertext(kem, ciphertext)


# Certificates


def certificate_info(oid: str, certificate: bytes) -> InfoTypeAndValue:
    """One certificate: of type caProtEncCert or rootCaCert."""
    return InfoTypeAndValue(oid, certificate)


def read_certificate(info: InfoTypeAndValue, oid: str) -> bytes:
    """Return the certificate of caProtEncCert or rootCaCert."""
    return decode_certificate(_read(info, oid))


def ca_certs(certificates: Sequence[bytes]) -> InfoTypeAndValue:
    """CA certificates; without a value when there are none (RFC 9483 section 4.3.1)."""
    return InfoTypeAndValue(CA_CERTS, der.sequence(*certificates) if certificates else b"")


def read_ca_certs(info: InfoTypeAndValue) -> tuple[bytes, ...]:
    """Return the certificates."""
    if info.oid == CA_CERTS and not info.value:
        return ()
    return _all(_read(info, CA_CERTS), decode_certificate, "caCerts")


def root_ca_key_update(update: CaKeyUpdate | None) -> InfoTypeAndValue:
    """A root's successor; without a value when there is none (RFC 9483 section 4.3.2)."""
    return InfoTypeAndValue(ROOT_CA_KEY_UPDATE, encode_root_update(update) if update else b"")


def read_root_ca_key_update(info: InfoTypeAndValue) -> CaKeyUpdate | None:
    """Return the successor, or None."""
    if info.oid == ROOT_CA_KEY_UPDATE and not info.value:
        return None
    return decode_root_update(_read(info, ROOT_CA_KEY_UPDATE))


def ca_key_update_info(update: CaKeyUpdate) -> InfoTypeAndValue:
    """A CA's key update as RFC 4210 tells it."""
    return InfoTypeAndValue(CA_KEY_UPDATE_INFO, encode_ca_key_update(update))


def read_ca_key_update_info(info: InfoTypeAndValue) -> CaKeyUpdate:
    """Return the key update."""
    return decode_ca_key_update(_read(info, CA_KEY_UPDATE_INFO))


# CRLs


def current_crl(crl: bytes) -> InfoTypeAndValue:
    """The CA's CRL."""
    return InfoTypeAndValue(CURRENT_CRL, crl)


def read_current_crl(info: InfoTypeAndValue) -> bytes:
    """Return the CRL."""
    return _read(info, CURRENT_CRL).expect(der.SEQUENCE).encoded


def crls(found: Sequence[bytes]) -> InfoTypeAndValue:
    """CRLs; without a value when there is nothing newer (RFC 9483 section 4.3.4)."""
    return InfoTypeAndValue(CRLS, der.sequence(*found) if found else b"")


def read_crls(info: InfoTypeAndValue) -> tuple[bytes, ...]:
    """Return the CRLs."""
    if info.oid == CRLS and not info.value:
        return ()
    return _all(_read(info, CRLS), lambda one: one.expect(der.SEQUENCE).encoded, "crls")


def crl_status_list(statuses: Sequence[CrlStatus]) -> InfoTypeAndValue:
    """Which CRLs the client wants."""
    return InfoTypeAndValue(CRL_STATUS_LIST, der.sequence(*(_encode_crl_status(one) for one in statuses)))


def _encode_crl_status(status: CrlStatus) -> bytes:
    source = status.source
    if source.issuer:
        choice = der.explicit(1, names.encode_general_names(source.issuer))
    elif source.full_name:
        choice = der.explicit(0, der.retag(der.context(0), names.encode_general_names(source.full_name)))
    else:
        choice = der.explicit(0, der.explicit(1, source.relative))
    time = der.x509_time(int(status.this_update.timestamp())) if status.this_update else b""
    return der.sequence(choice, time)


def read_crl_status_list(info: InfoTypeAndValue) -> tuple[CrlStatus, ...]:
    """Return the CRLs wanted."""
    return _all(_read(info, CRL_STATUS_LIST), _decode_crl_status, "crlStatusList")


def _decode_crl_status(element: Element) -> CrlStatus:
    reader = element.expect(der.SEQUENCE, "CRLStatus").reader()
    choice = reader.any("source")
    time = reader.any().time() if reader.peek() else None
    reader.end("CRLStatus")
    return CrlStatus(_decode_crl_source(choice), time)


def _decode_crl_source(choice: Element) -> CrlSource:
    inner = choice.inner()
    if choice.tag == der.context(1):
        return CrlSource(issuer=names.decode_general_names(inner.encoded))
    if choice.tag == der.context(0) and inner.tag == der.context(0):
        return CrlSource(full_name=names.decode_general_names(der.retag(der.SEQUENCE, inner.encoded)))
    if choice.tag == der.context(0) and inner.tag == der.context(1):
        return CrlSource(relative=inner.content)
    raise der.malformed("CRLSource")


# What a request should look like


def cert_req_template(found: CertReqTemplate | None) -> InfoTypeAndValue:
    """A template for requests; without a value when anything goes (RFC 9483 section 4.3.3)."""
    if found is None:
        return request(CERT_REQ_TEMPLATE)
    specs = [AttributeTypeAndValue(ALGORITHM_ID, one) for one in found.algorithms]
    specs += [AttributeTypeAndValue(RSA_KEY_LENGTH, der.integer(bits)) for bits in found.rsa_lengths]
    encoded = der.sequence(crmf.encode_template(found.template), encode_attributes(specs) if specs else b"")
    return InfoTypeAndValue(CERT_REQ_TEMPLATE, encoded)


def read_cert_req_template(info: InfoTypeAndValue) -> CertReqTemplate | None:
    """Return the template, or None."""
    if info.oid == CERT_REQ_TEMPLATE and not info.value:
        return None
    reader = _read(info, CERT_REQ_TEMPLATE).expect(der.SEQUENCE).reader()
    template = crmf.decode_template(reader.take(der.SEQUENCE, "certTemplate"))
    controls = reader.optional(der.SEQUENCE)
    reader.end("CertReqTemplateContent")
    specs = decode_attributes(controls, "keySpec") if controls else ()
    return CertReqTemplate(
        template,
        tuple(_algorithm(der.read(one.value)) for one in specs if one.oid == ALGORITHM_ID),
        tuple(
            bounded_integer(der.read(one.value).expect(der.INTEGER), 1, _MAX_RSA_LENGTH, "rsaKeyLen")
            for one in specs
            if one.oid == RSA_KEY_LENGTH
        ),
    )


# Algorithms


def _algorithm(element: Element) -> bytes:
    algorithms.split_algorithm(element)
    return element.encoded


def key_pair_types(oid: str, identifiers: Sequence[bytes]) -> InfoTypeAndValue:
    """Key types that the CA certifies: of type signKeyPairTypes or encKeyPairTypes."""
    return InfoTypeAndValue(oid, der.sequence(*identifiers))


def read_key_pair_types(info: InfoTypeAndValue, oid: str) -> tuple[bytes, ...]:
    """Return the AlgorithmIdentifiers."""
    return _all(_read(info, oid), _algorithm, "key pair types")


def algorithm_info(oid: str, identifier: bytes) -> InfoTypeAndValue:
    """One algorithm: of type preferredSymmAlg or keyPairParamRep."""
    return InfoTypeAndValue(oid, identifier)


def read_algorithm(info: InfoTypeAndValue, oid: str) -> bytes:
    """Return the AlgorithmIdentifier of preferredSymmAlg or keyPairParamRep."""
    return _algorithm(_read(info, oid))


def key_pair_param_req(algorithm: str) -> InfoTypeAndValue:
    """Ask for the parameters of a kind of key."""
    return InfoTypeAndValue(KEY_PAIR_PARAM_REQ, der.oid(algorithm))


def read_key_pair_param_req(info: InfoTypeAndValue) -> str:
    """Return the algorithm's object identifier."""
    return _read(info, KEY_PAIR_PARAM_REQ).oid()


# Others


def unsupported_oids(found: Sequence[str]) -> InfoTypeAndValue:
    """Types of the request that are not known."""
    return InfoTypeAndValue(UNSUPPORTED_OIDS, der.sequence(*(der.oid(one) for one in found)))


def read_unsupported_oids(info: InfoTypeAndValue) -> tuple[str, ...]:
    """Return the types."""
    return _all(_read(info, UNSUPPORTED_OIDS), lambda one: one.oid(), "unsupportedOIDs")


def rev_passphrase(key: EncryptedKey) -> InfoTypeAndValue:
    """A passphrase for revocation later, encrypted to the CA."""
    return InfoTypeAndValue(REV_PASSPHRASE, encode_encrypted_key(key))


def read_rev_passphrase(info: InfoTypeAndValue) -> EncryptedKey:
    """Return the encrypted passphrase."""
    return decode_encrypted_key(_read(info, REV_PASSPHRASE))


def supp_lang_tags(tags: Sequence[str]) -> InfoTypeAndValue:
    """Languages of texts, by preference (RFC 5646)."""
    return InfoTypeAndValue(SUPP_LANG_TAGS, der.sequence(*(der.utf8_string(tag) for tag in tags)))


def read_supp_lang_tags(info: InfoTypeAndValue) -> tuple[str, ...]:
    """Return the languages."""
    return _all(_read(info, SUPP_LANG_TAGS), lambda one: one.expect(der.UTF8_STRING).text(), "suppLangTags")
