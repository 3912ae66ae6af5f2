"""Versions of the branch ``jose_ja``."""
