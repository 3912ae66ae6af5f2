"""The service template: what every service gets without writing a line of it."""
