"""Sign and verify."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.jose import jws
from pycryptoutil.jose.text import b64d, b64e, dumps
from pycryptoutil.services.jose_ja.engine.grouping import grouped
from pycryptoutil.services.jose_ja.engine.operations import Operation, Result
from pycryptoutil.services.jose_ja.jws import models
from pycryptoutil.services.jose_ja.using.work import Work


def sign(work: Work, body: models.SignBody) -> models.SignedView:
    """Sign with every signer, in the serialisation asked for."""
    payload = body.octets()
    signers = body.everyone()
    made = [work.signer(one.key, one.header, encoded=body.encoded) for one in signers]
    if body.serialization == "compact":
        if len(signers) != 1 or signers[0].unprotected:
            said = "a compact JWS has one signature and no unprotected header"
            raise Fault(FaultKind.INVALID, said, said, pointer="#/serialization")
        return models.SignedView(jws=made[0].sign(payload, detached=body.detached))
    found = jws.sign_json(
        made,
        payload,
        headers=[one.unprotected for one in signers],
        flattened=body.serialization == "flattened",
        detached=body.detached,
    )
    return models.SignedView(jws=json.loads(found))


def _alike(body: models.SignBody) -> Any:
    """Name what may be signed in one go; None for what is signed by itself."""
    if body.serialization != "compact" or body.key is None or body.signers or body.unprotected:
        return None
    return body.key, dumps(body.header), body.encoded, body.detached


def _sign_alike(work: Work, bodies: Sequence[models.SignBody]) -> list[Result]:
    first = bodies[0]
    signer = work.signer(first.key or "", first.header, encoded=first.encoded, uses=len(bodies))
    made = signer.sign_many([one.octets() for one in bodies], detached=first.detached)
    return [one if isinstance(one, Fault) else models.SignedView(jws=one) for one in made]


def verify(work: Work, body: models.VerifyBody) -> models.VerifiedView:
    """Verify, with a ring's keys or those given. The algorithm is the key's."""
    keys = work.verifying(body, body.algs)
    payload = None if body.payload is None else b64d(body.payload)
    if isinstance(body.jws, str):
        return _verified(keys.verify(body.jws, payload))
    found = keys.verify_json(body.jws, payload, body.require)
    return models.VerifiedView(
        payload=b64e(found.payload),
        header=found.signatures[0].header,
        kid=found.signatures[0].key.kid,
        signatures=[models.SignatureView(header=one.header, kid=one.key.kid) for one in found.signatures],
        refused=[one.public for one in found.refused],
    )


def _verified(found: jws.VerifiedJws) -> models.VerifiedView:
    return models.VerifiedView(payload=b64e(found.payload), header=found.header, kid=found.key.kid)


def _verified_alike(work: Work, bodies: Sequence[models.VerifyBody]) -> list[Result]:
    keys = work.verifying(bodies[0], bodies[0].algs)
    made = keys.verify_many([one.jws for one in bodies if isinstance(one.jws, str)])
    return [one if isinstance(one, Fault) else _verified(one) for one in made]


def _same_ring(body: models.VerifyBody) -> Any:
    if body.key is None or not isinstance(body.jws, str) or body.payload is not None:
        return None
    return body.key, tuple(body.algs or ())


OPERATIONS: Final = (
    Operation("jws.sign", "/jws/sign", "signJws", "JWS", "jose:sign", "Sign by JWS (RFC 7515, 7797)",
              models.SignBody, models.SignedView, sign, grouped(_alike, _sign_alike, sign)),
    Operation("jws.verify", "/jws/verify", "verifyJws", "JWS", "jose:verify", "Verify a JWS",
              models.VerifyBody, models.VerifiedView, verify, grouped(_same_ring, _verified_alike, verify)),
)  # fmt: skip
