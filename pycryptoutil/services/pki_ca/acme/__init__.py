"""ACME over HTTPS (RFC 8555): a directory for each label, under ``/acme/{label}``."""
