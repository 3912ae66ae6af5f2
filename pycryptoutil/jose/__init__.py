"""JOSE over the Rust core: keys as typed handles, JWS, JWE, JWT and SD-JWT, one by one and many at once."""

from __future__ import annotations

from pycryptoutil.jose import jwk, text
from pycryptoutil.jose.jwe import JweDecrypter, JweEncrypter, decrypt, decrypt_many, encrypt, encrypt_json, encrypt_many
from pycryptoutil.jose.jwk import Jwk, JwkPrivate, JwkPublic, JwkSecret, JwkSet, Usage, generate, parse, parse_public
from pycryptoutil.jose.jws import JwsSigner, JwsVerifier, sign, sign_json, sign_many, verify, verify_many

__all__ = [
    "JweDecrypter",
    "JweEncrypter",
    "Jwk",
    "JwkPrivate",
    "JwkPublic",
    "JwkSecret",
    "JwkSet",
    "JwsSigner",
    "JwsVerifier",
    "Usage",
    "decrypt",
    "decrypt_many",
    "encrypt",
    "encrypt_json",
    "encrypt_many",
    "generate",
    "jwk",
    "parse",
    "parse_public",
    "sign",
    "sign_json",
    "sign_many",
    "text",
    "verify",
    "verify_many",
]
