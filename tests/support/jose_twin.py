"""JOSE as the RFCs write it, slowly, over cryptography: the oracle for the core. Nothing here is shared with it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap, padding
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = {
    "A128GCM": 16,
    "A192GCM": 24,
    "A256GCM": 32,
    "A128CBC-HS256": 32,
    "A192CBC-HS384": 48,
    "A256CBC-HS512": 64,
}
_CURVES: dict[str, tuple[ec.EllipticCurve, int]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
    "P-521": (ec.SECP521R1(), 66),
}
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def b64e(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64d(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def concat_kdf(secret: bytes, algorithm: str, apu: bytes, apv: bytes, size: int) -> bytes:
    """RFC 7518 section 4.6.2."""
    info = b"".join(len(part).to_bytes(4) + part for part in (algorithm.encode(), apu, apv))
    info += (size * 8).to_bytes(4)
    out = b""
    for counter in range(1, -(-size // 32) + 1):
        out += hashlib.sha256(counter.to_bytes(4) + secret + info).digest()
    return out[:size]


_ROUNDS = 24
_MASK = (1 << 64) - 1


def _rotate(value: int, count: int) -> int:
    count %= 64
    return (value << count | value >> 64 - count) & _MASK if count else value


def _keccak(state: list[list[int]]) -> list[list[int]]:
    """Keccak-f[1600] after the definition of FIPS 202 section 3.2, round constants by their shift register."""
    register = 1
    for _ in range(_ROUNDS):
        c = [state[x][0] ^ state[x][1] ^ state[x][2] ^ state[x][3] ^ state[x][4] for x in range(5)]
        d = [c[(x - 1) % 5] ^ _rotate(c[(x + 1) % 5], 1) for x in range(5)]
        state = [[state[x][y] ^ d[x] for y in range(5)] for x in range(5)]
        x, y, current = 1, 0, state[1][0]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, state[x][y] = state[x][y], _rotate(current, (t + 1) * (t + 2) // 2)
        for y in range(5):
            row = [state[x][y] for x in range(5)]
            for x in range(5):
                state[x][y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5])
        for j in range(7):
            if register & 1:
                state[0][0] ^= 1 << (1 << j) - 1
            register = (register << 1 ^ (register >> 7) * 0x171) & 0xFF
    return state


def _sponge(data: bytes, suffix: int, size: int, rate: int) -> bytes:
    padded = bytearray(data + bytes([suffix]))
    padded += bytes(-len(padded) % rate)
    padded[-1] |= 0x80
    state = [[0] * 5 for _ in range(5)]
    for at in range(0, len(padded), rate):
        for i in range(rate // 8):
            state[i % 5][i // 5] ^= int.from_bytes(padded[at + 8 * i : at + 8 * i + 8], "little")
        state = _keccak(state)
    out = b""
    while len(out) < size:
        out += b"".join(state[i % 5][i // 5].to_bytes(8, "little") for i in range(rate // 8))
        state = _keccak(state)
    return out[:size]


def sha3_256(data: bytes) -> bytes:
    """A check of this sponge against hashlib's."""
    return _sponge(data, 0x06, 32, 136)


def kmac256(key: bytes, data: bytes, size: int, customization: bytes = b"") -> bytes:
    """NIST SP 800-185 section 4."""

    def left(value: int) -> bytes:
        body = value.to_bytes(max(1, (value.bit_length() + 7) // 8))
        return bytes([len(body)]) + body

    def right(value: int) -> bytes:
        body = value.to_bytes(max(1, (value.bit_length() + 7) // 8))
        return body + bytes([len(body)])

    def string(text: bytes) -> bytes:
        return left(8 * len(text)) + text

    def pad(text: bytes) -> bytes:
        text = left(136) + text
        return text + bytes(-len(text) % 136)

    whole = pad(string(b"KMAC") + string(customization)) + pad(string(key)) + data + right(8 * size)
    return _sponge(whole, 0x04, size, 136)


def content_seal(enc: str, key: bytes, iv: bytes, aad: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
    """RFC 7518 section 5."""
    if enc.endswith("GCM"):
        sealed = AESGCM(key).encrypt(iv, plaintext, aad)
        return sealed[:-16], sealed[-16:]
    half = len(key) // 2
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key[half:]), modes.CBC(iv)).encryptor()
    body = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    return body, _tag(enc, key, iv, aad, body)


def _tag(enc: str, key: bytes, iv: bytes, aad: bytes, body: bytes) -> bytes:
    half = len(key) // 2
    data = aad + iv + body + (8 * len(aad)).to_bytes(8)
    return hmac.digest(key[:half], data, f"sha{enc[-3:]}")[:half]


def content_open(enc: str, key: bytes, iv: bytes, aad: bytes, body: bytes, tag: bytes) -> bytes:
    """The other way; ValueError."""
    if enc.endswith("GCM"):
        try:
            return AESGCM(key).decrypt(iv, body + tag, aad)
        except InvalidTag:
            raise ValueError("tag") from None
    if not hmac.compare_digest(_tag(enc, key, iv, aad, body), tag):
        raise ValueError("tag")
    decryptor = Cipher(algorithms.AES(key[len(key) // 2 :]), modes.CBC(iv)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(body) + decryptor.finalize()) + unpadder.finalize()


def _wrap_size(alg: str) -> int:
    return int(alg.removesuffix("KW")[-3:]) // 8


def _agreed(private: dict[str, Any], public: dict[str, Any]) -> bytes:
    if private["kty"] == "OKP":
        own = x25519.X25519PrivateKey.from_private_bytes(b64d(private["d"]))
        return own.exchange(x25519.X25519PublicKey.from_public_bytes(b64d(public["x"])))
    curve, _ = _CURVES[private["crv"]]
    x, y = (int.from_bytes(b64d(public[name])) for name in "xy")
    peer = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    return ec.derive_private_key(int.from_bytes(b64d(private["d"])), curve).exchange(ec.ECDH(), peer)


def _ephemeral(public: dict[str, Any]) -> dict[str, Any]:
    if public["kty"] == "OKP":
        fresh = x25519.X25519PrivateKey.generate()
        x = b64e(fresh.public_key().public_bytes_raw())
        return {"kty": "OKP", "crv": "X25519", "x": x, "d": b64e(fresh.private_bytes_raw())}
    curve, size = _CURVES[public["crv"]]
    numbers = ec.generate_private_key(curve).private_numbers()
    point = numbers.public_numbers
    x, y, d = (b64e(value.to_bytes(size)) for value in (point.x, point.y, numbers.private_value))
    return {"kty": "EC", "crv": public["crv"], "x": x, "y": y, "d": d}


def _oaep(alg: str) -> rsa_padding.OAEP:
    chosen = _HASHES[alg[-3:]]
    return rsa_padding.OAEP(rsa_padding.MGF1(chosen), chosen, None)


def _rsa_public(jwk: dict[str, Any]) -> rsa.RSAPublicNumbers:
    return rsa.RSAPublicNumbers(int.from_bytes(b64d(jwk["e"])), int.from_bytes(b64d(jwk["n"])))


def _rsa_private(jwk: dict[str, Any]) -> rsa.RSAPrivateKey:
    d, p, q, dp, dq, qi = (int.from_bytes(b64d(jwk[name])) for name in ("d", "p", "q", "dp", "dq", "qi"))
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, _rsa_public(jwk)).private_key()


def encrypt(jwk: dict[str, Any], alg: str, enc: str, plaintext: bytes, **header: Any) -> str:
    """A compact JWE by any algorithm but ML-KEM's."""
    header = {"alg": alg, "enc": enc} | header
    cek, encrypted = os.urandom(KEY_BYTES[enc]), b""
    if alg == "dir":
        cek = b64d(jwk["k"])
    elif alg.startswith("ECDH-ES"):
        fresh = _ephemeral(jwk)
        header["epk"] = {name: value for name, value in fresh.items() if name != "d"}
        parties = [b64d(header.get(name, "")) for name in ("apu", "apv")]
        secret = _agreed(fresh, jwk)
        if alg == "ECDH-ES":
            cek = concat_kdf(secret, enc, *parties, KEY_BYTES[enc])
        else:
            encrypted = keywrap.aes_key_wrap(concat_kdf(secret, alg, *parties, _wrap_size(alg)), cek)
    elif alg.endswith("GCMKW"):
        iv = os.urandom(12)
        sealed = AESGCM(b64d(jwk["k"])).encrypt(iv, cek, None)
        encrypted, header["iv"], header["tag"] = sealed[:-16], b64e(iv), b64e(sealed[-16:])
    elif alg.endswith("KW"):
        encrypted = keywrap.aes_key_wrap(b64d(jwk["k"]), cek)
    else:
        encrypted = _rsa_public(jwk).public_key().encrypt(cek, _oaep(alg))
    protected = b64e(json.dumps(header).encode())
    iv = os.urandom(12 if enc.endswith("GCM") else 16)
    body, tag = content_seal(enc, cek, iv, protected.encode(), plaintext)
    return ".".join([protected, *map(b64e, (encrypted, iv, body, tag))])


def decrypt(jwk: dict[str, Any], token: str) -> bytes:
    """The other way, of a token that is good; ValueError and worse for others."""
    protected, *rest = token.split(".")
    encrypted, iv, body, tag = map(b64d, rest)
    header = json.loads(b64d(protected))
    alg, enc = header["alg"], header["enc"]
    if alg == "dir":
        cek = b64d(jwk["k"])
    elif alg.startswith("ECDH-ES"):
        secret = _agreed(jwk, header["epk"])
        parties = [b64d(header.get(name, "")) for name in ("apu", "apv")]
        if alg == "ECDH-ES":
            cek = concat_kdf(secret, enc, *parties, KEY_BYTES[enc])
        else:
            cek = keywrap.aes_key_unwrap(concat_kdf(secret, alg, *parties, _wrap_size(alg)), encrypted)
    elif alg.endswith("GCMKW"):
        cek = AESGCM(b64d(jwk["k"])).decrypt(b64d(header["iv"]), encrypted + b64d(header["tag"]), None)
    elif alg.endswith("KW"):
        cek = keywrap.aes_key_unwrap(b64d(jwk["k"]), encrypted)
    else:
        cek = _rsa_private(jwk).decrypt(encrypted, _oaep(alg))
    return content_open(enc, cek, iv, protected.encode(), body, tag)
