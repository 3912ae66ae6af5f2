"""Alembic revisions of the branch ``core``."""
