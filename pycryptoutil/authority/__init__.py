"""Certificate authorities: hierarchy, profiles, credentials, issuance and revocation."""

from pycryptoutil.authority.certificates.bulk import BulkOrder, BulkResult
from pycryptoutil.authority.model import (
    Authority,
    AuthorityKind,
    AuthorityOrder,
    AuthorityStatus,
    CertificateFilter,
    CertificateRecord,
    CertificateStatus,
    Credential,
    CredentialOrder,
    DistributionUrls,
    IssuedCertificate,
    IssueOrder,
    Label,
    NamePatterns,
    NewCredential,
    Page,
    RevocationReason,
)
from pycryptoutil.authority.profile import Profile
from pycryptoutil.authority.service import CertificateAuthorityService
from pycryptoutil.authority.settings import AuthoritySettings
from pycryptoutil.authority.signers import ServiceSigner
from pycryptoutil.authority.statistics import Statistics

__all__ = [
    "Authority",
    "AuthorityKind",
    "AuthorityOrder",
    "AuthoritySettings",
    "AuthorityStatus",
    "BulkOrder",
    "BulkResult",
    "CertificateAuthorityService",
    "CertificateFilter",
    "CertificateRecord",
    "CertificateStatus",
    "Credential",
    "CredentialOrder",
    "DistributionUrls",
    "IssueOrder",
    "IssuedCertificate",
    "Label",
    "NamePatterns",
    "NewCredential",
    "Page",
    "Profile",
    "RevocationReason",
    "ServiceSigner",
    "Statistics",
]
