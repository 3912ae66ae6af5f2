"""ML-KEM key generation as FIPS 203 writes it, slowly: the oracle for keys from a seed."""

from __future__ import annotations

import hashlib

Q, N = 3329, 256


def _reverse(value: int) -> int:
    return int(f"{value:07b}"[::-1], 2)


_ZETAS = [pow(17, _reverse(i), Q) for i in range(128)]
_GAMMAS = [pow(17, 2 * _reverse(i) + 1, Q) for i in range(128)]


def _ntt(f: list[int]) -> list[int]:
    f, k, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            zeta = _ZETAS[k]
            k += 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
        length //= 2
    return f


def _multiply(f: list[int], g: list[int]) -> list[int]:
    out = []
    for i in range(128):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        out += [(a0 * b0 + a1 * b1 * _GAMMAS[i]) % Q, (a0 * b1 + a1 * b0) % Q]
    return out


def _sample(seed: bytes) -> list[int]:
    stream, out = hashlib.shake_128(seed).digest(3 * 1024), []
    for i in range(0, len(stream), 3):
        a, b, c = stream[i : i + 3]
        out += [d for d in (a + 256 * (b % 16), b // 16 + 16 * c) if d < Q]
        if len(out) >= N:
            return out[:N]
    raise AssertionError


def _noise(eta: int, seed: bytes, nonce: int) -> list[int]:
    stream = int.from_bytes(hashlib.shake_256(seed + bytes([nonce])).digest(64 * eta), "little")
    bits = [stream >> i & 1 for i in range(512 * eta)]
    pairs = (bits[2 * eta * i : 2 * eta * (i + 1)] for i in range(N))
    return [(sum(pair[:eta]) - sum(pair[eta:])) % Q for pair in pairs]


def _encode(f: list[int]) -> bytes:
    return sum(value << 12 * i for i, value in enumerate(f)).to_bytes(384, "little")


def key_generation(d: bytes, z: bytes, k: int) -> bytes:
    """ML-KEM.KeyGen_internal (FIPS 203 algorithms 13 and 16): the expanded decapsulation key."""
    g = hashlib.sha3_512(d + bytes([k])).digest()
    rho, sigma = g[:32], g[32:]
    eta = 3 if k == 2 else 2
    s = [_ntt(_noise(eta, sigma, i)) for i in range(k)]
    t = []
    for i in range(k):
        total = _ntt(_noise(eta, sigma, k + i))
        for j in range(k):
            product = _multiply(_sample(rho + bytes([j, i])), s[j])
            total = [(a + b) % Q for a, b in zip(total, product, strict=True)]
        t.append(total)
    public = b"".join(map(_encode, t)) + rho
    return b"".join(map(_encode, s)) + public + hashlib.sha3_256(public).digest() + z
