"""Encrypt and decrypt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.jose import jwe
from pycryptoutil.jose.text import b64d, b64e, dumps
from pycryptoutil.services.jose_ja.engine.grouping import grouped
from pycryptoutil.services.jose_ja.engine.operations import Operation, Result
from pycryptoutil.services.jose_ja.jwe import models
from pycryptoutil.services.jose_ja.using.work import Work


def encrypt(work: Work, body: models.EncryptBody) -> models.EncryptedView:
    """Encrypt for every recipient, in the serialisation asked for."""
    plaintext, recipients = body.octets(), body.everyone()
    for one in recipients:
        one.check_one()
    chosen = [(work.recipient(one.key, one.jwk), one.alg) for one in recipients]
    if body.serialization == "compact":
        if len(chosen) != 1 or body.unprotected or body.aad is not None:
            said = "a compact JWE has one recipient, no unprotected header and no additional data"
            raise Fault(FaultKind.INVALID, said, said, pointer="#/serialization")
        key, alg = chosen[0]
        return models.EncryptedView(jwe=jwe.encrypt(key, plaintext, alg=alg, enc=body.enc, header=body.header))
    everyone = [key if alg is None else (key, alg) for key, alg in chosen]
    found = jwe.encrypt_json(
        everyone,
        plaintext,
        enc=body.enc,
        aad=None if body.aad is None else b64d(body.aad),
        protected=body.header,
        unprotected=body.unprotected,
        flattened=body.serialization == "flattened",
    )
    return models.EncryptedView(jwe=json.loads(found))


def _alike(body: models.EncryptBody) -> Any:
    """Name what may be encrypted in one go; None for what is encrypted by itself."""
    whole = body.serialization == "compact" and not body.unprotected and body.aad is None
    if not whole or body.key is None or body.jwk is not None or body.recipients:
        return None
    return body.key, body.alg, body.enc, dumps(body.header)


def _encrypt_alike(work: Work, bodies: Sequence[models.EncryptBody]) -> list[Result]:
    first, plaintexts = bodies[0], [one.octets() for one in bodies]
    key = work.recipient(first.key, None, uses=len(plaintexts))
    made = jwe.encrypt_many(key, plaintexts, alg=first.alg, enc=first.enc, header=first.header)
    return [one if isinstance(one, Fault) else models.EncryptedView(jwe=one) for one in made]


def decrypt(work: Work, body: models.DecryptBody) -> models.DecryptedView:
    """Decrypt with a ring's keys."""
    keys = work.opening(body.key, body.algs, body.encs)
    aad = None if body.aad is None else b64d(body.aad)
    if isinstance(body.jwe, str):
        if aad is not None:
            said = "a compact JWE has no additional data"
            raise Fault(FaultKind.INVALID, said, said, pointer="#/aad")
        return _decrypted(keys.decrypt(body.jwe))
    found = keys.decrypt_json(body.jwe, aad)
    return models.DecryptedView(payload=b64e(found.plaintext), header=found.header, kid=found.key.kid)


def _decrypted(found: jwe.DecryptedJwe) -> models.DecryptedView:
    return models.DecryptedView(payload=b64e(found.plaintext), header=found.header, kid=found.key.kid)


def _decrypted_alike(work: Work, bodies: Sequence[models.DecryptBody]) -> list[Result]:
    first = bodies[0]
    keys = work.opening(first.key, first.algs, first.encs)
    made = keys.decrypt_many([one.jwe for one in bodies if isinstance(one.jwe, str)])
    return [one if isinstance(one, Fault) else _decrypted(one) for one in made]


def _same_ring(body: models.DecryptBody) -> Any:
    if not isinstance(body.jwe, str) or body.aad is not None:
        return None
    return body.key, tuple(body.algs or ()), tuple(body.encs or ())


OPERATIONS: Final = (
    Operation("jwe.encrypt", "/jwe/encrypt", "encryptJwe", "JWE", "jose:encrypt", "Encrypt by JWE (RFC 7516)",
              models.EncryptBody, models.EncryptedView, encrypt, grouped(_alike, _encrypt_alike, encrypt)),
    Operation("jwe.decrypt", "/jwe/decrypt", "decryptJwe", "JWE", "jose:decrypt", "Decrypt a JWE",
              models.DecryptBody, models.DecryptedView, decrypt, grouped(_same_ring, _decrypted_alike, decrypt)),
)  # fmt: skip
