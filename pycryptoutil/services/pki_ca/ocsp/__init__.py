"""OCSP over HTTP: POST and GET, on the public and the plain listener."""
