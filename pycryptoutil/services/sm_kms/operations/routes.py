"""The table of operations. Each takes one item or a batch; most take raw octets too."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.sm_kms import bulk
from pycryptoutil.services.sm_kms.actions import seal, sign
from pycryptoutil.services.sm_kms.batch import RawQuery, answer_of, request_of
from pycryptoutil.services.sm_kms.operations import models as m
from pycryptoutil.services.sm_kms.operations.handlers import JOSE, JSON, MAX_BODY, OCTETS, Action

SCOPES: Final = {
    "keys:encrypt": "encrypt, wrap, encapsulate and make data keys",
    "keys:decrypt": "decrypt, unwrap and decapsulate",
    "keys:sign": "sign and make MACs",
    "keys:verify": "verify signatures and MACs",
    "keys:derive": "derive secrets",
    "keys:rewrap": "bring ciphertexts to the active version without seeing them",
    "keys:generate": "get random octets and keys that are not kept here",
}
_RAW: Final = (JSON, OCTETS, JOSE)


def _route(action: Action, name: str, scope: str, summary: str, path: str = "") -> Route:
    media = _RAW if action.raw_in else (JSON,)
    answers = _RAW if action.raw_out else (JSON,)
    return Route(
        name, ("POST",), path or f"/elastic-keys/<key>/{action.name}", action, scope=scope, summary=summary,
        tag="Operations", described_body=request_of(action.item), response=answer_of(action.result),
        accepts=media, produces=answers, query=RawQuery if action.raw_in else None, max_body=MAX_BODY,
    )  # fmt: skip


ENCRYPT = Action("encrypt", m.EncryptItem, m.Ciphertext, seal.encrypt, "plaintext", "ciphertext", many=bulk.encrypt)
DECRYPT = Action("decrypt", m.DecryptItem, m.Plaintext, seal.decrypt, "ciphertext", "plaintext", text_in=True)
SIGN = Action("sign", m.SignItem, m.Signature, sign.sign, "payload", "signature", many=bulk.sign)
VERIFY = Action("verify", m.VerifyItem, m.Verified, sign.verify, "signature", "payload", text_in=True)
MAC = Action("mac", m.MacItem, m.Mac, sign.mac, "data", "mac")
VERIFY_MAC = Action("verify-mac", m.VerifyMacItem, m.VerifiedMac, sign.verify_mac, "data")
WRAP = Action("wrap", m.WrapItem, m.Wrapped, seal.wrap, "key", "wrapped")
UNWRAP = Action("unwrap", m.UnwrapItem, m.Unwrapped, seal.unwrap, "wrapped", "key", text_in=True)
DERIVE = Action("derive", m.DeriveItem, m.Secret, sign.derive)
ENCAPSULATE = Action("encapsulate", m.EncapsulateItem, m.Encapsulated, sign.encapsulate)
DECAPSULATE = Action("decapsulate", m.DecapsulateItem, m.Secret, sign.decapsulate, "ciphertext", "secret")
DATAKEY = Action("datakey", m.DataKeyItem, m.DataKey, seal.datakey)
REWRAP = Action("rewrap", m.RewrapItem, m.Rewrapped, seal.rewrap, "ciphertext", "ciphertext", text_in=True)
RANDOM = Action("random", m.RandomItem, m.Random, sign.random, most=100)
GENERATE = Action("generate", m.GenerateItem, m.Generated, sign.generate, most=20)

ROUTES: Final = (
    _route(ENCRYPT, "encrypt", "keys:encrypt", "Encrypt to a JWE, or raw AEAD"),
    _route(DECRYPT, "decrypt", "keys:decrypt", "Decrypt; additional data is asserted"),
    _route(SIGN, "sign", "keys:sign", "Sign to a JWS, detached or not, or raw"),
    _route(VERIFY, "verify", "keys:verify", "Verify a JWS or a raw signature"),
    _route(MAC, "mac", "keys:sign", "Make a MAC"),
    _route(VERIFY_MAC, "verifyMac", "keys:verify", "Verify a MAC"),
    _route(WRAP, "wrap", "keys:encrypt", "Wrap a key"),
    _route(UNWRAP, "unwrap", "keys:decrypt", "Unwrap a key"),
    _route(DERIVE, "derive", "keys:derive", "Derive a secret by HKDF, also from ECDH"),
    _route(ENCAPSULATE, "encapsulate", "keys:encrypt", "Make a secret by ML-KEM"),
    _route(DECAPSULATE, "decapsulate", "keys:decrypt", "Get a secret back by ML-KEM"),
    _route(DATAKEY, "makeDataKey", "keys:encrypt", "A fresh data key, wrapped, and in the open if wanted"),
    _route(REWRAP, "rewrap", "keys:rewrap", "Put an object under the active version"),
    _route(RANDOM, "random", "keys:generate", "Random octets", "/random"),
    _route(GENERATE, "generate", "keys:generate", "A key for the recipient alone, not kept", "/generate"),
)
