"""Alembic branch ``jose_ja``."""
