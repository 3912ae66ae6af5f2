"""The REST API of certificates: issue, list, show, revoke."""
