"""What the core builds and signs, against bare signatures and hashes of the same library in the same run.

Each figure is the best of several rounds that alternate with its limit. What runs in one thread is measured in that
thread's processor time, so that other programs on the machine disturb little; bulk work is measured by the clock.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from cryptography import x509 as lib
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509 import ocsp
from pycryptoutil_protocols import der

from pycryptoutil import _core
from pycryptoutil.crypto import keys, x509
from pycryptoutil.crypto.signer import (
    CertificateSigner,
    CrlEntry,
    KeySigner,
    OcspSigner,
    SingleStatus,
    build_crl,
    build_crl_file,
    encode_crl_entries,
)

NOW = 1_760_000_000
ROUNDS = 7
LOOP = 400  # short, so that on a busy machine some rounds run undisturbed
LOOPS = 60
ENTRIES = 1_000_000
CHUNK = 1_000
KEY = keys.generate("EC-P256")
SIGNER = KeySigner(KEY)
NAME = x509.name_der("CN=Issuing CA 1,O=Example,C=DE")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


def row(
    name: str, value: float, unit: str, limit_name: str, limit: float, aim: float | None, better: str = "higher"
) -> Row:
    """One line of the report; the ratio is value over limit."""
    return {"name": name, "value": value, "unit": unit, "limit_name": limit_name, "limit_value": limit,
            "ratio": value / limit, "aim": aim, "better": better}  # fmt: skip


def timed(call: Callable[[], object], clock: Callable[[], float] = thread_time) -> float:
    """Seconds of one call; what it returned is freed outside."""
    start = clock()
    kept = call()
    taken = clock() - start
    del kept
    return taken


def raw_signature(clock: Callable[[], float] = thread_time) -> float:
    """Seconds of one bare P-256 signature."""
    return timed(lambda: _core.bench_sign_loop(KEY, "ecdsa-sha256", bytes(32), LOOP), clock) / LOOP


def against_signatures(name: str, aim: float | None, once: Callable[[], object], count: int = LOOP) -> Row:
    """Compare a loop of calls from Python with the bare loop in Rust."""

    def loop() -> None:
        for _ in range(count):
            once()

    taken, limit = [], []
    for _ in range(LOOPS):
        limit.append(raw_signature())
        taken.append(timed(loop) / count)
    return row(name, 1 / min(taken), "/s", "bare P-256 signatures", 1 / min(limit), aim)


def certificate_id() -> bytes:
    return der.sequence(
        der.sequence(der.oid("1.3.14.3.2.26"), der.null()),
        der.octet_string(bytes(20)),
        der.octet_string(bytes(20)),
        der.unsigned(b"\x5a" * 17),
    )


SINGLE: SingleStatus = (certificate_id(), 0, 0, -1, NOW, NOW + 3600, b"")
NAMES = lib.SubjectAlternativeName([lib.DNSName("a.example.test")])
EXTENSIONS = x509.extensions_der(
    [
        lib.Extension(lib.ExtensionOID.BASIC_CONSTRAINTS, True, lib.BasicConstraints(ca=False, path_length=None)),
        lib.Extension(
            lib.ExtensionOID.EXTENDED_KEY_USAGE, False, lib.ExtendedKeyUsage([lib.ExtendedKeyUsageOID.SERVER_AUTH])
        ),
        lib.Extension(
            lib.ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
            False,
            lib.SubjectAlternativeName([lib.DNSName("a.example.test")]),
        ),
        lib.Extension(
            lib.ExtensionOID.SUBJECT_KEY_IDENTIFIER, False, lib.SubjectKeyIdentifier(x509.ski(KEY.public_spki))
        ),
        lib.Extension(
            lib.ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
            False,
            lib.AuthorityKeyIdentifier(x509.ski(KEY.public_spki), None, None),
        ),
    ]
)


def ocsp_rows() -> list[Row]:
    """Responses with the responder's certificate inside, one by one and in bulk, and cryptography's."""
    issuer = CertificateSigner(SIGNER, NAME)
    certificate = issuer.sign(issuer.tbs(b"\x01", NOW, NOW + 1, NAME, KEY.public_spki, EXTENSIONS))
    signer = OcspSigner(SIGNER, [certificate])
    rows = [
        against_signatures("OCSP response, build and sign", 0.85, lambda: signer.sign([SINGLE], NOW)),
        against_signatures("OCSP response with nonce", 0.85, lambda: signer.sign([SINGLE], NOW, b"n" * 32)),
    ]
    cores = len(os.sched_getaffinity(0))
    bulk, limit = [], []
    for _ in range(LOOPS):
        limit.append(raw_signature(perf_counter))
        bulk.append(timed(lambda: signer.sign_many([SINGLE] * LOOP * cores, NOW), perf_counter) / (LOOP * cores))
    name = f"bare P-256 signatures × {cores} cores"
    rows.append(row("OCSP responses in bulk, all cores", 1 / min(bulk), "/s", name, cores / min(limit), None))
    parsed = lib.load_der_x509_certificate(certificate)
    private = load_der_private_key(KEY.export_pkcs8(), None)
    instant = EPOCH + timedelta(seconds=NOW)

    def peer() -> object:
        builder = ocsp.OCSPResponseBuilder().add_response(
            parsed, parsed, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, instant, instant, None, None
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, parsed).certificates([parsed])
        return builder.sign(private, hashes.SHA256())  # type: ignore[arg-type]

    rows.append(against_signatures("  the same by pyca/cryptography", None, peer, LOOP // 8))
    return rows


def certificate_rows() -> list[Row]:
    """A leaf with five extensions."""
    signer = CertificateSigner(SIGNER, NAME)
    subject, spki, serial = x509.name_der("CN=a.example.test"), KEY.public_spki, b"\x5a" * 17
    return [
        against_signatures(
            "certificate, build and sign",
            0.6,
            lambda: signer.sign(signer.tbs(serial, NOW, NOW + 86_400, subject, spki, EXTENSIONS)),
        )
    ]


def entries(count: int) -> Iterator[CrlEntry]:
    """Serials of 17 octets; every second with a reason."""
    step = 0x9E3779B97F4A7C15F39CC0605CEDC835
    for index in range(1, count + 1):
        serial = b"\x5a" + (index * step & ((1 << 128) - 1)).to_bytes(16, "big")
        yield (serial, NOW - index, index % 2, 0)


def crl_rows() -> list[Row]:
    """A million entries, in the three forms in which a store may give them."""
    tuples = list(entries(ENTRIES))
    chunks = [encode_crl_entries(tuples[at : at + CHUNK]) for at in range(0, ENTRIES, CHUNK)]
    singles = [encode_crl_entries([entry]) for entry in tuples]
    gc.collect()
    gc.disable()  # a collection in the middle would walk the million tuples, which are the bench's own
    forms: dict[str, tuple[float | None, list[Any]]] = {
        f"stored DER, {CHUNK} a chunk": (2.5, chunks),
        "stored DER, one by one": (None, singles),
        "Python tuples": (None, tuples),
    }
    rows = []
    whole = build_crl(SIGNER, NAME, NOW, NOW + 86_400, b"", chunks)
    for name, (aim, form) in forms.items():
        taken, limit = [], []
        for _ in range(ROUNDS):
            limit.append(timed(lambda: _core.bench_sha256(whole)) + raw_signature())
            taken.append(timed(lambda form=form: build_crl(SIGNER, NAME, NOW, NOW + 86_400, b"", form)))  # type: ignore[misc]
        label = f"CRL of {ENTRIES:,} entries from {name}"
        rows.append(row(label, min(taken), "s", "SHA-256 and a signature", min(limit), aim, "lower"))
    gc.enable()
    return rows


def memory_rows() -> list[Row]:
    """Peak memory in a process of its own, whose entries come from a generator."""
    rows = []
    for name, mode in (("CRL in memory, peak", "memory"), ("CRL into a file, peak", "file")):
        run = subprocess.run(
            [sys.executable, __file__, mode], capture_output=True, text=True, check=True, env=os.environ
        )
        peak, size = map(float, run.stdout.split())
        rows.append(row(name, peak / 2**20, "MiB", "size of the list", size / 2**20, 2.0, "lower"))
    return rows


def peak_memory() -> int:
    """Peak resident memory in octets. (ru_maxrss would begin with that of the parent process.)"""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def measure_peak(mode: str) -> None:
    """Print how far the peak rose while a list was made, and the size of the list, in octets."""
    build_crl(SIGNER, NAME, NOW, NOW + 1, b"", entries(10))
    before = peak_memory()
    if mode == "memory":
        size = len(build_crl(SIGNER, NAME, NOW, NOW + 1, b"", entries(ENTRIES)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            size = build_crl_file(Path(folder) / "ca.crl", SIGNER, NAME, NOW, NOW + 1, b"", entries(ENTRIES))
    print(peak_memory() - before, size)


def run() -> list[Row]:
    """Every figure of the core."""
    return [*ocsp_rows(), *certificate_rows(), *crl_rows(), *memory_rows()]


if __name__ == "__main__":
    measure_peak(sys.argv[1])
