"""From requests to the CA and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import (
    Authority,
    AuthorityOrder,
    AuthorityStatus,
    Credential,
    CredentialOrder,
    NamePatterns,
)
from pycryptoutil.authority.crl import CrlDocument
from pycryptoutil.authority.service import after_cursor
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response, page
from pycryptoutil.service.definition import Context
from pycryptoutil.services.pki_ca.common import (
    CHAIN_TYPE,
    CRL_TYPE,
    PEM_TYPE,
    YAML_TYPE,
    authority_of,
    to_pem,
    wanted_type,
)
from pycryptoutil.services.pki_ca.rest import models

# -- certificate authorities -------------------------------------------------------------------------------------------


def _authority(found: Authority, every: list[Authority]) -> models.AuthorityView:
    names = {one.id: one.name for one in every}
    return models.AuthorityView(
        id=found.id,
        name=found.name,
        kind=found.kind.value,
        parent=names.get(found.parent_id),
        status=found.status.value,
        subject=found.subject,
        key_algorithm=found.key_algorithm,
        signature_algorithm=found.signature_algorithm,
        not_before=found.not_before,
        not_after=found.not_after,
        ocsp_url=found.ocsp_url,
        crl_url=found.crl_url,
        issuer_url=found.issuer_url,
        certificate=to_pem(found.certificate),
        chain=tuple(map(to_pem, found.chain)),
    )


def list_authorities(context: Context, _request: Request) -> Response:
    """Answer with every CA."""
    every = authority_of(context).authorities(context.tenant_id)
    return json_response(models.AuthorityList(items=tuple(_authority(one, every) for one in every)))


def create_authority(context: Context, request: Request) -> Response:
    """Make a CA."""
    body: models.AuthorityBody = context.body
    order = AuthorityOrder(
        name=body.name,
        subject=body.subject,
        parent=body.parent or "",
        key_algorithm=body.key_algorithm,
        validity=(body.validity_days or 0) * 86400,
        path_length=body.path_length,
        profile=body.profile or "",
        permitted_names=body.permitted_names,
        excluded_names=body.excluded_names,
    )
    made = authority_of(context).create_authority(context.tenant_id, order, context.actor, request.request_id)
    return json_response(_authority(made, authority_of(context).authorities(context.tenant_id)), 201)


def _named(context: Context, name: str) -> Authority:
    return authority_of(context).authority(context.tenant_id, name)


def get_authority(context: Context, request: Request) -> Response:
    """Answer with one CA, or with its chain as PEM where that is asked for."""
    found = _named(context, context.parameters["name"])
    if kind := wanted_type(request, CHAIN_TYPE, PEM_TYPE):
        return Response(200, "".join(map(to_pem, found.chain)).encode(), kind)
    return json_response(_authority(found, authority_of(context).authorities(context.tenant_id)))


def _set_status(context: Context, request: Request, status: AuthorityStatus) -> Response:
    name = context.parameters["name"]
    found = authority_of(context).set_authority_status(
        context.tenant_id, name, status, context.actor, request.request_id
    )
    return json_response(_authority(found, authority_of(context).authorities(context.tenant_id)))


def disable_authority(context: Context, request: Request) -> Response:
    """Stop a CA from issuing."""
    return _set_status(context, request, AuthorityStatus.DISABLED)


def enable_authority(context: Context, request: Request) -> Response:
    """Let a CA issue again."""
    return _set_status(context, request, AuthorityStatus.ACTIVE)


# -- profiles ----------------------------------------------------------------------------------------------------------


def list_profiles(context: Context, _request: Request) -> Response:
    """Answer with every profile's name."""
    own = authority_of(context).own_profiles(context.tenant_id)
    rows = tuple(
        models.ProfileSummary(
            name=one.name, title=one.title, kind=one.kind, source="own" if one.name in own else "built-in"
        )
        for one in authority_of(context).profiles(context.tenant_id)
    )
    return json_response(models.ProfileList(items=rows))


def _profile(context: Context, name: str, status: int = 200) -> Response:
    ca = authority_of(context)
    view = models.ProfileView(
        name=name,
        source="own" if name in ca.own_profiles(context.tenant_id) else "built-in",
        document=ca.profile_document(context.tenant_id, name),
        settings=ca.profile(context.tenant_id, name).document(),
    )
    return json_response(view, status)


def get_profile(context: Context, request: Request) -> Response:
    """Answer with one profile, or with its YAML where that is asked for."""
    name = context.parameters["name"]
    if wanted_type(request, YAML_TYPE):
        return Response(200, authority_of(context).profile_document(context.tenant_id, name).encode(), YAML_TYPE)
    return _profile(context, name)


def put_profile(context: Context, request: Request) -> Response:
    """Create or replace a profile from YAML or JSON."""
    name = context.parameters["name"]
    try:
        document = request.body.decode()
    except UnicodeDecodeError:
        raise Fault(FaultKind.MALFORMED, "profile is not UTF-8", "the profile is not UTF-8") from None
    authority_of(context).put_profile(context.tenant_id, name, document, context.actor, request.request_id)
    return _profile(context, name)


def delete_profile(context: Context, request: Request) -> Response:
    """Delete one of the tenant's own."""
    authority_of(context).delete_profile(
        context.tenant_id, context.parameters["name"], context.actor, request.request_id
    )
    return Response(204)


# -- CRLs --------------------------------------------------------------------------------------------------------------


def _crl(found: Authority, document: CrlDocument, *, whole: bool) -> models.CrlView:
    head = document.head
    return models.CrlView(
        authority=found.name,
        number=head.number,
        this_update=head.this_update,
        next_update=head.next_update,
        entries=head.entries,
        sha256=head.sha256,
        url=found.crl_url,
        crl=to_pem(document.der, "X509 CRL") if whole else None,
    )


def list_crls(context: Context, _request: Request) -> Response:
    """Answer with the facts of every current CRL."""
    crls = context.state.crl
    rows = tuple(
        _crl(one, crls.of_authority(context.tenant_id, one.id), whole=False)
        for one in authority_of(context).authorities(context.tenant_id)
        if not one.offline or crls.head(context.tenant_id, one.id) is not None  # none was brought in yet
    )
    return json_response(models.CrlList(items=rows))


def get_crl(context: Context, request: Request) -> Response:
    """Answer with one CA's current CRL: JSON with PEM, or DER as asked for."""
    found = _named(context, context.parameters["authority"])
    document: CrlDocument = context.state.crl.of_authority(context.tenant_id, found.id)
    if wanted_type(request, CRL_TYPE):
        return Response(200, document.der, CRL_TYPE)
    return json_response(_crl(found, document, whole=True))


def publish_crl(context: Context, _request: Request) -> Response:
    """Make a CRL now."""
    found = _named(context, context.parameters["authority"])
    document = context.state.crl.publish(context.tenant_id, found.id, context.actor)
    return json_response(_crl(found, document, whole=False), 201)


# -- enrolment credentials ---------------------------------------------------------------------------------------------


def _credential(found: Credential) -> dict[str, Any]:
    names = {name: getattr(found.names, name) for name in NamePatterns.__slots__}
    rest = {name: getattr(found, name) for name in models.CredentialView.model_fields if name != "names"}
    return rest | {"names": models.NamesBody(**names)}


def create_credential(context: Context, request: Request) -> Response:
    """Make a credential; the password is shown here and never again."""
    body: models.CredentialBody = context.body
    order = CredentialOrder(
        profile=body.profile,
        authority=body.authority or "",
        names=replace(NamePatterns(), **body.names.model_dump()),
        protocols=body.protocols,
        max_uses=body.max_uses,
        expires_at=body.expires_at,
        description=body.description,
    )
    made = authority_of(context).credential_add(context.tenant_id, order, context.actor, request.request_id)
    return json_response(models.NewCredentialView(**_credential(made.credential), password=made.password), 201)


def list_credentials(context: Context, _request: Request) -> Response:
    """Answer with a page of credentials."""
    limit = context.query.limit
    rows = authority_of(context).credential_list(context.tenant_id, after_cursor(context.query.cursor), limit + 1)
    shown, following = page(rows, limit, lambda row: (row.created_at.isoformat(), row.id))
    items = tuple(models.CredentialView(**_credential(one)) for one in shown)
    return json_response(models.CredentialList(items=items, next=following))


def get_credential(context: Context, _request: Request) -> Response:
    """Answer with one credential."""
    found = authority_of(context).credential_get(context.tenant_id, context.parameters["id"])
    return json_response(models.CredentialView(**_credential(found)))


def delete_credential(context: Context, request: Request) -> Response:
    """Withdraw a credential."""
    authority_of(context).credential_delete(
        context.tenant_id, context.parameters["id"], context.actor, request.request_id
    )
    return Response(204)
