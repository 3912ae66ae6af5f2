"""Alembic branch ``keyring``."""
