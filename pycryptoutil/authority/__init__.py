"""Certificate authorities: hierarchy, profiles, credentials, issuance and revocation."""
