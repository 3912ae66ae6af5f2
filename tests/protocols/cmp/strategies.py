"""Hypothesis strategies: valid values of every CMP body and CRMF request."""

from __future__ import annotations

import functools
import operator
from datetime import UTC, datetime

from hypothesis import strategies as st
from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.cmp import messages as m
from pycryptoutil_protocols.crmf import messages as c
from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.x509 import Extension

from tests.protocols import material

CERTIFICATE = material.cert_der(material.certificate(material.private_key("EC-P256")))
SPKI = material.spki(material.private_key("EC-P256"))
NAME = material.name("subject").public_bytes()
ALGORITHM = algorithms.signature_identifier("ecdsa-sha256")
SYMMETRIC = algorithms.algorithm_identifier(oids.AES_256_CBC, der.octet_string(bytes(16)))
ENVELOPED = der.sequence(
    der.integer(2),
    der.set_of((der.explicit(2, der.integer(4), der.sequence(der.octet_string(b"k")), SYMMETRIC, b"\x04\x01a"),)),
    der.sequence(der.oid(oids.DATA), SYMMETRIC, der.implicit(0, b"sixteen octets!!")),
)
CRL = der.sequence(der.sequence(ALGORITHM, NAME, der.x509_time(1)), ALGORITHM, der.bit_string(b"s"))
CSR = material.csr_der(material.private_key("EC-P256"), sans=("a.example.test",))

octets = st.binary(max_size=24)
some_octets = st.binary(min_size=1, max_size=24)
text = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
texts = st.lists(text, max_size=3).map(tuple)
dotted = st.lists(st.integers(0, 2**40), min_size=1, max_size=6).map(lambda arcs: ".".join(map(str, ("1.3", *arcs))))
times = st.integers(0, 4_733_510_400).map(lambda at: datetime.fromtimestamp(at, UTC))
ids = st.integers(-1, 2**63 - 1)
serials = st.integers(-(2**160), 2**160)
general_names = st.one_of(
    st.just(m.directory_name(NAME)),
    st.sampled_from(["a.example.test", "*.b.test"]).map(GeneralName.dns),
    st.sampled_from(["192.0.2.1", "2001:db8::1"]).map(GeneralName.ip),
)
extensions = st.lists(
    st.builds(Extension, dotted, st.booleans(), octets), max_size=3, unique_by=lambda one: one.oid
).map(tuple)
some = functools.partial(st.lists, min_size=1, max_size=3)


def tuples(items: st.SearchStrategy) -> st.SearchStrategy:
    return some(items).map(tuple)


def maybe(item: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | item


# CRMF

templates = st.builds(
    c.CertTemplate,
    serial=maybe(serials),
    issuer=maybe(st.just(NAME)),
    subject=maybe(st.just(NAME)),
    spki=maybe(st.sampled_from([SPKI, der.sequence(ALGORITHM, der.bit_string(b""))])),
    not_before=maybe(times),
    not_after=maybe(times),
    extensions=extensions,
    version=maybe(st.integers(0, 2)),
    signing_algorithm=maybe(st.just(ALGORITHM)),
    issuer_unique_id=maybe(some_octets.map(lambda one: b"\x00" + one)),
    subject_unique_id=maybe(some_octets.map(lambda one: b"\x00" + one)),
)
cert_ids = st.builds(c.CertId, general_names, serials)
single_infos = st.builds(c.SinglePubInfo, st.integers(0, 3), maybe(general_names))
publications = st.just(c.PublicationInfo(c.PublicationAction.DONT_PUBLISH)) | st.builds(
    c.PublicationInfo, st.just(c.PublicationAction.PLEASE_PUBLISH), st.lists(single_infos, max_size=2).map(tuple)
)
encrypted_values = st.builds(
    c.EncryptedValue,
    maybe(st.just(ALGORITHM)),
    maybe(st.just(SYMMETRIC)),
    maybe(octets),
    maybe(st.just(ALGORITHM)),
    maybe(octets),
    octets,
)
encrypted_keys = st.just(c.EncryptedKey(enveloped=ENVELOPED)) | encrypted_values.map(
    lambda value: c.EncryptedKey(value=value)
)
archives = st.one_of(
    encrypted_keys.map(lambda key: c.ArchiveOptions(encrypted_key=key)),
    octets.map(lambda one: c.ArchiveOptions(key_gen_parameters=one)),
    st.booleans().map(lambda one: c.ArchiveOptions(archive_generated=one)),
)
attributes = st.builds(c.AttributeTypeAndValue, dotted, octets.map(der.octet_string))
controls = st.builds(
    c.Controls,
    maybe(text),
    maybe(text),
    maybe(publications),
    maybe(archives),
    maybe(cert_ids),
    maybe(st.just(SPKI)),
    st.lists(attributes, max_size=2, unique_by=lambda one: one.oid).map(tuple),
)
requests = st.builds(c.CertRequest, ids, templates, controls)
pkmacs = st.builds(c.PkMac, st.just(ALGORITHM), octets)
inputs = st.builds(c.SigningKeyInput, st.just(SPKI), sender=general_names) | st.builds(
    c.SigningKeyInput, st.just(SPKI), mac=pkmacs
)
private_key_pops = st.one_of(
    st.builds(c.PrivateKeyPop, st.booleans(), subsequent=st.sampled_from(c.SubsequentMessage)),
    st.builds(c.PrivateKeyPop, st.booleans(), this_message=octets),
    st.builds(c.PrivateKeyPop, st.booleans(), dh_mac=octets),
    st.builds(c.PrivateKeyPop, st.booleans(), agree_mac=pkmacs),
    st.builds(c.PrivateKeyPop, st.booleans(), encrypted_key=st.just(ENVELOPED)),
)
pops = st.one_of(
    st.none(),
    st.just(c.RaVerified()),
    st.builds(c.SignaturePop, st.just(ALGORITHM), octets, maybe(inputs)),
    private_key_pops,
)
request_messages = st.builds(c.CertReqMsg, requests, pops, st.lists(attributes, max_size=2).map(tuple))

# CMP

failures = st.frozensets(st.sampled_from(m.PKIFailureInfo))
statuses = st.builds(m.PKIStatusInfo, st.sampled_from(m.PKIStatus), texts, failures)
infos = st.builds(m.InfoTypeAndValue, dotted, st.just(b"") | octets.map(der.octet_string))
key_pairs = st.builds(
    m.CertifiedKeyPair, st.just(CERTIFICATE), st.none(), maybe(encrypted_keys), maybe(publications)
) | st.builds(m.CertifiedKeyPair, st.just(b""), encrypted_keys, maybe(encrypted_keys), maybe(publications))
responses = st.builds(m.CertResponse, ids, statuses, maybe(key_pairs), maybe(octets))
certificates = st.lists(st.just(CERTIFICATE), max_size=2).map(tuple)
challenges = st.builds(m.Challenge, maybe(st.just(ALGORITHM)), octets, octets, st.sampled_from([b"", ENVELOPED]))
updates = st.just(m.CaKeyUpdate(CERTIFICATE, CERTIFICATE, CERTIFICATE)) | st.builds(
    m.CaKeyUpdate,
    st.just(CERTIFICATE),
    st.sampled_from([b"", CERTIFICATE]),
    st.sampled_from([b"", CERTIFICATE]),
    st.just(3),
)
_requests = st.builds(m.CertRequests, tuples(request_messages))
_reply = st.builds(m.CertRepMessage, tuples(responses), certificates)
_general = st.builds(m.General, st.lists(infos, max_size=3).map(tuple))
BODIES: dict[m.BodyType, st.SearchStrategy] = {
    m.BodyType.IR: _requests,
    m.BodyType.IP: _reply,
    m.BodyType.CR: _requests,
    m.BodyType.CP: _reply,
    m.BodyType.P10CR: st.just(m.Pkcs10(CSR)),
    m.BodyType.POPDECC: st.builds(m.Challenges, tuples(challenges)),
    m.BodyType.POPDECR: st.builds(m.ChallengeResponses, tuples(st.integers(0, 2**200))),
    m.BodyType.KUR: _requests,
    m.BodyType.KUP: _reply,
    m.BodyType.KRR: _requests,
    m.BodyType.KRP: st.builds(
        m.KeyRecovery,
        statuses,
        st.sampled_from([b"", CERTIFICATE]),
        certificates,
        st.lists(key_pairs, max_size=2).map(tuple),
    ),
    m.BodyType.RR: st.builds(m.RevRequest, tuples(st.builds(m.RevDetails, templates, extensions))),
    m.BodyType.RP: st.builds(
        m.RevResponse,
        tuples(statuses),
        st.lists(cert_ids, max_size=2).map(tuple),
        st.lists(st.just(CRL), max_size=2).map(tuple),
    ),
    m.BodyType.CCR: _requests,
    m.BodyType.CCP: _reply,
    m.BodyType.CKUANN: updates,
    m.BodyType.CANN: st.just(m.CertAnnouncement(CERTIFICATE)),
    m.BodyType.RANN: st.builds(m.RevAnnouncement, st.sampled_from(m.PKIStatus), cert_ids, times, times, extensions),
    m.BodyType.CRLANN: st.builds(m.CrlAnnouncement, tuples(st.just(CRL))),
    m.BodyType.PKICONF: st.just(m.PkiConf()),
    m.BodyType.GENM: _general,
    m.BodyType.GENP: _general,
    m.BodyType.ERROR: st.builds(m.ErrorMessage, statuses, maybe(st.integers(-(2**40), 2**40)), texts),
    m.BodyType.CERTCONF: st.builds(
        m.CertConfirm,
        st.lists(
            st.builds(m.CertStatus, octets, ids, maybe(statuses), st.sampled_from([b"", ALGORITHM])), max_size=3
        ).map(tuple),
    ),
    m.BodyType.POLLREQ: st.builds(m.PollReq, tuples(ids)),
    m.BodyType.POLLREP: st.builds(m.PollRep, tuples(st.builds(m.PollRepEntry, ids, st.integers(0, 2**63 - 1), texts))),
}
headers = st.builds(
    m.PKIHeader,
    general_names,
    general_names,
    st.sampled_from([2, 3]),
    maybe(times),
    st.sampled_from([b"", ALGORITHM]),
    maybe(octets),
    maybe(octets),
    maybe(octets),
    maybe(octets),
    maybe(octets),
    texts,
    st.lists(infos, max_size=2).map(tuple),
)


def messages(kind: m.BodyType) -> st.SearchStrategy:
    """Whole messages of a type."""
    return st.builds(m.PKIMessage, headers, st.just(kind), BODIES[kind], maybe(octets), certificates)


any_message = functools.reduce(operator.or_, (messages(kind) for kind in BODIES))
