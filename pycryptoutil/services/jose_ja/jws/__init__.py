"""JSON Web Signatures (RFC 7515, RFC 7797)."""
