"""The REST API's table of routes."""

from __future__ import annotations

from typing import Final

from pycryptoutil.authority.profile_file import MAX_SIZE
from pycryptoutil.http.paging import PageQuery
from pycryptoutil.http.route import Route
from pycryptoutil.services.pki_ca.common import CHAIN_TYPE, CRL_TYPE, PEM_TYPE, YAML_TYPE
from pycryptoutil.services.pki_ca.rest import handlers, models

SCOPES: Final = {
    "pki:read": "see certificate authorities, profiles, certificates, CRLs, enrolment credentials and approvals",
    "authorities:write": "create, enable and disable certificate authorities",
    "profiles:write": "write and delete certificate profiles",
    "crls:publish": "publish a CRL at once",
    "credentials:write": "make and withdraw enrolment credentials",
}

_JSON: Final = "application/json"
_CA, _PROFILE = "Certificate authorities", "Profiles"
_CRL, _CREDENTIAL = "CRLs", "Enrolment credentials"

ROUTES: Final = (
    Route("listAuthorities", ("GET",), "/certificate-authorities", handlers.list_authorities, scope="pki:read",
          tag=_CA, response=models.AuthorityList, summary="Every CA of the tenant"),
    Route("createAuthority", ("POST",), "/certificate-authorities", handlers.create_authority,
          scope="authorities:write", tag=_CA, body=models.AuthorityBody, response=models.AuthorityView, status=201,
          summary="Create a root, or a CA below another"),
    Route("getAuthority", ("GET",), "/certificate-authorities/<name>", handlers.get_authority, scope="pki:read",
          tag=_CA, response=models.AuthorityView, produces=(_JSON, CHAIN_TYPE, PEM_TYPE),
          summary="One CA with its chain; as PEM by Accept"),
    Route("disableAuthority", ("POST",), "/certificate-authorities/<name>/disable", handlers.disable_authority,
          scope="authorities:write", tag=_CA, response=models.AuthorityView, summary="Stop a CA from issuing"),
    Route("enableAuthority", ("POST",), "/certificate-authorities/<name>/enable", handlers.enable_authority,
          scope="authorities:write", tag=_CA, response=models.AuthorityView, summary="Let a CA issue again"),
    Route("listProfiles", ("GET",), "/profiles", handlers.list_profiles, scope="pki:read", tag=_PROFILE,
          response=models.ProfileList, summary="Every profile: built in, or the tenant's own"),
    Route("getProfile", ("GET",), "/profiles/<name>", handlers.get_profile, scope="pki:read", tag=_PROFILE,
          response=models.ProfileView, produces=(_JSON, YAML_TYPE), summary="One profile; as YAML by Accept"),
    Route("putProfile", ("PUT",), "/profiles/<name>", handlers.put_profile, scope="profiles:write", tag=_PROFILE,
          response=models.ProfileView, accepts=(YAML_TYPE, "application/x-yaml", "text/yaml", _JSON),
          max_body=MAX_SIZE, summary="Create or replace a profile; errors name the line"),
    Route("deleteProfile", ("DELETE",), "/profiles/<name>", handlers.delete_profile, scope="profiles:write",
          tag=_PROFILE, status=204, produces=(), summary="Delete one of the tenant's own profiles"),
    Route("listCrls", ("GET",), "/crls", handlers.list_crls, scope="pki:read", tag=_CRL, response=models.CrlList,
          summary="The current CRL of every CA"),
    Route("getCrl", ("GET",), "/crls/<authority>", handlers.get_crl, scope="pki:read", tag=_CRL,
          response=models.CrlView, produces=(_JSON, CRL_TYPE), summary="A CA's current CRL; as DER by Accept"),
    Route("publishCrl", ("POST",), "/crls/<authority>/publish", handlers.publish_crl, scope="crls:publish", tag=_CRL,
          response=models.CrlView, status=201, summary="Make and publish a CRL now"),
    Route("createCredential", ("POST",), "/enrollment-credentials", handlers.create_credential,
          scope="credentials:write", tag=_CREDENTIAL, body=models.CredentialBody, response=models.NewCredentialView,
          status=201, summary="Make an enrolment credential; its password is shown once"),
    Route("listCredentials", ("GET",), "/enrollment-credentials", handlers.list_credentials, scope="pki:read",
          tag=_CREDENTIAL, query=PageQuery, response=models.CredentialList, summary="Credentials, newest first"),
    Route("getCredential", ("GET",), "/enrollment-credentials/<id>", handlers.get_credential, scope="pki:read",
          tag=_CREDENTIAL, response=models.CredentialView, summary="One credential, by id or user name"),
    Route("deleteCredential", ("DELETE",), "/enrollment-credentials/<id>", handlers.delete_credential,
          scope="credentials:write", tag=_CREDENTIAL, status=204, produces=(), summary="Withdraw a credential"),
)  # fmt: skip
