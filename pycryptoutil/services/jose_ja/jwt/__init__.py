"""JSON Web Tokens (RFC 7519) by policy."""
