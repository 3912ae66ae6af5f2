"""Rewrap jobs: a stored stream of objects, brought to the active version in the background."""
