"""The routes of import, backup and restore."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.pki_ca.moving import backup, models, takeover

SCOPES: Final = {"authorities:move": "import, back up and restore certificate authorities with their keys"}

_CA: Final = "Certificate authorities"
_MOVE: Final = "authorities:move"
_IMPORTS: Final = "/authority-imports"
_ONE: Final = "/certificate-authorities/<name>"

ROUTES: Final = (
    Route("importAuthority", ("POST",), _IMPORTS, takeover.begin, scope=_MOVE, tag=_CA,
          body=models.ImportBody, response=models.ImportView, status=201,
          summary="Take over a CA that another program has run: key, chain and CRL number"),
    Route("importCertificates", ("POST",), f"{_IMPORTS}/<name>/certificates", takeover.add, scope=_MOVE, tag=_CA,
          body=models.ImportRowsBody, response=models.ImportRowsView, max_body=8 << 20,
          summary="Take over what such a CA has issued and revoked, up to 500 certificates at once"),
    Route("backUpAuthority", ("POST",), f"{_ONE}/backup", backup.make, scope=_MOVE, tag=_CA, body=models.BackupBody,
          response=models.BackupView, summary="One part of a CA's backup, encrypted to a recovery key (CMS)"),
    Route("restoreAuthority", ("POST",), "/authority-restores", backup.restore, scope=_MOVE, tag=_CA,
          body=models.RestoreBody, response=models.RestoreView, max_body=4 << 20,
          summary="Bring back one decrypted part; the first part once more at the end"),
)  # fmt: skip
