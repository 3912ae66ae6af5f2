"""The keys of rings: shown, revoked, disabled, destroyed."""
