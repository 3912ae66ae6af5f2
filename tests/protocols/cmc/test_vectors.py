"""What Bouncy Castle's classes sent (tests/vectors/cmc), read and verified as a server does."""

from __future__ import annotations

import pytest
from pycryptoutil_protocols import cms, csr, x509
from pycryptoutil_protocols.cmc import codec, controls, layers, proofs
from pycryptoutil_protocols.cmc.messages import PKI_DATA, PkiData, RequestKind
from pycryptoutil_protocols.cmc.server.identity import Keys
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material

# of an installation that existed only for this
USER, SECRET = (
    "enroll-4106b66fd673e111dc88",
    b"yzIVVR4Y5QYN0nqXw0tItIkhXfua3mu5",
)
FOLDER = material.VECTORS / "cmc"
BY_KEY = ("enrol", "crmf", "wrong-secret")
BY_CERTIFICATE = ("renew", "unsigned", "decrypted", "revoke", "get-crl")


def read(name: str) -> tuple[layers.Layer, PkiData]:
    layer = layers.open_layer((FOLDER / f"{name}.der").read_bytes())
    assert layer.content_type == PKI_DATA
    return layer, codec.decode_data(layer.content)


@pytest.mark.parametrize("name", [*BY_KEY, *BY_CERTIFICATE])
def test_messages_are_read_as_they_are(name: str) -> None:
    encoded = (FOLDER / f"{name}.der").read_bytes()
    assert encoded[:2] == b"\x30\x80"  # its messages are BER
    layer, data = read(name)
    assert codec.encode_data(data) == layer.content
    for control in data.controls:
        controls.KINDS[control.oid].value(control)
    assert controls.strange(data.controls) == ()


@pytest.mark.parametrize("name", BY_KEY)
def test_signed_by_the_key_of_the_request(name: str) -> None:
    layer, data = read(name)
    spki = Keys.of(data.requests).named(layer.signer.key_identifier)
    layers.verify(layer, spki)
    proof = controls.IDENTITY_PROOF_V2.one(data.controls)
    assert controls.IDENTIFICATION.one(data.controls) == USER
    if name == "wrong-secret":
        with pytest.raises(Fault) as caught:
            proofs.check_identity(proof, SECRET, USER, data.request_sequence)
        assert caught.value.kind is FaultKind.UNAUTHENTICATED
    else:
        proofs.check_identity(proof, SECRET, USER, data.request_sequence)


@pytest.mark.parametrize("name", BY_CERTIFICATE)
def test_signed_by_a_certificate(name: str) -> None:
    layer, _ = read(name)
    (certificate,) = map(x509.decode_certificate, layer.certificates)
    assert cms.is_signer(layer.signer, certificate)
    layers.verify(layer, certificate.spki)
    assert layer.signing_time is not None


def test_requests() -> None:
    (request,) = read("enrol")[1].requests
    proofs.check_pkcs10(request.csr)
    (request,) = read("crmf")[1].requests
    assert (request.kind, request.body_part) == (RequestKind.CRMF, 51)
    proofs.check_signature(request.crmf, request.crmf.request.template.spki)
    (request,) = read("unsigned")[1].requests
    assert proofs.is_unsigned(request.csr)
    _, data = read("decrypted")
    assert controls.DECRYPTED_POP.one(data.controls).body_part == data.requests[0].body_part == 52
    assert data.requests[0] == request


def test_controls() -> None:
    revoke = controls.REVOKE_REQUEST.one(read("revoke")[1].controls)
    assert revoke.reason == 4
    assert controls.GET_CRL.one(read("get-crl")[1].controls).issuer == revoke.issuer


def test_simple() -> None:
    request = csr.decode_csr((FOLDER / "simple.der").read_bytes())
    assert request.challenge_password == SECRET.decode()
    csr.verify_csr(request)
