"""Requests that real clients sent: read whole, and verified."""

from __future__ import annotations

import json

import pytest
from pycryptoutil_protocols import names, x509
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.scep import codec, exchange, messages
from pycryptoutil_protocols.scep.messages import EnrolRequest, IssuerAndSubject, MessageType

from tests.protocols import material
from tests.protocols.scep_material import NOW

FOLDER = material.VECTORS / "scep"
KEYS: dict[str, str] = json.loads((FOLDER / "content-keys.json").read_text())
# what each one uses: cipher, digest of the signature, whether that is of old
EXPECTED = {
    "apple-macos-pkcsreq": (MessageType.PKCS_REQ, "des-ede3-cbc", "sha1"),
    "certmonger-0.79.17-pkcsreq": (MessageType.PKCS_REQ, "aes-256-cbc", "sha256"),
    "certmonger-0.79.17-renewal": (MessageType.PKCS_REQ, "aes-256-cbc", "sha256"),
    "scepclient-2.1.0-pkcsreq": (MessageType.PKCS_REQ, "des-cbc", "sha1"),
    "scepclient-2.3.0-pkcsreq": (MessageType.PKCS_REQ, "des-cbc", "sha1"),
    "strongswan-6.0.1-certpoll": (MessageType.CERT_POLL, "aes-128-cbc", "sha256"),
    "strongswan-6.0.1-pkcsreq": (MessageType.PKCS_REQ, "aes-128-cbc", "sha256"),
    "strongswan-6.0.1-renewalreq": (MessageType.RENEWAL_REQ, "aes-128-cbc", "sha256"),
}


def message(name: str) -> messages.PkiMessage:
    return codec.decode_message((FOLDER / f"{name}.der").read_bytes())


def opened(name: str, *, legacy: bool) -> messages.Request:
    certificate = "apple-macos-ca.der" if name.startswith("apple") else "ra.der"
    reader = exchange.Reader(
        x509.decode_certificate((FOLDER / certificate).read_bytes()), lambda _: bytes.fromhex(KEYS[name])
    )
    return exchange.open_request(message(name), [reader], exchange.Rules(legacy=legacy), NOW)


def test_every_file_is_tested() -> None:
    assert sorted(EXPECTED) == sorted(KEYS)
    assert {path.stem for path in FOLDER.glob("*.der")} == {*EXPECTED, "ra", "apple-macos-ca"}


@pytest.mark.parametrize("name", [name for name in EXPECTED if not name.startswith("apple")])
def test_reads_what_was_sent(name: str) -> None:
    kind, cipher, digest = EXPECTED[name]
    request = opened(name, legacy=digest == "sha1")
    assert request.message.message_type is kind
    assert (request.requester.cipher, request.requester.digest) == (cipher, digest)
    assert request.requester.legacy == (digest == "sha1")
    if isinstance(request.body, EnrolRequest):
        assert request.body.renewal == (kind is MessageType.RENEWAL_REQ)
        assert request.body.csr.name.common_names[0].endswith(".example.test")
        issued = request.requester.certificate.issuer != request.requester.certificate.subject
        assert issued == ("renewal" in name)
        assert (request.body.csr.challenge_password is None) == ("renewal" in name and "strongswan" in name)
    else:
        assert isinstance(request.body, IssuerAndSubject)
        assert names.decode_name(request.body.subject).common_names[0].endswith(".example.test")


@pytest.mark.parametrize("name", [name for name, (_, _, digest) in EXPECTED.items() if digest == "sha1"])
def test_old_algorithms_are_refused_by_default(name: str) -> None:
    with pytest.raises(Fault) as caught:
        opened(name, legacy=False)
    assert caught.value.kind is FaultKind.BAD_ALGORITHM


def test_apple_s_request_of_2016() -> None:
    """Signed with a key of its own, for a key that is too weak today."""
    found = message("apple-macos-pkcsreq")
    assert found.message_type is MessageType.PKCS_REQ
    assert found.transaction_id == "A13090761A30F66664F85D37433D2065E1112BA1"
    assert len(found.sender_nonce) == 8
    request = opened("apple-macos-pkcsreq", legacy=True)
    assert isinstance(request.body, EnrolRequest)
    csr = request.body.csr
    assert csr.name.common_names[0].startswith("com.apple.security.scep.")
    assert csr.spki != request.requester.certificate.spki
    with pytest.raises(Fault) as caught:
        assert csr.key
    assert caught.value.kind is FaultKind.WEAK_KEY
