"""Time-stamping over HTTP (RFC 3161 section 3.4), on the public and the plain listener."""
