"""EST (RFC 7030, 8951, 9908) on the public listener."""
