"""JOSE, one by one and many at once, against the bare primitives in the same run, and against peers.

A single call is measured in this thread's processor time, best of many rounds that alternate with its limit. Bulk work
is measured by the clock; its limit is the bare primitive on every core at once, which other programs slow
down as much. Payloads are claims of 200 octets.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from pycryptoutil import _core, jose
from pycryptoutil.crypto import keys
from pycryptoutil.jose.text import b64d, b64e

Row = dict[str, Any]
CORES = len(os.sched_getaffinity(0))
PAYLOAD = json.dumps({"iss": "https://as.test", "sub": "user_42", "exp": 1_760_000_000, "scope": "x" * 120}).encode()
BULK = 100_000
SHORT = 0.02  # seconds of one round
ROUNDS = 25
SIGNS = {"ES256": "EC-P256", "RS256": "RSA-2048", "PS256": "RSA-2048", "EdDSA": "Ed25519", "HS256": "HS256"}
SIGNS |= {"ML-DSA-65": "ML-DSA-65"}
SCHEMES = {"ES256": "ecdsa-sha256", "RS256": "rsa-sha256", "PS256": "rsa-pss-sha256", "EdDSA": "ed25519"}
SCHEMES |= {"ML-DSA-65": "ml-dsa-65"}
JWES = {"dir": "A256GCM", "A256KW": "A256KW", "ECDH-ES+A256KW": "EC-P256", "RSA-OAEP-256": "RSA-2048"}


def row(name: str, rate: float, limit_name: str, limit: float, aim: float | None) -> Row:
    """One line of the report, in operations a second."""
    return {"name": name, "value": rate, "unit": "/s", "limit_name": limit_name, "limit_value": limit,
            "ratio": rate / limit, "aim": aim, "better": "higher"}  # fmt: skip


def timed(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of one call; what it returned is freed outside."""
    start = clock()
    kept = call()
    taken = clock() - start
    del kept
    return taken


Raw = Callable[[int], float]


def count_for(raw: Raw, seconds: float, most: int) -> int:
    """How many operations take so long."""
    return max(1, min(most, int(seconds / max(raw(3) / 3, 1e-8))))


def single(name: str, raw: Raw, once: Callable[[], object], aim: float | None, limit_name: str) -> Row:
    """Calls from Python one after the other, against the bare loop in Rust."""
    count = count_for(raw, SHORT, 4_000)
    taken, limit = [], []

    def loop() -> None:
        for _ in range(count):
            once()

    for _ in range(ROUNDS):
        limit.append(timed(lambda: raw(count), thread_time) / count)
        taken.append(timed(loop, thread_time) / count)
    return row(name, 1 / min(taken), limit_name, 1 / min(limit), aim)


def bulk(name: str, raw: Raw, many: Callable[[int], Callable[[], object]], aim: float | None, limit_name: str) -> Row:
    """One call for all, against the bare loop on every core. 100 000 where that takes under three seconds."""
    count = count_for(raw, 3.0, BULK)
    call = many(count)
    part = max(1, count // CORES)
    taken, limit = [], []
    with ThreadPoolExecutor(CORES) as pool:

        def bare() -> None:
            list(pool.map(raw, [part] * CORES))

        for _ in range(3):
            limit.append(timed(bare, perf_counter) / (part * CORES))
            taken.append(timed(call, perf_counter) / count)
    return row(f"{name} × {count:,}", 1 / min(taken), f"{limit_name} on {CORES} cores", 1 / min(limit), aim)


def signature_rows() -> Iterator[Row]:
    """Sign and verify with each algorithm."""
    for alg, kind in SIGNS.items():
        key = jose.generate(kind, alg="" if kind == "HS256" else alg)
        signer, verifier = jose.JwsSigner(key), jose.JwsVerifier(key)
        token = signer.sign(PAYLOAD)
        signed, _, signature = token.rpartition(".")
        data = signed.encode()

        def sign_raw(count: int, key: Any = key, alg: str = alg, data: bytes = data) -> float:
            if isinstance(key, jose.JwkSecret):
                return _core.bench_mac_loop(key.handle, alg, data, count)
            return _core.bench_sign_loop(key.handle, SCHEMES[alg], data, count)

        def verify_raw(
            count: int, key: Any = key, alg: str = alg, data: bytes = data, signature: str = signature
        ) -> float:
            if isinstance(key, jose.JwkSecret):
                return _core.bench_mac_loop(key.handle, alg, data, count)
            public = keys.PublicKey.from_spki(key.public.spki)
            return _core.bench_verify_loop(public, alg, data, b64d(signature), count)

        yield single(f"JWS {alg} sign", sign_raw, lambda: signer.sign(PAYLOAD), 0.7, "bare signature")  # noqa: B023
        yield bulk(
            f"JWS {alg} sign_many",
            sign_raw,
            lambda count: lambda: signer.sign_many([PAYLOAD] * count),  # noqa: B023
            0.85,
            "bare signature",
        )
        yield single(f"JWS {alg} verify", verify_raw, lambda: verifier.verify(token), 0.7, "bare verification")  # noqa: B023
        yield bulk(
            f"JWS {alg} verify_many",
            verify_raw,
            lambda count: lambda: verifier.verify_many([token] * count),  # noqa: B023
            0.85,
            "bare verification",
        )


def encryption_rows() -> Iterator[Row]:
    """Encrypt and decrypt A256GCM content by each way of delivering its key."""
    for alg, kind in JWES.items():
        key = jose.generate(kind, alg="" if kind.startswith("A256") else alg)
        encrypter, decrypter = jose.JweEncrypter(key), jose.JweDecrypter(key)
        token = encrypter.encrypt(PAYLOAD)
        handle = key.handle if isinstance(key, jose.JwkSecret) else keys.PublicKey.from_spki(key.public.spki)

        def encrypt_raw(count: int, handle: Any = handle, alg: str = alg) -> float:
            return _core.bench_encrypt_loop(handle, alg, "A256GCM", PAYLOAD, count)

        def decrypt_raw(count: int, key: Any = key, alg: str = alg, token: str = token) -> float:
            return _core.bench_decrypt_loop(key.handle, alg, token.encode(), count)

        name = f"JWE {alg} A256GCM"
        limit = "key and AES in the core"
        yield single(f"{name} encrypt", encrypt_raw, lambda: encrypter.encrypt(PAYLOAD), 0.7, limit)  # noqa: B023
        yield bulk(
            f"{name} encrypt_many",
            encrypt_raw,
            lambda count: lambda: encrypter.encrypt_many([PAYLOAD] * count),  # noqa: B023
            None,
            limit,
        )
        yield single(f"{name} decrypt", decrypt_raw, lambda: decrypter.decrypt(token), 0.7, limit)  # noqa: B023
        yield bulk(
            f"{name} decrypt_many",
            decrypt_raw,
            lambda count: lambda: decrypter.decrypt_many([token] * count),  # noqa: B023
            None,
            limit,
        )


def peer_rows() -> Iterator[Row]:
    """The same signatures by others, against our own single call."""
    for alg in ("ES256", "RS256", "EdDSA", "HS256"):
        members = jose.generate(SIGNS[alg], kid="").export()
        members.pop("alg", None)
        signer = jose.JwsSigner(jose.parse(members | {"alg": alg}))  # type: ignore[arg-type]
        for name, once in _peers(alg, members):
            taken, own = [], []
            for _ in range(5):
                own.append(timed(lambda: [signer.sign(PAYLOAD) for _ in range(50)], thread_time) / 50)  # noqa: B023
                taken.append(once())
            yield row(f"  {alg} sign by {name}", 1 / min(taken), "JwsSigner.sign", 1 / min(own), None)


def _peers(alg: str, members: dict[str, Any]) -> Iterator[tuple[str, Callable[[], float]]]:
    import jwt as pyjwt
    from jwcrypto import jwk, jws

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from joserfc import jws as joserfc_jws
        from joserfc.jwk import import_key

    def fifty(call: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return timed(lambda: [call() for _ in range(50)], thread_time) / 50

        return run

    theirs = import_key(members)
    yield "joserfc", fifty(lambda: joserfc_jws.serialize_compact({"alg": alg}, PAYLOAD, theirs, algorithms=[alg]))
    other = jwk.JWK(**members)

    def by_jwcrypto() -> str:
        made = jws.JWS(PAYLOAD)
        made.add_signature(other, alg, json.dumps({"alg": alg}))
        text: str = made.serialize(compact=True)
        return text

    yield "jwcrypto", fifty(by_jwcrypto)
    third = pyjwt.PyJWK(members, algorithm=alg)
    yield "PyJWT", fifty(lambda: pyjwt.api_jws.encode(PAYLOAD, third, algorithm=alg))
    script = Path(__file__).resolve().parents[2] / "interop" / "jose_peer.mjs"
    from tests.support.node import FOLDER, NodePeer

    if (FOLDER / "node_modules" / "jose").is_dir():
        peer = NodePeer(script, "jose@6")

        def by_node() -> float:
            taken: float = peer.ask("signRate", jwk=members, alg=alg, payload=b64e(PAYLOAD), count=300)
            return taken

        yield "npm jose", by_node
        peer.close()


def run() -> list[Row]:
    """Every figure of JOSE."""
    return [*signature_rows(), *encryption_rows(), *peer_rows()]
