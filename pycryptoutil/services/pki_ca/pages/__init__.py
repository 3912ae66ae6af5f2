"""The CA's pages for people: their table, and where they stand in the navigation."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.page import Entry, PageSet
from pycryptoutil.services.pki_ca.pages.dashboard import PAGES as DASHBOARD
from pycryptoutil.services.pki_ca.pages.inventory.approvals import PAGES as APPROVALS
from pycryptoutil.services.pki_ca.pages.inventory.certificates import PAGES as CERTIFICATES
from pycryptoutil.services.pki_ca.pages.management.authorities import PAGES as AUTHORITIES
from pycryptoutil.services.pki_ca.pages.management.credentials import PAGES as CREDENTIALS
from pycryptoutil.services.pki_ca.pages.management.profiles import PAGES as PROFILES
from pycryptoutil.services.pki_ca.pages.webhooks import PAGES as WEBHOOKS

_READ: Final = "pki:read"

PAGES: Final = PageSet(
    package="pycryptoutil.services.pki_ca",
    pages=(*DASHBOARD, *CERTIFICATES, *APPROVALS, *CREDENTIALS, *PROFILES, *AUTHORITIES, *WEBHOOKS),
    navigation=(
        Entry("/browser/dashboard", "Dashboard", _READ),
        Entry("/browser/certificates", "Certificates", _READ, "Certificates"),
        Entry("/browser/approvals", "Approvals", _READ, "Certificates"),
        Entry("/browser/credentials", "Enrolment credentials", _READ, "Certificates"),
        Entry("/browser/authorities", "Authorities and CRLs", _READ, "Authority"),
        Entry("/browser/profiles", "Profiles", _READ, "Authority"),
        Entry("/browser/webhooks", "Webhooks", _READ, "Oversight"),
    ),
    notices={
        "revoked": "The certificate is revoked. OCSP says so now, and the next CRL is on its way.",
        "revoked-key": "Every certificate of the key is revoked, or on hold, as asked.",
        "held": "The certificate is on hold. OCSP says so now, and the next CRL is on its way.",
        "released": "The hold is released: the certificate is good again.",
        "approved": "Your approval is recorded. More people must agree before the certificate is issued.",
        "approved-issued": "The request is approved, and the certificate is issued.",
        "approved-failed": "The request was approved, but may not be issued any more; the reason is below.",
        "rejected": "The request is rejected. The client is told when it asks again.",
        "withdrawn": "The credential is withdrawn. Certificates that were issued with it stay valid.",
        "profile-saved": "The profile is saved. It governs every certificate from now on.",
        "profile-deleted": "The profile is deleted.",
        "webhook-tested": "A test event is on its way; its delivery is below.",
        "webhook-enabled": "The webhook is told of events again.",
        "webhook-disabled": "The webhook is told of nothing more.",
        "webhook-deleted": "The webhook is deleted.",
        "redelivered": "The event is on its way once more.",
        "published": "A new CRL is published.",
        "disabled": "The authority is disabled: it issues nothing, and goes on answering for what it has issued.",
        "enabled": "The authority issues again.",
    },
)
