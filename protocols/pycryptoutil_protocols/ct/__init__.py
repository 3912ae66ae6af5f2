"""Certificate Transparency (RFC 6962): what a CA needs of it."""
