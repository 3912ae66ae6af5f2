"""Tools for JSON Web Keys (RFC 7517, RFC 7638)."""
