"""Requests for certificates that wait for people, over REST."""
