"""Elastic keys."""
