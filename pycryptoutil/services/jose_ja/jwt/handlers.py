"""Create, validate, look inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.jose import jwt
from pycryptoutil.jose.jwe import JweEncrypter
from pycryptoutil.jose.text import dumps, loads
from pycryptoutil.services.jose_ja.engine.grouping import grouped
from pycryptoutil.services.jose_ja.engine.operations import Operation, Result
from pycryptoutil.services.jose_ja.jwt import models
from pycryptoutil.services.jose_ja.using.work import Work


def _header(work: Work, body: models.CreateBody) -> dict[str, Any]:
    typ = work.token_rules(body.key).typ if body.typ is None else body.typ
    return ({"typ": typ} if typ else {}) | body.header


def create(work: Work, body: models.CreateBody) -> models.TokenView:
    """Sign the claims, completed by policy; then encrypt, if it is for somebody."""
    signer = work.signer(body.key, _header(work, body))
    policy = work.token_rules(body.key).creation
    if body.encrypt is None:
        return models.TokenView(token=jwt.create(signer, body.claims, policy, work.now))
    body.encrypt.check_one()
    key = work.recipient(body.encrypt.key, body.encrypt.jwk)
    encrypter = JweEncrypter(key, alg=body.encrypt.alg, enc=body.encrypt.enc, header={"cty": "JWT"})
    return models.TokenView(token=jwt.create_nested(signer, encrypter, body.claims, policy, work.now))


def _alike(body: models.CreateBody) -> Any:
    return None if body.encrypt is not None else (body.key, body.typ, dumps(body.header))


def _create_alike(work: Work, bodies: Sequence[models.CreateBody]) -> list[Result]:
    first = bodies[0]
    signer = work.signer(first.key, _header(work, first), uses=len(bodies))
    policy = work.token_rules(first.key).creation
    made = jwt.create_many(signer, [one.claims for one in bodies], policy, work.now)
    return [one if isinstance(one, Fault) else models.TokenView(token=one) for one in made]


def validate(work: Work, body: models.ValidateBody) -> models.ClaimsView:
    """Decrypt, if it is nested; verify; then judge the claims."""
    policy = work.validation(body, body.policy)
    keys = work.verifying(body)
    token = body.token
    if body.decrypt_key is not None:
        token = work.opened(body.decrypt_key, token).decode("ascii", "replace")
    found = keys.verify(token)
    claims = loads(found.payload, "the claims", jwt.MAX_CLAIMS)
    policy.check(found.header, claims, work.now)
    return models.ClaimsView(header=found.header, claims=claims, kid=found.key.kid)


def inspect(_work: Work, body: models.InspectBody) -> models.InspectedView:
    """Show header and claims; nothing is verified."""
    found = jwt.introspect(body.token)
    return models.InspectedView(header=found.header, claims=found.claims, encrypted=found.encrypted)


OPERATIONS: Final = (
    Operation("jwt.create", "/jwt/create", "createJwt", "JWT", "jose:sign", "Create a JWT by policy (RFC 7519, 8725)",
              models.CreateBody, models.TokenView, create, grouped(_alike, _create_alike, create)),
    Operation("jwt.validate", "/jwt/validate", "validateJwt", "JWT", "jose:verify", "Validate a JWT and its claims",
              models.ValidateBody, models.ClaimsView, validate),
    Operation("jwt.inspect", "/jwt/inspect", "inspectJwt", "JWT", "jose:verify", "Show a JWT without verifying it",
              models.InspectBody, models.InspectedView, inspect),
)  # fmt: skip
