"""The table of routes of versions, import, export, approvals and backups."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.sm_kms.keys.models import DestroyBody
from pycryptoutil.services.sm_kms.versions import handlers, models

SCOPES: Final = {
    "keys:import": "import key material",
    "keys:export": "export key material that may be exported, wrapped",
    "keys:approve": "approve what needs a quorum",
    "keys:backup": "back keys up to a recovery key, and restore them",
}
_VERSIONS, _TRANSFER = "Versions", "Import and export"
_APPROVALS, _BACKUP = "Approvals", "Backup"
_KEY: Final = "/elastic-keys/<key>"
_ALL: Final = f"{_KEY}/versions"
_ONE: Final = f"{_ALL}/<version>"
_VIEW: Final = models.VersionView
_ROOM: Final = 4096  # of a body, beside what is wrapped

ROUTES: Final = (
    Route("listVersions", ("GET",), _ALL, handlers.listing, scope="keys:read", tag=_VERSIONS,
          response=models.VersionList, summary="Every version, with its use and its public half"),
    Route("getVersion", ("GET",), _ONE, handlers.get, scope="keys:read", tag=_VERSIONS, response=_VIEW,
          summary="One version"),
    Route("rotateKey", ("POST",), f"{_KEY}/rotate", handlers.rotate, scope="keys:write", tag=_VERSIONS, response=_VIEW,
          status=201, summary="Make the next version the active one"),
    Route("prepareVersion", ("POST",), f"{_KEY}/prepare", handlers.prepare, scope="keys:write", tag=_VERSIONS,
          response=_VIEW, status=201, summary="Make the next version without using it yet"),
    Route("activateVersion", ("POST",), f"{_ONE}/activate", handlers.activate, scope="keys:write", tag=_VERSIONS,
          response=_VIEW, summary="Make a prepared version the active one"),
    Route("enableVersion", ("POST",), f"{_ONE}/enable", handlers.enable, scope="keys:write", tag=_VERSIONS,
          response=_VIEW, summary="Let a disabled version be used again"),
    Route("disableVersion", ("POST",), f"{_ONE}/disable", handlers.disable, scope="keys:write", tag=_VERSIONS,
          response=_VIEW, summary="Refuse every use of a version"),
    Route("revokeVersion", ("POST",), f"{_ONE}/revoke", handlers.revoke, scope="keys:write", tag=_VERSIONS,
          body=models.RevokeBody, response=_VIEW, summary="Revoke a version for good, on every replica at once"),
    Route("destroyVersion", ("POST",), f"{_ONE}/destroy", handlers.destroy, scope="keys:destroy", tag=_VERSIONS,
          body=DestroyBody, response=_VIEW, summary="Destroy a version's material; not the active one's"),
    Route("createImportKey", ("POST",), f"{_KEY}/import-keys", handlers.import_key, scope="keys:import",
          tag=_TRANSFER, body=models.ImportKeyBody, response=models.ImportKeyView, status=201,
          summary="Make a key that wraps one import"),
    Route("importVersion", ("POST",), f"{_KEY}/import", handlers.import_version, scope="keys:import", tag=_TRANSFER,
          body=models.ImportBody, response=_VIEW, status=201, summary="Take a wrapped key as the next version"),
    Route("exportVersion", ("POST",), f"{_ONE}/export", handlers.export_version, scope="keys:export", tag=_TRANSFER,
          body=models.ExportBody, response=models.WrappedView, summary="A version, wrapped to the caller's key"),
    Route("requestApproval", ("POST",), f"{_KEY}/approvals", handlers.request_approval, scope="keys:write",
          tag=_APPROVALS, body=models.ApprovalBody, response=models.ApprovalView, status=201,
          summary="Ask for the approval that a quorum needs"),
    Route("listKeyApprovals", ("GET",), f"{_KEY}/approvals", handlers.list_approvals, scope="keys:read",
          tag=_APPROVALS, response=models.ApprovalList, summary="A key's requests, newest first"),
    Route("listApprovals", ("GET",), "/key-approvals", handlers.list_approvals, scope="keys:read", tag=_APPROVALS,
          response=models.ApprovalList, summary="Every key's requests, newest first"),
    Route("getApproval", ("GET",), "/key-approvals/<id>", handlers.get_approval, scope="keys:read", tag=_APPROVALS,
          response=models.ApprovalView, summary="One request"),
    Route("approveApproval", ("POST",), "/key-approvals/<id>/approve", handlers.approve, scope="keys:approve",
          tag=_APPROVALS, response=models.ApprovalView, summary="Vote for a request; not for one's own"),
    Route("rejectApproval", ("POST",), "/key-approvals/<id>/reject", handlers.reject, scope="keys:approve",
          tag=_APPROVALS, response=models.ApprovalView, summary="End a request"),
    Route("backupKey", ("POST",), f"{_KEY}/backup", handlers.backup, scope="keys:backup", tag=_BACKUP,
          body=models.BackupBody, response=models.WrappedView, summary="One key, encrypted to a recovery key"),
    Route("backupTenant", ("POST",), "/key-backups", handlers.backup, scope="keys:backup", tag=_BACKUP,
          body=models.BackupBody, response=models.WrappedView, summary="Every key that needs no approval, encrypted"),
    Route("createRestoreKey", ("POST",), "/key-restores/keys", handlers.restore_key, scope="keys:backup", tag=_BACKUP,
          body=models.ImportKeyBody, response=models.ImportKeyView, status=201,
          summary="Make a key that wraps one restore"),
    Route("restoreBackup", ("POST",), "/key-restores", handlers.restore, scope="keys:backup", tag=_BACKUP,
          body=models.RestoreBody, response=models.RestoredView, max_body=models.MAX_BACKUP + _ROOM,
          summary="Bring back what is missing; overrules nothing that is here"),
    Route("rotateTenantRoot", ("POST",), "/tenant-root/rotate", handlers.rotate_root, scope="keys:write", tag=_BACKUP,
          response=models.RootView, summary="Put every version of the tenant under a new root key"),
)  # fmt: skip
