"""Batches of one kind, in one call of the core and on every core; whatever is not of one kind goes one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pycryptoutil_protocols.faults import Fault
from pydantic import BaseModel

from pycryptoutil import jose
from pycryptoutil.crypto import jose as policy
from pycryptoutil.keyring import Operation
from pycryptoutil.services.sm_kms.actions import seal
from pycryptoutil.services.sm_kms.actions import sign as signing
from pycryptoutil.services.sm_kms.actions.chosen import Chosen
from pycryptoutil.services.sm_kms.common import octets
from pycryptoutil.services.sm_kms.operations import models


def encrypt(chosen: Chosen, items: Sequence[models.EncryptItem]) -> list[BaseModel | Fault]:
    """Encrypt a batch to JWE under one header."""
    first = items[0]
    alike = all((one.format, one.aad, one.enc, one.version) == ("jwe", None, first.enc, first.version) for one in items)
    if not alike or len(items) == 1:
        return chosen.each(items, seal.encrypt)
    key = chosen.get(Operation.ENCRYPT, first.version)
    own = key.alg if key.alg in policy.ENC_NAMES else None
    number, kid = key.version.version, key.version.kid
    read, good = _read([one.plaintext for one in items], "plaintext")
    made = iter(jose.JweEncrypter(seal.receiver(key), enc=first.enc or own).encrypt_many(good))

    def view(text: str) -> BaseModel:
        chosen.used(key, Operation.ENCRYPT)
        return models.Ciphertext(ciphertext=text, version=number, kid=kid)

    return _results(read, made, view)


def sign(chosen: Chosen, items: Sequence[models.SignItem]) -> list[BaseModel | Fault]:
    """Sign a batch to JWS under one header."""
    first = items[0]
    kind = ("jws", False, first.detached, first.typ, first.version)
    kinds = {(one.format, one.prehashed, one.detached, one.typ, one.version) for one in items}
    if len(items) == 1 or kinds != {kind}:
        return chosen.each(items, signing.sign)
    key = chosen.get(Operation.SIGN, first.version)
    header = {"typ": first.typ} if first.typ else None
    number, kid = key.version.version, key.version.kid
    read, good = _read([one.payload for one in items], "payload")
    signer = jose.JwsSigner(key.jwk, header=header)  # type: ignore[arg-type]  # the ring keeps no public keys
    made = iter(signer.sign_many(good, detached=first.detached))

    def view(text: str) -> BaseModel:
        chosen.used(key, Operation.SIGN)
        return models.Signature(signature=text, version=number, kid=kid)

    return _results(read, made, view)


def _read(texts: list[str], pointer: str) -> tuple[list[bytes | Fault], list[bytes]]:
    """Decode each; return them with faults in their places, and the good ones alone."""
    found: list[bytes | Fault] = []
    for text in texts:
        try:
            found.append(octets(text, pointer))
        except Fault as fault:
            found.append(fault)
    return found, [one for one in found if not isinstance(one, Fault)]


def _results(
    read: list[bytes | Fault], made: Iterator[str | Fault], view: Callable[[str], BaseModel]
) -> list[BaseModel | Fault]:
    """Put what was made of the good ones in their places; ``view`` counts and describes it."""
    found: list[BaseModel | Fault] = []
    for one in read:
        outcome = one if isinstance(one, Fault) else next(made)
        found.append(outcome if isinstance(outcome, Fault) else view(outcome))
    return found
