"""Versions of keys: rotation, import, export, approvals, backup."""
