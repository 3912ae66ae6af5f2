"""Alembic branch ``sm_kms``."""
