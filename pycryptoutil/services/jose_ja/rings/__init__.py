"""Rings: named sets of JSON Web Keys, one of which is active."""
