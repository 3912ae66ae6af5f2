"""ACME's tables and the statements on them; every one is filtered by tenant."""
