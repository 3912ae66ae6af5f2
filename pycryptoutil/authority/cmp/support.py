"""Support messages: what a genm may ask, and the answers (RFC 9810 section 5.3.19, RFC 9483 section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.cmp import general
from pycryptoutil_protocols.cmp.general import CertReqTemplate, CrlStatus
from pycryptoutil_protocols.cmp.messages import CaKeyUpdate, InfoTypeAndValue, PKIFailureInfo, PKIMessage
from pycryptoutil_protocols.crmf.messages import CertTemplate
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralNameKind, same_name
from pycryptoutil_protocols.x509 import Extension, decode_certificate

from pycryptoutil.authority import extensions
from pycryptoutil.authority.cmp import orders
from pycryptoutil.authority.cmp.requesters import Person
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.crl.publisher import CrlDocument
from pycryptoutil.authority.model import Authority
from pycryptoutil.authority.oids import ATTRIBUTES
from pycryptoutil.authority.profile import Profile
from pycryptoutil.authority.service import CertificateAuthorityService

_LANGUAGES: Final = ("en",)
_NULL: Final = der.null()
_KEY_TYPES: Final[dict[str, tuple[str, bytes]]] = {
    "RSA": (oids.RSA_ENCRYPTION, _NULL),
    "EC-P256": (oids.EC_PUBLIC_KEY, der.oid(oids.P256)),
    "EC-P384": (oids.EC_PUBLIC_KEY, der.oid(oids.P384)),
    "EC-P521": (oids.EC_PUBLIC_KEY, der.oid(oids.P521)),
    "Ed25519": (oids.ED25519, b""),
    "Ed448": (oids.ED448, b""),
    "ML-DSA-44": (oids.ML_DSA_44, b""),
    "ML-DSA-65": (oids.ML_DSA_65, b""),
    "ML-DSA-87": (oids.ML_DSA_87, b""),
    "ML-KEM-512": (oids.ML_KEM_512, b""),
    "ML-KEM-768": (oids.ML_KEM_768, b""),
    "ML-KEM-1024": (oids.ML_KEM_1024, b""),
}
_ENCRYPTING: Final = ("RSA", "EC-", "ML-KEM")
_NOT_SIGNING: Final = ("ML-KEM",)
_RSA_SIZES: Final = (2048, 3072, 4096, 8192)


@dataclass(frozen=True, slots=True)
class Question:
    """One InfoTypeAndValue of a genm, and who asks."""

    service: CertificateAuthorityService
    crls: CrlService
    person: Person
    info: InfoTypeAndValue
    message: PKIMessage

    @property
    def authority(self) -> Authority:
        """The CA that is asked."""
        return self.service.authority(self.person.tenant_id, self.person.authority)

    @property
    def profile(self) -> Profile:
        """The profile that the requester enrols under, or the one that certProfile names."""
        info = self.message.header.info(general.CERT_PROFILE)
        name = general.read_cert_profile(info)[0] if info is not None else self.person.profile
        return self.service.profile(self.person.tenant_id, name)


def answer(question: Question) -> InfoTypeAndValue | None:
    """Return the answer; None for a type that is not answered here. CmpFault(BAD_REQUEST) for a wrong value."""
    found = _ANSWERS.get(question.info.oid)
    if found is None:
        return None
    takes_value, reply = found
    if not takes_value and question.info.value:
        raise orders.refuse(PKIFailureInfo.BAD_REQUEST, "this question is asked without a value")
    return reply(question)


# -- certificates ------------------------------------------------------------------------------------------------------


def _ca_certs(question: Question) -> InfoTypeAndValue:
    return general.ca_certs(question.service.published(question.person.tenant_id, question.person.authority))


def _no_encryption_certificate(question: Question) -> InfoTypeAndValue:
    # nothing that a client sends is encrypted to the CA, so there is no such certificate: an answer without a value
    return general.request(question.info.oid)


def _root_update(question: Question) -> InfoTypeAndValue:
    """A root that has not been replaced has no update; one that is not ours cannot be told about."""
    old = general.read_certificate(question.info, general.ROOT_CA_CERT) if question.info.value else None
    try:
        found = question.service.root_update(question.person.tenant_id, question.person.authority, old)
    except Fault as fault:
        if fault.kind is not FaultKind.NOT_FOUND:
            raise
        text = "nothing is known here of this root CA"
        raise orders.refuse(PKIFailureInfo.ADD_INFO_NOT_AVAILABLE, text) from None
    if found is None:
        return general.root_ca_key_update(None)
    return general.root_ca_key_update(
        CaKeyUpdate(found.new_with_new, found.new_with_old, found.old_with_new, version=3)
    )


# -- CRLs --------------------------------------------------------------------------------------------------------------


def _crl_of(question: Question, authority: Authority) -> CrlDocument:
    return question.crls.of_authority(question.person.tenant_id, authority.id)


def _current_crl(question: Question) -> InfoTypeAndValue:
    return general.current_crl(_crl_of(question, question.authority).der)


def _newer_crls(question: Question) -> InfoTypeAndValue:
    """The CRLs that are newer than what the client has; no value when there is none (RFC 9483 section 4.3.4)."""
    authorities = question.service.authorities(question.person.tenant_id)
    found: dict[bytes, None] = {}
    for status in general.read_crl_status_list(question.info):
        for authority in authorities:
            missing = authority.offline and question.crls.head(question.person.tenant_id, authority.id) is None
            if _is_source(authority, status) and not missing:
                document = _crl_of(question, authority)
                if status.this_update is None or document.head.this_update > status.this_update:
                    found[document.der] = None
    return general.crls(tuple(found))


def _is_source(authority: Authority, status: CrlStatus) -> bool:
    subject = decode_certificate(authority.certificate).subject
    for name in (*status.source.issuer, *status.source.full_name):
        if name.kind is GeneralNameKind.URI and authority.crl_url and name.value == authority.crl_url:
            return True
        if name.kind is GeneralNameKind.DIRECTORY and same_name(der.read(name.der).inner().encoded, subject):
            return True
    return False


# -- algorithms and what a request should have -------------------------------------------------------------------------


def _identifier(name: str) -> bytes:
    oid, parameters = _KEY_TYPES[name]
    return algorithms.algorithm_identifier(oid, parameters)


def _signing_keys(question: Question) -> InfoTypeAndValue:
    names = [name for name in question.profile.keys.algorithms if not name.startswith(_NOT_SIGNING)]
    return general.key_pair_types(question.info.oid, tuple(map(_identifier, names)))


def _encrypting_keys(question: Question) -> InfoTypeAndValue:
    names = [name for name in question.profile.keys.algorithms if name.startswith(_ENCRYPTING)]
    return general.key_pair_types(question.info.oid, tuple(map(_identifier, names)))


def _symmetric(question: Question) -> InfoTypeAndValue:
    return general.algorithm_info(question.info.oid, algorithms.algorithm_identifier(oids.AES_256_CBC))


def _parameters(question: Question) -> InfoTypeAndValue:
    """Which parameters keys of a kind have here: of EC keys the first curve that the profile lists."""
    wanted = general.read_key_pair_param_req(question.info)
    for name in question.profile.keys.algorithms:
        if _KEY_TYPES[name][0] == wanted:
            return general.algorithm_info(general.KEY_PAIR_PARAM_REP, _identifier(name))
    raise orders.refuse(PKIFailureInfo.BAD_ALG, "the profile has no keys of this kind")


def _template(question: Question) -> InfoTypeAndValue:
    """What the profile wants in a request: attributes of the subject, names, kinds of keys (RFC 9483 section 4.3.3)."""
    profile = question.profile
    rdns = [
        der.set_of((der.sequence(der.oid(ATTRIBUTES[name]), der.utf8_string("")),)) for name in profile.subject.required
    ]
    wanted: list[Extension] = []
    if profile.names.required:
        wanted.append(Extension(oids.SUBJECT_ALT_NAME, False, der.sequence()))
    if profile.extended_key_usage:
        usages = map(extensions.extended_key_usage_oid, profile.extended_key_usage)
        wanted.append(Extension(oids.EXTENDED_KEY_USAGE, False, der.sequence(*map(der.oid, usages))))
    rules = profile.keys
    sizes = tuple(bits for bits in _RSA_SIZES if rules.rsa_minimum <= bits <= rules.rsa_maximum)
    template = CertTemplate(subject=der.sequence(*rdns) if rdns else None, extensions=tuple(wanted))
    return general.cert_req_template(
        CertReqTemplate(
            template,
            algorithms=tuple(_identifier(name) for name in rules.algorithms if name != "RSA"),
            rsa_lengths=sizes if "RSA" in rules.algorithms else (),
        )
    )


def _languages(question: Question) -> InfoTypeAndValue:
    if question.info.value:
        general.read_supp_lang_tags(question.info)
    return general.supp_lang_tags(_LANGUAGES)


_ANSWERS: Final[Mapping[str, tuple[bool, Callable[[Question], InfoTypeAndValue]]]] = {
    # type: (whether the question has a value, who answers)
    general.CA_PROT_ENC_CERT: (False, _no_encryption_certificate),
    general.SIGN_KEY_PAIR_TYPES: (False, _signing_keys),
    general.ENC_KEY_PAIR_TYPES: (False, _encrypting_keys),
    general.PREFERRED_SYMM_ALG: (False, _symmetric),
    general.CURRENT_CRL: (False, _current_crl),
    general.KEY_PAIR_PARAM_REQ: (True, _parameters),
    general.SUPP_LANG_TAGS: (True, _languages),
    general.CA_CERTS: (False, _ca_certs),
    general.ROOT_CA_CERT: (True, _root_update),
    general.CERT_REQ_TEMPLATE: (False, _template),
    general.CRL_STATUS_LIST: (True, _newer_crls),
}
