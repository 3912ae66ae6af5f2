"""Alembic branch ``learn_ps``."""
