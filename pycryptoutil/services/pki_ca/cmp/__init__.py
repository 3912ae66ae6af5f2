"""CMP over HTTP (RFC 9810, RFC 9811, RFC 9483), on the public and the plain listener."""
