"""Sealing and checking: every mechanism, every bit that matters, every way to be half protected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols import algorithms, der
from pycryptoutil_protocols.cmp import codec, mac, protection
from pycryptoutil_protocols.cmp.failures import CmpFault, failure_of
from pycryptoutil_protocols.cmp.mac import KemMacParameters, Pbmac1Parameters, PbmParameters
from pycryptoutil_protocols.cmp.messages import BodyType, General, PKIFailureInfo, PKIMessage, PollReq, directory_name
from pycryptoutil_protocols.cmp.protection import MacProtector, Mechanism, SignatureProtector
from pycryptoutil_protocols.faults import Fault
from pycryptoutil_protocols.names import GeneralName

from tests.protocols import material as keys
from tests.protocols.cmp import material

BODY = PollReq((0,))
SENDER = directory_name(keys.name("CMP test server").public_bytes())


def fails(failure: PKIFailureInfo, call: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        call()
    assert failure_of(caught.value) is failure
    return caught.value


def by_mac(parameters: mac.MacParameters | None = None, secret: bytes = material.SECRET, **fields: Any) -> PKIMessage:
    chosen = parameters or PbmParameters(bytes(16))
    return material.sealed(BodyType.POLLREQ, BODY, MacProtector(secret, chosen), **fields)


def by_signature(algorithm: str = "EC-P256", name: str = "ecdsa-sha256", number: int = 21, **fields: Any) -> PKIMessage:
    protector = SignatureProtector(keys.signer(algorithm, name, number))
    values: dict[str, Any] = {"sender": SENDER, "extra_certificates": (material.SERVER, material.CA)}
    return material.sealed(BodyType.POLLREQ, BODY, protector, **(values | fields))


@pytest.mark.parametrize(
    ("parameters", "mechanism"),
    [
        (PbmParameters.fresh(), Mechanism.PASSWORD_BASED_MAC),
        (Pbmac1Parameters.fresh(1000), Mechanism.PBMAC1),
        (KemMacParameters(bytes(range(16))), Mechanism.KEM_BASED_MAC),
        (KemMacParameters(bytes(range(16)), "kdf3", "sha512"), Mechanism.KEM_BASED_MAC),
    ],
)
def test_macs(parameters: mac.MacParameters, mechanism: Mechanism) -> None:
    message = codec.decode(by_mac(parameters).encoded)
    assert protection.mechanism(message) is mechanism
    assert mechanism.by_secret == (mechanism is not Mechanism.KEM_BASED_MAC)
    assert protection.verify_mac(message, material.SECRET) == parameters
    fails(PKIFailureInfo.BAD_MESSAGE_CHECK, lambda: protection.verify_mac(message, b"another secret"))


@pytest.mark.parametrize(("algorithm", "name"), keys.SIGNERS)
def test_signatures(algorithm: str, name: str) -> None:
    message = codec.decode(by_signature(algorithm, name, 0).encoded)
    assert protection.mechanism(message) is Mechanism.SIGNATURE
    spki = keys.spki(keys.private_key(algorithm))
    assert protection.verify_signature(message, spki) == name
    other = keys.spki(keys.private_key(algorithm, 7))
    fails(PKIFailureInfo.BAD_MESSAGE_CHECK, lambda: protection.verify_signature(message, other))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_protected_octet_can_change(data: st.DataObject) -> None:
    message = by_mac()
    at = data.draw(st.integers(0, len(message.encoded) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(message.encoded)
    damaged[at] ^= 1 << bit
    with pytest.raises(Fault):
        protection.verify_mac(codec.decode(bytes(damaged)), material.SECRET)


def test_what_is_kept_is_what_was_protected() -> None:
    """A header in another encoding, such as a name with another string type, is verified as it came."""
    message = by_signature(free_text=("text",))
    again = codec.decode(message.encoded)
    assert again.protected == message.protected
    assert again.protected == der.sequence(*(one.encoded for one in der.read(message.encoded).children()[:2]))


def test_half_protected() -> None:
    message = by_mac()
    bare = codec.assemble(message.protected, None)
    fails(PKIFailureInfo.BAD_MESSAGE_CHECK, lambda: protection.mechanism(codec.decode(bare)))
    unprotected = material.sealed(BodyType.POLLREQ, BODY)
    assert protection.mechanism(codec.decode(unprotected.encoded)) is Mechanism.NONE
    added = codec.assemble(unprotected.protected, b"mac")
    fails(PKIFailureInfo.BAD_MESSAGE_CHECK, lambda: protection.mechanism(codec.decode(added)))


def test_a_signature_where_a_mac_belongs_and_the_reverse() -> None:
    fails(PKIFailureInfo.WRONG_INTEGRITY, lambda: protection.verify_mac(by_signature(), b"s"))
    fails(PKIFailureInfo.WRONG_INTEGRITY, lambda: protection.signer_certificate(by_mac()))
    fails(PKIFailureInfo.WRONG_INTEGRITY, lambda: protection.verify_signature(by_mac(), b""))
    nothing = material.sealed(BodyType.GENM, General(()))
    fails(PKIFailureInfo.WRONG_INTEGRITY, lambda: protection.verify_mac(nothing, b"s"))


def with_algorithm(identifier: bytes) -> PKIMessage:
    header = material.header(protection_algorithm=identifier)
    protected = codec.encode_protected(header, BodyType.POLLREQ, BODY)
    return codec.decode(codec.assemble(protected, b"x" * 32))


def test_unknown_algorithms() -> None:
    dh = with_algorithm(algorithms.algorithm_identifier(mac.DH_BASED_MAC, der.sequence()))
    assert protection.mechanism(dh) is Mechanism.DH_BASED_MAC
    fails(PKIFailureInfo.BAD_ALG, lambda: protection.verify_mac(dh, b"s"))
    sha1 = with_algorithm(algorithms.algorithm_identifier("1.2.840.113549.1.1.5", der.null()))
    spki = keys.spki(keys.private_key("RSA-2048"))
    fails(PKIFailureInfo.BAD_ALG, lambda: protection.verify_signature(sha1, spki))
    unknown = with_algorithm(algorithms.algorithm_identifier("1.2.3"))
    fails(PKIFailureInfo.BAD_ALG, lambda: protection.verify_signature(unknown, spki))


def test_a_signature_by_another_kind_of_key() -> None:
    message = by_signature()
    rsa = keys.spki(keys.private_key("RSA-2048"))
    fails(PKIFailureInfo.BAD_ALG, lambda: protection.verify_signature(message, rsa))


def test_the_signer_is_named() -> None:
    kid = protection.signer_certificate(by_signature()).subject_key_identifier
    assert protection.signer_certificate(by_signature(sender_kid=kid)).der == material.SERVER
    turned = by_signature(sender_kid=kid, extra_certificates=(material.CA, material.SERVER))
    assert protection.signer_certificate(turned).der == material.SERVER
    pinned = by_signature(extra_certificates=())
    assert protection.signer_certificate(pinned, (material.SERVER,)).der == material.SERVER


@pytest.mark.parametrize(
    "fields",
    [
        {"extra_certificates": ()},
        {"extra_certificates": (material.CA,)},
        {"sender_kid": b"another"},
        {"sender": directory_name(keys.name("somebody else").public_bytes())},
    ],
)
def test_the_signer_is_not_there(fields: dict[str, Any]) -> None:
    message = by_signature(**fields)
    fails(PKIFailureInfo.BAD_MESSAGE_CHECK, lambda: protection.signer_certificate(message))


def test_a_sender_by_another_kind_of_name() -> None:
    """RFC 9810 section 5.1.1: a name that the signer's certificate has."""
    key = keys.private_key("EC-P256", 21)
    certificate = keys.cert_der(keys.certificate(key, sans=("ra.example.test",)))
    named = by_signature(sender=GeneralName.dns("RA.example.test"), extra_certificates=(certificate,))
    assert protection.signer_certificate(named).der == certificate
    other = by_signature(sender=GeneralName.dns("other.example.test"), extra_certificates=(certificate,))
    fails(PKIFailureInfo.BAD_MESSAGE_CHECK, lambda: protection.signer_certificate(other))


def test_a_certificate_that_is_none() -> None:
    message = by_signature(extra_certificates=(der.sequence(der.null()),))
    fails(PKIFailureInfo.BAD_DATA_FORMAT, lambda: protection.signer_certificate(message))


def test_kem_macs_are_bound_to_the_transaction() -> None:
    message = by_mac(KemMacParameters(b"another transaction"))
    fails(PKIFailureInfo.BAD_MESSAGE_CHECK, lambda: protection.verify_mac(message, material.SECRET))


def test_iterations_are_refused_before_they_are_counted() -> None:
    many = PbmParameters(bytes(16), 100)
    message = by_mac(many)
    header = replace(message.header, protection_algorithm=replace(many, iterations=2_000_000_000).encode())
    protected = codec.encode_protected(header, message.kind, message.body)
    forged = codec.decode(codec.assemble(protected, message.protection))
    fails(PKIFailureInfo.BAD_ALG, lambda: protection.verify_mac(forged, material.SECRET))


def test_sealing_sets_the_algorithm() -> None:
    assert by_mac().header.protection_algorithm == PbmParameters(bytes(16)).encode()
    stale = material.sealed(BodyType.POLLREQ, BODY, protection_algorithm=b"\x30\x00")
    assert stale.header.protection_algorithm == b""
    with pytest.raises(CmpFault):
        protection.verify_mac(stale, b"s")
