"""Alembic branch ``authority``."""
