"""Issue, present, verify."""

from __future__ import annotations

from typing import Final

from pycryptoutil.jose import sdjwt
from pycryptoutil.jose.jwk import parse_public
from pycryptoutil.services.jose_ja.engine.operations import Operation
from pycryptoutil.services.jose_ja.sdjwt import models
from pycryptoutil.services.jose_ja.using.work import Work


def issue(work: Work, body: models.IssueBody) -> models.SdJwtView:
    """Sign the claims, completed by policy, with digests in place of those that may be disclosed."""
    signer = work.signer(body.key, {"typ": body.typ} if body.typ else {})
    made = sdjwt.issue(
        signer,
        body.claims,
        [tuple(path) for path in body.disclosable],
        work.token_rules(body.key).creation,
        work.now,
        holder=None if body.holder is None else parse_public(body.holder),
        decoys=body.decoys,
        hash_algorithm=body.hash,
    )
    return models.SdJwtView(sd_jwt=made)


def inspect(_work: Work, body: models.InspectBody) -> models.PathsView:
    """Show what may be disclosed; nothing is verified."""
    found = sdjwt.paths(body.sd_jwt)
    return models.PathsView(
        disclosable=[models.PathView(path=list(path), value=value) for path, value in found.items()]
    )


def present(work: Work, body: models.PresentBody) -> models.SdJwtView:
    """Disclose these claims and no others."""
    holder = None if body.holder_key is None else work.signer(body.holder_key, {"typ": "kb+jwt"})
    made = sdjwt.present(
        body.sd_jwt,
        [tuple(path) for path in body.disclose],
        holder=holder,
        audience=body.audience,
        nonce=body.nonce,
        now=work.now,
    )
    return models.SdJwtView(sd_jwt=made)


def verify(work: Work, body: models.VerifyBody) -> models.DisclosedView:
    """Verify the issuer's signature, the disclosures, the claims, and the holder's proof if it is asked for."""
    binding = body.key_binding
    wanted = None if binding is None else sdjwt.KeyBinding(binding.audience, binding.nonce, binding.max_age)
    keys = work.verifying(body)
    policy = work.validation(body, body.policy)
    verifier = keys.of(sdjwt.split(body.sd_jwt).jwt)
    found = sdjwt.verify(verifier, body.sd_jwt, policy, work.now, key_binding=wanted)
    keys.count([found.key.kid])
    return models.DisclosedView(
        header=found.header,
        claims=found.claims,
        disclosed=[list(path) for path in found.disclosed],
        holder=None if found.holder is None else found.holder.members(),
        kid=found.key.kid,
    )


OPERATIONS: Final = (
    Operation("sdjwt.issue", "/sd-jwt/issue", "issueSdJwt", "SD-JWT", "jose:sign", "Issue an SD-JWT (RFC 9901)",
              models.IssueBody, models.SdJwtView, issue),
    Operation("sdjwt.inspect", "/sd-jwt/inspect", "inspectSdJwt", "SD-JWT", "jose:verify",
              "Show what an SD-JWT lets its holder disclose", models.InspectBody, models.PathsView, inspect),
    Operation("sdjwt.present", "/sd-jwt/present", "presentSdJwt", "SD-JWT", "jose:sign",
              "Make a presentation, with key binding if a ring holds the holder's key",
              models.PresentBody, models.SdJwtView, present),
    Operation("sdjwt.verify", "/sd-jwt/verify", "verifySdJwt", "SD-JWT", "jose:verify", "Verify a presentation",
              models.VerifyBody, models.DisclosedView, verify),
)  # fmt: skip
