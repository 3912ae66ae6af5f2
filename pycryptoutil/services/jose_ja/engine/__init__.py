"""What every operation stands on: how it is had, which keys it uses, and what is told of it."""
