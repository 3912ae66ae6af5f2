"""The slow twin of the CRL builder against pyca/cryptography and openssl."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509 as other
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import crl, der, oids, x509

from tests.protocols import material

ISSUER = material.name("ca").public_bytes()
SPKI = material.spki(material.private_key("EC-P256"))
START, END = 1795521600, 1795525200
NUMBER = x509.Extension(oids.CRL_NUMBER, False, der.integer(5)).encode()
REASONS = {
    1: "key_compromise", 2: "ca_compromise", 3: "affiliation_changed", 4: "superseded", 5: "cessation_of_operation",
    6: "certificate_hold", 8: "remove_from_crl", 9: "privilege_withdrawn", 10: "aa_compromise",
}  # fmt: skip
ENTRY = st.tuples(
    st.integers(1, (1 << 159) - 1),
    st.integers(0, 4102444800),
    st.sampled_from([-1, 0, *REASONS]),
    st.just(0) | st.integers(1, 4102444800),
)


def magnitude(serial: int) -> bytes:
    return serial.to_bytes((serial.bit_length() + 7) // 8, "big")


def moment(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


@given(st.lists(ENTRY, max_size=12, unique_by=lambda entry: entry[0]))
def test_cryptography_reads_the_same_entries(entries: list[tuple[int, int, int, int]]) -> None:
    signer = material.signer()
    encoded = crl.build_crl(
        signer, ISSUER, START, END, der.sequence(NUMBER), ((magnitude(serial), *rest) for serial, *rest in entries)
    )
    der.check(encoded)
    peer = other.load_der_x509_crl(encoded)
    assert peer.issuer.public_bytes() == ISSUER
    assert (peer.last_update_utc, peer.next_update_utc) == (moment(START), moment(END))
    assert peer.extensions.get_extension_for_class(other.CRLNumber).value.crl_number == 5
    assert peer.is_signature_valid(material.private_key("EC-P256").public_key())
    assert len(peer) == len(entries)
    for (serial, revoked_at, reason, invalidity), one in zip(entries, peer, strict=True):
        assert (one.serial_number, one.revocation_date_utc) == (serial, moment(revoked_at))
        found = {extension.oid.dotted_string: extension.value for extension in one.extensions}
        assert (oids.REASON_CODE in found) == (reason > 0)
        assert (oids.INVALIDITY_DATE in found) == (invalidity > 0)
        if reason > 0:
            assert found[oids.REASON_CODE].reason.name == REASONS[reason]
        if invalidity:
            assert found[oids.INVALIDITY_DATE].invalidity_date_utc == moment(invalidity)


def test_without_entries_the_list_is_absent() -> None:
    tbs = crl.build_tbs("ecdsa-sha256", ISSUER, START, END, der.sequence(NUMBER), ())
    assert [one.tag for one in der.read(tbs).children()] == [
        der.INTEGER, der.SEQUENCE, der.SEQUENCE, der.UTC_TIME, der.UTC_TIME, der.context(0),
    ]  # fmt: skip


@pytest.mark.parametrize(("key", "name"), [one for one in material.SIGNERS if one[0].startswith(("RSA", "EC", "Ed2"))])
def test_openssl_verifies_it(key: str, name: str, tmp_path: object) -> None:
    signer = material.signer(key, name)
    made = material.certificate(signer.key, "ca")
    encoded = crl.build_crl(signer, ISSUER, START, END, der.sequence(NUMBER), [(b"\x80", START, 1, START)])
    path = tmp_path / "ca.pem"  # type: ignore[operator]
    path.write_bytes(material.cert_pem(made))
    text = material.openssl("crl", "-inform", "DER", "-text", "-noout", "-CAfile", path, stdin=encoded)
    assert b"Serial Number: 80" in text
    assert b"Key Compromise" in text
