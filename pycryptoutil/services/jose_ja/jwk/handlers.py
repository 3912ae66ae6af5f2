"""Generate, thumbprint, convert, validate. Nothing of it is kept."""

from __future__ import annotations

from typing import Final, Literal

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.jose import jwk
from pycryptoutil.jose.jwk import Jwk, JwkPrivate, JwkSecret, JwkSet, Usage
from pycryptoutil.jose.text import b64d, b64e
from pycryptoutil.services.jose_ja.engine.operations import Operation
from pycryptoutil.services.jose_ja.jwk import models
from pycryptoutil.services.jose_ja.using.work import Work

_URI: Final = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"


def generate(_work: Work, body: models.GenerateBody) -> models.GeneratedView:
    """Make a key and hand it over."""
    made = jwk.generate(body.algorithm, alg=body.alg, kid=body.kid, use=body.use)
    public = None if isinstance(made, JwkSecret) else made.public.members()
    return models.GeneratedView(jwk=made.export(), public_jwk=public)


def thumbprint(_work: Work, body: models.JwkBody) -> models.ThumbprintView:
    """Name a key by its hash."""
    found = jwk.parse(body.jwk).thumbprint()
    return models.ThumbprintView(thumbprint=found, uri=_URI + found)


def convert(_work: Work, body: models.ConvertBody) -> models.ConvertedView:
    """Bring a key from one form into the others."""
    usage = Usage(body.alg, body.kid, body.use)
    given = [name for name in ("jwk", "pem", "der") if getattr(body, name) is not None]
    if len(given) != 1 or (body.jwk is not None and usage != Usage()):
        raise _refused("give one of jwk, pem and der; alg, kid and use go with the last two")
    if body.pem is not None:
        found: Jwk = jwk.from_pem(body.pem, usage)
    elif body.der is not None:
        found = jwk.from_der(b64d(body.der), usage)
    else:
        found = jwk.parse(body.jwk or {})
    if isinstance(found, JwkSecret):
        raise _refused("a symmetric key has no PEM and no DER")
    if isinstance(found, JwkPrivate):
        members, pem, der = found.export(), found.export_pem(), found.handle.export_pkcs8()
    else:
        members, pem, der = found.members(), found.pem(), found.spki
    return models.ConvertedView(jwk=members, pem=pem, der=b64e(der), private=isinstance(found, JwkPrivate))


def validate(_work: Work, body: models.ValidateBody) -> models.ValidatedView:
    """Tell what a key, or each key of a set, is; the first one that is not good is the answer."""
    if (body.jwk is None) == (body.jwks is None):
        raise _refused("give either jwk or jwks")
    if body.jwks is not None:
        return models.ValidatedView(keys=[_key(one) for one in JwkSet.parse(body.jwks)])
    return models.ValidatedView(keys=[_key(jwk.parse(body.jwk or {}))])


def _key(found: Jwk) -> models.KeyView:
    kind: Literal["public", "private", "secret"] = "public"
    if not isinstance(found, jwk.JwkPublic):
        kind = "secret" if isinstance(found, JwkSecret) else "private"
    return models.KeyView(
        kty=found.kty,
        algorithm=found.algorithm,
        kind=kind,
        kid=found.kid,
        alg=found.usage.alg,
        use=found.usage.use,
        thumbprint=None if kind == "secret" else found.thumbprint(),
    )


def _refused(said: str) -> Fault:
    return Fault(FaultKind.INVALID, said, said, pointer="#")


OPERATIONS: Final = (
    Operation("jwk.generate", "/jwk/generate", "generateJwk", "JWK", "jose:tools", "Make a key and hand it over",
              models.GenerateBody, models.GeneratedView, generate),
    Operation("jwk.thumbprint", "/jwk/thumbprint", "thumbprintJwk", "JWK", "jose:tools", "Thumbprint (RFC 7638)",
              models.JwkBody, models.ThumbprintView, thumbprint),
    Operation("jwk.convert", "/jwk/convert", "convertJwk", "JWK", "jose:tools", "JWK, PEM and DER, each to the others",
              models.ConvertBody, models.ConvertedView, convert),
    Operation("jwk.validate", "/jwk/validate", "validateJwk", "JWK", "jose:tools", "Validate a JWK or a JWK Set",
              models.ValidateBody, models.ValidatedView, validate),
)  # fmt: skip
