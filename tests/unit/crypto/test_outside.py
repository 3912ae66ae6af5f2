"""Keys outside the core: what they sign is, octet for octet, what the core would have encoded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from cryptography import x509
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.crypto.keys import PrivateKey, generate
from pycryptoutil.crypto.signer import (
    CertificateSigner,
    KeySigner,
    OcspSigner,
    build_crl,
    build_crl_file,
    encode_crl_entries,
)
from pycryptoutil.crypto.x509 import name_der

NAME = name_der("CN=Outside")
KEY = generate("RSA-2048")  # PKCS #1 v1.5 has one signature for one message
EXTENSIONS = bytes.fromhex("300c300a0603551d140403020105")
ENTRIES = [(bytes([1 + index, index]), 1_700_000_000 + index, index % 7 or -1, 0) for index in range(60)]


class Elsewhere:
    """A key of the core that the core does not get to see."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.algorithm = key.algorithm
        self.public_spki = key.public_spki
        self.sign = key.sign
        self.rsa_decrypt = key.rsa_decrypt
        self.ecdh = key.ecdh
        self.decapsulate = key.decapsulate


class Streaming(Elsewhere):
    """One that signs in parts, and says how many there were."""

    parts = 0

    def sign_stream(self, signature_algorithm: str, parts: Iterable[bytes]) -> bytes:
        got = list(parts)
        self.parts = len(got)
        return self._key.sign(signature_algorithm, b"".join(got))


INSIDE, OUTSIDE = KeySigner(KEY), KeySigner(Elsewhere(KEY))
FIELDS = (b"\x12\x34", 1_700_000_000, 2_600_000_000, name_der("CN=leaf"), KEY.public_spki, EXTENSIONS)
CERTIFICATE = CertificateSigner(INSIDE, NAME).sign(CertificateSigner(INSIDE, NAME).tbs(*FIELDS))


def test_certificates() -> None:
    inside, outside = CertificateSigner(INSIDE, NAME), CertificateSigner(OUTSIDE, NAME)
    assert inside.tbs(*FIELDS) == outside.tbs(*FIELDS)
    made = outside.sign(outside.tbs(*FIELDS))
    assert made == CERTIFICATE
    assert x509.load_der_x509_certificate(made).serial_number == 0x1234


@pytest.mark.parametrize("nonce", [None, b"n" * 16])
def test_ocsp_responses(nonce: bytes | None) -> None:
    singles = [(bytes.fromhex("3003020101"), status, 1_600_000_000, 1, 1_700_000_000, 1_700_086_400, b"")
               for status in (0, 1, 2)]  # fmt: skip
    certificates = [CERTIFICATE]
    inside, outside = OcspSigner(INSIDE, certificates), OcspSigner(OUTSIDE, certificates)
    assert outside.sign(singles, 1_700_000_000, nonce) == inside.sign(singles, 1_700_000_000, nonce)
    assert outside.sign_many(singles, 1_700_000_000) == inside.sign_many(singles, 1_700_000_000)


@pytest.mark.parametrize("entries", [[], ENTRIES, [encode_crl_entries(ENTRIES), ENTRIES[0]]])
def test_revocation_lists(tmp_path: Path, entries: list[tuple[bytes, int, int, int] | bytes]) -> None:
    fields = (NAME, 1_700_000_000, 1_700_600_000, EXTENSIONS)
    wanted = build_crl(INSIDE, *fields, entries)
    assert build_crl(OUTSIDE, *fields, entries) == wanted
    streaming = Streaming(KEY)
    for signer in (OUTSIDE, KeySigner(streaming)):
        path = tmp_path / "made.crl"
        assert build_crl_file(path, signer, *fields, entries) == len(wanted)
        assert path.read_bytes() == wanted
        assert list(tmp_path.iterdir()) == [path]
    assert streaming.parts == (3 if entries else 2)


def test_what_is_no_certificate_is_not_sent_along() -> None:
    with pytest.raises(Fault):
        OcspSigner(OUTSIDE, [b"nonsense"])


def test_a_list_that_cannot_be_signed_leaves_no_file(tmp_path: Path) -> None:
    class Broken(Elsewhere):
        def __init__(self) -> None:
            super().__init__(KEY)
            self.sign = self.fail  # type: ignore[assignment]

        @staticmethod
        def fail(*_: object) -> bytes:
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        build_crl_file(tmp_path / "made.crl", KeySigner(Broken()), NAME, 1, 2, EXTENSIONS, ENTRIES)
    assert not list(tmp_path.iterdir())
