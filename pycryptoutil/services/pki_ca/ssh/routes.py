"""SSH certificates' table of routes."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.paging import PageQuery
from pycryptoutil.http.route import Route
from pycryptoutil.services.pki_ca.ssh import handlers, models

_TAG: Final = "SSH certificates"

ROUTES: Final = (
    Route("issueSshCertificate", ("POST",), "/ssh-certificates", handlers.issue, scope="certificates:issue", tag=_TAG,
          body=models.SshBody, response=models.SshView, status=201, summary="Certify an OpenSSH host or user key"),
    Route("listSshCertificates", ("GET",), "/ssh-certificates", handlers.listing, scope="pki:read", tag=_TAG,
          query=PageQuery, response=models.SshList, summary="SSH certificates, newest first"),
    Route("getSshAuthorityKey", ("GET",), "/ssh-authorities/<authority>/<kind>", handlers.authority_key,
          scope="pki:read", tag=_TAG, produces=(handlers.KEY_TYPE,),
          summary="The public key to trust: kind ssh-user for hosts, ssh-host for clients"),
)  # fmt: skip
