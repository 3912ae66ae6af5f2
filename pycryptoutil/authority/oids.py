"""Names for the object identifiers that profiles and orders speak of."""

from __future__ import annotations

from typing import Final

ATTRIBUTES: Final[dict[str, str]] = {
    "CN": "2.5.4.3",
    "C": "2.5.4.6",
    "ST": "2.5.4.8",
    "L": "2.5.4.7",
    "STREET": "2.5.4.9",
    "postalCode": "2.5.4.17",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "organizationIdentifier": "2.5.4.97",
    "serialNumber": "2.5.4.5",
    "businessCategory": "2.5.4.15",
    "jurisdictionC": "1.3.6.1.4.1.311.60.2.1.3",
    "jurisdictionST": "1.3.6.1.4.1.311.60.2.1.2",
    "jurisdictionL": "1.3.6.1.4.1.311.60.2.1.1",
    "givenName": "2.5.4.42",
    "SN": "2.5.4.4",
    "pseudonym": "2.5.4.65",
    "title": "2.5.4.12",
    "UID": "0.9.2342.19200300.100.1.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "dnQualifier": "2.5.4.46",
    "emailAddress": "1.2.840.113549.1.9.1",
}
ATTRIBUTE_NAMES: Final = {oid: name for name, oid in ATTRIBUTES.items()}

EXTENDED_KEY_USAGES: Final[dict[str, str]] = {
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
    "codeSigning": "1.3.6.1.5.5.7.3.3",
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "timeStamping": "1.3.6.1.5.5.7.3.8",
    "ocspSigning": "1.3.6.1.5.5.7.3.9",
    "ipsecIKE": "1.3.6.1.5.5.7.3.17",
    "ipsecEndSystem": "1.3.6.1.5.5.7.3.5",
    "smartcardLogon": "1.3.6.1.4.1.311.20.2.2",
    "kerberosKdc": "1.3.6.1.5.2.3.5",
    "kerberosClient": "1.3.6.1.5.2.3.4",
    "documentSigning": "1.3.6.1.5.5.7.3.36",  # RFC 9336
    "msDocumentSigning": "1.3.6.1.4.1.311.10.3.12",
    "msKernelModeCodeSigning": "1.3.6.1.4.1.311.61.1.1",
    "msLifetimeSigning": "1.3.6.1.4.1.311.10.3.13",
    "cmcCA": "1.3.6.1.5.5.7.3.27",  # RFC 6402
    "cmcRA": "1.3.6.1.5.5.7.3.28",
    "cmKGA": "1.3.6.1.5.5.7.3.32",  # RFC 9480: delivers keys that the CA has made
}

KEY_USAGES: Final = (
    "digitalSignature",
    "contentCommitment",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
"""Bit names of KeyUsage in the order of RFC 5280 section 4.2.1.3."""

USER_PRINCIPAL_NAME: Final = "1.3.6.1.4.1.311.20.2.3"
"""otherName of a Windows log-on name: UTF8String."""

# extensions (RFC 5280 section 4.2, RFC 7633, RFC 6960)
AUTHORITY_INFORMATION_ACCESS: Final = "1.3.6.1.5.5.7.1.1"
CERTIFICATE_POLICIES: Final = "2.5.29.32"
CRL_DISTRIBUTION_POINTS: Final = "2.5.29.31"
FRESHEST_CRL: Final = "2.5.29.46"
NAME_CONSTRAINTS: Final = "2.5.29.30"
TLS_FEATURE: Final = "1.3.6.1.5.5.7.1.24"
AD_OCSP: Final = "1.3.6.1.5.5.7.48.1"
AD_CA_ISSUERS: Final = "1.3.6.1.5.5.7.48.2"
POLICY_CPS: Final = "1.3.6.1.5.5.7.2.1"
MS_CERTIFICATE_TEMPLATE_NAME: Final = "1.3.6.1.4.1.311.20.2"
MS_CERTIFICATE_TEMPLATE: Final = "1.3.6.1.4.1.311.21.7"
