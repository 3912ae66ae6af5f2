"""Migrations of the template's own tables, and what other rooms' migrations use."""
