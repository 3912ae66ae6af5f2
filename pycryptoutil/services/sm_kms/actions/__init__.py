"""The operations themselves, one item each, over versions that the gate has let through."""
