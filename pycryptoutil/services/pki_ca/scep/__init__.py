"""SCEP over HTTP (RFC 8894 section 4), on the public and the plain listener."""
