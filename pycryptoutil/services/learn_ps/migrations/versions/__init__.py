"""Versions of the branch ``learn_ps``."""
