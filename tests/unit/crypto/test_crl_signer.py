"""Revocation lists of the core against cryptography's builder, in memory, into a file, from tuples and from DER."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, load_der_public_key
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import keys
from pycryptoutil.crypto.signer import (
    CrlEntry,
    KeySigner,
    build_crl,
    build_crl_file,
    check_crl_entries,
    encode_crl_entries,
    encode_crl_entry,
)
from pycryptoutil.crypto.x509 import extensions_der, name_der

KEY = keys.generate("EC-P256")
SIGNER = KeySigner(KEY)
NAME = name_der("CN=Issuing CA,O=Example")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = x509.Extension(x509.ExtensionOID.CRL_NUMBER, False, x509.CRLNumber(7))
REASONS = {1: "key_compromise", 2: "ca_compromise", 3: "affiliation_changed", 4: "superseded",
           5: "cessation_of_operation", 6: "certificate_hold", 8: "remove_from_crl", 9: "privilege_withdrawn",
           10: "aa_compromise"}  # fmt: skip
INSTANTS = st.integers(-600_000_000, 250_000_000_000)
ENTRIES = st.tuples(
    st.integers(1, (1 << 159) - 1).map(lambda number: number.to_bytes(20, "big")),
    INSTANTS,
    st.sampled_from([-1, 0, *REASONS]),
    st.just(0) | INSTANTS,
)


def at(unix: int) -> datetime:
    return EPOCH + timedelta(seconds=unix)


def theirs(this: int, until: int, entries: list[CrlEntry]) -> bytes:
    """The list that cryptography makes of the same fields; its extensions of an entry come in the order added."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(
        x509.Name(
            [
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Example"),
                x509.NameAttribute(x509.NameOID.COMMON_NAME, "Issuing CA"),
            ]
        )
    )
    builder = builder.last_update(at(this)).next_update(at(until)).add_extension(NUMBER.value, NUMBER.critical)
    for serial, revoked_at, reason, invalidity in entries:
        entry = x509.RevokedCertificateBuilder().serial_number(int.from_bytes(serial, "big"))
        entry = entry.revocation_date(at(revoked_at))
        if reason in REASONS:
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags[REASONS[reason]]), False)
        if invalidity:
            entry = entry.add_extension(x509.InvalidityDate(at(invalidity)), False)
        builder = builder.add_revoked_certificate(entry.build())
    private = load_der_private_key(KEY.export_pkcs8(), None)
    return builder.sign(private, hashes.SHA256()).tbs_certlist_bytes  # type: ignore[arg-type]


def read(encoded: bytes, key: keys.PrivateKey = KEY) -> x509.CertificateRevocationList:
    found = x509.load_der_x509_crl(encoded)
    assert found.is_signature_valid(load_der_public_key(key.public_spki))  # type: ignore[arg-type]
    assert found.public_bytes(Encoding.DER) == encoded
    return found


@settings(max_examples=60, deadline=None)
@given(this=st.integers(0, 3_000_000_000), lasts=st.integers(1, 10**8), entries=st.lists(ENTRIES, max_size=8))
def test_the_same_octets_as_cryptography(this: int, lasts: int, entries: list[CrlEntry]) -> None:
    encoded = build_crl(SIGNER, NAME, this, this + lasts, extensions_der([NUMBER]), iter(entries))
    assert read(encoded).tbs_certlist_bytes == theirs(this, this + lasts, entries)
    runs = [encode_crl_entries(entries[at : at + 2]) for at in range(0, len(entries), 2)]
    again = build_crl(SIGNER, NAME, this, this + lasts, extensions_der([NUMBER]), runs)
    assert read(again).tbs_certlist_bytes == read(encoded).tbs_certlist_bytes
    assert check_crl_entries(b"".join(runs)) == len(entries)


def many(count: int) -> Iterator[CrlEntry]:
    for index in range(1, count + 1):
        yield (index.to_bytes(17, "big"), 1_700_000_000 + index, [-1, 1, 4][index % 3], 0)


@pytest.mark.parametrize("count", [0, 1, 3, 5_000, 150_000])
def test_a_file_is_the_same_list(count: int, tmp_path: Path) -> None:
    path = tmp_path / "ca.crl"
    path.write_bytes(b"the old one")
    length = build_crl_file(path, SIGNER, NAME, 0, 1, extensions_der([NUMBER]), many(count))
    written = path.read_bytes()
    assert len(written) == length
    whole = build_crl(SIGNER, NAME, 0, 1, extensions_der([NUMBER]), many(count))
    found = read(written)
    assert found.tbs_certlist_bytes == read(whole).tbs_certlist_bytes
    assert len(found) == count
    assert list(tmp_path.iterdir()) == [path]


def test_tuples_and_runs_of_any_size_mix() -> None:
    entries = list(many(60_000))
    mixed: list[CrlEntry | bytes] = [
        entries[0],
        encode_crl_entries(entries[1:50_000]),
        *entries[50_000:50_010],
        encode_crl_entry(*entries[50_010]),
        b"",
        encode_crl_entries(entries[50_011:]),
    ]
    whole = build_crl(SIGNER, NAME, 0, 1, b"", entries)
    assert read(build_crl(SIGNER, NAME, 0, 1, b"", mixed)).tbs_certlist_bytes == read(whole).tbs_certlist_bytes
    assert encode_crl_entries(mixed) == encode_crl_entries(entries)


@pytest.mark.parametrize("algorithm", ["RSA-2048", "EC-P384", "EC-P521", "Ed25519", "ML-DSA-44"])
def test_other_algorithms(algorithm: str, tmp_path: Path) -> None:
    """Also those that take a message whole, where the file is spooled."""
    key = keys.generate(algorithm)
    assert len(read(build_crl(KeySigner(key), NAME, 0, 1, b"", many(10)), key)) == 10
    build_crl_file(tmp_path / "x", KeySigner(key), NAME, 0, 1, b"", many(120_000))
    assert len(read((tmp_path / "x").read_bytes(), key)) == 120_000


def test_an_error_of_the_iterator_passes_through_and_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ca.crl"
    path.write_bytes(b"the old one")

    def failing() -> Iterator[CrlEntry]:
        yield from many(150_000)
        raise LookupError("the database went away")

    with pytest.raises(LookupError):
        build_crl(SIGNER, NAME, 0, 1, b"", failing())
    with pytest.raises(LookupError):
        build_crl_file(path, SIGNER, NAME, 0, 1, b"", failing())
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Fault) as raised:
        build_crl_file(tmp_path / "none" / "ca.crl", SIGNER, NAME, 0, 1, b"", many(1))
    assert raised.value.kind is FaultKind.UNAVAILABLE


@pytest.mark.parametrize(
    "entry",
    [
        (b"", 0, -1, 0),
        (b"\0", 0, -1, 0),
        (b"\x01" * 21, 0, -1, 0),
        (b"\x01", 1 << 50, -1, 0),
        (b"\x01", 0, 7, 0),
        (b"\x01", 0, 99, 0),
        (b"\x01", 0, -1, 1 << 50),
        (b"\x01", 0, -1),
        b"\x30\x00",
        b"\x30\x12\x02\x01\x00\x17\x0d250101000000Z",
        b"nonsense",
    ],
    ids=range(11),
)
def test_bad_entries_are_refused(entry: object, tmp_path: Path) -> None:
    for call in (
        lambda: build_crl(SIGNER, NAME, 0, 1, b"", [entry]),  # type: ignore[list-item]
        lambda: build_crl_file(tmp_path / "x", SIGNER, NAME, 0, 1, b"", [entry]),  # type: ignore[list-item]
        lambda: encode_crl_entries([entry]),  # type: ignore[list-item]
    ):
        with pytest.raises(Fault):
            call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("entry", [None, 7, "text", ("x", 0, 0, 0), (b"\x01", "0", 0, 0), (b"\x01", 1 << 70, 0, 0)])
def test_entries_of_other_types(entry: object) -> None:
    with pytest.raises((TypeError, OverflowError)):
        build_crl(SIGNER, NAME, 0, 1, b"", [entry])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("issuer", "this", "until", "extensions"),
    [(b"", 0, 1, b""), (NAME, 5, 5, b""), (NAME, 0, 1 << 50, b""), (NAME, 0, 1, b"\x30\x01")],
    ids=range(4),
)
def test_bad_fields_are_refused(issuer: bytes, this: int, until: int, extensions: bytes) -> None:
    with pytest.raises(Fault):
        build_crl(SIGNER, issuer, this, until, extensions, [])
