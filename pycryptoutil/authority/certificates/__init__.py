"""Issued certificates: their rows, listing and revocation."""
