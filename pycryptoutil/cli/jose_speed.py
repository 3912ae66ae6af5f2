"""``jose speed``: how many tokens this machine signs in one process, beside what the bare signature allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from pycryptoutil.cli import output

if TYPE_CHECKING:
    from pycryptoutil.jose import JwkPrivate

# alg: the core's algorithm of the key, and of the signature
_KINDS: Final = {
    "ES256": ("EC-P256", "ecdsa-sha256"),
    "ES384": ("EC-P384", "ecdsa-sha384"),
    "ES512": ("EC-P521", "ecdsa-sha512"),
    "RS256": ("RSA-2048", "rsa-sha256"),
    "PS256": ("RSA-2048", "rsa-pss-sha256"),
    "EdDSA": ("Ed25519", "ed25519"),
    "ML-DSA-65": ("ML-DSA-65", "ml-dsa-65"),
}
_RAW_SECONDS: Final = 0.5


@click.command()
@click.option("--algorithm", type=click.Choice(list(_KINDS)), default="ES256", show_default=True)
@click.option("--count", type=click.IntRange(1000, 10_000_000), default=100_000, show_default=True)
@output.json_option
def speed(algorithm: str, count: int, as_json: bool) -> None:
    """Sign COUNT tokens by pycryptoutil.jose.sign_many, and compare with the bare signature on as many cores."""
    import os

    from pycryptoutil import jose
    from pycryptoutil.clock import SystemClock

    kind, scheme = _KINDS[algorithm]
    key = jose.generate(kind, alg=algorithm)
    if not isinstance(key, jose.JwkPrivate):
        raise click.UsageError(f"{algorithm} has no private key")
    signer = jose.JwsSigner(key, header={"typ": "JWT"})
    payloads = [b'{"sub":"user-%d"}' % number for number in range(count)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    clock = SystemClock()
    before = _raw(key, scheme, cores)
    start = clock.monotonic()
    made = signer.sign_many(payloads)
    rate = count / (clock.monotonic() - start)
    limit = max(before, _raw(key, scheme, cores))
    jose.verify(key, str(made[-1]))
    row = {
        "algorithm": algorithm,
        "tokens": count,
        "cores": cores,
        "tokens_per_second": round(rate),
        "bare_signatures_per_second": round(limit),
        "ratio": round(rate / limit, 2),
    }
    output.record(row, as_json=as_json)


def _raw(key: JwkPrivate, scheme: str, cores: int) -> float:
    """Return how many bare signatures all cores make in a second."""
    from concurrent.futures import ThreadPoolExecutor

    from pycryptoutil.clock import SystemClock
    from pycryptoutil.crypto.keys import PrivateKey, sign_loop

    handle = key.handle
    if not isinstance(handle, PrivateKey):
        raise click.UsageError("the key is not in the core")
    once = sign_loop(handle, scheme, 200) / 200
    each = max(200, int(_RAW_SECONDS / once))
    clock = SystemClock()
    with ThreadPoolExecutor(cores) as pool:
        start = clock.monotonic()
        list(pool.map(lambda _: sign_loop(handle, scheme, each), range(cores)))
        return each * cores / (clock.monotonic() - start)
