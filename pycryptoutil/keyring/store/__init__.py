"""Statements on the keyring's tables, every one filtered by tenant."""
